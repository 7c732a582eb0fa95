//! Training and judging models with candle.
//!
//! A training is data-parallel over *virtual shards*: a batch is always cut into the same micro-batches, whose gradients
//! are summed in one fixed binary tree. Threads only divide the shards among themselves, so their number never changes a
//! bit of the result.

mod activation;
mod attention;
mod checkpoint;
mod dense;
mod evaluate;
mod image;
mod initial;
mod loss;
mod metric;
mod network;
mod norm;
mod operation;
mod optimizer;
mod outer;
mod pace;
mod plain;
mod pool;
mod product;
mod rate;
mod segments;
mod shards;
mod shuffle;
mod stages;
mod state;
mod train;

#[cfg(test)]
mod tests;

pub use checkpoint::{latest_steps, remove as remove_checkpoints};
pub use evaluate::evaluate;
pub use pace::{Cut, Pace, pace};
pub use train::{Lesson, Part, Whole, deal, gradient_bytes, train};

use crate::{
    data::dealt::DealtError,
    store::{Objects, ParameterError},
    sync::SyncError,
    units::Duration,
    wire::{Failure, Kind, Progress},
};
use std::{path::Path, sync::atomic::AtomicBool};

/// What a training or judgement needs besides its job.
pub struct Context<'a> {
    /// The threads to use; the result does not depend on them.
    pub threads: usize,
    /// The time until the deadline.
    pub time_left: Option<Duration>,
    /// Whether the run draws to an end, so that a training stops at its next checkpoint.
    pub draining: &'a AtomicBool,
    /// Whether a limit is reached, so that a training ends with the best it has.
    pub cut: &'a AtomicBool,
    /// Where weights are stored and read.
    pub objects: &'a Objects,
    /// A folder of the step that survives its retries, for checkpoints.
    pub scratch: &'a Path,
    /// Hears of every epoch.
    pub report: &'a mut dyn FnMut(Progress),
}

/// What can go wrong inside; each becomes a failure that the user can read.
#[derive(Debug, thiserror::Error)]
enum MlError {
    /// The step can't be done as asked.
    #[error("{0}")]
    Failed(#[from] Failure),
    /// The workers of a training can't go on together.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Samples that were dealt out can't be had.
    #[error(transparent)]
    Dealt(#[from] DealtError),
    /// candle refused an operation.
    #[error("{0}")]
    Candle(#[from] candle_core::Error),
}

impl From<MlError> for Failure {
    fn from(error: MlError) -> Self {
        match error {
            MlError::Failed(failure) => failure,
            MlError::Sync(error) => failure_of(error),
            MlError::Dealt(error) => error.into(),
            MlError::Candle(error) => Self::new(Kind::TaskFailed, format!("a computation failed: {error}")),
        }
    }
}

/// An input that can't be worked with.
fn unusable(message: impl Into<String>, help: impl Into<String>) -> MlError {
    MlError::Failed(Failure::new(Kind::TaskFailed, message).help(help))
}

/// What it means for a step that its workers can't go on together: they may try again, but not where they are of different
/// builds.
pub fn failure_of(error: SyncError) -> Failure {
    match error {
        SyncError::Build { .. } => {
            Failure::new(Kind::TaskFailed, error.to_string()).help("let all workers be of one build of smltc")
        }
        SyncError::Store(error) => {
            let kind = match error {
                ParameterError::Unreachable { .. } => Kind::WorkerLost,
                ParameterError::Full { .. } | ParameterError::Refused { .. } => Kind::TaskFailed,
            };
            Failure::new(kind, error.to_string()).help(error.help())
        }
        error => Failure::new(Kind::WorkerLost, error.to_string()),
    }
}
