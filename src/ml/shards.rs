//! Virtual shards: a batch is cut into the same micro-batches whoever computes them, and their gradients are summed in one
//! fixed binary tree, so that any number of workers and threads gives the same bits. What one thread has of them flows
//! through the network together.

use super::{
    MlError,
    loss::Loss,
    network::{Network, Samples, Weights},
    plain,
    segments::{Segments, branches, sum},
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
    /// For the beginning of each stretch of the row, what each branch has given of it, at the place of its first shard.
    rows: HashMap<usize, Vec<Option<Vec<f32>>>>,
    send: &'a mut (dyn FnMut(Range<usize>, Vec<f32>) + Send),
}

impl<'a> Stream<'a> {
    /// Sends the sum of each stretch of the row as soon as all branches have given theirs: one after another, the last
    /// layers' first.
    pub fn new(send: &'a mut (dyn FnMut(Range<usize>, Vec<f32>) + Send)) -> Self {
        Self { waiting: Mutex::new(Waiting { rows: HashMap::new(), send }) }
    }

    /// Takes a stretch of the gradient of one of `givers` branches of the tree over `shards`, which begins at `shard`.
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
    /// What some consecutive shards come to. Each thread computes the largest branches of the tree that it can, each in one
    /// piece.
    pub fn share(
        &self,
        weights: &Weights,
        shards: &[&[usize]],
        dropout: Dropout,
        stream: Option<&Stream>,
    ) -> Result<Share, MlError> {
        let parameters = Arc::from(weights.parameters.as_slice());
        let each = shards.len().div_ceil(self.threads.clamp(1, shards.len().max(1)));
        let branches: Vec<Vec<Range<usize>>> = (0..shards.len())
            .step_by(each.max(1))
            .map(|start| branches(start..shards.len().min(start + each), shards.len()))
            .collect();
        let is_there = |branch: &&Range<usize>| shards[(*branch).clone()].iter().any(|rows| !rows.is_empty());
        let givers = branches.iter().flatten().filter(is_there).count();
        let items: Vec<&[Range<usize>]> = branches.iter().map(Vec::as_slice).collect();
        let results = in_order(&items, self.threads, |branches| {
            let branch = |branch: &Range<usize>| {
                let mut deliver = |range: Range<usize>, row: &[f32]| {
                    if let Some(stream) = stream {
                        stream.take(branch.start, shards.len(), givers, range, row);
                    }
                };
                let learnt = self.branch(&parameters, &shards[branch.clone()], dropout, &mut deliver)?;
                Ok((branch.start, learnt))
            };
            branches.iter().filter(is_there).map(branch).collect::<Result<Vec<_>, MlError>>()
        });
        let mut outputs = Vec::new();
        let (mut gradients, mut tails) = (vec![None; shards.len()], vec![None; shards.len()]);
        for learnt in results {
            for (start, Learnt { loss, gradient, mut moments, outputs: more }) in learnt? {
                moments.push(loss);
                gradients[start] = Some(gradient);
                tails[start] = Some(moments);
                outputs.extend(more);
            }
        }
        let width = outputs.len() / shards.iter().map(|rows| rows.len()).sum::<usize>().max(1);
        let mut outputs = outputs.as_slice();
        Ok(Share {
            gradient: if stream.is_none() { sum(gradients) } else { None },
            tail: sum(tails),
            outputs: shards
                .iter()
                .map(|rows| outputs.split_off(..rows.len() * width).unwrap_or_default().to_vec())
                .collect(),
        })
    }

    /// What the shards of a branch come to in one piece; `deliver` hears of each stretch of the gradient as soon as it is
    /// there.
    fn branch(
        &self,
        parameters: &Arc<[f32]>,
        shards: &[&[usize]],
        dropout: Dropout,
        deliver: &mut dyn FnMut(Range<usize>, &[f32]),
    ) -> Result<Learnt, MlError> {
        let sizes: Vec<usize> = shards.iter().map(|rows| rows.len()).collect();
        let (segments, rows) = (Segments::new(&sizes), shards.concat());
        let loss = |outputs: &Tensor| self.loss.sum(outputs, &self.table.labels, &rows, &segments);
        let input = samples(self.table, &rows)?;
        let numbers: Option<Vec<usize>> = dropout.numbers.map(|numbers| rows.iter().map(|row| numbers[*row]).collect());
        let places = numbers.as_deref().unwrap_or(&rows);
        let samples = Samples { places, segments: &segments, dropout: dropout.seed };
        if let Some(gpu) = plain::gpu() {
            let learnt = self.network.learn_on(gpu, &input, parameters, samples, self.loss, &self.table.labels)?;
            self.network.stretches().into_iter().for_each(|range| deliver(range.clone(), &learnt.gradient[range]));
            return Ok(learnt);
        }
        Ok(self.network.learn(input, parameters, samples, &loss, deliver)?)
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
            let (samples, averages) = (samples(self.table, rows)?, &weights.averages);
            let outputs = match plain::gpu() {
                Some(gpu) => self.network.judge_on(gpu, &samples, &parameters, averages)?,
                None => self.network.judge(samples, &parameters, averages)?,
            };
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
