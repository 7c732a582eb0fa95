//! Where the workers of trainings meet.

use super::sets::Sets;
use crate::{
    local::own_folder::OwnFolder,
    ml,
    store::{self, Key, Memory, OpenError, ParameterStore, Server, Terms},
    sync::{Peers, SyncError},
    wire::{Failure, Kind, Secret},
};
use std::{
    io,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

/// Where the workers of trainings meet.
pub(in crate::local) struct Meeting {
    /// The store that the user has named.
    named: Option<Secret>,
    own: OnceLock<Result<Own, String>>,
    /// What the run's keys begin with.
    run: String,
    /// The samples that they share.
    sets: Sets,
}

/// A store of this program's own.
struct Own {
    server: Server,
    /// The socket lies in it. Its own place may be too deep for the name of a socket.
    _folder: OwnFolder,
}

impl Own {
    fn new() -> io::Result<Self> {
        let folder = OwnFolder::new()?;
        let server = store::serve(folder.path().join("store"), Arc::new(Memory::default()))?;
        Ok(Self { server, _folder: folder })
    }
}

impl Meeting {
    /// A store at an address, or else one of this program's own, for a run whose samples are dealt out in a folder.
    pub fn new(named: Option<Secret>, run: String, dealt: PathBuf) -> Self {
        Self { named, own: OnceLock::new(), run, sets: Sets::new(dealt) }
    }

    /// The samples that they share.
    pub(super) const fn sets(&self) -> &Sets {
        &self.sets
    }

    /// What the run's keys begin with.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    fn own(&self) -> Result<&Own, Failure> {
        let own = self.own.get_or_init(|| Own::new().map_err(|error| error.to_string()));
        own.as_ref().map_err(|error| {
            Failure::new(Kind::TaskFailed, format!("the workers have no place to meet: {error}")).help(
                "check the space and the rights of the folder for temporary files, or name a store with `--store`",
            )
        })
    }

    /// Its address.
    pub(super) fn address(&self) -> Result<Secret, Failure> {
        match &self.named {
            Some(address) => Ok(address.clone()),
            None => Ok(Secret::new(self.own()?.server.address())),
        }
    }

    /// The store itself.
    pub(super) fn store(&self) -> Result<Arc<dyn ParameterStore>, Failure> {
        store::open(self.address()?.reveal(), Terms::new(Key::new(&[&self.run]))).map_err(|error| match error {
            OpenError::Store(error) => lasting(SyncError::from(error)),
            error => Failure::new(Kind::TaskFailed, error.to_string()).help("check the address that `--store` names"),
        })
    }

    /// Takes away what a training has left there.
    pub(super) fn clear(&self, training: &str) -> Result<(), Failure> {
        let cleared = self.store()?.clear(&Key::new(&[&training]));
        cleared.map_err(|error| lasting(SyncError::from(error)))
    }

    /// Gives a round up, so that those who are left end it.
    pub(super) fn abandon(&self, training: &str, round: u64) -> Result<(), Failure> {
        Peers::abandon(&*self.store()?, training, round).map_err(lasting)
    }
}

/// A store that the run itself can't use is of no use to other workers either.
fn lasting(error: SyncError) -> Failure {
    Failure { kind: Kind::TaskFailed, ..ml::failure_of(error) }
}
