//! Scopes: who may spend how much until when. Every step and every compound has one, inside its parent's.

use super::{StepPath, Time};
use crate::{
    limits::{Amount, Limits, OnMiss},
    prices::Prices,
    units::{Duration, Money, Percent, Size},
    wire::Kind,
};
use std::collections::{BTreeMap, BTreeSet};

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
    meter: Meter,
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

/// The attempts under way in a scope, added up so that what they cost at any time is known without asking each.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    attempts: u32,
    /// Their memory, in MiB.
    memory: i128,
    /// The sum over them of memory × start, in MiB · ms.
    starts: i128,
}

impl Meter {
    /// The memory that they have held until `now`, in MiB · ms.
    fn held(&self, now: Time) -> i128 {
        self.memory * i128::from(now.0.millis()) - self.starts
    }
}

/// All scopes that are open.
#[derive(Clone, Debug)]
pub(super) struct Scopes {
    open: BTreeMap<ScopeId, Scope>,
    /// The deadlines to come, the next one first.
    deadlines: BTreeSet<(Time, ScopeId)>,
    /// The scopes with a budget from which is paid at this moment.
    paying: BTreeSet<ScopeId>,
    next: u32,
    enforce: bool,
    prices: Prices,
}

impl Scopes {
    pub const ROOT: ScopeId = ScopeId(0);

    pub fn new(path: StepPath, limits: &Limits, enforce: bool, prices: Prices) -> Self {
        let mut scopes = Self {
            open: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            paying: BTreeSet::new(),
            next: 0,
            enforce,
            prices,
        };
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
            meter: Meter::default(),
        };
        self.open.insert(id, scope);
        self.change(id, |_| {});
        id
    }

    pub fn close(&mut self, id: ScopeId) -> Option<Scope> {
        let scope = self.open.remove(&id)?;
        if let Some(due) = scope.deadline {
            self.deadlines.remove(&(due.at, id));
        }
        self.paying.remove(&id);
        Some(scope)
    }

    /// Changes a scope, and keeps in step what is known of all limits.
    fn change(&mut self, id: ScopeId, change: impl FnOnce(&mut Scope)) {
        let Some(scope) = self.open.get_mut(&id) else { return };
        if let Some(due) = scope.deadline {
            self.deadlines.remove(&(due.at, id));
        }
        change(scope);
        if let (Some(due), None) = (scope.deadline, scope.missed) {
            self.deadlines.insert((due.at, id));
        }
        match scope.budget.is_some() && scope.missed.is_none() && scope.meter.attempts > 0 {
            true => self.paying.insert(id),
            false => self.paying.remove(&id),
        };
    }

    /// Takes a scope's own limits away.
    pub fn lift(&mut self, id: ScopeId) {
        self.change(id, |scope| (scope.deadline, scope.budget, scope.missed) = (None, None, None));
    }

    /// Sets what a scope misses.
    pub fn set_missed(&mut self, id: ScopeId, kind: Kind) {
        self.change(id, |scope| scope.missed = Some(kind));
    }

    pub fn set_deadline(&mut self, id: ScopeId, due: Due) {
        self.change(id, |scope| scope.deadline = Some(due));
    }

    pub fn set_budget(&mut self, id: ScopeId, purse: Purse) {
        self.change(id, |scope| scope.budget = Some(purse));
    }

    /// An attempt that holds `memory` begins in a scope, and so in all around it.
    pub fn enter(&mut self, id: ScopeId, memory: Size, now: Time) {
        self.meter(id, memory, now, 1);
    }

    /// An attempt that began at `since` is over.
    pub fn leave(&mut self, id: ScopeId, memory: Size, since: Time) {
        self.meter(id, memory, since, -1);
    }

    fn meter(&mut self, id: ScopeId, memory: Size, since: Time, sign: i32) {
        let memory = i128::from(memory.mib()) * i128::from(sign);
        let mut at = Some(id);
        while let Some(id) = at {
            self.change(id, |scope| {
                scope.meter.attempts = scope.meter.attempts.saturating_add_signed(sign);
                scope.meter.memory += memory;
                scope.meter.starts += memory * i128::from(since.0.millis());
            });
            at = self.open.get(&id).and_then(|scope| scope.parent);
        }
    }

    pub fn get(&self, id: ScopeId) -> Option<&Scope> {
        self.open.get(&id)
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

    /// The time until the nearest deadline around, and its scope.
    pub fn time_left(&self, id: ScopeId, now: Time) -> Option<(ScopeId, Duration)> {
        let due = |(id, scope): (ScopeId, &Scope)| Some((id, scope.deadline?.at.since(now)));
        self.around(id).filter_map(due).min_by_key(|(id, left)| (*left, *id))
    }

    /// The money left in the tightest budget around, and its scope, with what attempts under way have cost by now.
    pub fn money_left(&self, id: ScopeId, now: Time) -> Option<(ScopeId, Money)> {
        let left = |(id, scope): (ScopeId, &Scope)| {
            let purse = scope.budget.as_ref()?;
            let spent = scope.spent.checked_add(self.accrued(id, now))?;
            Some((id, purse.amount.checked_sub(spent)?))
        };
        self.around(id).filter_map(left).min_by_key(|(_, left)| *left)
    }

    /// What the attempts under way in a scope have cost by now.
    pub fn accrued(&self, id: ScopeId, now: Time) -> Money {
        let meter = self.open.get(&id).map(|scope| scope.meter).unwrap_or_default();
        self.prices.metered(meter.attempts, meter.held(now))
    }

    /// The nearest scope around that says how many attempts may be under way in it.
    pub fn nearest_parallel(&self, id: ScopeId) -> Option<ScopeId> {
        self.around(id).find(|(_, scope)| scope.max_parallel.is_some()).map(|(id, _)| id)
    }

    /// Whether one more attempt may be under way in a scope and all around it.
    pub fn has_room(&self, id: ScopeId) -> bool {
        self.around(id).all(|(_, scope)| scope.max_parallel.is_none_or(|most| scope.meter.attempts < most))
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

    /// The scopes whose limit is reached now, and which limit; each is named once, those around others first.
    ///
    /// A budget is reached a millisecond before it would be overdrawn.
    pub fn reach(&mut self, now: Time) -> BTreeMap<ScopeId, Kind> {
        let moment = now.after(Duration::from_millis(1));
        let overdrawn = |id: &&ScopeId| {
            let Some(scope) = self.open.get(id) else { return false };
            let spent = scope.spent.checked_add(self.accrued(**id, moment));
            scope.budget.as_ref().zip(spent).is_some_and(|(purse, spent)| spent > purse.amount)
        };
        let poor = self.paying.iter().filter(overdrawn).map(|id| (*id, Kind::BudgetExceeded));
        let late = self.deadlines.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| (*id, Kind::DeadlineExceeded));
        let reached: BTreeMap<ScopeId, Kind> = poor.chain(late).collect();
        reached.iter().for_each(|(id, kind)| self.set_missed(*id, *kind));
        reached
    }

    /// When the next limit is reached if nothing changes.
    pub fn next_reach(&self, now: Time) -> Option<Time> {
        let empty = |id: &ScopeId| {
            let scope = self.open.get(id)?;
            let spent = scope.spent.checked_add(self.accrued(*id, now))?;
            let left = scope.budget.as_ref()?.amount.checked_sub(spent)?;
            Some(now.after(lasts(left, self.prices.rate_of_mib(scope.meter.memory))?))
        };
        let late = self.deadlines.first().map(|(at, _)| *at);
        self.paying.iter().filter_map(empty).chain(late).min()
    }

    /// For how long an attempt can run on this money; `None` when it costs nothing.
    pub fn affords(&self, left: Money, memory: Size) -> Option<Duration> {
        let left = left.checked_sub(self.prices.start()).filter(|left| *left > Money::ZERO).unwrap_or(Money::ZERO);
        lasts(left, self.prices.rate(memory))
    }
}

/// How long `money` lasts at `rate` a second, in whole milliseconds.
fn lasts(money: Money, rate: Money) -> Option<Duration> {
    let seconds = money.checked_div(rate.dollars())?;
    Some(Duration::from_millis((seconds.to_f64() * 1000.0).floor().max(0.0) as i64))
}
