//! The object store: files named by the hash of what they hold, so that nothing is stored twice or changed. And the
//! parameter store, through which workers talk.

mod address;
#[cfg(feature = "s3")]
mod blobs;
mod frames;
mod memory;
mod parameters;
mod patience;
mod redis;
#[cfg(feature = "s3")]
mod remote;
mod served;

pub use self::redis::Redis;
pub use address::{OpenError, open};
#[cfg(feature = "s3")]
pub use blobs::Blobs;
pub use memory::Memory;
pub use parameters::{Key, ParameterError, ParameterStore, Terms, Traffic};
#[cfg(feature = "s3")]
pub use remote::{Entry, Remote, RemoteError};
pub use served::{Served, Server, serve};

use crate::{
    disk::{finish, new_file, open_plain, sync_folder, write_by_way_of},
    value::{Artifact, Hash},
};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A folder of stored files.
#[derive(Clone, Debug)]
pub struct Objects {
    root: PathBuf,
    /// Where files lie while they are not whole.
    workshop: PathBuf,
}

/// Why a stored file can't be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is not there or can't be read.
    #[error("the stored file `{name}` can't be read: {source}")]
    Unreadable {
        /// Its name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// Its bytes are not those that were stored.
    #[error("the stored file `{name}` was changed: its hash is {found}, not {wanted}")]
    Corrupt {
        /// Its name.
        name: String,
        /// What it should be.
        wanted: Hash,
        /// What it is.
        found: Hash,
    },
}

impl Objects {
    /// The store in the folder `root`, which need not exist yet.
    pub fn open(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { workshop: root.clone(), root }
    }

    /// The same store, whose files lie in a folder of the same file system while they are not whole.
    pub fn by_way_of(self, workshop: &Path) -> Self {
        Self { workshop: workshop.to_owned(), ..self }
    }

    /// Where files lie while they are not whole.
    pub fn workshop(&self) -> &Path {
        &self.workshop
    }

    /// Stores bytes under a name.
    ///
    /// # Errors
    /// When the folder can't be written.
    pub fn put_bytes(&self, name: &str, bytes: &[u8]) -> io::Result<Artifact> {
        let artifact = Artifact { name: name.to_owned(), hash: Hash::of(bytes), bytes: bytes.len() as u64 };
        if self.check(&artifact)? {
            renew(&self.path(&artifact));
        } else {
            self.make_room(&artifact)?;
            write_by_way_of(&self.workshop, &self.path(&artifact), bytes)?;
        }
        Ok(artifact)
    }

    /// Stores a file under a name. However large it is, little of it is in memory at a time.
    ///
    /// # Errors
    /// When it is no plain file or can't be read, or the folder can't be written.
    pub fn put_file(&self, name: &str, path: &Path) -> io::Result<Artifact> {
        let mut file = open_plain(path)?;
        fs::create_dir_all(&self.workshop)?;
        let mut copy = new_file(&self.workshop)?;
        let (hash, bytes) = hash(&mut file, |part| copy.write_all(part))?;
        let artifact = Artifact { name: name.to_owned(), hash, bytes };
        if self.check(&artifact)? {
            renew(&self.path(&artifact));
        } else {
            self.make_room(&artifact)?;
            finish(copy, &self.path(&artifact))?;
        }
        Ok(artifact)
    }

    /// Whether a file is stored whole. One that is damaged is removed.
    ///
    /// # Errors
    /// When the file can't be read, or a damaged one can't be removed.
    pub fn check(&self, artifact: &Artifact) -> io::Result<bool> {
        let path = self.path(artifact);
        let is_whole = |mut file: File| {
            let length = file.metadata()?.len();
            Ok::<_, io::Error>(
                length == artifact.bytes && hash(&mut file, |_| Ok(()))? == (artifact.hash, artifact.bytes),
            )
        };
        match File::open(&path).and_then(is_whole) {
            Ok(true) => Ok(true),
            Ok(false) => fs::remove_file(&path).map(|()| false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes the folder that a stored file lies in, for good.
    fn make_room(&self, artifact: &Artifact) -> io::Result<()> {
        let path = self.path(artifact);
        let folder = path.parent().unwrap_or(&self.root);
        if !folder.exists() {
            fs::create_dir_all(folder)?;
            sync_folder(&self.root)?;
        }
        Ok(())
    }

    /// The bytes of a stored file.
    ///
    /// # Errors
    /// When it is gone or its bytes were changed.
    pub fn read(&self, artifact: &Artifact) -> Result<Vec<u8>, StoreError> {
        let name = || artifact.name.clone();
        let bytes = fs::read(self.path(artifact)).map_err(|source| StoreError::Unreadable { name: name(), source })?;
        let found = Hash::of(&bytes);
        if found != artifact.hash {
            return Err(StoreError::Corrupt { name: name(), wanted: artifact.hash, found });
        }
        Ok(bytes)
    }

    /// Whether a file is stored in its whole length; it then counts as new, so that no sweep takes it away from who is
    /// about to refer to it.
    pub fn holds(&self, artifact: &Artifact) -> bool {
        let path = self.path(artifact);
        let is_whole = fs::metadata(&path).is_ok_and(|about| about.is_file() && about.len() == artifact.bytes);
        if is_whole {
            renew(&path);
        }
        is_whole
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a stored file lies.
    pub fn path(&self, artifact: &Artifact) -> PathBuf {
        let hash = artifact.hash.to_string();
        self.root.join(&hash[..2]).join(&hash[2..])
    }
}

/// Lets a stored file count as new, so that nobody who sweeps old ones away takes it.
fn renew(path: &Path) {
    // Who may not write it can't sweep it away either.
    let _ = File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// The hash and the length of what is read, part by part; `see` is shown each.
fn hash(from: &mut impl Read, mut see: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(Hash, u64)> {
    let (mut hasher, mut bytes, mut buffer) = (blake3::Hasher::new(), 0, vec![0; 1 << 20]);
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok((hasher.finalize().into(), bytes)),
            count => {
                hasher.update(&buffer[..count]);
                see(&buffer[..count])?;
                bytes += count as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests;
