//! Scopes: who may spend how much until when. Every step and every compound has one, inside its parent's.

use super::{StepPath, Time};
use crate::{
    limits::{Amount, Limits, OnMiss},
    plan::Prices,
    units::{Duration, Money, Percent, Size},
    wire::Kind,
};
use std::collections::BTreeMap;

/// A scope of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ScopeId(u32);

/// What is known of a scope.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub parent: Option<ScopeId>,
    pub path: StepPath,
    pub started: Time,
    /// What ended attempts in it have cost.
    pub spent: Money,
    pub deadline: Option<Due>,
    pub budget: Option<Purse>,
    pub max_parallel: Option<u32>,
    /// The limit that was reached, once one is.
    pub missed: Option<Kind>,
}

/// A deadline once its scope has started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub at: Time,
    pub on_miss: OnMiss,
}

/// A budget in money.
#[derive(Clone, Debug)]
pub(super) struct Purse {
    pub amount: Money,
    pub on_miss: OnMiss,
    /// The shares still to be warned of, least first.
    warn_at: Vec<Percent>,
}

impl Purse {
    /// A budget that nobody wrote, and nobody is warned of.
    pub const fn keep_best(amount: Money) -> Self {
        Self { amount, on_miss: OnMiss::KeepBest, warn_at: Vec::new() }
    }
}

/// An attempt that is under way, as the ledger sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    pub scope: ScopeId,
    pub memory: Size,
    pub since: Time,
}

/// All scopes that are open.
#[derive(Clone, Debug)]
pub(super) struct Scopes {
    open: BTreeMap<ScopeId, Scope>,
    next: u32,
    enforce: bool,
    prices: Prices,
}

impl Scopes {
    pub const ROOT: ScopeId = ScopeId(0);

    pub fn new(path: StepPath, limits: &Limits, enforce: bool, prices: Prices) -> Self {
        let mut scopes = Self { open: BTreeMap::new(), next: 0, enforce, prices };
        scopes.open(None, path, limits, Time::default());
        scopes
    }

    /// Opens a scope. What is not said about a missed limit means that the best so far is kept.
    pub fn open(&mut self, parent: Option<ScopeId>, path: StepPath, limits: &Limits, now: Time) -> ScopeId {
        let due = |deadline: &crate::limits::Deadline| Due {
            at: now.after(deadline.after),
            on_miss: deadline.on_miss.unwrap_or(OnMiss::KeepBest),
        };
        let deadline = limits.deadline.as_ref().filter(|_| self.enforce).map(due);
        let budget = limits.budget.as_ref().filter(|_| self.enforce).and_then(|budget| {
            let amount = match budget.amount {
                Amount::Money(money) => money,
                Amount::Share(share) => parent.and_then(|parent| self.enclosing_budget(parent))?.share(share)?,
            };
            let mut warn_at = budget.warn_at.clone();
            warn_at.sort();
            Some(Purse { amount, on_miss: budget.on_miss.unwrap_or(OnMiss::KeepBest), warn_at })
        });
        let id = ScopeId(self.next);
        self.next += 1;
        let scope = Scope {
            parent,
            path,
            started: now,
            spent: Money::ZERO,
            deadline,
            budget,
            max_parallel: limits.max_parallel,
            missed: None,
        };
        self.open.insert(id, scope);
        id
    }

    pub fn close(&mut self, id: ScopeId) -> Option<Scope> {
        self.open.remove(&id)
    }

    /// Takes a scope's own limits away.
    pub fn lift(&mut self, id: ScopeId) {
        if let Some(scope) = self.open.get_mut(&id) {
            (scope.deadline, scope.budget, scope.missed) = (None, None, None);
        }
    }

    pub fn get(&self, id: ScopeId) -> Option<&Scope> {
        self.open.get(&id)
    }

    pub fn get_mut(&mut self, id: ScopeId) -> Option<&mut Scope> {
        self.open.get_mut(&id)
    }

    /// The scope and all around it, inside out.
    pub fn around(&self, id: ScopeId) -> impl Iterator<Item = (ScopeId, &Scope)> {
        std::iter::successors(self.open.get(&id).map(|scope| (id, scope)), |(_, scope)| {
            let parent = scope.parent?;
            Some((parent, self.open.get(&parent)?))
        })
    }

    fn enclosing_budget(&self, id: ScopeId) -> Option<Money> {
        self.around(id).find_map(|(_, scope)| scope.budget.as_ref()).map(|purse| purse.amount)
    }

    /// The first limit around that was reached, and its scope.
    pub fn missed(&self, id: ScopeId) -> Option<(ScopeId, Kind)> {
        self.around(id).find_map(|(id, scope)| Some((id, scope.missed?)))
    }

    /// The time until the nearest deadline around.
    pub fn time_left(&self, id: ScopeId, now: Time) -> Option<Duration> {
        self.around(id).filter_map(|(_, scope)| scope.deadline).map(|due| due.at.since(now)).min()
    }

    /// The money left in the tightest budget around, and its scope, while `meters` run.
    pub fn money_left(&self, id: ScopeId, now: Time, meters: &[Meter]) -> Option<(ScopeId, Money)> {
        let left = |(id, scope): (ScopeId, &Scope)| {
            let purse = scope.budget.as_ref()?;
            let spent = scope.spent.checked_add(self.accrued(id, now, meters))?;
            Some((id, purse.amount.checked_sub(spent)?))
        };
        self.around(id).filter_map(left).min_by_key(|(_, left)| *left)
    }

    /// What the attempts under way in a scope have cost by now.
    pub fn accrued(&self, id: ScopeId, now: Time, meters: &[Meter]) -> Money {
        self.inside(id, meters).map(|meter| self.prices.attempt(meter.memory, now.since(meter.since))).sum()
    }

    fn inside<'a>(&'a self, id: ScopeId, meters: &'a [Meter]) -> impl Iterator<Item = &'a Meter> {
        meters.iter().filter(move |meter| self.around(meter.scope).any(|(around, _)| around == id))
    }

    /// How many attempts are under way in a scope.
    pub fn busy(&self, id: ScopeId, meters: &[Meter]) -> usize {
        self.inside(id, meters).count()
    }

    /// Whether one more attempt may be under way in a scope and all around it.
    pub fn has_room(&self, id: ScopeId, meters: &[Meter]) -> bool {
        self.around(id).all(|(id, scope)| scope.max_parallel.is_none_or(|most| self.busy(id, meters) < most as usize))
    }

    /// Enters what an ended attempt has cost into its scope and all around it; says which shares of a budget that passes.
    pub fn charge(&mut self, id: ScopeId, cost: Money) -> Vec<(StepPath, Percent, Money)> {
        let around: Vec<ScopeId> = self.around(id).map(|(id, _)| id).collect();
        let mut warnings = Vec::new();
        for id in around {
            let Some(scope) = self.open.get_mut(&id) else { continue };
            scope.spent = scope.spent.checked_add(cost).unwrap_or(scope.spent);
            let Some(purse) = &mut scope.budget else { continue };
            while let Some(share) = purse.warn_at.first().copied() {
                if purse.amount.share(share).is_none_or(|amount| scope.spent < amount) {
                    break;
                }
                purse.warn_at.remove(0);
                warnings.push((scope.path.clone(), share, purse.amount));
            }
        }
        warnings
    }

    /// The scopes whose limit is reached now, and which limit; each is named once.
    ///
    /// A budget is reached a millisecond before it would be overdrawn.
    pub fn reach(&mut self, now: Time, meters: &[Meter]) -> Vec<(ScopeId, Kind)> {
        let reached: Vec<(ScopeId, Kind)> = self
            .limited()
            .filter_map(|(id, scope)| {
                if scope.deadline.is_some_and(|due| due.at <= now) {
                    return Some((id, Kind::DeadlineExceeded));
                }
                let moment = now.after(Duration::from_millis(1));
                let spent = scope.spent.checked_add(self.accrued(id, moment, meters))?;
                let purse = scope.budget.as_ref()?;
                (spent > purse.amount && self.busy(id, meters) > 0).then_some((id, Kind::BudgetExceeded))
            })
            .collect();
        for (id, kind) in &reached {
            if let Some(scope) = self.open.get_mut(id) {
                scope.missed = Some(*kind);
            }
        }
        reached
    }

    /// When the next limit is reached if nothing changes.
    pub fn next_reach(&self, now: Time, meters: &[Meter]) -> Option<Time> {
        self.limited()
            .flat_map(|(id, scope)| {
                let empty = scope.budget.as_ref().and_then(|purse| {
                    let spent = scope.spent.checked_add(self.accrued(id, now, meters))?;
                    let left = purse.amount.checked_sub(spent)?;
                    let rate: Money = self.inside(id, meters).map(|meter| self.prices.rate(meter.memory)).sum();
                    Some(now.after(lasts(left, rate)?))
                });
                [scope.deadline.map(|due| due.at), empty]
            })
            .flatten()
            .min()
    }

    /// For how long an attempt can run on this money; `None` when it costs nothing.
    pub fn affords(&self, left: Money, memory: Size) -> Option<Duration> {
        let left = left.checked_sub(self.prices.start()).filter(|left| *left > Money::ZERO).unwrap_or(Money::ZERO);
        lasts(left, self.prices.rate(memory))
    }

    fn limited(&self) -> impl Iterator<Item = (ScopeId, &Scope)> {
        let limited = |scope: &&Scope| scope.missed.is_none() && (scope.deadline.is_some() || scope.budget.is_some());
        self.open.iter().map(|(id, scope)| (*id, scope)).filter(move |(_, scope)| limited(scope))
    }
}

/// How long `money` lasts at `rate` a second, in whole milliseconds.
fn lasts(money: Money, rate: Money) -> Option<Duration> {
    let seconds = money.checked_div(rate.dollars())?;
    Some(Duration::from_millis((seconds.to_f64() * 1000.0).floor().max(0.0) as i64))
}
