//! The settings of an elastic training: read from the values of a workflow, and checked against one another. The compiler
//! does so with what is known before a run, the scheduler with all of it.

mod error;
mod read;
mod replan;
#[cfg(test)]
pub(crate) mod tests;

pub use error::ElasticError;
pub use read::{Syncing, batch, every, shards, sync, workers};
pub use replan::{Next, Participant, replan};

use crate::wire::{Staged, Workers};

/// The samples in a batch when nothing is said.
pub const BATCH: u64 = 64;

/// Whether every batch can be cut into so many shards of one size.
///
/// # Errors
/// Says which batch can't.
pub fn check_batch(batch: &Staged<u64>, shards: u64) -> Result<(), ElasticError> {
    match batch.values().find(|batch| !batch.is_multiple_of(shards)) {
        Some(batch) => Err(ElasticError::Cut { batch, shards }),
        None => Ok(()),
    }
}

/// Whether the shards can be dealt out evenly among the workers, however many there are.
///
/// # Errors
/// Says which number of workers does not divide them, or that none of a range does.
pub fn check_workers(workers: &Workers, shards: u64) -> Result<(), ElasticError> {
    let fitting = workers.fitting(shards);
    match fitting.iter().find(|workers| !shards.is_multiple_of(u64::from(**workers))) {
        Some(workers) => Err(ElasticError::Uneven { workers: workers.to_string(), shards }),
        None if fitting.is_empty() => Err(ElasticError::Uneven { workers: workers.to_string(), shards }),
        None => Ok(()),
    }
}

/// Whether there are fewer backups than workers where these are the most.
///
/// # Errors
/// When there are not.
pub fn check_backups(backups: u32, workers: &Workers, shards: u64) -> Result<(), ElasticError> {
    let most = workers.fitting(shards).last().copied().unwrap_or_default();
    if backups > 0 && backups >= most { Err(ElasticError::Backups { backups, most }) } else { Ok(()) }
}
