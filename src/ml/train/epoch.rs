//! One pass over the data.

use super::{Context, Ending, EpochMetrics, Group, Horizon, MlError, Training, metric, step::Batch};
use bytes::Bytes;
use std::collections::BTreeMap;

impl Training<'_> {
    /// Whether the step under way is the last of its epoch or of the training.
    pub(super) fn is_last_step(&self) -> bool {
        let of = self.shuffle.steps(self.job.batch.after(self.ledger.epochs));
        self.ledger.step + 1 >= of || self.ledger.steps + 1 >= self.last_step()
    }

    fn last_step(&self) -> u64 {
        match self.job.horizon {
            Horizon::Steps(steps) => steps,
            Horizon::Epochs(_) => u64::MAX,
        }
    }

    /// The pass over the data that is under way, from where it was left; or how the training ended in it.
    pub(super) fn epoch(
        &mut self,
        all: u64,
        group: &mut dyn Group,
        context: &Context,
    ) -> Result<Result<EpochMetrics, Ending>, MlError> {
        let (epoch, batch) = (self.ledger.epochs + 1, self.job.batch.after(self.ledger.epochs));
        let orders: Vec<Vec<usize>> = self.shards.clone().map(|shard| self.shuffle.epoch(shard, epoch)).collect();
        let dropout = self.job.seed.child("dropout").child(epoch);
        let steps = self.shuffle.steps(batch);
        while self.ledger.step < steps && self.ledger.steps < self.last_step() {
            let index = self.ledger.step;
            let rows = |(shard, order): (usize, _)| -> &[usize] {
                let order: &Vec<usize> = order;
                &order[self.shuffle.micro_batch(shard, batch, index)]
            };
            let passed = (epoch - 1) as f64 + index as f64 / steps as f64;
            let batch = Batch {
                rows: self.shards.clone().zip(&orders).map(rows).collect(),
                samples: self.shuffle.samples(batch, index),
                shards: self.shuffle.shards(batch, index),
                dropout,
                factor: self.schedule.factor(passed, 1.0 / steps as f64, all as f64),
            };
            let agreed = self.step(&batch, group, context)?;
            let wanted = self.checkpoints.is_due_at(self.ledger.steps, None);
            let round = agreed.ending().or_else(|| self.clock.is_full(self.ledger.steps).then_some(Ending::Round));
            if agreed.keeps() || wanted || round == Some(Ending::Round) {
                self.leave_checkpoint(group)?;
            }
            if let Some(ending) = round {
                return Ok(Err(ending));
            }
        }
        let mut train = BTreeMap::from([("loss".to_owned(), self.ledger.loss / self.seen(batch).max(1) as f64)]);
        if !self.train_metrics.is_empty() {
            let outputs = gather(&self.met.concat(), group)?;
            let predictions = self.loss.predict(outputs, self.outputs);
            let labels = self.lesson.train.labels.select(&self.rows_seen(epoch, batch));
            for name in &self.train_metrics {
                train.insert(name.clone(), metric::measure(name, &predictions, &labels)?);
            }
        }
        let mut valid = BTreeMap::new();
        if self.lesson.valid.rows() > 0 {
            let table = self.lesson.valid;
            let worker = self.worker(table, context.threads);
            let at = |rank: usize| worker.chunks() * rank / group.of();
            let own = worker.outputs(&self.weights, at(group.rank())..at(group.rank() + 1))?;
            let outputs = gather(&own, group)?;
            valid.insert("loss".to_owned(), worker.mean_loss(&outputs)?);
            if !self.valid_metrics.is_empty() {
                let predictions = self.loss.predict(outputs, self.outputs);
                for name in &self.valid_metrics {
                    valid.insert(name.clone(), metric::measure(name, &predictions, &table.labels)?);
                }
            }
        }
        self.met.iter_mut().for_each(Vec::clear);
        Ok(Ok(EpochMetrics { epoch, of: all, train, valid }))
    }

    /// The samples seen in this epoch, by all workers.
    fn seen(&self, batch: u64) -> usize {
        (0..self.ledger.step).map(|step| self.shuffle.samples(batch, step)).sum()
    }

    /// Those samples: shard by shard, each in its order.
    fn rows_seen(&self, epoch: u64, batch: u64) -> Vec<usize> {
        let of = |shard| {
            let mut order = self.shuffle.epoch(shard, epoch);
            order.truncate(self.shuffle.micro_batch(shard, batch, self.ledger.step).start);
            order
        };
        (0..self.shuffle.all_shards()).flat_map(of).collect()
    }
}

/// The numbers of all workers, one worker's after the other's.
fn gather(own: &[f32], group: &mut dyn Group) -> Result<Vec<f32>, MlError> {
    let own: Bytes = own.iter().flat_map(|value| value.to_le_bytes()).collect();
    let all = group.gather(own)?;
    let numbers = |bytes: &Bytes| -> Vec<f32> {
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
    };
    Ok(all.iter().flat_map(numbers).collect())
}
