//! Virtual shards: a batch is cut into the same micro-batches whoever computes them, and their gradients are summed in one
//! fixed binary tree, so that any number of threads gives the same bits.

use super::{
    MlError,
    loss::Loss,
    network::{Mode, Network, Weights},
};
use crate::{data::Table, seed::Seed};
use candle_core::{Device, Tensor, Var};
use std::ops::Range;

/// Samples are judged so many at a time.
const CHUNK: usize = 256;

/// What some shards of a batch come to together.
pub struct Share {
    /// Sums in one row: of the samples' gradients, in the order of the parameters; of the moments that the batch norms met in
    /// each shard, in the order of the averages; of the samples' losses. None without samples.
    pub row: Option<Vec<f32>>,
    /// For each shard, the outputs of its samples, row after row.
    pub outputs: Vec<Vec<f32>>,
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
    pub fn share(&self, weights: &Weights, shards: &[&[usize]], dropout: Seed) -> Result<Share, MlError> {
        let variables = self.network.variables(weights)?;
        let results = in_order(shards, self.threads, |rows| match rows {
            [] => Ok((None, Vec::new())),
            rows => self.shard(weights, &variables, rows, dropout).map(|(row, outputs)| (Some(row), outputs)),
        });
        let (mut leaves, mut all) = (Vec::with_capacity(shards.len()), Vec::with_capacity(shards.len()));
        for result in results {
            let (row, outputs) = result?;
            leaves.push(row);
            all.push(outputs);
        }
        Ok(Share { row: sum(leaves), outputs: all })
    }

    fn shard(
        &self,
        weights: &Weights,
        variables: &[Var],
        rows: &[usize],
        dropout: Seed,
    ) -> Result<(Vec<f32>, Vec<f32>), MlError> {
        let mode = Mode::Learn { seed: dropout, samples: rows };
        let (outputs, moments) = self.network.forward(samples(self.table, rows)?, variables, weights, mode)?;
        let loss = self.loss.sum(&outputs, &self.table.labels, rows)?;
        let grads = loss.backward()?;
        let mut row = Vec::with_capacity(self.network.size() + weights.averages.len() + 1);
        for (variable, parameter) in variables.iter().zip(&self.network.parameters) {
            match grads.get(variable) {
                Some(grad) => row.extend(grad.flatten_all()?.to_vec1::<f32>()?),
                None => row.resize(parameter.range.end, 0.0),
            }
        }
        for moments in moments {
            row.extend(moments.mean.to_vec1::<f32>()?);
            row.extend(moments.variance.to_vec1::<f32>()?);
        }
        row.push(loss.to_scalar()?);
        Ok((row, outputs.flatten_all()?.to_vec1()?))
    }

    /// The chunks in which samples are judged.
    pub fn chunks(&self) -> usize {
        self.table.rows().div_ceil(CHUNK)
    }

    /// The outputs for the samples of some chunks, row after row.
    pub fn outputs(&self, weights: &Weights, chunks: Range<usize>) -> Result<Vec<f32>, MlError> {
        let variables = self.network.variables(weights)?;
        let rows: Vec<usize> = (chunks.start * CHUNK..(chunks.end * CHUNK).min(self.table.rows())).collect();
        let chunks: Vec<&[usize]> = rows.chunks(CHUNK).collect();
        let results = in_order(&chunks, self.threads, |rows| -> Result<Vec<f32>, MlError> {
            let (outputs, _) = self.network.forward(samples(self.table, rows)?, &variables, weights, Mode::Judge)?;
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
