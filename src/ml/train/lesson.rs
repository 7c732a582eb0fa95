//! Where a worker has its samples from.

use super::{MlError, Training};
use crate::{
    data::{
        Labels, Table,
        dealt::{About, Hand},
    },
    ml::{
        network::Network,
        shards::{chunks, judged},
    },
};
use std::{borrow::Cow, ops::Range, time::Duration};

/// All samples of a training, as one has them who has read them.
pub struct Whole<'a> {
    /// What is known of them.
    pub about: &'a About,
    /// The samples to learn from.
    pub train: &'a Table,
    /// The samples to choose the best epoch by; may be empty.
    pub valid: &'a Table,
}

/// What a training learns from.
pub enum Lesson<'a> {
    /// All samples.
    Whole(Whole<'a>),
    /// Those of the worker's own shards, as they were dealt out to them.
    Dealt(&'a Hand),
}

/// Some samples, as a step takes them.
pub(super) struct Taken<'a> {
    /// A table that they are in.
    pub table: Cow<'a, Table>,
    /// For each shard, their rows there.
    pub rows: Vec<Vec<usize>>,
    /// For each row of the table, its number among all samples, where that is another.
    pub numbers: Option<Vec<usize>>,
}

impl<'a> Lesson<'a> {
    /// What is known of the samples.
    pub fn about(&self) -> &'a About {
        match self {
            Self::Whole(whole) => whole.about,
            Self::Dealt(hand) => &hand.deal().about,
        }
    }

    /// Whether an embedding can look all samples up.
    pub(super) fn check_vocabulary(&self, network: &Network) -> Result<(), MlError> {
        match self {
            Self::Whole(Whole { train, valid, .. }) => {
                network.check_vocabulary(&train.features)?;
                network.check_vocabulary(&valid.features)
            }
            Self::Dealt(hand) => network.check_vocabulary(&hand.deal().extremes()),
        }
    }

    /// The time spent in waiting for samples since the last time it was asked.
    pub(super) fn waited(&self) -> Duration {
        match self {
            Self::Whole(_) => Duration::ZERO,
            Self::Dealt(hand) => hand.waited(),
        }
    }
}

/// The chunks of samples that a worker judges.
pub(super) fn own_chunks(rows: usize, rank: usize, of: usize) -> Range<usize> {
    let at = |rank: usize| chunks(rows) * rank / of;
    at(rank)..at(rank + 1)
}

impl<'a> Training<'a> {
    /// Lets the samples come that a worker's shards and chunks have.
    pub(super) fn fetch(&self, rank: usize, of: usize) {
        if let Lesson::Dealt(hand) = self.lesson {
            hand.want(self.shards.clone(), own_chunks(self.about.valid.rows, rank, of));
        }
    }

    /// Samples of this worker's shards, each named by its place in what was dealt to its shard.
    pub(super) fn take(&self, places: &[&[usize]]) -> Result<Taken<'a>, MlError> {
        let numbers = || -> Vec<Vec<usize>> {
            let shards = self.shards.clone().zip(places);
            shards.map(|(shard, places)| self.shuffle.numbers(shard, places)).collect()
        };
        match self.lesson {
            Lesson::Whole(Whole { train, .. }) => {
                Ok(Taken { table: Cow::Borrowed(train), rows: numbers(), numbers: None })
            }
            Lesson::Dealt(hand) => {
                let table = hand.samples(self.dealt_at(places))?;
                let mut row = 0..table.rows();
                let rows = places.iter().map(|places| row.by_ref().take(places.len()).collect()).collect();
                Ok(Taken { table: Cow::Owned(table), rows, numbers: Some(numbers().concat()) })
            }
        }
    }

    /// The labels of such samples.
    pub(super) fn marks(&self, places: &[&[usize]]) -> Result<Vec<u32>, MlError> {
        match self.lesson {
            Lesson::Whole(Whole { train, .. }) => {
                let shards = self.shards.clone().zip(places);
                let rows = shards.flat_map(|(shard, places)| self.shuffle.numbers(shard, places));
                Ok(marks(&train.labels, &rows.collect::<Vec<_>>()))
            }
            Lesson::Dealt(hand) => Ok(hand.marks(self.dealt_at(places))?),
        }
    }

    /// For each sample, its shard and its place in the order of the first epoch.
    fn dealt_at<'p>(&'p self, places: &'p [&'p [usize]]) -> impl Iterator<Item = (usize, usize)> + 'p {
        let shards = self.shards.clone().zip(&self.dealt).zip(places);
        shards.flat_map(|((shard, dealt), places)| places.iter().map(move |place| (shard, dealt[*place])))
    }

    /// The outputs and the labels for the samples of some chunks.
    pub(super) fn judge(&self, chunks: Range<usize>, threads: usize) -> Result<(Vec<f32>, Vec<u32>), MlError> {
        let hand = match self.lesson {
            Lesson::Whole(Whole { valid, .. }) => {
                let outputs = self.worker(valid, threads).outputs(&self.weights, chunks.clone())?;
                let rows: Vec<usize> = judged(chunks, valid.rows()).collect();
                return Ok((outputs, marks(&valid.labels, &rows)));
            }
            Lesson::Dealt(hand) => hand,
        };
        let (mut outputs, mut labels) = (Vec::new(), Vec::new());
        for start in chunks.clone().step_by(threads.max(1)) {
            let table = hand.chunks(start..(start + threads.max(1)).min(chunks.end))?;
            let worker = self.worker(&table, threads);
            outputs.extend(worker.outputs(&self.weights, 0..worker.chunks())?);
            labels.extend(table.labels.marks());
        }
        Ok((outputs, labels))
    }
}

fn marks(labels: &Labels, rows: &[usize]) -> Vec<u32> {
    labels.select(rows).marks().collect()
}
