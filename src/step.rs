//! What a step does, as expressions that its settings are, and the operation that they come to once their variables are
//! known. The scheduler asks for it on this machine; in a cloud the worker itself does.

mod book;
mod glue;
mod operation;
mod param;
mod search;
mod usual;

pub use book::{Book, Bounds, Entry, Line, SEARCH_SHARE, Searching, Step, What, Work};
pub use glue::{Lost, argument, assert, compute, times, told};
pub use operation::{command, count, dataset, evaluate, seed, train, value};
pub use param::Param;
pub use search::{Dimension, Search, Trial, Tries, blames_the_choice};
pub use usual::Usual;

use crate::{
    expr::{Expr, Var},
    source::{Name, Span},
    types::Type,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A command task with its arguments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The task; all that run it share what it is.
    pub task: Arc<Task>,
    /// What its parameters are given.
    pub args: Vec<Expr>,
}

/// A command task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub name: Name,
    /// Its declaration.
    pub declared: Span,
    /// Its parameters and their variables.
    pub params: Vec<(Name, Var)>,
    /// What to run, over the parameters' variables.
    pub script: Script,
    /// Further environment variables, over the parameters' variables.
    pub env: Vec<(Name, Expr)>,
    /// Which of its environment variables are secrets: parameters, whose values are the secrets' names, and others, which
    /// are called as the secrets are.
    pub secrets: Vec<Name>,
    /// The result's type: a record.
    pub output: Type,
}

/// A command's program before its parameters are known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Script {
    /// An expression of a list of texts.
    Args(Expr),
    /// An expression of the script's text.
    Shell(Expr),
}

/// A training's settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Train {
    /// The architecture.
    pub model: Expr,
    /// The data.
    pub data: Expr,
    /// Other data to validate on.
    pub valid: Option<Expr>,
    /// The optimizer; `adam()` when absent.
    pub optimizer: Option<Expr>,
    /// The learning rate, in the place of the optimizer's own.
    pub lr: Option<Expr>,
    /// The loss; by the label's kind when absent.
    pub loss: Option<Expr>,
    /// The learning-rate schedule.
    pub schedule: Option<Expr>,
    /// The samples in a batch, which may change on the way; 64 when absent.
    pub batch: Option<Expr>,
    /// How long: epochs, or steps.
    pub horizon: Horizon,
    /// When to stop early, over [`Var::TRAIN`], [`Var::VALID`] and [`Var::EPOCH`].
    pub until: Option<Expr>,
    /// What decides which epoch is kept, and whether larger is better; over the same variables.
    pub objective: Option<(Expr, bool)>,
    /// Metrics to report besides.
    pub metrics: Option<Expr>,
    /// Weights to start from.
    pub init: Option<Expr>,
    /// The seed; derived from the run's and the node's path when absent.
    pub seed: Option<Expr>,
    /// Who trains.
    pub team: Team,
}

/// Who trains, and how they work together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Team {
    /// How many: a number, a range, or numbers that change on the way; one when absent.
    pub workers: Option<Expr>,
    /// The shards that every batch is cut into; chosen by the batches when absent.
    pub shards: Option<Expr>,
    /// How they give each other gradients.
    pub sync: Option<Expr>,
    /// When to write a checkpoint; left to the training when absent.
    pub checkpoint: Option<Expr>,
    /// When to end a round, so that the next may have other workers.
    pub replan: Option<Expr>,
    /// How many of a range of workers begin, where a plan says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u32>,
}

/// How long a training lasts at most.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Horizon {
    /// Passes over the data; 10 when absent.
    Epochs(Option<Expr>),
    /// Optimizer steps.
    Steps(Expr),
}

/// A judgement's settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evaluate {
    /// The trained model.
    pub model: Expr,
    /// The data.
    pub data: Expr,
    /// What to measure.
    pub metrics: Expr,
}

impl Train {
    /// Calls `visit` on every expression of the settings.
    pub fn each_expr(&self, visit: &mut dyn FnMut(&Expr)) {
        let Self {
            model,
            data,
            valid,
            optimizer,
            lr,
            loss,
            schedule,
            batch,
            horizon,
            until,
            objective,
            metrics,
            init,
            seed,
            team: Team { workers, shards, sync, checkpoint, replan, first: _ },
        } = self;
        visit(model);
        visit(data);
        match horizon {
            Horizon::Epochs(epochs) => epochs.iter().for_each(&mut *visit),
            Horizon::Steps(steps) => visit(steps),
        }
        let rest = [valid, optimizer, lr, loss, schedule, batch, until, metrics, init, seed];
        let team = [workers, shards, sync, checkpoint, replan];
        rest.into_iter().chain(team).flatten().for_each(&mut *visit);
        objective.iter().for_each(|(expr, _)| visit(expr));
    }
}
