//! The limits around a call: when it must end, what it may spend, and what becomes of it when it can't.

use super::{
    facts::moment,
    ledger::{Ledger, Spent},
};
use crate::{
    limits::{Amount, OnMiss},
    step::{Bounds, SEARCH_SHARE},
    units::{Duration, Money, Size},
    wire::{Failure, Fence, Kind},
};
use rust_decimal::prelude::ToPrimitive;
use std::time::{self, SystemTime};

/// A scope with its limits.
#[derive(Clone, Debug)]
struct Limit {
    fence: Fence,
    began: SystemTime,
    due: Option<Due>,
    purse: Option<Purse>,
}

/// When it must have ended, and what becomes of what has not.
type Due = (SystemTime, OnMiss);

/// What it may spend, and what becomes of what costs more.
type Purse = (Money, OnMiss);

/// The limits around a call, the outermost first.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits(Vec<Limit>);

/// A limit that was reached, or is nearest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    /// The scope whose limit it is.
    pub scope: usize,
    /// Which of its limits.
    pub kind: Kind,
    /// What becomes of it.
    pub on_miss: OnMiss,
    /// What is said of it.
    reason: String,
}

impl Reached {
    /// The failure of what ended before something.
    pub fn failure(&self, before: &str) -> Failure {
        let more = if self.kind == Kind::DeadlineExceeded { "time" } else { "money" };
        Failure::new(self.kind, format!("{} before {before}", self.reason))
            .help(format!("allow more {more}, or let it have less to do"))
    }
}

impl Limits {
    /// What the book says of the scopes that were entered.
    pub fn read(fences: &[Fence], scopes: &[Bounds], ledger: &Ledger) -> Result<Self, Failure> {
        let mut limits = Self::default();
        for fence in fences {
            let bounds = scopes.get(fence.scope).ok_or_else(|| {
                Failure::new(Kind::TaskFailed, format!("the book has no scope {}", fence.scope))
                    .help("deploy the state machine and its functions together")
            })?;
            let began = moment(&fence.began)?;
            let (due, purse) = match bounds {
                Bounds::Said { deadline, budget } => {
                    let due = deadline.as_ref().map(|deadline| {
                        let after = time::Duration::from(deadline.after);
                        (began + after, deadline.on_miss.unwrap_or(OnMiss::KeepBest))
                    });
                    let amount = budget.as_ref().and_then(|budget| match budget.amount {
                        Amount::Money(money) => Some((money, budget.on_miss)),
                        Amount::Share(share) => Some((limits.budget()?.share(share)?, budget.on_miss)),
                    });
                    (due, amount.map(|(amount, on_miss)| (amount, on_miss.unwrap_or(OnMiss::KeepBest))))
                }
                Bounds::Share => limits.share(began, ledger)?,
            };
            limits.0.push(Limit { fence: fence.clone(), began, due, purse });
        }
        Ok(limits)
    }

    /// The budget of the nearest scope that has one.
    fn budget(&self) -> Option<Money> {
        self.0.iter().rev().find_map(|limit| limit.purse).map(|(amount, _)| amount)
    }

    /// A part of what was left at some time.
    fn share(&self, began: SystemTime, ledger: &Ledger) -> Result<(Option<Due>, Option<Purse>), Failure> {
        let due = self.0.iter().filter_map(|limit| limit.due).map(|(at, _)| at).min().map(|at| {
            let left = at.duration_since(began).unwrap_or_default();
            (began + left.mul_f64(SEARCH_SHARE.to_f64().unwrap_or(1.0)), OnMiss::KeepBest)
        });
        let mut least: Option<Money> = None;
        for limit in &self.0 {
            let Some((amount, _)) = limit.purse else { continue };
            let paid = ledger.paid(&limit.fence.path, Some(began))?.money;
            let left = amount.checked_sub(paid).unwrap_or(Money::ZERO).max(Money::ZERO);
            least = Some(least.map_or(left, |least| least.min(left)));
        }
        let purse = least.and_then(|left| left.checked_mul(SEARCH_SHARE)).map(|left| (left, OnMiss::KeepBest));
        Ok((due, purse))
    }

    /// Whether anything in them depends on money.
    pub fn have_budget(&self) -> bool {
        self.0.iter().any(|limit| limit.purse.is_some())
    }

    /// The time until the nearest deadline.
    pub fn time_left(&self) -> Option<time::Duration> {
        self.nearest_due().map(|(left, _)| left)
    }

    fn nearest_due(&self) -> Option<(time::Duration, Reached)> {
        let due = self.0.iter().filter_map(|limit| Some((limit, limit.due?)));
        let (limit, (at, on_miss)) = due.min_by_key(|(_, (at, _))| *at)?;
        let after = Duration::from(at.duration_since(limit.began).unwrap_or_default());
        let reason = format!("the deadline of {after} of `{}` passed", limit.fence.path);
        let reached = Reached { scope: limit.fence.scope, kind: Kind::DeadlineExceeded, on_miss, reason };
        Some((at.duration_since(SystemTime::now()).unwrap_or_default(), reached))
    }

    /// The money that is left in the tightest budget.
    pub fn money_left(&self, ledger: &Ledger) -> Result<Option<Money>, Failure> {
        Ok(self.nearest_budget(ledger)?.map(|(left, ..)| left))
    }

    fn nearest_budget(&self, ledger: &Ledger) -> Result<Option<(Money, Spent, Reached)>, Failure> {
        let mut nearest: Option<(Money, Spent, Reached)> = None;
        for limit in &self.0 {
            let Some((amount, on_miss)) = limit.purse else { continue };
            let spent = ledger.spent(&limit.fence.path)?;
            let left = amount.checked_sub(spent.money).unwrap_or(Money::ZERO);
            if nearest.as_ref().is_none_or(|(least, ..)| left < *least) {
                let reason = format!("the budget of {amount} of `{}` was spent", limit.fence.path);
                let reached = Reached { scope: limit.fence.scope, kind: Kind::BudgetExceeded, on_miss, reason };
                nearest = Some((left, spent, reached));
            }
        }
        Ok(nearest)
    }

    /// The limit that will be reached first as things stand, and in how long: at once when it is reached. `more` is the
    /// memory of a call that is about to begin.
    pub fn nearest(&self, ledger: &Ledger, more: Option<Size>) -> Result<Option<(time::Duration, Reached)>, Failure> {
        let due = self.nearest_due();
        let poor = self.nearest_budget(ledger)?.map(|(left, spent, reached)| {
            let start = if more.is_some() { ledger.prices.start() } else { Money::ZERO };
            let left = left.checked_sub(start).unwrap_or(Money::ZERO).max(Money::ZERO);
            let memory = spent.memory + i128::from(more.map_or(0, Size::mib));
            let rate = ledger.prices.rate_of_mib(memory).dollars();
            let seconds = left.checked_div(rate).map_or(f64::MAX, |seconds| seconds.to_f64());
            (time::Duration::try_from_secs_f64(seconds).unwrap_or(time::Duration::MAX), reached)
        });
        Ok(due.into_iter().chain(poor).min_by_key(|(left, _)| *left))
    }

    /// What becomes of what misses the limit of one of these scopes; none where it is the limit of another.
    pub fn on_miss(&self, mark: &str, kind: Kind) -> Option<OnMiss> {
        let limit = self.0.iter().find(|limit| Fence::mark(limit.fence.scope) == mark)?;
        match kind {
            Kind::DeadlineExceeded => limit.due.map(|(_, on_miss)| on_miss),
            _ => limit.purse.map(|(_, on_miss)| on_miss),
        }
    }
}
