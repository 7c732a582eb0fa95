//! How long a training step takes: what `cargo bench --bench training` shows beside other programs. `train` itself tells
//! whole epochs only, and always cuts a batch.

use super::{
    MlError,
    loss::Loss,
    network::{Network, Weights},
    optimizer::Optimizer,
    shards::Worker,
};
use crate::{
    data::Table,
    layers::{self, Shape},
    seed::Seed,
    value::Call,
    wire::{Failure, Kind},
};
use std::time::Duration;

/// How a batch is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// In one piece.
    Whole,
    /// In so many shards, as a training does.
    Shards(usize),
}

/// What one step took.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The loss, and its gradient by all parameters.
    pub gradient: Duration,
    /// The optimizer.
    pub update: Duration,
}

impl Pace {
    /// The whole step.
    #[must_use]
    pub fn step(&self) -> Duration {
        self.gradient + self.update
    }
}

/// Takes `steps` training steps on one thread, each on the whole table as one batch, under the cross-entropy. `clock` tells
/// the time that has gone by.
///
/// # Errors
/// When the layers do not fit the table, or the optimizer's arguments are out of range.
pub fn pace(
    model: &[Call],
    optimizer: &Call,
    table: &Table,
    cut: Cut,
    steps: usize,
    clock: &dyn Fn() -> Duration,
) -> Result<Vec<Pace>, Failure> {
    let (blocks, _) = layers::check(model, &Shape(table.shape.clone()))
        .map_err(|error| Failure::new(Kind::TaskFailed, format!("the model does not fit the data: {error}")))?;
    let network = Network::new(&blocks);
    let worker = Worker { network: &network, table, loss: Loss::CrossEntropy, threads: 1 };
    let rows: Vec<usize> = (0..table.rows()).collect();
    let mut weights = network.initial(Seed::new(0));
    let mut optimizer = Optimizer::parse(optimizer, network.size())?;
    let mut paces = Vec::with_capacity(steps);
    for _ in 0..steps {
        let started = clock();
        let gradient = gradient(&worker, &weights, &rows, cut)?;
        let middle = clock();
        optimizer.step(&mut weights.parameters, &gradient, 1.0);
        paces.push(Pace { gradient: middle - started, update: clock() - middle });
    }
    Ok(paces)
}

fn gradient(worker: &Worker, weights: &Weights, rows: &[usize], cut: Cut) -> Result<Vec<f32>, MlError> {
    let dropout = Seed::new(1);
    let shards = match cut {
        Cut::Whole => 1,
        Cut::Shards(shards) => shards.max(1),
    };
    let shards: Vec<&[usize]> = rows.chunks(rows.len().div_ceil(shards).max(1)).collect();
    let mut gradient = worker.share(weights, &shards, dropout.into(), None)?.gradient.unwrap_or_default();
    let share = 1.0 / rows.len() as f32;
    gradient.iter_mut().for_each(|value| *value *= share);
    Ok(gradient)
}
