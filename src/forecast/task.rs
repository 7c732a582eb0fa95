use crate::{
    layers::{self, Shape, Work},
    value::{Dataset, Part},
    wire::{Averaging, Codec, Facts, Horizon, Staged, Train, shards},
};

/// What a training has to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// For one sample.
    pub work: Work,
    /// The samples that it learns from in an epoch.
    pub samples: f64,
    /// The samples by which it is judged after each.
    pub judged: f64,
    /// The bytes of one sample.
    pub sample_bytes: f64,
    /// The samples in a batch.
    pub batch: Staged<u64>,
    /// The shards of each batch.
    pub shards: u64,
    /// The epochs until it is over, if nothing ends it before; a part of one where it counts in steps.
    pub epochs: f64,
    /// What workers give each other, and when.
    pub averaging: Averaging,
    /// Numbers that the optimizer keeps for each learned one.
    pub moments: f64,
}

/// What is known of data.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its facts.
    pub facts: Facts,
    /// The shape of a sample.
    pub shape: Shape,
}

impl From<Facts> for Known {
    /// Data whose samples are flat rows.
    fn from(facts: Facts) -> Self {
        let shape = Shape(vec![facts.width as usize]);
        Self { facts, shape }
    }
}

impl Task {
    /// What a training of such data has to do; `None` where its layers don't fit the data, which the training will say better.
    pub fn of(train: &Train, known: &Known) -> Option<Self> {
        let Known { facts, shape } = known;
        let work = layers::work(&train.model.layers, shape).ok()?;
        let samples = rows(&train.data, facts, Part::Train);
        let judged = rows(train.valid.as_ref().unwrap_or(&train.data), facts, Part::Valid);
        let epochs = match (&train.rung, train.horizon) {
            (Some(rung), _) => rung.pause_at as f64,
            (None, Horizon::Epochs(epochs)) => epochs as f64,
            (None, Horizon::Steps(steps)) => steps as f64 * train.batch.first as f64 / samples.max(1.0),
        };
        let moments = match &*train.optimizer.name {
            "adam" | "adamw" => 2.0,
            _ => 1.0,
        };
        let sample_bytes = 4.0 * (shape.width() as f64 + 1.0);
        Some(Self {
            work,
            samples,
            judged,
            sample_bytes,
            batch: train.batch.clone(),
            shards: shards(&train.batch, train.shards),
            epochs,
            averaging: train.averaging,
            moments,
        })
    }

    /// The bytes of what a worker gives the others at a time.
    pub fn exchanged(&self) -> u64 {
        let share = match self.averaging.codec {
            Codec::F32 => 1.0,
            Codec::Bf16 | Codec::F16 => 0.5,
            // Each number goes with its place.
            Codec::TopK(share) => (2.0 * share.to_f64()).min(1.0),
        };
        (4.0 * self.work.parameters * share) as u64
    }

    /// The bytes of a checkpoint: the weights, what the optimizer keeps, and the best weights so far.
    pub fn checkpoint(&self) -> f64 {
        4.0 * self.work.parameters * (2.0 + self.moments)
    }

    /// The batch once so many epochs have passed.
    pub fn batch_after(&self, epochs: f64) -> f64 {
        self.batch.after(epochs.max(0.0) as u64).max(1) as f64
    }
}

/// The rows of a part of a dataset; `otherwise` is the part that is meant where the whole is given.
pub fn rows(data: &Dataset, facts: &Facts, otherwise: Part) -> f64 {
    let part = if data.part == Part::Whole { otherwise } else { data.part };
    let split = &data.split;
    let share = match part {
        Part::Whole => return facts.rows as f64,
        Part::Train => split.train,
        Part::Valid => split.valid,
        Part::Test => split.test,
    };
    facts.rows as f64 * share.to_f64()
}
