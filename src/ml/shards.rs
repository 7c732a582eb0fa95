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
use std::sync::Arc;

/// A batch is never cut into more shards than this.
const MAX_SHARDS: usize = 8;

/// A shard holds at least this many samples; smaller ones spend their time on overhead.
const MIN_SAMPLES: usize = 32;

/// The shards of a batch: the largest power of two that leaves enough samples in each. It depends on the batch alone.
pub fn count(batch: usize) -> usize {
    let most = (batch / MIN_SAMPLES).clamp(1, MAX_SHARDS);
    1 << most.ilog2()
}

/// What a batch comes to.
pub struct Step {
    /// The sum of the samples' losses.
    pub loss: f64,
    /// The mean gradient of the samples' losses, in the order of the parameters.
    pub gradient: Vec<f32>,
    /// For each shard, the moments that its batch norms met.
    pub moments: Vec<Vec<Vec<f32>>>,
    /// The outputs of all samples, row after row.
    pub outputs: Vec<f32>,
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
    /// The gradient of the batch `rows`.
    pub fn step(&self, weights: &Weights, rows: &[usize], batch: usize, dropout: Seed) -> Result<Step, MlError> {
        let parameters = Arc::from(weights.parameters.as_slice());
        let size = batch.div_ceil(count(batch));
        let shards: Vec<&[usize]> = rows.chunks(size).collect();
        let results = in_order(&shards, self.threads, |shard| self.shard(&parameters, shard, dropout));
        let mut step = Step { loss: 0.0, gradient: Vec::new(), moments: Vec::new(), outputs: Vec::new() };
        let mut leaves = Vec::with_capacity(results.len());
        for shard in results {
            let shard = shard?;
            step.loss += shard.loss;
            step.moments.push(shard.moments);
            step.outputs.extend(shard.outputs);
            leaves.push(shard.gradient);
        }
        step.gradient = tree_sum(leaves);
        let share = 1.0 / rows.len() as f32;
        step.gradient.iter_mut().for_each(|value| *value *= share);
        Ok(step)
    }

    /// The gradient of some rows in one piece.
    pub fn shard(&self, parameters: &Arc<[f32]>, rows: &[usize], dropout: Seed) -> Result<Learnt, MlError> {
        let mode = Mode::Learn { seed: dropout, samples: rows };
        let loss = |outputs: &Tensor| self.loss.sum(outputs, &self.table.labels, rows);
        Ok(self.network.learn(samples(self.table, rows)?, parameters, mode, &loss, &mut |_, _| {})?)
    }

    /// The outputs for all samples of the table, row after row.
    pub fn outputs(&self, weights: &Weights) -> Result<Vec<f32>, MlError> {
        let parameters = Arc::from(weights.parameters.as_slice());
        let rows: Vec<usize> = (0..self.table.rows()).collect();
        let chunks: Vec<&[usize]> = rows.chunks(256).collect();
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

    /// The mean loss over all samples, given their outputs.
    pub fn mean_loss(&self, outputs: &[f32]) -> Result<f64, MlError> {
        let rows: Vec<usize> = (0..self.table.rows()).collect();
        let width = outputs.len() / rows.len().max(1);
        let outputs = Tensor::from_slice(outputs, (rows.len(), width), &Device::Cpu)?;
        let sum = self.loss.sum(&outputs, &self.table.labels, &rows)?.to_scalar::<f32>()?;
        Ok(f64::from(sum) / rows.len() as f64)
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

/// The sum of the leaves in a binary tree: neighbours first, then pairs of pairs.
fn tree_sum(mut leaves: Vec<Vec<f32>>) -> Vec<f32> {
    while leaves.len() > 1 {
        let mut next = Vec::with_capacity(leaves.len().div_ceil(2));
        let mut pairs = leaves.into_iter();
        while let Some(mut left) = pairs.next() {
            if let Some(right) = pairs.next() {
                left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
            }
            next.push(left);
        }
        leaves = next;
    }
    leaves.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{count, tree_sum};

    #[test]
    fn a_batch_is_cut_into_a_power_of_two() {
        let counts: Vec<usize> = [1, 31, 32, 64, 100, 128, 256, 1000].into_iter().map(count).collect();
        assert_eq!(counts, [1, 1, 1, 2, 2, 4, 8, 8]);
    }

    #[test]
    fn leaves_are_summed_as_a_tree() {
        // With rounding, the order shows: 2^24 + 1 is 2^24 in f32, but 2^24 + (1 + 1) is not.
        let leaves = [16_777_216.0_f32, 0.0, 1.0, 1.0].map(|leaf| vec![leaf]);
        assert_eq!(tree_sum(leaves.to_vec()), [16_777_218.0]);
    }
}
