//! What an entry of the book may read of its run.

use super::{
    ledger::Ledger,
    limits::{Limits, Reached},
    values::Recalled,
};
use crate::{
    expr::{Context, Env, Scope, Var},
    seed::Seed,
    step::Bounds,
    units::{Duration, Money, Size},
    value::Value,
    wire::{Failure, Fence, Invocation, Kind, RunFacts},
    work::Shared,
};
use std::{
    cell::RefCell,
    time::{self, SystemTime, UNIX_EPOCH},
};

/// What is known where an entry stands.
pub(super) struct Facts<'a> {
    vars: Scope,
    pub run: &'a RunFacts,
    /// The workflow, which all paths begin with.
    workflow: &'a str,
    pub seed: Seed,
    started: SystemTime,
    pub limits: Limits,
    pub ledger: Ledger,
    /// The mark of the limit that the call has missed.
    missed: RefCell<Option<String>>,
}

impl<'a> Facts<'a> {
    pub fn of(
        invocation: &'a Invocation,
        scopes: &[Bounds],
        ledger: Ledger,
        recalled: &mut Recalled,
        shared: &Shared,
    ) -> Result<Self, Failure> {
        let run = &invocation.run;
        let mut vars = Scope::default();
        for (name, carried) in &invocation.vars {
            let number = name.strip_prefix('v').and_then(|number| number.parse().ok());
            vars.set(
                Var(number.ok_or_else(|| wrong(&format!("`{name}`, which is no variable")))?),
                recalled.value(carried, shared)?,
            );
        }
        Ok(Self {
            vars,
            run,
            workflow: invocation.path.split(['/', '[']).next().unwrap_or_default(),
            seed: seed(&run.seed)?,
            started: moment(&run.started)?,
            limits: Limits::read(&invocation.fences, scopes, &ledger)?,
            ledger,
            missed: RefCell::default(),
        })
    }

    /// The limit that will be reached first, and in how long; `more` is the memory of what is about to begin.
    pub fn nearest(&self, more: Option<Size>) -> Result<Option<(time::Duration, Reached)>, Failure> {
        self.limits.nearest(&self.ledger, more)
    }

    /// The failure of what a limit has ended before something.
    pub fn miss(&self, reached: &Reached, before: &str) -> Failure {
        self.missed.replace(Some(Fence::mark(reached.scope)));
        reached.failure(before)
    }

    /// The mark of the limit that was missed, if one was.
    pub fn missed(&self) -> Option<String> {
        self.missed.borrow().clone()
    }

    /// The time since the run began.
    pub fn elapsed(&self) -> Duration {
        SystemTime::now().duration_since(self.started).unwrap_or_default().into()
    }

    /// What the run has cost so far.
    fn spent(&self) -> Result<Money, Failure> {
        self.ledger.spent(self.workflow).map(|spent| spent.money)
    }
}

impl Env for Facts<'_> {
    fn var(&self, var: Var) -> Option<&Value> {
        self.vars.var(var)
    }

    fn context(&self, context: Context) -> Option<Value> {
        match context {
            Context::Elapsed => Some(Value::Duration(self.elapsed())),
            Context::Remaining => self.limits.time_left().map(|left| Value::Duration(left.into())),
            Context::RunId => Some(Value::String(self.run.id.as_str().into())),
            Context::Spent => self.spent().ok().map(Value::Money),
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

/// A time as RFC 3339 has it.
///
/// # Errors
/// When it is none.
pub(super) fn moment(text: &str) -> Result<SystemTime, Failure> {
    let moment: Result<jiff::Timestamp, _> = text.parse();
    let age = moment.map_err(|_| wrong(&format!("the time `{text}`, which is none")))?.as_millisecond();
    Ok(UNIX_EPOCH + time::Duration::from_millis(age.try_into().unwrap_or(0)))
}

fn wrong(what: &str) -> Failure {
    Failure::new(Kind::TaskFailed, format!("the state machine sends {what}"))
}
