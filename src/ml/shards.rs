//! Virtual shards: a batch is cut into the same micro-batches whoever computes them, and their gradients are summed in one
//! fixed binary tree, so that any number of threads gives the same bits.

use super::{
    MlError,
    loss::Loss,
    network::{Mode, Network, Weights},
};
use crate::{data::Table, seed::Seed, sync::tree_sum};
use candle_core::{Device, Tensor, Var};

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

struct Shard {
    loss: f64,
    gradient: Vec<f32>,
    moments: Vec<Vec<f32>>,
    outputs: Vec<f32>,
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
        let variables = self.network.variables(weights)?;
        let size = batch.div_ceil(count(batch));
        let shards: Vec<&[usize]> = rows.chunks(size).collect();
        let results = in_order(&shards, self.threads, |shard| self.shard(weights, &variables, shard, dropout));
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

    fn shard(&self, weights: &Weights, variables: &[Var], rows: &[usize], dropout: Seed) -> Result<Shard, MlError> {
        let mode = Mode::Learn { seed: dropout, samples: rows };
        let (outputs, moments) = self.network.forward(samples(self.table, rows)?, variables, weights, mode)?;
        let loss = self.loss.sum(&outputs, &self.table.labels, rows)?;
        let grads = loss.backward()?;
        let mut gradient = Vec::with_capacity(self.network.size());
        for (variable, parameter) in variables.iter().zip(&self.network.parameters) {
            match grads.get(variable) {
                Some(grad) => gradient.extend(grad.flatten_all()?.to_vec1::<f32>()?),
                None => gradient.resize(parameter.range.end, 0.0),
            }
        }
        let mut met = Vec::new();
        for moments in moments {
            met.push(moments.mean.to_vec1()?);
            met.push(moments.variance.to_vec1()?);
        }
        Ok(Shard {
            loss: f64::from(loss.to_scalar::<f32>()?),
            gradient,
            moments: met,
            outputs: outputs.flatten_all()?.to_vec1()?,
        })
    }

    /// The outputs for all samples of the table, row after row.
    pub fn outputs(&self, weights: &Weights) -> Result<Vec<f32>, MlError> {
        let variables = self.network.variables(weights)?;
        let rows: Vec<usize> = (0..self.table.rows()).collect();
        let chunks: Vec<&[usize]> = rows.chunks(256).collect();
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

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn a_batch_is_cut_into_a_power_of_two() {
        let counts: Vec<usize> = [1, 31, 32, 64, 100, 128, 256, 1000].into_iter().map(count).collect();
        assert_eq!(counts, [1, 1, 1, 2, 2, 4, 8, 8]);
    }
}
