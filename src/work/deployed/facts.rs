//! What an entry of the book may read of its run.

use crate::{
    expr::{Context, Env, Scope, Var},
    seed::Seed,
    units::Duration,
    value::Value,
    wire::{Carried, Failure, Invocation, Kind, RunFacts},
};
use std::time::{self, SystemTime, UNIX_EPOCH};

/// What the expressions of an entry may read.
pub(super) struct Facts<'a> {
    vars: Scope,
    run: &'a RunFacts,
    pub seed: Seed,
    started: SystemTime,
}

impl<'a> Facts<'a> {
    pub fn of(invocation: &'a Invocation) -> Result<Self, Failure> {
        let run = &invocation.run;
        let seed = seed(&run.seed)?;
        let started: jiff::Timestamp =
            run.started.parse().map_err(|_| wrong(&format!("the time `{}`, which is none", run.started)))?;
        let age = time::Duration::from_millis(started.as_millisecond().try_into().unwrap_or(0));
        let mut vars = Scope::default();
        for (name, Carried(value)) in &invocation.vars {
            let number = name.strip_prefix('v').and_then(|number| number.parse().ok());
            vars.set(Var(number.ok_or_else(|| wrong(&format!("`{name}`, which is no variable")))?), value.clone());
        }
        Ok(Self { vars, run, seed, started: UNIX_EPOCH + age })
    }

    pub fn elapsed(&self) -> Duration {
        SystemTime::now().duration_since(self.started).unwrap_or_default().into()
    }

    /// The time until the run's deadline.
    pub fn left(&self) -> Option<Duration> {
        let left = self.run.deadline?.secs_f64() - self.elapsed().secs_f64();
        Some(Duration::from_secs_f64(left.max(0.0)))
    }
}

impl Env for Facts<'_> {
    fn var(&self, var: Var) -> Option<&Value> {
        self.vars.var(var)
    }

    fn context(&self, context: Context) -> Option<Value> {
        match context {
            Context::Elapsed => Some(Value::Duration(self.elapsed())),
            Context::Remaining => self.left().map(Value::Duration),
            Context::RunId => Some(Value::String(self.run.id.as_str().into())),
            Context::Spent => None,
        }
    }
}

/// A seed that travels as text.
///
/// # Errors
/// When it is none.
pub(super) fn seed(text: &str) -> Result<Seed, Failure> {
    text.parse().map(Seed::new).map_err(|_| wrong(&format!("the seed `{text}`, which is no whole number")))
}

fn wrong(what: &str) -> Failure {
    Failure::new(Kind::TaskFailed, format!("the state machine sends {what}"))
}
