use super::{Averaging, Role, Secrets, Staged, Team};
use crate::{
    expr::{Expr, Var},
    seed::Seed,
    units::{Duration, Money},
    value::{Artifact, Call, Dataset, Fields, Model},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// How long a command that is asked to stop may take to end: it may want to write a checkpoint.
pub const GRACE: std::time::Duration = std::time::Duration::from_secs(2);

/// A line that a worker reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Do this.
    Job(Box<Job>),
    /// Stop the command under way: it is asked to end, and is killed after [`GRACE`].
    Stop,
    /// The run draws to an end: a training stops at its next checkpoint.
    Drain,
}

/// One attempt at one step. It holds all that a worker needs: nothing is looked up elsewhere but the objects it names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The step's path, such as `main/best/trial[7]`, for logs.
    pub path: String,
    /// What to do.
    pub op: Op,
    /// The folder of the workflow file: relative paths start here.
    pub project: PathBuf,
    /// The object store's folder.
    pub objects: PathBuf,
    /// The run's folder: what its steps have in common lies here.
    pub run: PathBuf,
    /// A folder of this step that survives its retries.
    pub scratch: PathBuf,
    /// Where commands get folders to work in.
    pub work: PathBuf,
    /// Where what a command writes is kept, if anywhere.
    pub log: Option<PathBuf>,
    /// The time until the scope's deadline, if it has one.
    pub time_left: Option<Duration>,
    /// The money left in the scope's budget, if it has one.
    pub money_left: Option<Money>,
    /// The threads the step may use; the result does not depend on them.
    pub threads: usize,
    /// Which attempt at the step it is, from 1.
    pub attempt: u32,
    /// What the worker has to do of a training.
    pub role: Role,
    /// The values of the secrets that the op names.
    pub secrets: Secrets,
}

/// What a worker can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Learn the facts of a dataset.
    Inspect(Box<Inspect>),
    /// Train a model.
    Train(Box<Train>),
    /// Judge a trained model.
    Evaluate(Box<Evaluate>),
    /// Run a command.
    Command(Box<Command>),
}

/// Learn the facts of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspect {
    /// The data.
    pub data: Dataset,
}

/// Train a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Train {
    /// The architecture.
    pub model: Model,
    /// The data to learn from.
    pub data: Dataset,
    /// The data to choose the best epoch by; the data's own `valid` part when absent and not empty.
    pub valid: Option<Dataset>,
    /// The optimizer.
    pub optimizer: Call,
    /// The loss; chosen by the label's kind when absent.
    pub loss: Option<Call>,
    /// A learning-rate schedule.
    pub schedule: Option<Call>,
    /// The samples in a global batch.
    pub batch: Staged<u64>,
    /// The shards that every batch is cut into, which bounds the workers; chosen by the batch when absent.
    pub shards: Option<u64>,
    /// What workers give each other.
    pub averaging: Averaging,
    /// How long to train.
    pub horizon: Horizon,
    /// Stop after the first epoch where this holds, over `train.…`, `valid.…` and `epoch`.
    pub until: Option<Expr>,
    /// Metrics to report for each epoch, besides the loss and what `until` and `objective` read.
    pub metrics: Vec<Call>,
    /// What decides which epoch's weights are kept: a metric of the validation part, and whether larger is better.
    pub objective: Option<(Expr, bool)>,
    /// Weights to start from.
    pub init: Option<Artifact>,
    /// The seed of initial weights, order and dropout.
    pub seed: Seed,
    /// Where a search lets the training pause and go on.
    pub rung: Option<Rung>,
    /// Who trains.
    pub team: Team,
}

impl Train {
    /// The metrics that an epoch is to have of the part that `var` stands for, besides the loss.
    pub fn asked(&self, var: Var) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.metrics.iter().map(|call| call.name.to_string()).collect();
        for expr in self.until.iter().chain(self.objective.as_ref().map(|(expr, _)| expr)) {
            expr.fields_of(var, &mut |name| {
                names.insert(name.to_string());
            });
        }
        names.remove("loss");
        names
    }

    /// Makes it a rung of a training of so many epochs in all.
    pub fn climb(&mut self, (horizon, rung): (u64, Rung)) {
        self.horizon = Horizon::Epochs(horizon);
        self.rung = Some(rung);
    }
}

/// How long to train at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Horizon {
    /// Passes over the data.
    Epochs(u64),
    /// Optimizer steps.
    Steps(u64),
}

/// A stretch of a training whose trial may be stopped early.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// The epoch after which to pause; learning-rate schedules still aim at the horizon.
    pub pause_at: u64,
    /// The checkpoint of the rung before.
    pub resume: Option<Artifact>,
}

/// Judge a trained model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluate {
    /// The architecture with its weights.
    pub model: Model,
    /// The data to judge by; the `test` part when the whole is given.
    pub data: Dataset,
    /// What to measure.
    pub metrics: Vec<Call>,
}

/// Run a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// What to run.
    pub program: Program,
    /// The task's parameters.
    pub inputs: Fields,
    /// The declared result type.
    pub output: crate::types::Type,
    /// Further environment variables.
    pub env: Vec<(String, String)>,
    /// Environment variables that hold secrets, each with the secret's name.
    pub secrets: BTreeMap<String, String>,
}

/// A command's program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// A program and its arguments; there is no shell, so nothing to inject into.
    Args(Vec<Word>),
    /// A script for `sh -eu`; parameters reach it as environment variables only.
    Shell(String),
}

/// A piece of a command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// A text.
    Text(String),
    /// The path of a stored file.
    File(Artifact),
}
