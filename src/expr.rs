//! Checked expressions, and the one evaluator that gives them values: at compile time, between steps, and in a worker.
//!
//! Expressions are pure and total. What they may read besides constants are variables, each bound once.

mod eval;
mod native;

pub use eval::{Context, Env, EvalError, Scope, eval};
pub use native::Native;

use crate::{source::Name, value::Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A variable: a parameter, a `let`, a step's outcome. Numbers are unique within a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Var(pub u32);

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
    /// Something that `std` provides by name, with all its arguments.
    Std(Name, Vec<(Name, Expr)>),
    /// An architecture: its name, its arguments, and the layers as an expression over them.
    Model {
        /// The declaration's name.
        name: Name,
        /// The declaration's parameters and what they are given.
        args: Vec<(Name, Var, Expr)>,
        /// Its pipeline of layers.
        layers: Box<Expr>,
    },
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
            Self::Field(inner, _) => inner.walk(bound, visit),
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
            Self::Std(_, args) => args.iter().for_each(|(_, value)| value.walk(bound, visit)),
            Self::Model { args, layers, .. } => {
                args.iter().for_each(|(_, _, value)| value.walk(bound, visit));
                let depth = bound.len();
                bound.extend(args.iter().map(|(_, var, _)| *var));
                layers.walk(bound, visit);
                bound.truncate(depth);
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
