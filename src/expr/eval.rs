use super::{Expr, Native, Var, dataset, operators};
use crate::{
    source::Name,
    value::{Call, Fields, Model, Value},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The steps that one evaluation may take: far more than a sensible expression needs, few enough to end at once.
pub const STEPS: u64 = 2_000_000;

/// Texts may hold this many bytes.
pub(super) const MAX_TEXT: usize = 1 << 20;

/// Layers inside layers are walked by recursion, so that they must end somewhere.
pub const MAX_NESTED: usize = 32;

/// The steps that an evaluation may still take. What it makes counts as well, so that memory has an end too.
#[derive(Clone, Copy, Debug)]
pub struct Fuel {
    all: u64,
    left: u64,
}

impl Fuel {
    /// Fuel for some steps.
    pub const fn new(steps: u64) -> Self {
        Self { all: steps, left: steps }
    }

    /// Fuel for as many steps as are left here, but no more than `steps`.
    pub fn at_most(self, steps: u64) -> Self {
        Self::new(steps.min(self.left))
    }

    /// Whether nothing is left.
    pub const fn is_empty(self) -> bool {
        self.left == 0
    }

    /// The steps taken so far.
    pub const fn burnt(self) -> u64 {
        self.all - self.left
    }

    /// Takes some steps.
    ///
    /// # Errors
    /// When there are not so many left; nothing is left then.
    pub fn burn(&mut self, steps: u64) -> Result<(), EvalError> {
        let left = self.left.checked_sub(steps);
        self.left = left.unwrap_or(0);
        left.map(drop).ok_or(EvalError::TooLong(self.all))
    }
}

/// What only a run knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// `spent()`: the money spent by the run so far.
    Spent,
    /// `elapsed()`: the time since the run started.
    Elapsed,
    /// `remaining()`: the time until the scope's deadline.
    Remaining,
    /// `run_id()`: the run's name.
    RunId,
}

/// What an expression may read.
pub trait Env {
    /// The value of a variable, once it is known.
    fn var(&self, var: Var) -> Option<&Value>;

    /// The value of a run-time context function; `None` where there is no run.
    fn context(&self, context: Context) -> Option<Value>;
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// It reads what is not known yet.
    #[error("the value is not known yet")]
    Unknown,
    /// A whole number left the range of 64 bits, or a unit its own.
    #[error("`{0}` overflows")]
    Overflow(String),
    /// A division by zero.
    #[error("`{0}` divides by zero")]
    DivisionByZero(String),
    /// An element that is not there.
    #[error("{0}")]
    OutOfRange(String),
    /// The evaluation took more steps than an expression may.
    #[error("the expression takes more than {0} steps to evaluate")]
    TooLong(u64),
    /// A text grew beyond what a text may hold.
    #[error("the text is longer than {} MiB", MAX_TEXT >> 20)]
    TooLarge,
    /// The expression was not checked, or the checker let a wrong type through.
    #[error("internal: {0}")]
    Unchecked(String),
}

/// A plain set of variables, with no run around it.
#[derive(Clone, Debug, Default)]
pub struct Scope(BTreeMap<Var, Value>);

impl Scope {
    /// Gives a variable its value.
    pub fn set(&mut self, var: Var, value: Value) {
        self.0.insert(var, value);
    }
}

impl Env for Scope {
    fn var(&self, var: Var) -> Option<&Value> {
        self.0.get(&var)
    }

    fn context(&self, _: Context) -> Option<Value> {
        None
    }
}

/// The value of `expr`, whose free variables `env` knows.
///
/// # Errors
/// When it reads a variable that `env` does not know yet, overflows, divides by zero, or takes too long.
pub fn eval(expr: &Expr, env: &dyn Env) -> Result<Value, EvalError> {
    eval_with(expr, env, &mut Fuel::new(STEPS))
}

/// The same with fuel of the caller's.
///
/// # Errors
/// Like [`eval`].
pub fn eval_with(expr: &Expr, env: &dyn Env, fuel: &mut Fuel) -> Result<Value, EvalError> {
    Evaluator { env, bound: Vec::new(), fuel }.eval(expr)
}

/// One evaluation: the variables bound on the way, innermost last, and the steps left.
pub(super) struct Evaluator<'a> {
    env: &'a dyn Env,
    bound: Vec<(Var, Value)>,
    fuel: &'a mut Fuel,
}

impl Evaluator<'_> {
    fn eval(&mut self, expr: &Expr) -> Result<Value, EvalError> {
        self.burn(1)?;
        Ok(match expr {
            Expr::Const(value) => {
                self.burn(value.weight())?;
                value.clone()
            }
            Expr::Var(var) => self.var(*var)?,
            Expr::Field(base, name) => field(&self.eval(base)?, name)?,
            Expr::Index(base, index) => {
                let (base, index) = (self.eval(base)?, self.eval(index)?);
                operators::index(base, &index)?
            }
            Expr::List(items) => Value::List(self.eval_all(items)?),
            Expr::Map(entries) => {
                let mut map = Fields::new();
                for (key, value) in entries {
                    let Value::String(key) = self.eval(key)? else {
                        return Err(unchecked("a map's key is not a text"));
                    };
                    map.insert(key, self.eval(value)?);
                }
                Value::Map(map)
            }
            Expr::Record(base, fields) => {
                let mut record = match base {
                    Some(base) => match self.eval(base)? {
                        Value::Record(fields) => fields,
                        _ => return Err(unchecked("`...` before what is not a record")),
                    },
                    None => Fields::new(),
                };
                record.extend(self.eval_named(fields)?);
                Value::Record(record)
            }
            Expr::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    operators::push_text(&mut text, &self.eval(piece)?)?;
                    self.burn(text.len() as u64 / 64)?;
                }
                Value::String(text.into())
            }
            Expr::Std(name, args, site) => {
                let args = self.eval_named(args)?;
                let deep = |arg: &Value| matches!(arg, Value::Model(model) if model.depth() >= MAX_NESTED);
                if args.values().any(deep) {
                    return Err(EvalError::OutOfRange(format!(
                        "`{name}` can't hold layers inside one another more than {MAX_NESTED} deep"
                    )));
                }
                Value::Std(Call { name: name.clone(), args, site: site.clone() })
            }
            Expr::Model(model, args) => {
                let values = args.iter().map(|(_, arg)| self.eval(arg)).collect::<Result<Vec<_>, _>>()?;
                let bindings = model.params.iter().copied().zip(values.iter().cloned());
                let layers = self.with(bindings.collect(), &model.body)?;
                let layers = self.as_layers(layers)?;
                let args = args.iter().map(|(name, _)| name.clone()).zip(values).collect();
                Value::Model(Box::new(Model { name: model.name.clone(), args, layers, weights: None }))
            }
            Expr::Dataset(name, fields) => dataset::build(name, self.eval_named(fields)?)?,
            Expr::Pipe(first, second) => {
                let (first, second) = (self.eval(first)?, self.eval(second)?);
                let mut layers = self.as_layers(first)?;
                layers.extend(self.as_layers(second)?);
                Value::Model(Box::new(Model::pipeline(layers)))
            }
            Expr::Native(native, args) => self.native(*native, args)?,
            Expr::Call(function, args) => {
                let args = self.eval_all(args)?;
                let bindings = function.params.iter().copied().zip(args);
                self.with(bindings.collect(), &function.body)?
            }
            Expr::Let(var, value, body) => {
                let value = self.eval(value)?;
                self.with(vec![(*var, value)], body)?
            }
            Expr::If(cond, then, otherwise) => {
                let branch = if self.truth(cond)? { then } else { otherwise };
                self.eval(branch)?
            }
            Expr::Match(value, arms) => {
                let value = self.eval(value)?;
                let arm = arms.iter().find(|(pattern, _)| pattern.as_ref().is_none_or(|pattern| *pattern == value));
                match arm {
                    Some((_, arm)) => self.eval(arm)?,
                    None => return Err(unchecked("no arm of a match fits")),
                }
            }
            Expr::Lambda(..) => return Err(unchecked("a lambda is not an argument")),
            Expr::Widen(inner, ty) => {
                let value = self.eval(inner)?;
                self.burn(value.weight())?;
                operators::widen(value, ty)
            }
            Expr::Context(context) => self.env.context(*context).ok_or(EvalError::Unknown)?,
        })
    }

    pub(super) fn burn(&mut self, steps: u64) -> Result<(), EvalError> {
        self.fuel.burn(steps)
    }

    fn var(&mut self, var: Var) -> Result<Value, EvalError> {
        let bound = self.bound.iter().rev().find(|(bound, _)| *bound == var).map(|(_, value)| value);
        let value = bound.or_else(|| self.env.var(var)).ok_or(EvalError::Unknown)?.clone();
        self.fuel.burn(value.weight())?;
        Ok(value)
    }

    fn with(&mut self, bindings: Vec<(Var, Value)>, body: &Expr) -> Result<Value, EvalError> {
        let depth = self.bound.len();
        self.bound.extend(bindings);
        let value = self.eval(body);
        self.bound.truncate(depth);
        value
    }

    fn truth(&mut self, expr: &Expr) -> Result<bool, EvalError> {
        match self.eval(expr)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(unchecked("a condition is not a Bool")),
        }
    }

    fn eval_all(&mut self, exprs: &[Expr]) -> Result<Vec<Value>, EvalError> {
        exprs.iter().map(|expr| self.eval(expr)).collect()
    }

    fn eval_named(&mut self, exprs: &[(Name, Expr)]) -> Result<Fields, EvalError> {
        exprs.iter().map(|(name, expr)| Ok((name.clone(), self.eval(expr)?))).collect()
    }

    fn as_layers(&mut self, value: Value) -> Result<Vec<Call>, EvalError> {
        self.burn(1 + value.weight())?;
        match value {
            Value::Model(model) => Ok(model.layers),
            Value::Std(layer) => Ok(vec![layer]),
            _ => Err(unchecked("a pipeline holds what is not a layer")),
        }
    }

    fn native(&mut self, native: Native, args: &[Expr]) -> Result<Value, EvalError> {
        match (native, args) {
            (Native::And, [a, b]) => Ok(Value::Bool(self.truth(a)? && self.truth(b)?)),
            (Native::Or, [a, b]) => Ok(Value::Bool(self.truth(a)? || self.truth(b)?)),
            (Native::Coalesce, [a, b]) => match self.eval(a)? {
                Value::None => self.eval(b),
                value => Ok(value),
            },
            (Native::Map | Native::Filter | Native::SortBy, [list, Expr::Lambda(params, body)]) => {
                let (Value::List(items), [param]) = (self.eval(list)?, params.as_slice()) else {
                    return Err(unchecked("`map` over what is not a list"));
                };
                let mut keyed = Vec::with_capacity(items.len());
                for item in items {
                    keyed.push((self.with(vec![(*param, item.clone())], body)?, item));
                }
                Ok(Value::List(match native {
                    Native::Map => keyed.into_iter().map(|(mapped, _)| mapped).collect(),
                    Native::Filter => {
                        keyed.into_iter().filter(|(keep, _)| *keep == Value::Bool(true)).map(|(_, item)| item).collect()
                    }
                    _ => {
                        keyed.sort_by(|(a, _), (b, _)| operators::order(a, b));
                        keyed.into_iter().map(|(_, item)| item).collect()
                    }
                }))
            }
            (Native::Fold, [list, start, Expr::Lambda(params, body)]) => {
                let (Value::List(items), [total, item]) = (self.eval(list)?, params.as_slice()) else {
                    return Err(unchecked("`fold` over what is not a list"));
                };
                let start = self.eval(start)?;
                items.into_iter().try_fold(start, |sum, next| self.with(vec![(*total, sum), (*item, next)], body))
            }
            _ => {
                let args = self.eval_all(args)?;
                let value = operators::apply(native, args)?;
                self.burn(value.weight())?;
                Ok(value)
            }
        }
    }
}

fn field(base: &Value, name: &Name) -> Result<Value, EvalError> {
    match base {
        Value::Record(fields) => fields.get(name).cloned().ok_or_else(|| {
            let known = fields.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            EvalError::OutOfRange(match known.is_empty() {
                true => format!("there is no `{name}`: the record is empty"),
                false => format!("there is no `{name}`: the record has {known}"),
            })
        }),
        _ => Err(unchecked("a field of what is not a record")),
    }
}

pub(super) fn unchecked(what: &str) -> EvalError {
    EvalError::Unchecked(what.into())
}
