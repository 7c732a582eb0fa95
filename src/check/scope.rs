//! What names mean at one place, and the statements that its expressions add.

use super::{
    annotations::Around,
    narrowing::Path,
    program::{Stmt, StmtKind},
};
use crate::{
    expr::{Expr, Var},
    source::{FileId, Name, Span},
    types::Type,
};
use std::{
    collections::HashMap,
    fmt::{self, Write},
    hash::{DefaultHasher, Hasher},
};

/// A name bound on the way to the place.
#[derive(Clone, Debug)]
pub struct Local {
    /// Its name.
    pub name: Name,
    /// What it stands for.
    pub meaning: Meaning,
    /// Where it was bound.
    pub span: Span,
    /// Whether anything reads it.
    pub used: bool,
}

/// What a local name stands for.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// A value, in a box: a workflow may bind a great many names.
    Value(Box<(Expr, Type)>),
    /// `train` or `valid` in a metric expression.
    Metrics(Var),
    /// `space` in a search: its dimensions.
    Space(Vec<(Name, Var, Type)>),
    /// A secret, whose name is the variable's value.
    Secret(Var),
}

/// The names bound around a place, innermost last, and where each stands among them: a workflow may bind a great many.
#[derive(Default)]
pub struct Locals {
    /// Each with the place of the one that it hides.
    all: Vec<(Local, Option<usize>)>,
    nearest: HashMap<Name, usize>,
}

impl Locals {
    /// Binds one more name.
    pub fn push(&mut self, local: Local) {
        let hidden = self.nearest.insert(local.name.clone(), self.all.len());
        self.all.push((local, hidden));
    }

    /// How many names are bound.
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Local> {
        self.all.iter().map(|(local, _)| local)
    }

    /// The name bound last.
    pub fn last_mut(&mut self) -> Option<&mut Local> {
        self.all.last_mut().map(|(local, _)| local)
    }

    /// What `name` was bound to since there were `depth` names.
    pub fn since(&self, depth: usize, name: &str) -> Option<&Local> {
        let place = *self.nearest.get(name)?;
        self.all.get(place).filter(|_| place >= depth).map(|(local, _)| local)
    }

    /// Where the name bound last stands among all.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.nearest.get(name).copied()
    }

    fn nearest(&mut self, name: &str) -> Option<&mut Local> {
        self.all.get_mut(*self.nearest.get(name)?).map(|(local, _)| local)
    }

    fn leave(&mut self, depth: usize) -> impl Iterator<Item = Local> {
        for (local, hidden) in self.all[depth..].iter().rev() {
            match hidden {
                Some(hidden) => self.nearest.insert(local.name.clone(), *hidden),
                None => self.nearest.remove(&local.name),
            };
        }
        self.all.drain(depth..).map(|(local, _)| local)
    }
}

/// The statements of a body under way, and which of them read the facts of a dataset.
#[derive(Default)]
struct Open {
    stmts: Vec<Stmt>,
    /// By a hash of the dataset.
    inspections: HashMap<u64, Vec<usize>>,
}

impl Open {
    fn inspection(&self, dataset: &Expr, hash: u64) -> Option<Var> {
        let stmts = self.inspections.get(&hash)?.iter().filter_map(|index| self.stmts.get(*index));
        let mut known = stmts.filter(|stmt| matches!(&*stmt.kind, StmtKind::Inspect(of) if of == dataset));
        known.next().map(|stmt| stmt.var)
    }
}

/// A hash of what an expression looks like.
fn hash(expr: &Expr) -> u64 {
    struct Sink(DefaultHasher);
    impl fmt::Write for Sink {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }
    let mut sink = Sink(DefaultHasher::new());
    // Nothing can go wrong in a sink that takes everything.
    let _ = write!(sink, "{expr:?}");
    sink.0.finish()
}

/// Where an expression stands.
pub struct Place {
    /// The file.
    pub file: FileId,
    /// The names bound around it.
    pub locals: Locals,
    /// The bodies around it, innermost last; none outside workflows.
    bodies: Vec<Open>,
    /// Variables whose value is not fixed within a body: of lambdas, parameters and dimensions.
    pub shifting: Vec<Var>,
    /// Optional values that are known not to be `none` here.
    pub present: Vec<Path>,
    /// The limits that hold here.
    pub around: Around,
    /// Whether it is in a test.
    pub is_test: bool,
}

impl Place {
    /// The top of a file.
    pub fn new(file: FileId) -> Self {
        Self {
            file,
            locals: Locals::default(),
            bodies: Vec::new(),
            shifting: Vec::new(),
            present: Vec::new(),
            around: Around::default(),
            is_test: false,
        }
    }

    /// Binds a name to a value.
    pub fn bind(&mut self, name: &Name, span: Span, expr: Expr, ty: Type) {
        let meaning = Meaning::Value(Box::new((expr, ty)));
        self.locals.push(Local { name: name.clone(), meaning, span, used: false });
    }

    /// Binds a name to a parameter, which may be a secret.
    pub fn bind_param(&mut self, name: &Name, span: Span, var: Var, ty: Type, secret: bool) {
        if secret {
            self.locals.push(Local { name: name.clone(), meaning: Meaning::Secret(var), span, used: false });
        } else {
            self.bind(name, span, Expr::Var(var), ty);
        }
    }

    /// What a name stands for here.
    pub fn find(&mut self, name: &str) -> Option<&Meaning> {
        let local = self.locals.nearest(name)?;
        local.used = true;
        Some(&local.meaning)
    }

    /// Forgets the names bound since there were `depth` of them.
    pub fn leave(&mut self, depth: usize) {
        drop(self.locals.leave(depth));
    }

    /// The same, with what they were.
    pub fn left(&mut self, depth: usize) -> impl Iterator<Item = Local> {
        self.locals.leave(depth)
    }

    /// Whether it is outside of all workflows.
    pub const fn is_outside(&self) -> bool {
        self.bodies.is_empty()
    }

    /// Begins a body.
    pub fn open(&mut self) {
        self.bodies.push(Open::default());
    }

    /// Ends the innermost body: its statements.
    pub fn close(&mut self) -> Vec<Stmt> {
        let mut stmts = self.bodies.pop().map(|body| body.stmts).unwrap_or_default();
        stmts.shrink_to_fit();
        stmts
    }

    /// Adds a statement to the innermost body; outside workflows, nothing.
    pub fn push(&mut self, stmt: Stmt) {
        if let Some(body) = self.bodies.last_mut() {
            body.stmts.push(stmt);
        }
    }

    /// The statement around the place whose outcome a variable is.
    pub fn statement(&self, var: Var) -> Option<&Stmt> {
        // A statement takes its variable as it is added, so they stand in order.
        let found = |body: &'_ Open| body.stmts.binary_search_by_key(&var, |stmt| stmt.var).ok();
        self.bodies.iter().rev().find_map(|body| body.stmts.get(found(body)?))
    }

    /// The facts of a dataset, read by a statement that all who ask share; `None` where no statement can be.
    pub fn facts(&mut self, dataset: &Expr, fresh: impl FnOnce() -> Var, span: Span) -> Option<Var> {
        let mut fixed = true;
        dataset.free_vars(&mut |var| fixed &= !self.shifting.contains(&var));
        if !fixed || self.bodies.is_empty() {
            return None;
        }
        let hash = hash(dataset);
        if let Some(known) = self.bodies.iter().find_map(|body| body.inspection(dataset, hash)) {
            return Some(known);
        }
        let var = fresh();
        if let Some(body) = self.bodies.last_mut() {
            body.inspections.entry(hash).or_default().push(body.stmts.len());
            let kind = Box::new(StmtKind::Inspect(dataset.clone()));
            body.stmts.push(Stmt { name: None, var, kind, after: Vec::new(), limits: None, span });
        }
        Some(var)
    }
}
