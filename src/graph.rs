//! The task graph: what runs, what it waits for, and where its values come from.
//!
//! A graph is a tree of regions, each a petgraph DAG. A node is a step or a compound that owns child regions; its outcome
//! is a variable that expressions in the same region and in regions below may read.

mod build;
pub mod draw;
mod trainings;
mod ways;

pub use crate::{
    check::program::Catch,
    step::{Dimension, Evaluate, Param, Run, Script, Search, Task, Train, Trial},
};
pub use build::{build, build_test};
pub use trainings::Training;
pub use ways::Way;

use crate::{
    expr::{Expr, Var},
    limits::Limits,
    source::{Name, Span, Spanned},
    types::Type,
    wire::Kind,
};
use petgraph::graph::DiGraph;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// The secrets that its tasks name, each with a task that does.
    pub secrets: BTreeMap<Name, Name>,
    /// Its statements.
    pub root: Region,
    /// Its declaration.
    pub span: Span,
}

/// Statements that run together once, or once for each item.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Region {
    /// The nodes, and what waits for what.
    pub dag: DiGraph<Node, Edge>,
    /// The region's value, over its own nodes and what is around it; an empty record when absent.
    pub result: Option<Spanned<Expr>>,
    /// How much each node has behind it; what is not measured has nothing.
    pub ways: Vec<Way>,
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

/// What the region of a try's catch is called, by its place among them: `catch`, `catch.2`, …
pub(crate) fn catch_name(index: usize) -> String {
    if index == 0 { "catch".into() } else { format!("catch.{}", index + 1) }
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
    /// Fails at once: it stands for a task in a test.
    Fail(Kind),
    /// Trains a model.
    Train(Box<Train>),
    /// Judges a model.
    Evaluate(Box<Evaluate>),
    /// Tries many points of a space and keeps the best.
    Search(Box<Search<Region>>),
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
    /// Runs a region, and another when that fails.
    Try {
        /// What is tried.
        body: Box<Region>,
        /// What runs then; the first that catches the kind.
        catches: Vec<Catch<Region>>,
    },
    /// Runs a region again and again; the outcome is the value that the last round leaves.
    Repeat {
        /// How often, at most.
        times: Expr,
        /// The value that a round takes over from the one before: its variable, and what it is at first.
        carried: Option<(Var, Expr)>,
        /// What must hold for a round to begin.
        cond: Option<Expr>,
        /// What runs in each round.
        body: Box<Region>,
    },
    /// Runs another workflow.
    Call {
        /// Its parameters and their values.
        args: Vec<(Param, Expr)>,
        /// Its statements.
        body: Box<Region>,
    },
}

impl NodeKind {
    /// Calls `visit` on the variables that it gives to the regions inside of it.
    pub fn each_own_var(&self, visit: &mut dyn FnMut(Var)) {
        match self {
            Self::For { item, .. } => visit(*item),
            Self::Repeat { carried, .. } => carried.iter().for_each(|(var, _)| visit(*var)),
            Self::Try { catches, .. } => catches.iter().filter_map(|catch| catch.error).for_each(visit),
            Self::Call { args, .. } => args.iter().for_each(|(param, _)| visit(param.var)),
            Self::Search(search) => search.space.iter().for_each(|dimension| visit(dimension.var)),
            _ => {}
        }
    }

    /// The regions inside of it.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        let (first, more): (Option<&Region>, Vec<&Region>) = match self {
            Self::For { body, .. } | Self::Group(body) | Self::Repeat { body, .. } | Self::Call { body, .. } => {
                (Some(body), Vec::new())
            }
            Self::If { then, otherwise, .. } => (Some(then), otherwise.as_deref().into_iter().collect()),
            Self::Try { body, catches } => (Some(body), catches.iter().map(|catch| &catch.body).collect()),
            Self::Search(search) => match &search.trial {
                Trial::Steps { body, .. } => (Some(body), Vec::new()),
                Trial::Train(_) => (None, Vec::new()),
            },
            Self::Value(_)
            | Self::Assert { .. }
            | Self::Inspect(_)
            | Self::Run(_)
            | Self::Fail(_)
            | Self::Train(_)
            | Self::Evaluate(_) => (None, Vec::new()),
        };
        first.into_iter().chain(more)
    }
}
