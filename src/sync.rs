//! How the workers of a training come to one gradient, through nothing but a parameter store.

mod all_to_all;
mod codec;
mod in_store;
mod join;
mod lanes;
mod member;
mod parameter_server;
mod peers;
mod post;
mod pulse;
mod scatter_reduce;
mod sum;
mod top_k;
mod two_level;

pub use in_store::aggregate;
pub use member::Membership;
pub use peers::Peers;

use crate::store::ParameterError;
use bytes::Bytes;
use member::Member;
use std::time::Duration;

/// A stretch of the row that is to be summed.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// Its numbers, fewer than 2^32.
    pub row: Vec<f32>,
    /// Whether they must arrive as they are, whatever the codec.
    pub exact: bool,
}

/// Why a group of workers could not go on together. The rank behind the last worker's is the aggregator's, where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// A worker shows no sign of life.
    #[error("{} has not been heard of for {silence:?}", who(*rank, *of))]
    Silent {
        /// Which, from 1.
        rank: usize,
        /// Of how many.
        of: usize,
        /// For how long.
        silence: Duration,
    },
    /// All live, and yet something never came: the store has lost it.
    #[error("what {} gave never came", who(*rank, *of))]
    Lost {
        /// Which, from 1.
        rank: usize,
        /// Of how many.
        of: usize,
    },
    /// The round was given up.
    #[error("the round was given up")]
    Abandoned,
    /// Another has done the work of this worker.
    #[error("its double was quicker")]
    Superseded,
    /// A worker is of another build.
    #[error("{} is smltc {theirs}, this one is {ours}", who(*rank, *of))]
    Build {
        /// Which, from 1.
        rank: usize,
        /// Of how many.
        of: usize,
        /// The other's version.
        theirs: String,
        /// Its own.
        ours: String,
    },
    /// A worker gave what can't be read.
    #[error("{} gave what can't be read: {reason}", who(*rank, *of))]
    Garbled {
        /// Which, from 1.
        rank: usize,
        /// Of how many.
        of: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] ParameterError),
}

fn who(rank: usize, of: usize) -> String {
    if rank > of { "the aggregator".to_owned() } else { format!("worker {rank} of {of}") }
}

/// The workers of a round, as one of them sees the others. All do the same calls in the same order.
pub trait Group: Send {
    /// Its own place, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn of(&self) -> usize;

    /// Begins to sum a bucket over all workers, beside what the caller does next.
    fn begin(&mut self, bucket: Bucket);

    /// The sums of the buckets that were begun since the last time, in their order. The workers' rows are summed in one fixed
    /// binary tree: neighbours first, then pairs of pairs.
    ///
    /// # Errors
    /// When the group can't go on together.
    fn finish(&mut self) -> Result<Vec<Vec<f32>>, SyncError>;

    /// What each worker gives, in the order of their ranks.
    ///
    /// # Errors
    /// When the group can't go on together.
    fn gather(&mut self, own: Bytes) -> Result<Vec<Bytes>, SyncError>;

    /// The time spent in waiting for the others since the last time it was asked.
    fn waited(&mut self) -> Duration;
}

/// A worker that has all to itself.
#[derive(Debug, Default)]
pub struct Alone {
    buckets: Vec<Vec<f32>>,
}

impl Group for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn of(&self) -> usize {
        1
    }

    fn begin(&mut self, bucket: Bucket) {
        self.buckets.push(bucket.row);
    }

    fn finish(&mut self) -> Result<Vec<Vec<f32>>, SyncError> {
        Ok(std::mem::take(&mut self.buckets))
    }

    fn gather(&mut self, own: Bytes) -> Result<Vec<Bytes>, SyncError> {
        Ok(vec![own])
    }

    fn waited(&mut self) -> Duration {
        Duration::ZERO
    }
}

/// The sum of rows of one length in a binary tree: neighbours first, then pairs of pairs.
pub fn tree_sum(mut rows: Vec<Vec<f32>>) -> Vec<f32> {
    while rows.len() > 1 {
        let mut next = Vec::with_capacity(rows.len().div_ceil(2));
        let mut pairs = rows.into_iter();
        while let Some(mut left) = pairs.next() {
            if let Some(right) = pairs.next() {
                left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
            }
            next.push(left);
        }
        rows = next;
    }
    rows.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests;
