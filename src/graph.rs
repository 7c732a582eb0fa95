//! The task graph: what runs, what it waits for, and where its values come from.
//!
//! A graph is a tree of regions, each a petgraph DAG. A node is a step or a compound that owns child regions; its outcome
//! is a variable that expressions in the same region and in regions below may read.

use crate::{
    expr::{Expr, Var},
    limits::Limits,
    source::{Name, Span},
    types::Type,
    value::Value,
};
use petgraph::graph::DiGraph;
use serde::{Deserialize, Serialize};

/// A workflow, ready to be scheduled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Graph {
    /// The workflow's name.
    pub workflow: Name,
    /// The file it stands in, as shown to people.
    pub file: String,
    /// Its `///` comment.
    pub doc: Option<String>,
    /// Its parameters.
    pub params: Vec<Param>,
    /// The limits of the whole.
    pub limits: Limits,
    /// The type of its result.
    pub output: Type,
    /// Its statements.
    pub root: Region,
}

/// A parameter of a workflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Param {
    /// Its name, also on the command line.
    pub name: Name,
    /// The variable that holds it.
    pub var: Var,
    /// Its type.
    pub ty: Type,
    /// Its value when none is given; `None` when one must be given.
    pub default: Option<Value>,
    /// `@range(a..b)`: the least and the greatest value.
    pub range: Option<(Value, Value)>,
    /// `@one_of([…])`: the values it may have; any when empty.
    pub one_of: Vec<Value>,
    /// Its `@secret` mark.
    pub secret: bool,
}

/// Statements that run together once, or once for each item.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Region {
    /// The nodes, and what waits for what.
    pub dag: DiGraph<Node, Edge>,
    /// The region's value, over its own nodes and what is around it; an empty record when absent.
    pub result: Option<Expr>,
}

/// Why one node waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// It reads its outcome.
    Value,
    /// `after`: it only waits.
    Order,
}

/// A step or a compound.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    /// Its name among its siblings: the `let`'s, or its kind and place, such as `train` or `run.clean.2`.
    pub name: Name,
    /// Its stable path from the workflow down, such as `main/best`; items and trials add `[7]` to it in a run.
    pub path: String,
    /// The variable that its outcome is.
    pub var: Var,
    /// What it does.
    pub kind: NodeKind,
    /// Its own limits.
    pub limits: Limits,
    /// The line it stands on, from 1.
    pub line: u32,
    /// Where it stands.
    pub span: Span,
}

/// What a node does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// Names a value; done at once, by the scheduler.
    Value(Expr),
    /// Fails with `AssertionFailed` unless the condition holds; done at once.
    Assert {
        /// The condition.
        cond: Expr,
        /// What to say otherwise.
        message: Option<Expr>,
    },
    /// Reads a dataset's facts; a step of its own, so that all who ask share it.
    Inspect(Expr),
    /// Runs a command task.
    Run(Box<Run>),
    /// Trains a model.
    Train(Box<Train>),
    /// Judges a model.
    Evaluate(Box<Evaluate>),
    /// Trains many models and keeps the best.
    Search(Box<Search>),
    /// Runs a region for each item of a list; the outcome is the list of their values.
    For {
        /// The item's variable.
        item: Var,
        /// The list.
        list: Expr,
        /// What runs for each.
        body: Box<Region>,
    },
    /// Runs one region or the other.
    If {
        /// The condition.
        cond: Expr,
        /// What runs when it holds.
        then: Box<Region>,
        /// What runs otherwise.
        otherwise: Option<Box<Region>>,
    },
    /// A scope for limits.
    Group(Box<Region>),
}

/// A command task with its arguments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The task's name.
    pub task: Name,
    /// The task's parameters, their variables, and what they are given.
    pub args: Vec<(Name, Var, Expr)>,
    /// What to run, over the parameters' variables.
    pub program: Program,
    /// Further environment variables, over the parameters' variables.
    pub env: Vec<(Name, Expr)>,
    /// The result's type: a record.
    pub output: Type,
}

/// A command's program before its parameters are known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
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
    /// The samples in a batch; 64 when absent.
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

/// A search's settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Search {
    /// The dimensions.
    pub space: Vec<Dimension>,
    /// How to choose.
    pub strategy: Expr,
    /// The trials that may be under way at the same time; 4 when absent.
    pub parallel: Option<Expr>,
    /// The seed; derived from the run's and the node's path when absent.
    pub seed: Option<Expr>,
    /// What one trial trains; its objective is the search's, and it may read the dimensions' variables.
    pub trial: Train,
}

/// A dimension of a search space.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dimension {
    /// Its name.
    pub name: Name,
    /// The variable that holds a trial's choice.
    pub var: Var,
    /// What it is drawn from.
    pub distribution: Expr,
    /// When it exists at all, over other dimensions.
    pub cond: Option<Expr>,
}
