//! The training loop, as each worker of a training goes through it: they all do the same steps, each with its own shards.

mod deal;
mod epoch;
mod ledger;
mod lesson;
mod outcome;
mod setup;
mod step;

use super::{
    Context, MlError,
    checkpoint::Checkpoints,
    loss::Loss,
    metric,
    network::{Network, Weights},
    optimizer::Optimizer,
    rate::Schedule,
    shards::Worker,
    shuffle::Shuffle,
    unusable,
};
use crate::{
    data::{Table, dealt::About},
    expr::{self, Expr, Scope, Var},
    sync::Group,
    units::Duration,
    value::{Artifact, Fields, Value},
    wire::{EpochMetrics, Every, Failure, Horizon, Kind, Lap, Outcome, Progress, Round, RoundId, Train},
};
pub use deal::deal;
use ledger::Ledger;
pub use lesson::{Lesson, Whole};
use std::{collections::BTreeMap, time::Instant};
use step::Wishes;

/// A worker's part in a training.
pub struct Part<'a> {
    /// The workers, as this one sees them.
    pub group: &'a mut dyn Group,
    /// The round that it is.
    pub round: RoundId,
    /// The round ends once so many epochs have passed.
    pub until: Option<u64>,
    /// The round ends after some time, epochs or steps of its own.
    pub replan: Option<Every>,
    /// Whether it decides for all when to write a checkpoint, to end the round and to stop: one worker does.
    pub decides: bool,
}

/// Trains a model, from where an earlier attempt or round left off: the result is the same bits, whoever trains.
///
/// # Errors
/// When the model does not fit the data, a setting is out of range, the loss is no longer a number, the run is being stopped,
/// or the workers can't go on together.
pub fn train(job: &Train, lesson: &Lesson, part: &mut Part, context: &mut Context) -> Result<Outcome, Failure> {
    let mut training = Training::new(job, lesson, part, context)?;
    let ending = training.run(part.group, context)?;
    Ok(training.end(ending, part.group, context)?)
}

/// The bytes of a training's gradient.
///
/// # Errors
/// When the model does not fit the data.
pub fn gradient_bytes(job: &Train, lesson: &Lesson) -> Result<u64, Failure> {
    Ok(4 * setup::network(job, lesson.about())?.0.size() as u64)
}

struct Training<'a> {
    job: &'a Train,
    lesson: &'a Lesson<'a>,
    about: &'a About,
    network: Network,
    outputs: usize,
    loss: Loss,
    schedule: Schedule,
    /// Metrics to compute on each part, besides the loss.
    train_metrics: Vec<String>,
    valid_metrics: Vec<String>,
    shuffle: Shuffle,
    /// The virtual shards of this worker.
    shards: std::ops::Range<usize>,
    /// For each of them, where its samples stand in the order of the first epoch; nothing for a worker that has them all.
    dealt: Vec<Vec<usize>>,
    weights: Weights,
    best_weights: Option<Weights>,
    optimizer: Optimizer,
    ledger: Ledger,
    /// For each own shard, the outputs of this epoch so far, where a metric needs them.
    met: Vec<Vec<f32>>,
    checkpoints: Checkpoints,
    /// The epochs after which the round ends.
    until: Option<u64>,
    /// Whether it decides for all.
    decides: bool,
    clock: RoundClock,
}

/// How a training, or a round of it, came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// All is done.
    Over,
    /// The deadline came.
    Cut,
    /// Another round is to follow.
    Round,
    /// The run is being stopped.
    Drained,
}

/// What a round takes.
struct RoundClock {
    started: Instant,
    number: RoundId,
    replan: Option<Every>,
    steps: u64,
    epochs: u64,
    samples: u64,
    loss: f64,
    computing: std::time::Duration,
}

impl Training<'_> {
    fn worker<'w>(&'w self, table: &'w Table, threads: usize) -> Worker<'w> {
        Worker { network: &self.network, table, loss: self.loss, threads }
    }

    fn time_left(&self, context: &Context) -> Option<f64> {
        context.time_left.map(|left| left.secs_f64() - self.clock.started.elapsed().as_secs_f64())
    }

    /// The epochs that there will be at most.
    fn horizon(&self) -> u64 {
        let of = |epochs: u64| self.shuffle.steps(self.job.batch.after(epochs));
        match self.job.horizon {
            Horizon::Epochs(epochs) => epochs,
            Horizon::Steps(steps) => {
                let (mut epochs, mut left) = (0, steps);
                while let Some(change) = self.job.batch.next_change(epochs) {
                    let stretch = (change - epochs).saturating_mul(of(epochs));
                    if stretch >= left {
                        break;
                    }
                    left -= stretch;
                    epochs = change;
                }
                epochs + left.div_ceil(of(epochs))
            }
        }
    }

    /// The steps until its last epoch is over.
    fn ahead(&self) -> u64 {
        let horizon = self.horizon();
        let end = self.job.rung.as_ref().map_or(horizon, |rung| rung.pause_at.min(horizon));
        let (mut epochs, mut steps) = (0, 0_u64);
        while epochs < end {
            let until = self.job.batch.next_change(epochs).map_or(end, |change| change.min(end));
            steps =
                steps.saturating_add((until - epochs).saturating_mul(self.shuffle.steps(self.job.batch.after(epochs))));
            epochs = until;
        }
        steps.saturating_sub(self.ledger.steps)
    }

    fn run(&mut self, group: &mut dyn Group, context: &mut Context) -> Result<Ending, MlError> {
        let all = self.horizon();
        if all == 0 {
            return Err(unusable("a training must last at least one epoch", "set `epochs: 10` or so"));
        }
        let end = self.job.rung.as_ref().map_or(all, |rung| rung.pause_at.min(all));
        if self.until.is_some_and(|until| self.ledger.epochs >= until) {
            return Ok(Ending::Round);
        }
        while self.ledger.epochs < end && !self.ledger.satisfied {
            let before = Instant::now();
            let metrics = match self.epoch(all, group, context)? {
                Ok(metrics) => metrics,
                Err(ending) => return self.stopped(ending),
            };
            self.ledger.end_epoch();
            if group.rank() == 0 {
                (context.report)(Progress::Epoch(metrics.clone()));
            }
            self.keep(&metrics)?;
            self.ledger.satisfied = self.until(&metrics)?;
            self.ledger.history.push(metrics);
            if self.ledger.epochs == end || self.ledger.satisfied {
                break;
            }
            let took = before.elapsed().as_secs_f64();
            let wishes = Wishes {
                cut: self.decides && self.time_left(context).is_some_and(|left| left < took * 1.1),
                ..self.wishes(context)
            };
            let agreed = wishes.agree(group)?;
            if agreed.cut {
                return self.stopped(Ending::Cut);
            }
            let epochs = self.ledger.epochs;
            let round = agreed.round
                || self.until.is_some_and(|until| epochs >= until)
                || self.clock.is_complete(epochs)
                || self.clock.is_full(self.ledger.steps);
            if agreed.keeps() || round || self.checkpoints.is_due_at(self.ledger.steps, Some(epochs)) {
                self.leave_checkpoint(group)?;
            }
            if agreed.drain {
                return Ok(Ending::Drained);
            }
            if round {
                return Ok(Ending::Round);
            }
        }
        Ok(Ending::Over)
    }

    /// What follows from an end within an epoch.
    fn stopped(&self, ending: Ending) -> Result<Ending, MlError> {
        if ending == Ending::Cut && self.ledger.history.is_empty() {
            return Err(MlError::Failed(
                Failure::new(Kind::DeadlineExceeded, "the deadline came before the first epoch was over")
                    .help("give it more time, or train on less data or a smaller model"),
            ));
        }
        Ok(ending)
    }

    /// Keeps the weights when they are the best so far: by the objective, else by the validation loss, else the last.
    fn keep(&mut self, metrics: &EpochMetrics) -> Result<(), MlError> {
        let (objective, larger) = match &self.job.objective {
            Some((expr, larger)) => (Some(number(expr, metrics)?), *larger),
            None => (metrics.valid.get("loss").copied(), false),
        };
        let before = self.ledger.best.as_ref().and_then(|best| best.objective);
        let better = match (objective, before) {
            (Some(value), Some(before)) => before.is_nan() || if larger { value > before } else { value < before },
            _ => true,
        };
        if better {
            self.ledger.best = Some(ledger::Best { metrics: metrics.clone(), objective });
            self.best_weights = Some(self.weights.clone());
        }
        Ok(())
    }

    fn until(&self, metrics: &EpochMetrics) -> Result<bool, MlError> {
        match &self.job.until {
            None => Ok(false),
            Some(until) => Ok(over(until, metrics)? == Value::Bool(true)),
        }
    }

    /// What the round has come to, known to all workers.
    fn round(&mut self, group: &mut dyn Group) -> Result<Round, MlError> {
        let clock = &self.clock;
        let elapsed = clock.started.elapsed();
        let lap = Lap {
            computing: clock.computing.into(),
            fetching: self.lesson.waited().into(),
            waiting: group.waited().into(),
        };
        let laps = group.gather(serde_json::to_vec(&lap).unwrap_or_default().into())?;
        let lap = |bytes: &bytes::Bytes| serde_json::from_slice(bytes).unwrap_or_default();
        Ok(Round {
            number: clock.number.number,
            workers: group.of(),
            doubled: Vec::new(),
            steps: [clock.steps, self.ledger.steps],
            epochs: [clock.epochs, self.ledger.epochs],
            ahead: self.ahead(),
            samples: clock.samples,
            elapsed: Duration::from(elapsed),
            loss: clock.loss / clock.samples.max(1) as f64,
            laps: laps.iter().map(lap).collect(),
        })
    }
}

/// The value of an expression over the metrics of an epoch.
fn over(expr: &Expr, metrics: &EpochMetrics) -> Result<Value, MlError> {
    let mut scope = Scope::default();
    let mut parts = parts(metrics);
    scope.set(Var::TRAIN, parts.remove("train").unwrap_or(Value::None));
    scope.set(Var::VALID, parts.remove("valid").unwrap_or(Value::None));
    scope.set(Var::EPOCH, Value::Int(metrics.epoch as i64));
    expr::eval(expr, &scope).map_err(|error| {
        unusable(format!("a metric expression has no value: {error}"), "check `until` and the objective")
    })
}

fn number(expr: &Expr, metrics: &EpochMetrics) -> Result<f64, MlError> {
    Ok(over(expr, metrics)?.as_f64().unwrap_or(f64::NAN))
}

fn parts(metrics: &EpochMetrics) -> Fields {
    let record = |part: &BTreeMap<String, f64>| {
        Value::Record(part.iter().map(|(name, value)| (name.as_str().into(), Value::Float(*value))).collect())
    };
    Fields::from([("train".into(), record(&metrics.train)), ("valid".into(), record(&metrics.valid))])
}

fn read(context: &Context, artifact: &Artifact) -> Result<Vec<u8>, MlError> {
    context.objects.read(artifact).map_err(|error| unusable(error.to_string(), "run the step that makes it again"))
}
