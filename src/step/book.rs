//! A workflow's book: all that a state machine calls workers for, once and for all runs.

use super::{Evaluate, Param, Run, Search, Train};
use crate::{
    expr::{Expr, Var},
    limits::{Budget, Deadline},
    source::Name,
    units::Size,
    wire::{Goal, Kind},
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What workers are called for, by place.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Book {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The limits of scopes.
    pub scopes: Vec<Bounds>,
}

/// The limits of a scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bounds {
    /// As the workflow says.
    Said {
        /// The time from its beginning within which it must end.
        deadline: Option<Deadline>,
        /// What it may spend.
        budget: Option<Budget>,
    },
    /// A part of what is left around it, for others wait for what it finds.
    Share,
}

/// Which part of the time and money left a search may use when other steps of the same limit wait for it.
pub const SEARCH_SHARE: Decimal = Decimal::from_parts(75, 0, 0, false, 2);

/// What one call of a worker does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Computes values, one after the other.
    Glue(Vec<Line>),
    /// Does a step.
    Step(Step),
    /// Looks for what a search is to try next.
    Search(Searching),
    /// Stores a value that is too large to be carried on.
    Store(Var),
}

/// A value to compute, or something to check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// The name of the node that it is for; none when it is for the region's own.
    pub node: Option<Name>,
    /// The variable that the value is.
    pub var: Var,
    /// What is computed.
    pub what: What,
}

/// What a line computes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// An expression.
    Value(Expr),
    /// Nothing, but a condition must hold.
    Assert {
        /// The condition.
        cond: Expr,
        /// What to say otherwise.
        message: Option<Expr>,
    },
    /// Nothing: it fails.
    Fail(Kind),
    /// A parameter of the run: what the user gave, or else its default.
    Param(Box<Param>),
    /// An argument of a workflow that another runs.
    Argument(Box<Param>, Expr),
    /// The rounds of a `repeat`.
    Times(Expr),
    /// What a `catch` caught.
    Caught,
}

/// A step that needs more than an expression.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// The variable that its value is.
    pub var: Var,
    /// What it does.
    pub work: Work,
    /// The seed of what is around it, where an annotation gives one; the run's otherwise.
    pub seed: Option<u64>,
    /// Its processors.
    pub threads: usize,
    /// Its memory.
    pub memory: Size,
    /// What a training whose workers are a range makes least of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
}

/// A search, whose trials a state machine sees to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Searching {
    /// The variable that its value is.
    pub var: Var,
    /// Its settings.
    pub search: Search<()>,
    /// The seed of what is around it, where an annotation gives one; the run's otherwise.
    pub seed: Option<u64>,
}

/// What a step does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Reads a dataset's facts.
    Inspect(Expr),
    /// Runs a command task.
    Run(Box<Run>),
    /// Trains a model.
    Train(Box<Train>),
    /// Judges a model.
    Evaluate(Box<Evaluate>),
}

impl Entry {
    /// The variables that it reads and does not compute itself, each once, in order.
    pub fn reads(&self) -> Vec<Var> {
        let mut reads = Vec::new();
        let mut known = Vec::new();
        match self {
            Self::Search(Searching { search, .. }) => {
                let own = |var: &Var| search.space.iter().any(|dimension| dimension.var == *var);
                search.each_expr(&mut |expr| expr.free_vars(&mut |var| reads.extend((!own(&var)).then_some(var))));
            }
            Self::Store(var) => reads.push(*var),
            Self::Step(step) => step.work.each_expr(&mut |expr| expr.free_vars(&mut |var| reads.push(var))),
            Self::Glue(lines) => {
                for line in lines {
                    let mut visit =
                        |expr: &Expr| expr.free_vars(&mut |var| reads.extend((!known.contains(&var)).then_some(var)));
                    line.what.each_expr(&mut visit);
                    known.push(line.var);
                }
            }
        }
        // What a training's own metrics are is not known before it runs.
        reads.retain(|var| *var >= Var::FIRST);
        reads.sort();
        reads.dedup();
        reads
    }
}

impl What {
    /// Calls `visit` on each of its expressions.
    pub fn each_expr(&self, visit: &mut dyn FnMut(&Expr)) {
        match self {
            Self::Value(expr) | Self::Argument(_, expr) | Self::Times(expr) => visit(expr),
            Self::Assert { cond, message } => {
                visit(cond);
                message.iter().for_each(visit);
            }
            Self::Fail(_) | Self::Param(_) | Self::Caught => {}
        }
    }
}

impl Work {
    /// Calls `visit` on each of its expressions, but for those over its own variables.
    pub fn each_expr(&self, visit: &mut dyn FnMut(&Expr)) {
        match self {
            Self::Inspect(data) => visit(data),
            Self::Run(run) => run.args.iter().for_each(visit),
            Self::Train(train) => train.each_expr(visit),
            Self::Evaluate(evaluate) => {
                [&evaluate.model, &evaluate.data, &evaluate.metrics].into_iter().for_each(visit);
            }
        }
    }
}
