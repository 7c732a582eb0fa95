//! One optimizer step, done by all workers together.

use super::{Context, Ending, Failure, Group, Kind, MlError, Training};
use crate::{
    ml::{network::Weights, optimizer::Optimizer},
    seed::Seed,
    sync::Bucket,
    wire::Codec,
};
use bytes::Bytes;
use std::{sync::atomic::Ordering, time::Instant};

/// Rows travel in stretches of so many numbers, 4 MiB, so that the first are on their way while the last are made.
const BUCKET: usize = 1 << 20;

/// The samples of one step.
pub(super) struct Batch<'b> {
    /// Those of each of this worker's shards.
    pub rows: Vec<&'b [usize]>,
    /// How many all workers have.
    pub samples: usize,
    /// How many shards have any.
    pub shards: usize,
    /// The seed of what is dropped.
    pub dropout: Seed,
    /// What the learning rate is multiplied with.
    pub factor: f64,
}

/// What workers want. They agree on it with each step, so that all stop at the same one: what one wants, all do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// To write a checkpoint.
    pub checkpoint: bool,
    /// To end the round.
    pub round: bool,
    /// To stop, as the whole run does.
    pub drain: bool,
    /// To stop for the deadline.
    pub cut: bool,
}

impl Wishes {
    const COUNT: usize = 4;

    fn to_array(self) -> [bool; Self::COUNT] {
        [self.checkpoint, self.round, self.drain, self.cut]
    }

    fn from_array([checkpoint, round, drain, cut]: [bool; Self::COUNT]) -> Self {
        Self { checkpoint, round, drain, cut }
    }

    /// What all want, once the numbers of this worker are added to those of the others.
    fn as_numbers(self) -> [f32; Self::COUNT] {
        self.to_array().map(|wish| f32::from(u8::from(wish)))
    }

    fn from_sums(sums: &[f32]) -> Self {
        let mut wishes = [false; Self::COUNT];
        wishes.iter_mut().zip(sums).for_each(|(wish, sum)| *wish = *sum > 0.0);
        Self::from_array(wishes)
    }

    /// What any worker wants.
    pub fn agree(self, group: &mut dyn Group) -> Result<Self, MlError> {
        let all = group.gather(Bytes::from(self.to_array().map(u8::from).to_vec()))?;
        let mut wishes = [false; Self::COUNT];
        for one in all {
            wishes.iter_mut().zip(one).for_each(|(wish, other)| *wish |= other != 0);
        }
        Ok(Self::from_array(wishes))
    }

    /// Whether the state is to be kept.
    pub const fn keeps(self) -> bool {
        self.checkpoint || self.round || self.drain
    }

    /// The end that they come to.
    pub fn ending(self) -> Option<Ending> {
        match self {
            Self { cut: true, .. } => Some(Ending::Cut),
            Self { drain: true, .. } => Some(Ending::Drained),
            Self { round: true, .. } => Some(Ending::Round),
            _ => None,
        }
    }
}

impl Training<'_> {
    /// What this worker wants. Where clocks decide, it is the first worker's.
    pub(super) fn wishes(&self, group: &dyn Group, context: &Context) -> Wishes {
        let first = group.rank() == 0;
        Wishes {
            checkpoint: first && self.checkpoints.is_due(),
            round: first && self.clock.is_over(),
            drain: context.draining.load(Ordering::Relaxed),
            cut: self.time_left(context).is_some_and(|left| left <= 0.0),
        }
    }

    /// Takes a step, and gives what all workers want after it.
    pub(super) fn step(&mut self, batch: &Batch, group: &mut dyn Group, context: &Context) -> Result<Wishes, MlError> {
        let wishes = self.wishes(group, context);
        let began = Instant::now();
        let share = self.worker(self.lesson.train, context.threads).share(&self.weights, &batch.rows, batch.dropout)?;
        self.clock.computing += began.elapsed();
        if !self.train_metrics.is_empty() {
            self.met.iter_mut().zip(share.outputs).for_each(|(met, outputs)| met.extend(outputs));
        }
        let agreed = match self.job.averaging.every {
            1 => self.follow_all(share.row, wishes, batch, group)?,
            every => self.follow_own(share.row, wishes, batch, every, group)?,
        };
        self.clock.samples += batch.samples as u64;
        Ok(agreed)
    }

    /// A step along the gradient of all workers.
    fn follow_all(
        &mut self,
        row: Option<Vec<f32>>,
        wishes: Wishes,
        batch: &Batch,
        group: &mut dyn Group,
    ) -> Result<Wishes, MlError> {
        let (size, averages) = (self.network.size(), self.weights.averages.len());
        // Added to anything, a negative zero leaves it as it is.
        let mut row = row.unwrap_or_else(|| vec![-0.0; size + averages + 1]);
        row.extend(wishes.as_numbers());
        let row = self.sum(row, size, self.job.averaging.codec, group)?;
        let (gradient, rest) = row.split_at(size);
        let (moments, rest) = rest.split_at(averages);
        self.follow(gradient, moments, batch.samples, batch.shards, batch.factor);
        self.count(rest[0], gradient)?;
        Ok(Wishes::from_sums(&rest[1..]))
    }

    /// A step along the worker's own gradient. After every so many, and at an epoch's last, the workers' states become their
    /// mean (local SGD: Stich, 2019, Algorithm 1).
    fn follow_own(
        &mut self,
        row: Option<Vec<f32>>,
        wishes: Wishes,
        batch: &Batch,
        every: u64,
        group: &mut dyn Group,
    ) -> Result<Wishes, MlError> {
        let (size, averages) = (self.network.size(), self.weights.averages.len());
        if let Some(row) = row {
            let samples = batch.rows.iter().map(|rows| rows.len()).sum();
            let shards = batch.rows.iter().filter(|rows| !rows.is_empty()).count();
            let (gradient, rest) = row.split_at(size);
            self.follow(gradient, &rest[..averages], samples, shards, batch.factor);
            self.ledger.own_loss += rest[averages];
        } else {
            self.optimizer.steps += 1;
        }
        if !(self.ledger.steps + 1).is_multiple_of(every) && !self.is_last_step() {
            self.count(0.0, &[])?;
            return Ok(Wishes::default());
        }
        let mut row = self.weights.parameters.clone();
        self.optimizer.memory.iter().for_each(|memory| row.extend(memory));
        let state = row.len();
        row.extend(&self.weights.averages);
        row.push(std::mem::take(&mut self.ledger.own_loss));
        row.extend(wishes.as_numbers());
        let mut row = self.sum(row, state, self.job.averaging.codec, group)?;
        let share = 1.0 / group.of() as f32;
        row[..state + averages].iter_mut().for_each(|value| *value *= share);
        let (parameters, rest) = row.split_at(size);
        self.weights.parameters.copy_from_slice(parameters);
        let (memory, rest) = rest.split_at(state - size);
        let memories = self.optimizer.memory.iter_mut().zip(memory.chunks(size.max(1)));
        memories.for_each(|(own, mean)| own.copy_from_slice(mean));
        let (means, rest) = rest.split_at(averages);
        self.weights.averages.copy_from_slice(means);
        self.count(rest[0], &row[..size])?;
        Ok(Wishes::from_sums(&rest[1..]))
    }

    /// Moves the weights along a sum of gradients, and the running averages towards a sum of moments.
    fn follow(&mut self, gradient: &[f32], moments: &[f32], samples: usize, shards: usize, factor: f64) {
        let mean = |sums: &[f32], count: usize| -> Vec<f32> {
            let share = 1.0 / count.max(1) as f32;
            sums.iter().map(|sum| sum * share).collect()
        };
        let Weights { parameters, averages } = &mut self.weights;
        Optimizer::step(&mut self.optimizer, parameters, &mean(gradient, samples), factor);
        self.network.update_averages(averages, &mean(moments, shards));
    }

    /// Counts a step with the loss of its samples.
    fn count(&mut self, loss: f32, row: &[f32]) -> Result<(), MlError> {
        if !loss.is_finite() || row.iter().any(|value| !value.is_finite()) {
            let (epoch, step) = (self.ledger.epochs + 1, self.ledger.step + 1);
            let of = self.shuffle.steps(self.job.batch.after(self.ledger.epochs));
            return Err(MlError::Failed(
                Failure::new(
                    Kind::Diverged,
                    format!("the loss is no longer a number, in epoch {epoch} at step {step} of {of}"),
                )
                .help("lower the learning rate, or bring the features to one scale with `standardize: true`"),
            ));
        }
        self.ledger.steps += 1;
        self.ledger.step += 1;
        self.ledger.loss += f64::from(loss);
        self.clock.loss += f64::from(loss);
        Ok(())
    }

    /// The sum of all workers' rows, of which the first `lossy` numbers may be written by the codec.
    fn sum(
        &mut self,
        mut row: Vec<f32>,
        lossy: usize,
        codec: Codec,
        group: &mut dyn Group,
    ) -> Result<Vec<f32>, MlError> {
        let began = Instant::now();
        let length = row.len();
        let lossy = if codec == Codec::F32 { length } else { lossy };
        if length > lossy {
            group.begin(Bucket { row: row.split_off(lossy), exact: true });
        }
        while row.len() > BUCKET {
            group.begin(Bucket { row: row.split_off((row.len() - 1) / BUCKET * BUCKET), exact: false });
        }
        group.begin(Bucket { row, exact: false });
        let mut sums = group.finish()?.into_iter().rev();
        let mut sum = sums.next().unwrap_or_default();
        sum.reserve(length - sum.len());
        sums.for_each(|stretch| sum.extend(stretch));
        self.clock.waiting += began.elapsed();
        Ok(sum)
    }
}
