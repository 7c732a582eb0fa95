//! One pass over the data.

use super::{
    Context, Ending, EpochMetrics, Failure, Group, Horizon, Kind, MlError, Training, lesson::own_chunks, metric,
    step::Batch,
};
use crate::data::Labels;
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
            let places = |(shard, order): (usize, _)| -> &[usize] {
                let order: &Vec<usize> = order;
                &order[self.shuffle.micro_batch(shard, batch, index)]
            };
            let passed = (epoch - 1) as f64 + index as f64 / steps as f64;
            let batch = Batch {
                places: self.shards.clone().zip(&orders).map(places).collect(),
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
            let end = |shard| self.shuffle.micro_batch(shard, batch, self.ledger.step).start;
            let seen: Vec<&[usize]> =
                self.shards.clone().zip(&orders).map(|(shard, order)| &order[..end(shard)]).collect();
            let own = (self.met.concat(), self.marks(&seen)?);
            let (outputs, labels) = self.gather(own, &self.about.train.labels, group)?;
            let predictions = self.loss.predict(outputs, self.outputs);
            for name in &self.train_metrics {
                train.insert(name.clone(), metric::measure(name, &predictions, &labels)?);
            }
        }
        let mut valid = BTreeMap::new();
        if self.about.valid.rows > 0 {
            let chunks = own_chunks(self.about.valid.rows, group.rank(), group.of());
            let own = self.judge(chunks, context.threads)?;
            let (outputs, labels) = self.gather(own, &self.about.valid.labels, group)?;
            valid.insert("loss".to_owned(), self.loss.mean(&outputs, &labels)?);
            if !self.valid_metrics.is_empty() {
                let predictions = self.loss.predict(outputs, self.outputs);
                for name in &self.valid_metrics {
                    valid.insert(name.clone(), metric::measure(name, &predictions, &labels)?);
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

    /// The outputs and the labels of all workers' samples, one worker's after the other's.
    fn gather(
        &self,
        (outputs, marks): (Vec<f32>, Vec<u32>),
        like: &Labels,
        group: &mut dyn Group,
    ) -> Result<(Vec<f32>, Labels), MlError> {
        let words = marks.into_iter().chain(outputs.into_iter().map(f32::to_bits));
        let all = group.gather(words.flat_map(u32::to_le_bytes).collect())?;
        let (mut outputs, mut marks) = (Vec::new(), Vec::new());
        for bytes in &all {
            let words: Vec<u32> = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
            let (own, rest) = words.split_at(words.len() / (self.outputs + 1));
            marks.extend(own);
            outputs.extend(rest.iter().map(|bits| f32::from_bits(*bits)));
        }
        let fits = outputs.len() == marks.len() * self.outputs;
        match like.like(marks).filter(|_| fits) {
            Some(labels) => Ok((outputs, labels)),
            None => Err(MlError::Failed(Failure::new(Kind::WorkerLost, "a worker gave labels that there are not"))),
        }
    }
}
