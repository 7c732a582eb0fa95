//! Values that are too large for a state machine lie in the object store.

use super::super::Shared;
use crate::{
    expr::Var,
    value::{Artifact, Hash, Value},
    wire::{Answer, Carried, Failure, Kind, Stored, key},
};
use serde_json::Value as Json;
use std::{collections::BTreeMap, sync::Arc};

/// The value that was read last: the items of one list are asked for one by one.
#[derive(Default)]
pub struct Recalled(Option<(Hash, Arc<Json>)>);

impl Recalled {
    /// The value that is carried or referred to.
    pub fn value(&mut self, carried: &Carried, shared: &Shared) -> Result<Value, Failure> {
        carried.value(&mut |stored| self.recall(stored, shared))
    }

    fn recall(&mut self, stored: &Stored, shared: &Shared) -> Result<Arc<Json>, Failure> {
        match &self.0 {
            Some((hash, json)) if *hash == stored.hash => Ok(json.clone()),
            _ => {
                let bytes = shared.recall(&artifact(stored.hash, stored.bytes))?;
                let broken = |error: serde_json::Error| {
                    Failure::new(Kind::TaskFailed, format!("a stored value can't be read: {error}"))
                        .help("deploy the state machine and its functions together")
                };
                let json = Arc::new(serde_json::from_slice(&bytes).map_err(broken)?);
                self.0 = Some((stored.hash, Arc::clone(&json)));
                Ok(json)
            }
        }
    }
}

/// The answer with values, of which those of more than `most` bytes are stored.
pub fn answer(values: BTreeMap<Var, Value>, most: usize, shared: &Shared) -> Result<Answer, Failure> {
    let carried = |(var, value): (Var, Value)| {
        let carried = Carried::within(&value, most, &mut |bytes| keep(bytes, shared))?;
        Ok((key(var), Some(carried)))
    };
    Ok(Answer { vars: values.into_iter().map(carried).collect::<Result<_, Failure>>()?, ..Answer::default() })
}

/// The answer with values that are stored as they were sent, in whole.
pub fn store(vars: &BTreeMap<String, Carried>, shared: &Shared) -> Result<Answer, Failure> {
    let stored = |(key, carried): (&String, &Carried)| {
        Ok((key.clone(), Some(carried.clone().stored(&mut |bytes| keep(bytes, shared))?)))
    };
    Ok(Answer { vars: vars.iter().map(stored).collect::<Result<_, Failure>>()?, ..Answer::default() })
}

fn keep(bytes: &[u8], shared: &Shared) -> Result<Hash, Failure> {
    let artifact = artifact(Hash::of(bytes), bytes.len() as u64);
    shared.keep(&artifact, bytes).map(|()| artifact.hash)
}

fn artifact(hash: Hash, bytes: u64) -> Artifact {
    Artifact { name: "value".into(), hash, bytes }
}
