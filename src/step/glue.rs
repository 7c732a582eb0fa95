//! What is computed between steps: values, checks, arguments.

use super::{Line, Param, What, operation::Inside, value};
use crate::{
    expr::{Env, Expr, Scope, Var},
    limits::MAX_ROUNDS,
    source::Name,
    value::Value,
    wire::{Caught, Failure, Kind},
};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Why lines were not all computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The node whose line it was; none when it was the region's own.
    pub node: Option<Name>,
    /// Why.
    pub failure: Failure,
}

/// Fails unless a condition holds.
///
/// # Errors
/// When it does not, or has no value.
pub fn assert(cond: &Expr, message: Option<&Expr>, env: &dyn Env) -> Result<(), Failure> {
    if value(cond, env)? != Value::Bool(false) {
        return Ok(());
    }
    let message = message.map(|message| value(message, env)).transpose()?;
    let text = message.as_ref().and_then(Value::as_str).unwrap_or("the condition is false");
    Err(Failure::new(Kind::AssertionFailed, text))
}

/// An argument of a workflow that another runs.
///
/// # Errors
/// When it has no value, or one that the parameter does not admit.
pub fn argument(param: &Param, expr: &Expr, env: &dyn Env) -> Result<Value, Failure> {
    let value = value(expr, env)?;
    let refused = |reason| Failure::new(Kind::AssertionFailed, format!("the argument `{}` {reason}", param.name));
    param.admits(&value).map_err(refused).map(|()| value)
}

/// The rounds of a `repeat`, at most [`MAX_ROUNDS`].
///
/// # Errors
/// When the number has no value, or is none of rounds.
pub fn times(expr: &Expr, env: &dyn Env) -> Result<i64, Failure> {
    match value(expr, env)? {
        Value::Int(times) if (0..=MAX_ROUNDS).contains(&times) => Ok(times),
        times => Err(Failure::new(Kind::TaskFailed, format!("a `repeat` has 0 to {MAX_ROUNDS} rounds, not {times}"))),
    }
}

/// A failure as a `catch` sees it.
pub fn told(step: &str, failure: &Failure) -> Value {
    let text = |text: &str| Value::String(text.into());
    let log = failure.log.iter().map(|line| text(line)).collect();
    let fields = [
        ("kind", text(failure.kind.name())),
        ("message", text(&failure.message)),
        ("step", text(step)),
        ("log", Value::List(log)),
    ];
    Value::Record(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

/// The values of lines, each of which may read those before it.
///
/// `args` are the workflow's arguments as they were given, and `caught` is what a `catch` around it caught in a region.
///
/// # Errors
/// When one has no value, or does not hold.
pub fn compute(
    lines: &[Line],
    env: &dyn Env,
    args: &BTreeMap<String, Json>,
    caught: Option<(&str, &Caught)>,
) -> Result<BTreeMap<Var, Value>, Lost> {
    let mut own = Inside { own: Scope::default(), around: env };
    let mut values = BTreeMap::new();
    for line in lines {
        let computed = match &line.what {
            What::Value(expr) => value(expr, &own),
            What::Assert { cond, message } => assert(cond, message.as_ref(), &own).map(|()| Value::None),
            What::Fail(kind) => Err(Failure::new(*kind, "the stub of the test fails so")),
            What::Param(param) => given(param, args),
            What::Argument(param, expr) => argument(param, expr, &own),
            What::Times(expr) => times(expr, &own).map(Value::Int),
            What::Caught => caught
                .map(|(path, caught)| {
                    let (step, failure) = caught.read(path);
                    told(&step, &failure)
                })
                .ok_or_else(|| Failure::new(Kind::TaskFailed, "nothing was caught")),
        };
        let value = computed.map_err(|failure| Lost { node: line.node.clone(), failure })?;
        own.own.set(line.var, value.clone());
        values.insert(line.var, value);
    }
    Ok(values)
}

/// A parameter's value: what was given, or else its default.
fn given(param: &Param, args: &BTreeMap<String, Json>) -> Result<Value, Failure> {
    let wrong = |reason: String| {
        Failure::new(Kind::TaskFailed, format!("the argument `{}` {reason}", param.name))
            .help("start the run with another value")
    };
    let value = match (args.get(&*param.name), &param.default) {
        (None, Some(default)) => return Ok(default.clone()),
        (None, None) => return Err(wrong("is missing".into())),
        (Some(json), _) => {
            Value::from_json(json, &param.ty).map_err(|error| wrong(format!("does not fit: {error}")))?
        }
    };
    param.admits(&value).map_err(wrong)?;
    Ok(value)
}
