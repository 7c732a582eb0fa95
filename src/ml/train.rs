//! The training loop.

use super::{
    Context, MlError,
    checkpoint::Checkpoints,
    loss::Loss,
    metric,
    network::{Network, Weights},
    optimizer::Optimizer,
    rate::Schedule,
    shards::Worker,
    state::State,
    unusable,
};
use crate::{
    data::{Lens, Table},
    expr::{self, Expr, Scope, Var},
    layers::{self, Shape},
    units::Duration,
    value::{Artifact, Fields, Hash, Value, float},
    wire::{Done, EpochMetrics, Failure, Horizon, Kind, Progress, Train, Trained},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
    time::Instant,
};

/// What a state to go on from is called.
const CHECKPOINT: &str = "checkpoint.safetensors";

/// What a training learns from.
pub struct Lesson<'a> {
    /// The samples to learn from.
    pub train: &'a Table,
    /// The samples to choose the best epoch by; may be empty.
    pub valid: &'a Table,
    /// How the model sees the data, for those who show it other data later.
    pub lens: &'a Lens,
    /// What stands on the model card for the data.
    pub hash: Hash,
    /// The hash of the other data that the samples to choose by come from, if they do.
    pub valid_hash: Option<Hash>,
}

/// Trains a model, from where an earlier attempt at the same job left off: the result is the same bits.
///
/// # Errors
/// When the model does not fit the data, a setting is out of range, the loss is no longer a number, or the run is being
/// stopped.
pub fn train(job: &Train, lesson: &Lesson, context: &mut Context) -> Result<Done, Failure> {
    let started = Instant::now();
    let mut training = Training::new(job, lesson, context, started)?;
    training.run(context)?;
    let (done, checkpoints) = training.finish(context)?;
    checkpoints.remove();
    Ok(done)
}

/// The hash of all that a training's course depends on.
fn identity(job: &Train, lesson: &Lesson) -> Result<Hash, MlError> {
    let about = (env!("CARGO_PKG_VERSION"), job, lesson.hash, lesson.valid_hash);
    let text = serde_json::to_vec(&about)
        .map_err(|error| unusable(format!("the job can't be written: {error}"), "this is a fault of smltc"))?;
    Ok(Hash::of(&text))
}

/// What goes into a checkpoint besides the rows of numbers.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Ledger {
    /// Whole epochs done.
    epochs: u64,
    /// Optimizer steps done.
    steps: u64,
    history: Vec<EpochMetrics>,
    best: Option<Best>,
    /// Whether `until` held.
    satisfied: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Best {
    metrics: EpochMetrics,
    #[serde(with = "float::option")]
    objective: Option<f64>,
}

struct Training<'a> {
    job: &'a Train,
    lesson: &'a Lesson<'a>,
    network: Network,
    outputs: usize,
    loss: Loss,
    schedule: Schedule,
    /// Metrics to compute on each part, besides the loss.
    train_metrics: Vec<String>,
    valid_metrics: Vec<String>,
    weights: Weights,
    best_weights: Option<Weights>,
    optimizer: Optimizer,
    ledger: Ledger,
    checkpoints: Checkpoints,
    started: Instant,
    cut: bool,
}

impl<'a> Training<'a> {
    fn new(job: &'a Train, lesson: &'a Lesson<'a>, context: &Context, started: Instant) -> Result<Self, MlError> {
        let model = &job.model;
        let input = Shape(lesson.train.shape.clone());
        let (blocks, output) = layers::check(&model.layers, &input).map_err(|error| {
            unusable(
                format!(
                    "the model `{}` does not fit `{}`, whose samples are {input}: {error}",
                    model.name, job.data.name
                ),
                error.help().unwrap_or("the data's own sizes are `data.width` and `data.classes`"),
            )
        })?;
        if job.batch.first == 0 || job.batch.first > 1 << 24 {
            return Err(unusable(
                format!("a batch must hold 1 to 2^24 samples, not {}", job.batch.first),
                "64 is usual",
            ));
        }
        let outputs = output.width();
        let loss = Loss::choose(job.loss.as_ref(), &lesson.train.labels, outputs, &model.name)?;
        let network = Network::new(&blocks);
        network.check_vocabulary(&lesson.train.features)?;
        network.check_vocabulary(&lesson.valid.features)?;
        let mut optimizer = Optimizer::parse(&job.optimizer, network.size())?;
        let mut weights = network.initial(job.seed.child("init"));
        if let Some(init) = &job.init {
            let bytes = read(context, init)?;
            weights = State::from_bytes::<serde_json::Value>(&bytes, &init.name)?.0.weights(&network)?;
        }
        let (mut ledger, mut best_weights) = (Ledger::default(), None);
        let mut checkpoints = Checkpoints::new(context.scratch, context.objects.workshop(), identity(job, lesson)?);
        let checkpoint = match (checkpoints.latest(), job.rung.as_ref().and_then(|rung| rung.resume.as_ref())) {
            (Some(own), _) => Some(own),
            (None, Some(earlier)) => Some(read(context, earlier)?),
            (None, None) => None,
        };
        if let Some(bytes) = checkpoint {
            let (mut rows, about) = State::from_bytes::<Ledger>(&bytes, CHECKPOINT)?;
            let (size, averages) = (network.size(), weights.averages.len());
            weights =
                Weights { parameters: rows.take("parameters", size)?, averages: rows.take("averages", averages)? };
            for (index, memory) in optimizer.memory.iter_mut().enumerate() {
                *memory = rows.take(&format!("memory.{index}"), size)?;
            }
            optimizer.steps = about.steps;
            if about.best.is_some() {
                best_weights = Some(Weights {
                    parameters: rows.take("best.parameters", size)?,
                    averages: rows.take("best.averages", averages)?,
                });
            }
            ledger = about;
        }
        let asked = |var: Var| {
            let mut names: BTreeSet<String> = job.metrics.iter().map(|call| call.name.to_string()).collect();
            for expr in job.until.iter().chain(job.objective.as_ref().map(|(expr, _)| expr)) {
                expr.fields_of(var, &mut |name| {
                    names.insert(name.to_string());
                });
            }
            names.remove("loss");
            names.into_iter().collect()
        };
        if lesson.valid.rows() > 0 && lesson.valid.shape != lesson.train.shape {
            let (wanted, found) = (input, Shape(lesson.valid.shape.clone()));
            return Err(unusable(
                format!("the samples to validate on are {found}, but those to train on are {wanted}"),
                "give `valid:` data of the same shape",
            ));
        }
        if lesson.valid.rows() == 0 && reads_validation(job) {
            return Err(unusable(
                format!("there is nothing to validate on: the validation part of `{}` is empty", job.data.name),
                "give `valid` a share of the split, or set `valid:` to other data",
            ));
        }
        Ok(Self {
            job,
            lesson,
            outputs,
            loss,
            schedule: Schedule::parse(job.schedule.as_ref()),
            train_metrics: asked(Var::TRAIN),
            valid_metrics: asked(Var::VALID),
            network,
            weights,
            best_weights,
            optimizer,
            ledger,
            checkpoints,
            started,
            cut: false,
        })
    }

    fn worker<'w>(&'w self, table: &'w Table, threads: usize) -> Worker<'w> {
        Worker { network: &self.network, table, loss: self.loss, threads }
    }

    fn steps_per_epoch(&self) -> u64 {
        (self.lesson.train.rows() as u64).div_ceil(self.job.batch.first).max(1)
    }

    fn horizon(&self) -> u64 {
        match self.job.horizon {
            Horizon::Epochs(epochs) => epochs,
            Horizon::Steps(steps) => steps.div_ceil(self.steps_per_epoch()),
        }
    }

    fn time_left(&self, context: &Context) -> Option<f64> {
        context.time_left.map(|left| left.secs_f64() - self.started.elapsed().as_secs_f64())
    }

    fn run(&mut self, context: &mut Context) -> Result<(), MlError> {
        let all = self.horizon();
        if all == 0 {
            return Err(unusable("a training must last at least one epoch", "set `epochs: 10` or so"));
        }
        let end = self.job.rung.as_ref().map_or(all, |rung| rung.pause_at.min(all));
        while self.ledger.epochs < end && !self.ledger.satisfied {
            let before = Instant::now();
            let Some(metrics) = self.epoch(all, context)? else {
                self.cut = true;
                break;
            };
            self.ledger.epochs += 1;
            (context.report)(Progress::Epoch(metrics.clone()));
            self.keep(&metrics)?;
            self.ledger.satisfied = self.until(&metrics)?;
            self.ledger.history.push(metrics);
            let took = before.elapsed().as_secs_f64();
            if self.ledger.epochs < end
                && !self.ledger.satisfied
                && self.time_left(context).is_some_and(|left| left < took * 1.1)
            {
                self.cut = true;
                break;
            }
            if self.ledger.epochs < end && !self.ledger.satisfied {
                self.leave_checkpoint(context)?;
            }
        }
        if self.best_weights.is_none() && self.ledger.history.is_empty() {
            return Err(MlError::Failed(
                Failure::new(Kind::DeadlineExceeded, "the deadline came before the first epoch was over")
                    .help("give it more time, or train on less data or a smaller model"),
            ));
        }
        Ok(())
    }

    /// Writes a checkpoint where it is time for one, and ends the attempt there when the run is being stopped.
    fn leave_checkpoint(&mut self, context: &Context) -> Result<(), MlError> {
        let stops = context.draining.load(Ordering::Relaxed);
        if stops || self.checkpoints.is_due() {
            let state = self.checkpoint()?;
            // A training can do without: it would only have to begin anew.
            let _ = self.checkpoints.write(self.ledger.epochs, state);
        }
        if stops {
            return Err(MlError::Failed(Failure::new(Kind::WorkerLost, "it was stopped at a checkpoint")));
        }
        Ok(())
    }

    /// One pass over the data; `None` when the time ran out on the way.
    fn epoch(&mut self, all: u64, context: &Context) -> Result<Option<EpochMetrics>, MlError> {
        let (table, threads) = (self.lesson.train, context.threads);
        let epoch = self.ledger.epochs + 1;
        let mut order: Vec<usize> = (0..table.rows()).collect();
        self.job.seed.child("order").child(epoch).generator().shuffle(&mut order);
        let dropout = self.job.seed.child("dropout").child(epoch);
        let per_epoch = self.steps_per_epoch();
        let last_step = match self.job.horizon {
            Horizon::Steps(steps) => steps,
            Horizon::Epochs(_) => u64::MAX,
        };
        let (mut loss, mut outputs, mut seen) = (0.0, Vec::new(), 0);
        for (index, rows) in order.chunks(self.job.batch.first as usize).enumerate() {
            if self.time_left(context).is_some_and(|left| left <= 0.0) {
                return Ok(None);
            }
            if self.ledger.steps >= last_step {
                break;
            }
            let step = self.worker(table, threads).step(&self.weights, rows, self.job.batch.first as usize, dropout)?;
            if !step.loss.is_finite() || step.gradient.iter().any(|value| !value.is_finite()) {
                return Err(MlError::Failed(
                    Failure::new(
                        Kind::Diverged,
                        format!(
                            "the loss is no longer a number, in epoch {epoch} at step {} of {per_epoch}",
                            index + 1
                        ),
                    )
                    .help("lower the learning rate, or bring the features to one scale with `standardize: true`"),
                ));
            }
            let passed = (epoch - 1) as f64 + index as f64 / per_epoch as f64;
            let factor = self.schedule.factor(passed, 1.0 / per_epoch as f64, all as f64);
            self.optimizer.step(&mut self.weights.parameters, &step.gradient, factor);
            self.network.update_averages(&mut self.weights, &step.moments);
            self.ledger.steps += 1;
            loss += step.loss;
            seen += rows.len();
            if !self.train_metrics.is_empty() {
                outputs.extend(step.outputs);
            }
        }
        let mut train = BTreeMap::from([("loss".to_owned(), loss / seen.max(1) as f64)]);
        if !self.train_metrics.is_empty() {
            let predictions = self.loss.predict(outputs, self.outputs);
            let labels = table.labels.select(&order[..seen]);
            for name in &self.train_metrics {
                train.insert(name.clone(), metric::measure(name, &predictions, &labels)?);
            }
        }
        let mut valid = BTreeMap::new();
        if self.lesson.valid.rows() > 0 {
            let table = self.lesson.valid;
            let worker = self.worker(table, threads);
            let outputs = worker.outputs(&self.weights)?;
            valid.insert("loss".to_owned(), worker.mean_loss(&outputs)?);
            if !self.valid_metrics.is_empty() {
                let predictions = self.loss.predict(outputs, self.outputs);
                for name in &self.valid_metrics {
                    valid.insert(name.clone(), metric::measure(name, &predictions, &table.labels)?);
                }
            }
        }
        Ok(Some(EpochMetrics { epoch, of: all, train, valid }))
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
            self.ledger.best = Some(Best { metrics: metrics.clone(), objective });
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

    fn finish(self, context: &Context) -> Result<(Done, Checkpoints), MlError> {
        let weights = self.best_weights.as_ref().unwrap_or(&self.weights);
        let (best, objective) = match &self.ledger.best {
            Some(best) => (best.metrics.clone(), best.objective),
            None => (EpochMetrics { epoch: 0, of: 0, train: BTreeMap::new(), valid: BTreeMap::new() }, None),
        };
        let name = &self.job.model.name;
        let card = self.card(&best);
        let text = format!("{card:#}\n");
        let bytes = State::of_model(&self.network, weights).to_bytes(&card)?;
        let weights = store(context, &format!("{name}.safetensors"), &bytes)?;
        let card = store(context, &format!("{name}.card.json"), text.as_bytes())?;
        let paused = self.job.rung.is_some() && self.ledger.epochs < self.horizon() && !self.ledger.satisfied;
        let checkpoint = if paused { Some(store(context, CHECKPOINT, &self.checkpoint()?)?) } else { None };
        let mut model = self.job.model.clone();
        model.weights = Some(weights.clone());
        let history = self.ledger.history.iter().map(|metrics| {
            let mut fields = parts(metrics);
            fields.insert("epoch".into(), Value::Int(metrics.epoch as i64));
            Value::Record(fields)
        });
        let output = Value::Record(Fields::from([
            ("model".into(), Value::Model(Box::new(model))),
            ("weights".into(), Value::Artifact(Box::new(weights))),
            ("card".into(), Value::Artifact(Box::new(card))),
            ("metrics".into(), Value::Record(parts(&best))),
            ("history".into(), Value::List(history.collect())),
            ("epochs".into(), Value::Int(self.ledger.epochs as i64)),
            ("best_epoch".into(), Value::Int(best.epoch as i64)),
        ]));
        let trained = Trained { objective, epochs: self.ledger.epochs, checkpoint, cut: self.cut };
        let done = Done { output, trained: Some(trained), elapsed: Duration::from(self.started.elapsed()) };
        Ok((done, self.checkpoints))
    }

    fn checkpoint(&self) -> Result<Vec<u8>, MlError> {
        let mut state = State::new();
        state.add("parameters", &self.weights.parameters);
        state.add("averages", &self.weights.averages);
        for (index, memory) in self.optimizer.memory.iter().enumerate() {
            state.add(format!("memory.{index}"), memory);
        }
        if let Some(best) = &self.best_weights {
            state.add("best.parameters", &best.parameters);
            state.add("best.averages", &best.averages);
        }
        state.to_bytes(&self.ledger)
    }

    /// What the weights are and where they come from. It holds no time and no place, so the same training gives the same bytes.
    fn card(&self, best: &EpochMetrics) -> serde_json::Value {
        let model = &self.job.model;
        json!({
            "model": model.name,
            "args": Value::Record(model.args.clone()).to_json(),
            "layers": model.layers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "architecture": model.layers,
            "parameters": self.network.size(),
            "data": { "name": self.job.data.name, "hash": self.lesson.hash, "rows": self.lesson.train.rows() },
            "lens": self.lesson.lens,
            "loss": format!("{:?}", self.loss),
            "optimizer": self.job.optimizer.to_string(),
            "batch": self.job.batch.first,
            "seed": self.job.seed,
            "epochs": self.ledger.epochs,
            "best_epoch": best.epoch,
            "metrics": { "train": best.train, "valid": best.valid },
            "smltc": env!("CARGO_PKG_VERSION"),
        })
    }
}

fn reads_validation(job: &Train) -> bool {
    let mut reads = false;
    for expr in job.until.iter().chain(job.objective.as_ref().map(|(expr, _)| expr)) {
        expr.fields_of(Var::VALID, &mut |_| reads = true);
    }
    reads
}

fn read(context: &Context, artifact: &Artifact) -> Result<Vec<u8>, MlError> {
    context.objects.read(artifact).map_err(|error| unusable(error.to_string(), "run the step that makes it again"))
}

fn store(context: &Context, name: &str, bytes: &[u8]) -> Result<Artifact, MlError> {
    let stored = context.objects.put_bytes(name, bytes);
    stored.map_err(|error| unusable(format!("`{name}` can't be stored: {error}"), "check the disk's space and rights"))
}

fn parts(metrics: &EpochMetrics) -> Fields {
    let record = |part: &BTreeMap<String, f64>| {
        Value::Record(part.iter().map(|(name, value)| (name.as_str().into(), Value::Float(*value))).collect())
    };
    Fields::from([("train".into(), record(&metrics.train)), ("valid".into(), record(&metrics.valid))])
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
