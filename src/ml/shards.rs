//! Virtual shards: a batch is cut into the same micro-batches whoever computes them, and their gradients are summed in one
//! fixed binary tree, so that any number of threads gives the same bits.

use super::{
    MlError,
    loss::Loss,
    network::{Mode, Network, Weights},
    stages::Learnt,
};
use crate::{data::Table, seed::Seed};
use candle_core::{Device, Tensor};
use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// Samples are judged so many at a time.
pub const CHUNK: usize = 256;

/// The chunks in which so many samples are judged.
pub const fn chunks(rows: usize) -> usize {
    rows.div_ceil(CHUNK)
}

/// Which of so many samples some chunks hold.
pub fn judged(chunks: Range<usize>, rows: usize) -> Range<usize> {
    (chunks.start * CHUNK).min(rows)..(chunks.end * CHUNK).min(rows)
}

/// What decides which numbers are dropped.
#[derive(Clone, Copy)]
pub struct Dropout<'a> {
    /// The seed.
    pub seed: Seed,
    /// For each row of the table, its number among all samples, where that is another.
    pub numbers: Option<&'a [usize]>,
}

impl From<Seed> for Dropout<'_> {
    fn from(seed: Seed) -> Self {
        Self { seed, numbers: None }
    }
}

/// What some shards of a batch come to together, if they have samples.
pub struct Share {
    /// The sums of their gradients, in the order of the parameters; nothing where these have gone to a [`Stream`].
    pub gradient: Option<Vec<f32>>,
    /// Sums of the moments that the batch norms met in each shard, in the order of the averages, and of the samples' losses.
    pub tail: Option<Vec<f32>>,
    /// For each shard, the outputs of its samples, row after row.
    pub outputs: Vec<Vec<f32>>,
}

/// Takes the gradients of the last layers while those of the first are still computed.
pub struct Stream<'a> {
    waiting: Mutex<Waiting<'a>>,
}

struct Waiting<'a> {
    /// For the beginning of each stretch of the row, what each shard has given of it.
    rows: HashMap<usize, Vec<Option<Vec<f32>>>>,
    send: &'a mut (dyn FnMut(Range<usize>, Vec<f32>) + Send),
}

impl<'a> Stream<'a> {
    /// Sends the sum of each stretch of the row as soon as all shards have given theirs: one after another, the last
    /// layers' first.
    pub fn new(send: &'a mut (dyn FnMut(Range<usize>, Vec<f32>) + Send)) -> Self {
        Self { waiting: Mutex::new(Waiting { rows: HashMap::new(), send }) }
    }

    /// Takes a stretch of the gradient of one of `givers` shards among `shards`.
    fn take(&self, shard: usize, shards: usize, givers: usize, range: Range<usize>, row: &[f32]) {
        // A shard that panics ends the training.
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let given = waiting.rows.entry(range.start).or_insert_with(|| vec![None; shards]);
        given[shard] = Some(row.to_vec());
        if given.iter().flatten().count() == givers {
            let given = waiting.rows.remove(&range.start).unwrap_or_default();
            if let Some(sum) = sum(given) {
                (waiting.send)(range, sum);
            }
        }
    }
}

/// A model on its data, ready to be asked for gradients.
pub struct Worker<'a> {
    /// The plan.
    pub network: &'a Network,
    /// The data.
    pub table: &'a Table,
    /// The loss.
    pub loss: Loss,
    /// The threads to use.
    pub threads: usize,
}

impl Worker<'_> {
    /// What the micro-batches of some shards come to.
    pub fn share(
        &self,
        weights: &Weights,
        shards: &[&[usize]],
        dropout: Dropout,
        stream: Option<&Stream>,
    ) -> Result<Share, MlError> {
        let parameters = Arc::from(weights.parameters.as_slice());
        let givers = shards.iter().filter(|rows| !rows.is_empty()).count();
        let places: Vec<usize> = (0..shards.len()).collect();
        let places: Vec<&usize> = places.iter().collect();
        let results = in_order(&places, self.threads, |shard| {
            let rows = shards[*shard];
            if rows.is_empty() {
                return Ok(None);
            }
            let mut deliver = |range: Range<usize>, row: &[f32]| {
                if let Some(stream) = stream {
                    stream.take(*shard, shards.len(), givers, range, row);
                }
            };
            self.shard(&parameters, rows, dropout, &mut deliver).map(Some)
        });
        let mut share = Share { gradient: None, tail: None, outputs: Vec::with_capacity(shards.len()) };
        let (mut gradients, mut tails) = (Vec::with_capacity(shards.len()), Vec::with_capacity(shards.len()));
        for learnt in results {
            let (gradient, tail, outputs) = match learnt? {
                Some(Learnt { loss, gradient, moments, outputs }) => {
                    let mut tail = moments.concat();
                    tail.push(loss);
                    (Some(gradient), Some(tail), outputs)
                }
                None => (None, None, Vec::new()),
            };
            gradients.push(gradient);
            tails.push(tail);
            share.outputs.push(outputs);
        }
        if stream.is_none() {
            share.gradient = sum(gradients);
        }
        share.tail = sum(tails);
        Ok(share)
    }

    /// The gradient of some rows in one piece; `deliver` hears of each stretch of it as soon as it is there.
    pub fn shard(
        &self,
        parameters: &Arc<[f32]>,
        rows: &[usize],
        dropout: Dropout,
        deliver: &mut dyn FnMut(Range<usize>, &[f32]),
    ) -> Result<Learnt, MlError> {
        let named: Option<Vec<usize>> = dropout.numbers.map(|numbers| rows.iter().map(|row| numbers[*row]).collect());
        let mode = Mode::Learn { seed: dropout.seed, samples: named.as_deref().unwrap_or(rows) };
        let loss = |outputs: &Tensor| self.loss.sum(outputs, &self.table.labels, rows);
        Ok(self.network.learn(samples(self.table, rows)?, parameters, mode, &loss, deliver)?)
    }

    /// The chunks in which samples are judged.
    pub fn chunks(&self) -> usize {
        chunks(self.table.rows())
    }

    /// The outputs for the samples of some chunks, row after row.
    pub fn outputs(&self, weights: &Weights, chunks: Range<usize>) -> Result<Vec<f32>, MlError> {
        let parameters = Arc::from(weights.parameters.as_slice());
        let rows: Vec<usize> = judged(chunks, self.table.rows()).collect();
        let chunks: Vec<&[usize]> = rows.chunks(CHUNK).collect();
        let results = in_order(&chunks, self.threads, |rows| -> Result<Vec<f32>, MlError> {
            let outputs = self.network.judge(samples(self.table, rows)?, &parameters, &weights.averages)?;
            Ok(outputs.flatten_all()?.to_vec1()?)
        });
        let mut all = Vec::new();
        for outputs in results {
            all.extend(outputs?);
        }
        Ok(all)
    }
}

/// Some samples as a tensor `[rows, …]`.
fn samples(table: &Table, rows: &[usize]) -> candle_core::Result<Tensor> {
    let width = table.width();
    let mut features = Vec::with_capacity(rows.len() * width);
    for row in rows {
        features.extend_from_slice(&table.features[row * width..(row + 1) * width]);
    }
    Tensor::from_vec(features, [&[rows.len()], table.shape.as_slice()].concat(), &Device::Cpu)
}

/// Does `work` for each item, on several threads; the results stand in the order of the items.
fn in_order<'i, I: Sync + ?Sized, R: Send>(
    items: &[&'i I],
    threads: usize,
    work: impl Fn(&'i I) -> R + Sync,
) -> Vec<R> {
    let threads = threads.clamp(1, items.len().max(1));
    if threads == 1 {
        return items.iter().map(|item| work(item)).collect();
    }
    let share = items.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let work = &work;
        let mut shares = items.chunks(share);
        let own = shares.next().unwrap_or_default();
        let others: Vec<_> =
            shares.map(|share| scope.spawn(move || share.iter().map(|item| work(item)).collect::<Vec<R>>())).collect();
        let mut results: Vec<R> = own.iter().map(|item| work(item)).collect();
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

/// The sum of rows in a binary tree, neighbours first, then pairs of pairs; those that are not there add nothing.
fn sum(mut rows: Vec<Option<Vec<f32>>>) -> Option<Vec<f32>> {
    while rows.len() > 1 {
        let mut next = Vec::with_capacity(rows.len().div_ceil(2));
        let mut pairs = rows.into_iter();
        while let Some(left) = pairs.next() {
            next.push(match (left, pairs.next().flatten()) {
                (Some(mut left), Some(right)) => {
                    left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
                    Some(left)
                }
                (left, right) => left.or(right),
            });
        }
        rows = next;
    }
    rows.pop().flatten()
}
