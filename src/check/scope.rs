//! What names mean at one place, and the statements that its expressions add.

use super::{
    annotations::Around,
    narrowing::Path,
    program::{Stmt, StmtKind},
};
use crate::{
    expr::{Expr, Var},
    limits::Limits,
    source::{FileId, Name, Span},
    types::Type,
};
use std::collections::HashMap;

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
    /// A value.
    Value(Expr, Type),
    /// `train` or `valid` in a metric expression.
    Metrics(Var),
    /// `space` in a search: its dimensions.
    Space(Vec<(Name, Var, Type)>),
}

/// The names bound around a place, innermost last, and where each stands among them: a workflow may bind a great many.
#[derive(Default)]
pub struct Locals {
    all: Vec<Local>,
    places: HashMap<Name, Vec<usize>>,
}

impl Locals {
    /// Binds one more name.
    pub fn push(&mut self, local: Local) {
        self.places.entry(local.name.clone()).or_default().push(self.all.len());
        self.all.push(local);
    }

    /// How many names are bound.
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Local> {
        self.all.iter()
    }

    /// The name bound last.
    pub fn last_mut(&mut self) -> Option<&mut Local> {
        self.all.last_mut()
    }

    /// What `name` was bound to since there were `depth` names.
    pub fn since(&self, depth: usize, name: &str) -> Option<&Local> {
        let place = *self.places.get(name)?.last()?;
        self.all.get(place).filter(|_| place >= depth)
    }

    /// Where the name bound last stands among all.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name)?.last().copied()
    }

    fn nearest(&mut self, name: &str) -> Option<&mut Local> {
        self.all.get_mut(*self.places.get(name)?.last()?)
    }

    fn leave(&mut self, depth: usize) -> Vec<Local> {
        let left = self.all.split_off(depth);
        for local in &left {
            if let Some(places) = self.places.get_mut(&local.name) {
                places.pop();
            }
        }
        left
    }
}

/// Where an expression stands.
pub struct Place {
    /// The file.
    pub file: FileId,
    /// The names bound around it.
    pub locals: Locals,
    /// The statements of the bodies around it, innermost last; none outside workflows.
    pub bodies: Vec<Vec<Stmt>>,
    /// Variables whose value is not fixed within a body: of lambdas, parameters and dimensions.
    pub shifting: Vec<Var>,
    /// Optional values that are known not to be `none` here.
    pub present: Vec<Path>,
    /// The limits that hold here.
    pub around: Around,
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
        }
    }

    /// Binds a name to a value.
    pub fn bind(&mut self, name: &Name, span: Span, expr: Expr, ty: Type) {
        let meaning = Meaning::Value(expr, ty);
        self.locals.push(Local { name: name.clone(), meaning, span, used: false });
    }

    /// What a name stands for here.
    pub fn find(&mut self, name: &str) -> Option<&Meaning> {
        let local = self.locals.nearest(name)?;
        local.used = true;
        Some(&local.meaning)
    }

    /// Forgets the names bound since there were `depth` of them.
    pub fn leave(&mut self, depth: usize) -> Vec<Local> {
        self.locals.leave(depth)
    }

    /// Adds a statement to the innermost body; outside workflows, nothing.
    pub fn push(&mut self, stmt: Stmt) {
        if let Some(body) = self.bodies.last_mut() {
            body.push(stmt);
        }
    }

    /// The facts of a dataset, read by a statement that all who ask share; `None` where no statement can be.
    pub fn facts(&mut self, dataset: &Expr, fresh: impl FnOnce() -> Var, span: Span) -> Option<Var> {
        let mut fixed = true;
        dataset.free_vars(&mut |var| fixed &= !self.shifting.contains(&var));
        if !fixed || self.bodies.is_empty() {
            return None;
        }
        let known = self.bodies.iter().flatten().find_map(|stmt| match &stmt.kind {
            StmtKind::Inspect(of) if of == dataset => Some(stmt.var),
            _ => None,
        });
        Some(known.unwrap_or_else(|| {
            let var = fresh();
            let kind = StmtKind::Inspect(dataset.clone());
            self.push(Stmt { name: None, var, kind, after: Vec::new(), limits: Limits::default(), span });
            var
        }))
    }
}
