//! A checked program: names resolved, types known, constants computed. Plain data for the task graph.

use crate::{
    expr::{Expr, Var},
    limits::Limits,
    source::{Name, Span, Spanned},
    step::{Evaluate, Param, Run, Search, Train},
    types::Type,
    wire::Kind,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, rc::Rc};

/// The workflows and tests of a file.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// In the order of the file.
    pub workflows: Vec<Rc<Workflow>>,
    /// In the order of the file.
    pub tests: Vec<Test>,
    /// The environment variables that anything in the file, or in the files that it imports, takes as secrets.
    pub secrets: BTreeSet<Name>,
}

/// A test.
#[derive(Clone, Debug)]
pub struct Test {
    /// What it says.
    pub name: Name,
    /// What it does.
    pub workflow: Workflow,
    /// What stands for tasks in it.
    pub stubs: Vec<Stub>,
}

/// What stands for a task in a test.
#[derive(Clone, Debug)]
pub struct Stub {
    /// The task's declaration.
    pub task: Span,
    /// Variables for the task's parameters; none when they are not looked at.
    pub params: Vec<Var>,
    /// What comes of it.
    pub outcome: Outcome,
    /// Where it stands.
    pub span: Span,
}

/// What comes of a step that a stub stands for.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A result, over the parameters' variables.
    Gives(Expr),
    /// A failure.
    Fails(Kind),
}

/// A workflow.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// Its name.
    pub name: Name,
    /// Its `///` comment.
    pub doc: Option<String>,
    /// Its parameters.
    pub params: Vec<Param>,
    /// Its own limits.
    pub limits: Limits,
    /// The type of its result.
    pub output: Type,
    /// Its statements.
    pub body: Body,
    /// Its statements, with those of the workflows that it runs.
    pub size: usize,
    /// Its declaration.
    pub span: Span,
}

/// Statements with a value.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The statements; what one reads stands before it.
    pub stmts: Vec<Stmt>,
    /// The value; an empty record when absent.
    pub result: Option<Box<Spanned<Expr>>>,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// The name that a `let` gives it.
    pub name: Option<Name>,
    /// The variable that its outcome is.
    pub var: Var,
    /// What it does, in a box: there may be a great many statements in one list.
    pub kind: Box<StmtKind>,
    /// The outcomes that it waits for without reading them.
    pub after: Vec<Var>,
    /// Its own limits, if it has any.
    pub limits: Option<Box<Limits>>,
    /// Where it stands.
    pub span: Span,
}

/// What a statement does.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// Names a value that only a run knows.
    Value(Expr),
    /// Checks a condition.
    Assert {
        /// What must hold.
        cond: Expr,
        /// What to say otherwise.
        message: Option<Box<Expr>>,
    },
    /// Reads a dataset's facts.
    Inspect(Expr),
    /// Runs a command task.
    Run(Box<Run>),
    /// Trains a model.
    Train(Box<Train>),
    /// Judges a model.
    Evaluate(Box<Evaluate>),
    /// Searches a space.
    Search(Box<Search<Body>>),
    /// Does something for each item of a list.
    For {
        /// The item's variable.
        item: Var,
        /// The list.
        list: Expr,
        /// What is done.
        body: Body,
    },
    /// Does one thing or another.
    If {
        /// The condition.
        cond: Expr,
        /// What is done when it holds.
        then: Body,
        /// What is done otherwise.
        otherwise: Option<Body>,
    },
    /// Opens a scope for limits.
    Group(Body),
    /// Does something, and something else when that fails.
    Try {
        /// What is tried.
        body: Body,
        /// What is done then; the first that catches the kind.
        catches: Vec<Catch<Body>>,
    },
    /// Does something again and again.
    Repeat {
        /// How often, at most.
        times: Expr,
        /// The value that a round takes over from the one before: its variable, and what it is at first.
        carried: Option<Box<(Var, Expr)>>,
        /// What must hold for a round to begin.
        cond: Option<Box<Expr>>,
        /// What is done.
        body: Body,
    },
    /// Runs another workflow.
    Call {
        /// The workflow.
        workflow: Rc<Workflow>,
        /// Its arguments, one for each parameter.
        args: Vec<Expr>,
    },
}

/// What is done when something failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Catch<B> {
    /// The kinds of failure that it is for.
    pub kinds: Vec<Kind>,
    /// The variable that tells of the failure.
    pub error: Option<Var>,
    /// What is done.
    pub body: B,
}
