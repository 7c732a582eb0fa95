//! Checked expressions, and the one evaluator that gives them values: at compile time, between steps, and in a worker.
//!
//! Expressions are pure and total. What they may read besides constants are variables, each bound once.

mod dataset;
mod eval;
mod native;
mod operators;

pub use eval::{Context, Env, EvalError, Fuel, MAX_NESTED, STEPS, Scope, eval, eval_with};
pub use native::Native;
pub use operators::widen;

use crate::{
    source::Name,
    types::Type,
    value::{Site, Value},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A variable: a parameter, a `let`, a step's outcome. Numbers are unique within a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Var(pub u32);

impl Var {
    /// In an expression over metrics: the record of the training part's metrics.
    pub const TRAIN: Self = Self(0);
    /// In an expression over metrics: the record of the validation part's metrics.
    pub const VALID: Self = Self(1);
    /// In an expression over metrics: the epoch, from 1.
    pub const EPOCH: Self = Self(2);
    /// The first variable that a program may use for its own.
    pub const FIRST: Self = Self(3);
}

/// A checked expression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expr {
    /// A value known at compile time.
    Const(Value),
    /// A variable.
    Var(Var),
    /// A field of a record, or an attribute of a model.
    Field(Box<Expr>, Name),
    /// An element of a list or map.
    Index(Box<Expr>, Box<Expr>),
    /// A list.
    List(Vec<Expr>),
    /// A map.
    Map(Vec<(Expr, Expr)>),
    /// A record: fields taken over from another, then fields of its own.
    Record(Option<Box<Expr>>, Vec<(Name, Expr)>),
    /// Pieces of a text, put together.
    Text(Vec<Expr>),
    /// Something that `std` provides by name, with all its arguments, and where it was written.
    Std(Name, Vec<(Name, Expr)>, #[serde(skip)] Site),
    /// An architecture: the declaration, whose body is its pipeline of layers, and one named argument for each parameter.
    Model(Arc<Function>, Vec<(Name, Expr)>),
    /// A dataset's name and settings.
    Dataset(Name, Vec<(Name, Expr)>),
    /// Layers one after another.
    Pipe(Box<Expr>, Box<Expr>),
    /// A built-in operation or function.
    Native(Native, Vec<Expr>),
    /// A call of a function of the file.
    Call(Arc<Function>, Vec<Expr>),
    /// A value with a name, for use in the second expression.
    Let(Var, Box<Expr>, Box<Expr>),
    /// A choice.
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    /// A choice by value: the first arm whose pattern equals the value, or has none.
    Match(Box<Expr>, Vec<(Option<Value>, Expr)>),
    /// A function as an argument of `map`, `filter`, `fold` or `sort_by`.
    Lambda(Vec<Var>, Box<Expr>),
    /// A value as one of this type: whole numbers become numbers where the type has numbers, layers become models.
    Widen(Box<Expr>, Box<Type>),
    /// Something that only a run knows.
    Context(Context),
}

/// A pure function that is not recursive.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: Name,
    /// Its parameters.
    pub params: Vec<Var>,
    /// Its value.
    pub body: Expr,
    /// Whether the body depends on the run, apart from its parameters.
    pub reads_context: bool,
}

impl Function {
    /// A function, or a model as a function of its parameters.
    pub fn new(name: Name, params: Vec<Var>, body: Expr) -> Self {
        let reads_context = body.reads_context();
        Self { name, params, body, reads_context }
    }
}

impl Expr {
    /// A boxed constant-free call of a native function.
    pub fn native(native: Native, args: impl Into<Vec<Self>>) -> Self {
        Self::Native(native, args.into())
    }

    /// The value, when it is known.
    pub fn as_const(&self) -> Option<&Value> {
        match self {
            Self::Const(value) => Some(value),
            _ => None,
        }
    }

    /// Puts known values in the place of free variables, for an expression that is to be evaluated elsewhere.
    ///
    /// A bound variable is never free anywhere in a program, so no name can be captured.
    #[must_use]
    pub fn close(&self, known: &dyn Fn(Var) -> Option<Value>) -> Self {
        let close = |expr: &Self| expr.close(known);
        let boxed = |expr: &Self| Box::new(expr.close(known));
        let all = |exprs: &[Self]| exprs.iter().map(close).collect::<Vec<_>>();
        let named =
            |exprs: &[(Name, Self)]| exprs.iter().map(|(name, expr)| (name.clone(), close(expr))).collect::<Vec<_>>();
        match self {
            Self::Const(_) | Self::Context(_) => self.clone(),
            Self::Var(var) => known(*var).map_or(Self::Var(*var), Self::Const),
            Self::Field(base, name) => Self::Field(boxed(base), name.clone()),
            Self::Index(base, index) => Self::Index(boxed(base), boxed(index)),
            Self::List(items) => Self::List(all(items)),
            Self::Map(entries) => Self::Map(entries.iter().map(|(key, value)| (close(key), close(value))).collect()),
            Self::Record(base, fields) => Self::Record(base.as_deref().map(boxed), named(fields)),
            Self::Text(pieces) => Self::Text(all(pieces)),
            Self::Std(name, args, site) => Self::Std(name.clone(), named(args), site.clone()),
            Self::Model(model, args) => Self::Model(model.clone(), named(args)),
            Self::Dataset(name, fields) => Self::Dataset(name.clone(), named(fields)),
            Self::Pipe(a, b) => Self::Pipe(boxed(a), boxed(b)),
            Self::Native(native, args) => Self::Native(*native, all(args)),
            Self::Call(function, args) => Self::Call(function.clone(), all(args)),
            Self::Let(var, value, body) => Self::Let(*var, boxed(value), boxed(body)),
            Self::If(cond, then, otherwise) => Self::If(boxed(cond), boxed(then), boxed(otherwise)),
            Self::Match(value, arms) => {
                Self::Match(boxed(value), arms.iter().map(|(pattern, arm)| (pattern.clone(), close(arm))).collect())
            }
            Self::Lambda(params, body) => Self::Lambda(params.clone(), boxed(body)),
            Self::Widen(inner, ty) => Self::Widen(boxed(inner), ty.clone()),
        }
    }

    /// Calls `visit` on the name of every field of `of` that is read.
    pub fn fields_of(&self, of: Var, visit: &mut dyn FnMut(&Name)) {
        self.each(&mut |expr| {
            if let Self::Field(base, name) = expr
                && **base == Self::Var(of)
            {
                visit(name);
            }
        });
    }

    /// Calls `visit` on this expression and on every expression inside it, but for the bodies of functions it calls.
    fn each(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        match self {
            Self::Const(_) | Self::Var(_) | Self::Context(_) => {}
            Self::Field(inner, _) | Self::Lambda(_, inner) | Self::Widen(inner, _) => inner.each(visit),
            Self::Index(a, b) | Self::Pipe(a, b) | Self::Let(_, a, b) => {
                a.each(visit);
                b.each(visit);
            }
            Self::List(exprs) | Self::Text(exprs) | Self::Native(_, exprs) | Self::Call(_, exprs) => {
                exprs.iter().for_each(|expr| expr.each(visit));
            }
            Self::Map(entries) => entries.iter().for_each(|(key, value)| {
                key.each(visit);
                value.each(visit);
            }),
            Self::Record(base, fields) => {
                base.iter().for_each(|base| base.each(visit));
                fields.iter().for_each(|(_, expr)| expr.each(visit));
            }
            Self::Std(_, args, _) | Self::Model(_, args) | Self::Dataset(_, args) => {
                args.iter().for_each(|(_, expr)| expr.each(visit));
            }
            Self::If(a, b, c) => {
                a.each(visit);
                b.each(visit);
                c.each(visit);
            }
            Self::Match(value, arms) => {
                value.each(visit);
                arms.iter().for_each(|(_, arm)| arm.each(visit));
            }
        }
    }

    /// Whether the value depends on the run, apart from variables.
    pub fn reads_context(&self) -> bool {
        let mut reads = false;
        self.each(&mut |expr| {
            reads |= match expr {
                Self::Context(_) => true,
                Self::Call(function, _) | Self::Model(function, _) => function.reads_context,
                _ => false,
            };
        });
        reads
    }

    /// Whether the value depends on something that only the run knows.
    pub fn reads(&self, context: Context) -> bool {
        let mut reads = false;
        self.each(&mut |expr| {
            reads |= match expr {
                Self::Context(of) => *of == context,
                Self::Call(function, _) | Self::Model(function, _) => {
                    function.reads_context && function.body.reads(context)
                }
                _ => false,
            };
        });
        reads
    }

    /// Calls `visit` on every variable that is read and not bound inside, in the order of reading.
    pub fn free_vars(&self, visit: &mut dyn FnMut(Var)) {
        self.walk(&mut Vec::new(), visit);
    }

    fn walk(&self, bound: &mut Vec<Var>, visit: &mut dyn FnMut(Var)) {
        match self {
            Self::Const(_) | Self::Context(_) => {}
            Self::Var(var) => {
                if !bound.contains(var) {
                    visit(*var);
                }
            }
            Self::Field(inner, _) | Self::Widen(inner, _) => inner.walk(bound, visit),
            Self::Index(a, b) | Self::Pipe(a, b) => {
                a.walk(bound, visit);
                b.walk(bound, visit);
            }
            Self::List(items) | Self::Text(items) | Self::Native(_, items) | Self::Call(_, items) => {
                items.iter().for_each(|item| item.walk(bound, visit));
            }
            Self::Map(entries) => {
                for (key, value) in entries {
                    key.walk(bound, visit);
                    value.walk(bound, visit);
                }
            }
            Self::Record(base, fields) => {
                base.iter().for_each(|base| base.walk(bound, visit));
                fields.iter().for_each(|(_, value)| value.walk(bound, visit));
            }
            Self::Std(_, args, _) | Self::Model(_, args) | Self::Dataset(_, args) => {
                args.iter().for_each(|(_, value)| value.walk(bound, visit));
            }
            Self::Let(var, value, body) => {
                value.walk(bound, visit);
                bound.push(*var);
                body.walk(bound, visit);
                bound.pop();
            }
            Self::If(cond, then, otherwise) => {
                cond.walk(bound, visit);
                then.walk(bound, visit);
                otherwise.walk(bound, visit);
            }
            Self::Match(value, arms) => {
                value.walk(bound, visit);
                arms.iter().for_each(|(_, arm)| arm.walk(bound, visit));
            }
            Self::Lambda(params, body) => {
                let depth = bound.len();
                bound.extend(params);
                body.walk(bound, visit);
                bound.truncate(depth);
            }
        }
    }
}
