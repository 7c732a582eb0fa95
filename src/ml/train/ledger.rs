//! How far a training is, and how that is kept.

use super::{Context, Failure, Group, Kind, MlError, Progress, Training, Weights};
use crate::{
    ml::{
        checkpoint::Found,
        state::{State, join},
    },
    value::float,
    wire::EpochMetrics,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a state to go on from is called.
pub(super) const CHECKPOINT: &str = "checkpoint.safetensors";

/// What goes into a checkpoint besides the rows of numbers. All random numbers follow from it and the seed.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// Whole epochs done.
    pub epochs: u64,
    /// Optimizer steps done, in all.
    pub steps: u64,
    /// Optimizer steps done in the epoch under way.
    pub step: u64,
    /// The sum of the losses of the samples seen in it.
    #[serde(with = "float")]
    pub loss: f64,
    /// The same for this worker's own samples, as far as it is not in `loss`; zero in a checkpoint.
    #[serde(skip)]
    pub own_loss: f32,
    /// The weights that all workers had when they last exchanged, where they don't after each step; empty before the first.
    #[serde(skip)]
    pub agreed: Vec<f32>,
    pub history: Vec<EpochMetrics>,
    pub best: Option<Best>,
    /// Whether `until` held.
    pub satisfied: bool,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Best {
    pub metrics: EpochMetrics,
    #[serde(with = "float::option")]
    pub objective: Option<f64>,
}

impl Ledger {
    pub fn end_epoch(&mut self) {
        self.epochs += 1;
        (self.step, self.loss) = (0, 0.0);
    }
}

impl Training<'_> {
    /// Writes a checkpoint, each worker its part.
    pub(super) fn leave_checkpoint(&mut self, group: &mut dyn Group) -> Result<(), MlError> {
        let (rank, of) = (group.rank(), group.of());
        let part = self.state(rank, of)?;
        // A training can do without: it would only have to begin anew.
        let _ = self.checkpoints.write(self.ledger.steps, rank, of, part);
        // Nobody goes on before all have written, so that the older ones can go.
        group.gather(Bytes::new())?;
        if rank == 0 {
            self.checkpoints.prune();
        }
        Ok(())
    }

    /// The part of the state that one of `of` writers has to write.
    pub(super) fn state(&self, writer: usize, of: usize) -> Result<Vec<u8>, MlError> {
        let mut state = State::new();
        let mut add = |name: &str, row: &[f32]| state.add_part(name, row, writer, of);
        add("parameters", &self.weights.parameters);
        add("averages", &self.weights.averages);
        for (index, memory) in self.optimizer.memory.iter().enumerate() {
            add(&format!("memory.{index}"), memory);
        }
        if let Some(best) = &self.best_weights {
            add("best.parameters", &best.parameters);
            add("best.averages", &best.averages);
        }
        for (shard, met) in self.shards.clone().zip(&self.met) {
            state.add(format!("met.{shard}"), met);
        }
        state.to_bytes(&self.ledger)
    }

    /// Goes on from the latest state: a checkpoint of its own, or else what the rung before has left.
    pub(super) fn restore(&mut self, group: &mut dyn Group, context: &mut Context) -> Result<(), MlError> {
        let found = self.checkpoints.latest();
        let point = found.as_ref().map_or_else(String::new, |found| format!("{:?}", found.point));
        let points = group.gather(point.into())?;
        if points.iter().any(|other| *other != points[0]) {
            return Err(MlError::Failed(Failure::new(Kind::WorkerLost, "its workers found different checkpoints")));
        }
        let parts = match found {
            Some(Found { parts, damaged, .. }) => {
                if damaged > 0 && group.rank() == 0 {
                    (context.report)(Progress::Log(format!(
                        "{damaged} damaged checkpoint{} left out; it goes on from the one before",
                        if damaged == 1 { " was" } else { "s were" }
                    )));
                }
                parts
            }
            None => match self.job.rung.as_ref().and_then(|rung| rung.resume.as_ref()) {
                Some(earlier) => vec![super::read(context, earlier)?],
                None => return Ok(()),
            },
        };
        let (mut rows, about) = join::<Ledger>(&parts, CHECKPOINT)?;
        let (size, averages) = (self.network.size(), self.weights.averages.len());
        self.weights =
            Weights { parameters: rows.take("parameters", size)?, averages: rows.take("averages", averages)? };
        for (index, memory) in self.optimizer.memory.iter_mut().enumerate() {
            *memory = rows.take(&format!("memory.{index}"), size)?;
        }
        self.optimizer.steps = about.steps;
        if about.best.is_some() {
            self.best_weights = Some(Weights {
                parameters: rows.take("best.parameters", size)?,
                averages: rows.take("best.averages", averages)?,
            });
        }
        for (shard, met) in self.shards.clone().zip(&mut self.met) {
            *met = rows.take_any(&format!("met.{shard}"));
        }
        (self.clock.steps, self.clock.epochs) = (about.steps, about.epochs);
        self.ledger = about;
        Ok(())
    }
}
