use super::{Platform, Spread, Task};
use crate::{units::Size, wire::Exchange};

/// Who trains: so many workers with so much memory, and the way that their gradients take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crew {
    /// How many.
    pub workers: u32,
    /// The memory of each.
    pub memory: Size,
    /// The processors of each.
    pub cpus: f64,
    /// The way that gradients take.
    pub exchange: Exchange,
}

/// Seconds of one step of a training, of its slowest worker.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// On its own shards, and on moving the weights.
    pub computing: f64,
    /// On exchanging gradients.
    pub exchanging: f64,
}

impl Step {
    /// Both, one after the other.
    pub fn seconds(self) -> f64 {
        self.computing + self.exchanging
    }
}

/// How what was measured compares with what the formulas say: factors of their seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Of the time on a worker's own shards.
    pub computing: f64,
    /// Of the time of an exchange.
    pub exchanging: f64,
    /// How far the sum may be off: the deviation of its logarithm.
    pub doubt: f64,
}

impl Pace {
    /// Nothing was measured: the formulas alone may be off by a third.
    pub const UNKNOWN: Self = Self { computing: 1.0, exchanging: 1.0, doubt: 0.3 };

    /// A few steps took so many times what the formulas say.
    pub const fn rehearsed(computing: f64) -> Self {
        Self { computing, exchanging: 1.0, doubt: 0.1 }
    }
}

/// A part of a training: from so many epochs on until so many have passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// The epochs passed before.
    pub from: f64,
    /// The epochs passed afterwards.
    pub to: f64,
}

impl Crew {
    /// Seconds of a step with such batches.
    pub fn step(&self, task: &Task, batch: f64, platform: &Platform, pace: Pace) -> Step {
        let own = batch / f64::from(self.workers.max(1));
        let speed = platform.operations * self.cpus;
        // Reads the gradient, the weights and the moments, and writes the last two.
        let moved = task.work.parameters * (3.0 + 2.0 * task.moments) / (platform.numbers * self.cpus.max(1.0));
        let alone = platform.call + own * task.work.learning() / speed + moved;
        let straggling = Spread::new(1.0, platform.straggling).greatest(self.workers, 0.5);
        let exchange = self.exchange.time(self.workers.into(), task.exchanged(), platform.link);
        Step {
            computing: pace.computing * alone * straggling,
            exchanging: pace.exchanging * exchange / task.averaging.every.max(1) as f64,
        }
    }

    /// Seconds in which each judges its part of the samples by which the training is judged.
    pub fn judging(&self, task: &Task, platform: &Platform, pace: Pace) -> f64 {
        let own = task.judged / f64::from(self.workers.max(1));
        pace.computing * own * task.work.operations / (platform.operations * self.cpus)
    }

    /// Seconds of a stretch, without the start of the workers.
    pub fn stretch(&self, task: &Task, stretch: Stretch, platform: &Platform, pace: Pace) -> f64 {
        let (mut at, mut seconds) = (stretch.from, 0.0);
        let judging = self.judging(task, platform, pace);
        while at < stretch.to {
            let change = task.batch.next_change(at as u64).map_or(f64::INFINITY, |change| change as f64);
            let until = stretch.to.min(change);
            let batch = task.batch_after(at).min(task.samples.max(1.0));
            let steps = (until - at) * task.samples / batch;
            seconds += steps * self.step(task, batch, platform, pace).seconds() + (until - at) * judging;
            at = until;
        }
        seconds
    }

    /// Seconds until all workers have read their samples, and the weights where the training goes on.
    pub fn read(&self, task: &Task, goes_on: bool, platform: &Platform) -> f64 {
        let samples = (task.samples + task.judged) * task.sample_bytes / f64::from(self.workers.max(1));
        let bytes = samples + if goes_on { task.checkpoint() } else { 0.0 };
        platform.object.median + bytes / platform.object_bytes
    }
}
