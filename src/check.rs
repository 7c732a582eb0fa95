//! From syntax trees to a checked program: names, types, units, constants, shapes of models.
//!
//! Definitions are looked at when first needed, so their order in a file is free. What is wrong is reported once, and
//! stands as [`Type::Unknown`] afterwards, which fits everything.

mod annotations;
mod arguments;
mod bounds;
mod calls;
mod data;
mod definitions;
mod elastic;
mod expressions;
mod flows;
mod modules;
mod narrowing;
mod operators;
pub mod program;
mod reads;
mod scope;
mod search;
mod secrets;
mod settings;
mod shapes;
mod sketch;
mod steps;
mod stubs;
mod types;
mod workflows;

use crate::{
    diagnostic::{Code, Diagnostic, Outcome},
    expr::{self, Expr, Fuel, Scope, Var},
    source::{Name, Span, World},
    types::Type,
    value::Value,
};
use definitions::{Def, ItemId};
use modules::Modules;
use program::Program;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    rc::Rc,
};

/// The steps that all constants of a program may take together.
const ALL_STEPS: u64 = 5_000_000;

/// Names are compared this often to find the one that was meant: where most names are unknown, no hint helps.
const COMPARISONS: usize = 100_000;

/// Checks the root file of `world` and all that it imports.
pub fn check(world: &dyn World) -> Outcome<Program> {
    let mut diagnostics = Vec::new();
    let modules = Modules::load(world, &mut diagnostics);
    let mut checker = Checker {
        modules: Rc::new(modules),
        defs: HashMap::new(),
        diagnostics,
        next: Var::FIRST.0,
        found: 0,
        muted: 0,
        dead: 0,
        defining: Vec::new(),
        cyclic: HashSet::new(),
        fuel: Fuel::new(ALL_STEPS),
        parts: Fuel::new(shapes::ALL_PARTS),
        misfits: HashSet::new(),
        comparisons: COMPARISONS,
        secrets: BTreeSet::new(),
    };
    let value = checker.program();
    let mut diagnostics = checker.diagnostics;
    diagnostics.sort_by_key(|diagnostic| diagnostic.primary.span);
    diagnostics.dedup();
    Outcome { value, diagnostics }
}

/// What is known so far.
struct Checker {
    modules: Rc<Modules>,
    defs: HashMap<ItemId, Option<Def>>,
    diagnostics: Vec<Diagnostic>,
    next: u32,
    /// The messages so far, also those that are muted.
    found: usize,
    /// While positive, nothing is reported: the same text is looked at again in another place.
    muted: usize,
    /// While positive, what is looked at is never reached.
    dead: usize,
    /// Definitions that are being looked at, each because the one before needs it.
    defining: Vec<ItemId>,
    /// Definitions that need themselves.
    cyclic: HashSet<ItemId>,
    /// The steps that all constants together may still take.
    fuel: Fuel,
    /// The parts of models that may still be looked at for their shapes.
    parts: Fuel,
    /// The layers of which it was told that they do not fit.
    misfits: HashSet<Span>,
    /// How often names may still be compared.
    comparisons: usize,
    /// The environment variables that are taken as secrets.
    secrets: BTreeSet<Name>,
}

impl Checker {
    fn fresh(&mut self) -> Var {
        self.next += 1;
        Var(self.next - 1)
    }

    /// How many mistakes were found so far, told of or not.
    const fn mistakes(&self) -> usize {
        self.found
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.found += 1;
        if self.muted == 0 {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Reports that `span` has a type other than the wanted one.
    fn mismatch(&mut self, span: Span, wanted: &Type, given: &Type) {
        let (wanted_name, given_name) = (wanted.brief(), given.brief());
        let mut diagnostic =
            Diagnostic::new(Code::E0201, span, format!("expected `{wanted_name}`, found `{given_name}`"))
                .label(format!("this is `{given_name}`"));
        diagnostic.help = match (wanted, given) {
            (_, Type::Optional(inner)) if wanted.accepts(inner) => {
                Some("say what to use when it is `none`: `value ?? other`".into())
            }
            (Type::Int, Type::Float) => Some("round it: `round(x)`, `floor(x)` or `ceil(x)`".into()),
            (Type::Artifact, Type::String | Type::Uri) => {
                Some("a file becomes an `Artifact` as a parameter of the workflow, or as a task's result".into())
            }
            (Type::String | Type::Uri, Type::Artifact) => {
                Some("declare the parameter as `Artifact`: a task sees it as a path".into())
            }
            (
                Type::Std(_) | Type::Duration | Type::Money | Type::Size | Type::Percent | Type::Enum { .. },
                Type::String,
            ) => Some("write it without quotes".into()),
            (Type::Model, Type::Record(fields)) if fields.contains_key("model") => {
                Some("take its model: `net.model()`".into())
            }
            (wanted, Type::Record(fields)) if fields.len() == 1 && fields.values().all(|ty| wanted.accepts(ty)) => {
                fields.keys().next().map(|name| format!("take its field: add `.{name}`"))
            }
            (Type::String, Type::Record(_) | Type::List(_)) => None,
            (Type::String, _) => Some("put it into a text: `\"{value}\"`".into()),
            (Type::Duration, Type::Int | Type::Float) => Some("add a unit: `30s`, `5min`, `2h`".into()),
            (Type::Money, Type::Int | Type::Float) => Some("add the sign: `$5`".into()),
            (Type::Size, Type::Int | Type::Float) => Some("add a unit: `512MiB`, `2GB`".into()),
            (Type::Percent, Type::Int | Type::Float) => Some("add the sign: `80%`".into()),
            _ => None,
        };
        self.report(diagnostic);
    }

    /// Computes what can be computed now, and reports what goes wrong.
    fn fold(&mut self, expr: Expr, span: Span) -> Expr {
        if matches!(expr, Expr::Const(_) | Expr::Var(_) | Expr::Lambda(..)) || !is_closed(&expr) {
            return expr;
        }
        if self.fuel.is_empty() {
            return Expr::Const(Value::None);
        }
        let mut own = self.fuel.at_most(expr::STEPS);
        let value = expr::eval_with(&expr, &Scope::default(), &mut own);
        let all_burnt = self.fuel.burn(own.burnt()).is_err() || self.fuel.is_empty();
        if all_burnt && matches!(value, Err(expr::EvalError::TooLong(_))) {
            self.report(
                Diagnostic::new(
                    Code::E0003,
                    span,
                    format!("the constants of this program take more than {ALL_STEPS} steps"),
                )
                .label("this one is one too many")
                .help("compute less of them; what a run needs once can be computed by a task"),
            );
            return Expr::Const(Value::None);
        }
        match value {
            Ok(value) => Expr::Const(value),
            // What is built on a mistake has no value either, and the mistake was told of.
            Err(expr::EvalError::Unknown | expr::EvalError::Unchecked(_)) => Expr::Const(Value::None),
            Err(_) if self.dead > 0 => Expr::Const(Value::None),
            Err(error) => {
                self.report(Diagnostic::new(Code::E0302, span, error.to_string()).label("computed here"));
                Expr::Const(Value::None)
            }
        }
    }
}

/// Whether an expression reads no variable and nothing of a run.
fn is_closed(expr: &Expr) -> bool {
    let mut closed = !expr.reads_context();
    expr.free_vars(&mut |_| closed = false);
    closed
}
