//! One optimizer step, done by all workers together.

use super::{Context, Ending, Failure, Group, Kind, MlError, Training};
use crate::{
    ml::{
        network::Weights,
        optimizer::Optimizer,
        shards::{Dropout, Share, Stream},
    },
    seed::Seed,
    sync::Bucket,
    wire::Codec,
};
use bytes::Bytes;
use std::{ops::Range, sync::atomic::Ordering, time::Instant};

/// Rows travel in stretches of so many numbers, 4 MiB, so that the first are on their way while the last are made.
const BUCKET: usize = 1 << 20;

/// The samples of one step.
pub(super) struct Batch<'b> {
    /// Those of each of this worker's shards, by their places in what was dealt to it.
    pub places: Vec<&'b [usize]>,
    /// How many all workers have.
    pub samples: usize,
    /// How many shards have any.
    pub shards: usize,
    /// The seed of what is dropped.
    pub dropout: Seed,
    /// What the learning rate is multiplied with.
    pub factor: f64,
}

/// What is wanted of all workers. They hear of it with each step, so that all stop at the same one.
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
    /// What this worker wants, if it decides. Others have clocks of their own, and doubles must give the same.
    pub(super) fn wishes(&self, context: &Context) -> Wishes {
        if !self.decides {
            return Wishes::default();
        }
        Wishes {
            checkpoint: self.checkpoints.is_due(),
            round: self.clock.is_over(),
            drain: context.draining.load(Ordering::Relaxed),
            cut: context.cut.load(Ordering::Relaxed) || self.time_left(context).is_some_and(|left| left <= 0.0),
        }
    }

    /// Takes a step, and gives what all workers want after it.
    pub(super) fn step(&mut self, batch: &Batch, group: &mut dyn Group, context: &Context) -> Result<Wishes, MlError> {
        let wishes = self.wishes(context);
        let agreed = match self.job.averaging.every {
            1 if group.of() == 1 => {
                let Share { gradient, tail, .. } = self.share(batch, None, context)?;
                self.follow_sum(&gradient.unwrap_or_default(), &tail.unwrap_or_default(), batch)?;
                wishes
            }
            1 => self.follow_all(wishes, batch, group, context)?,
            every => self.follow_own(wishes, batch, every, group, context)?,
        };
        self.clock.samples += batch.samples as u64;
        Ok(agreed)
    }

    /// What this worker's shards come to.
    fn share(&mut self, batch: &Batch, stream: Option<&Stream>, context: &Context) -> Result<Share, MlError> {
        let taken = self.take(&batch.places)?;
        let began = Instant::now();
        let worker = self.worker(&taken.table, context.threads);
        let rows: Vec<&[usize]> = taken.rows.iter().map(Vec::as_slice).collect();
        let dropout = Dropout { seed: batch.dropout, numbers: taken.numbers.as_deref() };
        let mut share = worker.share(&self.weights, &rows, dropout, stream)?;
        self.clock.computing += began.elapsed();
        if !self.train_metrics.is_empty() {
            let outputs = std::mem::take(&mut share.outputs);
            self.met.iter_mut().zip(outputs).for_each(|(met, outputs)| met.extend(outputs));
        }
        Ok(share)
    }

    /// A step along the gradient of all workers. What the last layers have come to travels while the first are computed.
    fn follow_all(
        &mut self,
        wishes: Wishes,
        batch: &Batch,
        group: &mut dyn Group,
        context: &Context,
    ) -> Result<Wishes, MlError> {
        let (size, averages) = (self.network.size(), self.weights.averages.len());
        let (mut route, mut first) = (Route::default(), None);
        let mut send = |range: Range<usize>, row: Vec<f32>| match range.start {
            // The first layers' goes with the rest.
            0 => first = Some(row),
            start => route.begin(group, start, row, false),
        };
        let share = self.share(batch, Some(&Stream::new(&mut send)), context)?;
        // Added to anything, a negative zero leaves it as it is.
        let nothing = |length: usize| vec![-0.0; length];
        if share.tail.is_none() {
            self.network.stretches().into_iter().for_each(|range| send(range.clone(), nothing(range.len())));
        }
        let mut first = first.unwrap_or_default();
        let mut tail = share.tail.unwrap_or_else(|| nothing(averages + 1));
        tail.extend(wishes.as_numbers());
        if self.job.averaging.codec == Codec::F32 && first.len() == size {
            first.extend(tail);
            route.begin(group, 0, first, true);
        } else {
            route.begin(group, size, tail, true);
            route.begin(group, 0, first, false);
        }
        let row = route.finish(group)?;
        let (gradient, rest) = row.split_at(size);
        let (tail, wishes) = rest.split_at(averages + 1);
        self.follow_sum(gradient, tail, batch)?;
        Ok(Wishes::from_sums(wishes))
    }

    /// A step along the sum of all gradients.
    fn follow_sum(&mut self, gradient: &[f32], tail: &[f32], batch: &Batch) -> Result<(), MlError> {
        let (loss, moments) = tail.split_last().unwrap_or((&0.0, &[]));
        self.follow(gradient, moments, batch.samples, batch.shards, batch.factor);
        self.count(*loss, gradient)
    }

    /// A step along the worker's own gradient. After every so many, and at an epoch's last, the workers' states become their
    /// mean (local SGD: Stich, 2019, Algorithm 1). What a codec shortens is how far each has got since then (Qsparse-local-SGD:
    /// Basu et al., 2019, Algorithm 1), and not what the optimizer remembers: of Adam's second moments, halves leave nothing.
    fn follow_own(
        &mut self,
        wishes: Wishes,
        batch: &Batch,
        every: u64,
        group: &mut dyn Group,
        context: &Context,
    ) -> Result<Wishes, MlError> {
        let (size, averages) = (self.network.size(), self.weights.averages.len());
        if self.ledger.agreed.is_empty() {
            self.ledger.agreed.clone_from(&self.weights.parameters);
        }
        match self.share(batch, None, context)? {
            Share { gradient: Some(gradient), tail: Some(tail), .. } => {
                let samples = batch.places.iter().map(|places| places.len()).sum();
                let shards = batch.places.iter().filter(|places| !places.is_empty()).count();
                self.follow(&gradient, &tail[..averages], samples, shards, batch.factor);
                self.ledger.own_loss += tail[averages];
            }
            _ => self.optimizer.steps += 1,
        }
        if !(self.ledger.steps + 1).is_multiple_of(every) && !self.is_last_step() {
            self.count(0.0, &[])?;
            return Ok(Wishes::default());
        }
        let way = self.weights.parameters.iter().zip(&self.ledger.agreed).map(|(own, agreed)| own - agreed).collect();
        let mut state = self.optimizer.memory.concat();
        let memory = state.len();
        state.extend(&self.weights.averages);
        state.push(std::mem::take(&mut self.ledger.own_loss));
        state.extend(wishes.as_numbers());
        let mut route = Route::default();
        route.begin(group, 0, way, false);
        route.begin(group, size, state, true);
        let mut row = route.finish(group)?;
        let share = 1.0 / group.of() as f32;
        row[..size + memory + averages].iter_mut().for_each(|value| *value *= share);
        let (way, rest) = row.split_at(size);
        self.ledger.agreed.iter_mut().zip(way).for_each(|(agreed, way)| *agreed += way);
        self.weights.parameters.copy_from_slice(&self.ledger.agreed);
        let (memory, rest) = rest.split_at(memory);
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
}

/// The stretches of a row on their way, each with the place where it belongs.
#[derive(Default)]
struct Route {
    starts: Vec<usize>,
    length: usize,
}

impl Route {
    /// Sends a stretch, in buckets.
    fn begin(&mut self, group: &mut dyn Group, start: usize, mut row: Vec<f32>, exact: bool) {
        self.length = self.length.max(start + row.len());
        while row.len() > BUCKET {
            let cut = (row.len() - 1) / BUCKET * BUCKET;
            self.starts.push(start + cut);
            group.begin(Bucket { row: row.split_off(cut), exact });
        }
        self.starts.push(start);
        group.begin(Bucket { row, exact });
    }

    /// The sum of all workers' rows.
    fn finish(self, group: &mut dyn Group) -> Result<Vec<f32>, MlError> {
        let mut row = vec![0.0; self.length];
        for (start, sum) in self.starts.into_iter().zip(group.finish()?) {
            row[start..start + sum.len()].copy_from_slice(&sum);
        }
        Ok(row)
    }
}
