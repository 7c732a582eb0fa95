use super::{Expr, Var};
use crate::{units::{Duration, Money}, value::Value};
use serde::{Deserialize, Serialize};

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
    /// The expression was not checked, or the checker let a wrong type through.
    #[error("internal: {0}")]
    Unchecked(String),
}
