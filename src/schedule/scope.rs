//! Scopes: who may spend how much until when. Every step and every compound has one, inside its parent's.

use super::{StepPath, Time};
use crate::{
    limits::{Amount, Deadline, Limits, OnMiss},
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
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub at: Time,
    pub on_miss: OnMiss,
    /// The shares still to be warned of, and when they have passed, the first of them first.
    warn_at: Vec<(Time, Percent)>,
}

impl Due {
    /// A deadline that nobody wrote, and nobody is warned of.
    pub const fn keep_best(at: Time) -> Self {
        Self { at, on_miss: OnMiss::KeepBest, warn_at: Vec::new() }
    }

    fn of(deadline: &Deadline, now: Time) -> Self {
        let passed = |share: &Percent| Some((now.after(deadline.after.checked_mul(share.to_f64())?), *share));
        let mut warn_at: Vec<_> = deadline.warn_at.iter().filter_map(passed).collect();
        warn_at.sort();
        Self { at: now.after(deadline.after), on_miss: deadline.on_miss.unwrap_or(OnMiss::KeepBest), warn_at }
    }
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
    /// The shares of deadlines that are warned of, the next one first, and the scopes with such shares of a budget.
    alarms: BTreeSet<(Time, ScopeId)>,
    thrifty: BTreeSet<ScopeId>,
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
            alarms: BTreeSet::new(),
            thrifty: BTreeSet::new(),
            next: 0,
            enforce,
            prices,
        };
        scopes.open(None, path, limits, Time::default());
        scopes
    }

    /// Opens a scope. What is not said about a missed limit means that the best so far is kept.
    pub fn open(&mut self, parent: Option<ScopeId>, path: StepPath, limits: &Limits, now: Time) -> ScopeId {
        let deadline = limits.deadline.as_ref().filter(|_| self.enforce).map(|deadline| Due::of(deadline, now));
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
        self.forget(id);
        self.open.remove(&id)
    }

    /// Takes a scope out of what is known of all limits.
    fn forget(&mut self, id: ScopeId) {
        let Some(scope) = self.open.get(&id) else { return };
        if let Some(due) = &scope.deadline {
            self.deadlines.remove(&(due.at, id));
            if let Some((at, _)) = due.warn_at.first() {
                self.alarms.remove(&(*at, id));
            }
        }
        self.paying.remove(&id);
        self.thrifty.remove(&id);
    }

    /// Changes a scope, and keeps in step what is known of all limits.
    fn change(&mut self, id: ScopeId, change: impl FnOnce(&mut Scope)) {
        self.forget(id);
        let Some(scope) = self.open.get_mut(&id) else { return };
        change(scope);
        if scope.missed.is_some() {
            return;
        }
        if let Some(due) = &scope.deadline {
            self.deadlines.insert((due.at, id));
            self.alarms.extend(due.warn_at.first().map(|(at, _)| (*at, id)));
        }
        if let Some(purse) = &scope.budget {
            self.paying.extend((scope.meter.attempts > 0).then_some(id));
            self.thrifty.extend((!purse.warn_at.is_empty()).then_some(id));
        }
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

    /// Whether time or money runs out somewhere around.
    pub fn is_limited(&self, id: ScopeId) -> bool {
        self.around(id).any(|(_, scope)| scope.deadline.is_some() || scope.budget.is_some())
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
        let due = |(id, scope): (ScopeId, &Scope)| Some((id, scope.deadline.as_ref()?.at.since(now)));
        self.around(id).filter_map(due).min_by_key(|(id, left)| (*left, *id))
    }

    /// The money left in the tightest budget around, and its scope, with what attempts under way have cost by now.
    pub fn money_left(&self, id: ScopeId, now: Time) -> Option<(ScopeId, Money)> {
        let left = |(id, scope)| Some((id, self.left_of(id, scope, now)?));
        self.around(id).filter_map(left).min_by_key(|(_, left)| *left)
    }

    fn left_of(&self, id: ScopeId, scope: &Scope, now: Time) -> Option<Money> {
        let spent = scope.spent.checked_add(self.accrued(id, now))?;
        scope.budget.as_ref()?.amount.checked_sub(spent)
    }

    /// The time after which a deadline around stops what is under way.
    pub fn stops_after(&self, id: ScopeId, now: Time) -> Option<Duration> {
        let due = self.around(id).filter_map(|(_, scope)| scope.deadline.as_ref());
        due.filter(|due| due.on_miss != OnMiss::Finish).map(|due| due.at.since(now)).min()
    }

    /// The money with which a budget around stops what is under way, with what that has cost by now.
    pub fn stops_with(&self, id: ScopeId, now: Time) -> Option<Money> {
        let stops = |scope: &Scope| scope.budget.as_ref().is_some_and(|purse| purse.on_miss != OnMiss::Finish);
        let budgets = self.around(id).filter(|(_, scope)| stops(scope));
        budgets.filter_map(|(id, scope)| self.left_of(id, scope, now)).min()
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

    /// Enters what an ended attempt has cost into its scope and all around it.
    pub fn charge(&mut self, id: ScopeId, cost: Money) {
        let mut at = Some(id);
        while let Some(scope) = at.and_then(|id| self.open.get_mut(&id)) {
            scope.spent = scope.spent.checked_add(cost).unwrap_or(scope.spent);
            at = scope.parent;
        }
    }

    /// What is to be warned of now, each share of a limit once: the scope, and what is said.
    pub fn warnings(&mut self, now: Time) -> Vec<(StepPath, String)> {
        let mut warnings = Vec::new();
        while let Some((_, id)) = self.alarms.first().copied().filter(|(at, _)| *at <= now) {
            self.change(id, |scope| {
                let Some(due) = &mut scope.deadline else { return };
                let (after, (_, share)) = (due.at.since(scope.started), due.warn_at.remove(0));
                warnings.push((scope.path.clone(), format!("{share} of the deadline of {after} has passed")));
            });
        }
        for id in self.thrifty.clone() {
            while let Some((spent, share)) = self.next_share(id, now) {
                if spent < share {
                    break;
                }
                self.change(id, |scope| {
                    let Some(purse) = &mut scope.budget else { return };
                    let (amount, share) = (purse.amount, purse.warn_at.remove(0));
                    warnings.push((scope.path.clone(), format!("{share} of the budget of {amount} is spent")));
                });
            }
        }
        warnings
    }

    /// What a scope has spent by now, and the amount at which its budget is warned of next.
    fn next_share(&self, id: ScopeId, now: Time) -> Option<(Money, Money)> {
        let scope = self.open.get(&id)?;
        let purse = scope.budget.as_ref()?;
        let spent = scope.spent.checked_add(self.accrued(id, now))?;
        Some((spent, purse.amount.share(*purse.warn_at.first()?)?))
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

    /// When the next limit is reached, or is to be warned of, if nothing changes.
    pub fn next_reach(&self, now: Time) -> Option<Time> {
        let empty = |id: &ScopeId| {
            let scope = self.open.get(id)?;
            let spent = scope.spent.checked_add(self.accrued(*id, now))?;
            let left = scope.budget.as_ref()?.amount.checked_sub(spent)?;
            Some(now.after(lasts(left, self.prices.rate_of_mib(scope.meter.memory))?))
        };
        let warned = |id: &ScopeId| {
            let (spent, share) = self.next_share(*id, now)?;
            let lasts = lasts(share.checked_sub(spent)?, self.prices.rate_of_mib(self.open.get(id)?.meter.memory))?;
            // When the share is spent, not before.
            Some(now.after(lasts).after(Duration::from_millis(1)))
        };
        let times = [&self.deadlines, &self.alarms].into_iter().filter_map(|times| times.first());
        let emptied = self.paying.iter().filter_map(empty);
        times.map(|(at, _)| *at).chain(emptied).chain(self.thrifty.iter().filter_map(warned)).min()
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
