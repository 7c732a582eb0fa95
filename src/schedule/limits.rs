//! What happens when a deadline or a budget is reached.

use super::{
    Notice, Scheduler, Site, StepPath,
    attempts::Owner,
    failures::Part,
    scope::{Due, Purse, Scope, ScopeId},
    tree::State,
};
use crate::{
    limits::OnMiss,
    plan::{Ahead, Resources},
    step::SEARCH_SHARE,
    units::{Duration, Money, Size},
    wire::{Adapt, Failure, Goal, Kind},
};
use rust_decimal::{Decimal, prelude::ToPrimitive};

impl Scheduler<'_> {
    /// Acts on every limit that is reached by now.
    pub(super) fn enforce(&mut self) {
        for (scope, message) in self.scopes.warnings(self.now) {
            self.note(Notice::Limit { scope, message });
        }
        while self.verdict.is_none() {
            let reached = self.scopes.reach(self.now);
            if reached.is_empty() {
                return;
            }
            for (scope, kind) in reached {
                self.on_miss(scope, kind);
            }
            self.settle();
        }
    }

    /// Declares a limit reached before its time: what is left of it serves nothing any more.
    pub(super) fn miss(&mut self, id: ScopeId, kind: Kind) {
        if self.scopes.get(id).is_some_and(|scope| scope.missed.is_none()) {
            self.scopes.set_missed(id, kind);
            self.on_miss(id, kind);
        }
    }

    fn on_miss(&mut self, id: ScopeId, kind: Kind) {
        let Some(scope) = self.scopes.get(id) else { return };
        let path = scope.path.clone();
        match self.on_miss_of(id, kind).unwrap_or(OnMiss::Fail) {
            OnMiss::Fail | OnMiss::Skip => {
                let failure = self.missed_failure(id, kind, "it was over");
                let site = self.active.iter().find(|(_, active)| active.scope == id).map(|(site, _)| *site);
                if let Some(site) = site {
                    self.clear(Part::Below(site));
                }
                self.fail(site, path, failure);
            }
            on_miss @ (OnMiss::KeepBest | OnMiss::Finish) => {
                let may_end = on_miss == OnMiss::Finish;
                let searches: Vec<Site> = self
                    .active
                    .iter()
                    .filter(|(_, active)| matches!(active.state, State::Search(_)) && self.is_inside(active.scope, id))
                    .map(|(site, _)| *site)
                    .collect();
                for site in searches {
                    match may_end {
                        true => self.let_trials_end(site, &self.reason(id, kind)),
                        false => self.close_search(site, self.reason(id, kind)),
                    }
                }
                for (job, owner) in self.jobs_in(id) {
                    // The failure of one before may have been caught, and have taken this one along.
                    if !self.jobs_in(id).contains(&(job, owner)) || may_end && self.is_under_way(job) {
                        continue;
                    }
                    if let (Owner::Step(site), Some(step), Some(scope)) =
                        (owner, self.job_path(job), self.job_scope(job))
                    {
                        let failure = self.missed_failure(scope, kind, "it was over");
                        self.drop_job(job);
                        self.fail(site, step, failure);
                    }
                }
            }
        }
    }

    /// What a scope says of missing its deadline or its budget.
    pub(super) fn on_miss_of(&self, id: ScopeId, kind: Kind) -> Option<OnMiss> {
        let scope = self.scopes.get(id)?;
        match kind {
            Kind::DeadlineExceeded => scope.deadline.as_ref().map(|due| due.on_miss),
            _ => scope.budget.as_ref().map(|purse| purse.on_miss),
        }
    }

    pub(super) fn is_inside(&self, inner: ScopeId, outer: ScopeId) -> bool {
        self.scopes.around(inner).any(|(id, _)| id == outer)
    }

    /// The failure of a step that a limit ended before something.
    pub(super) fn missed_failure(&self, scope: ScopeId, kind: Kind, before: &str) -> Failure {
        let limit = self.scopes.missed(scope).map_or(scope, |(id, _)| id);
        let reason = self.reason(limit, kind);
        let help = match kind {
            Kind::DeadlineExceeded => "allow more time, or let it have less to do; `--no-limits` runs without limits",
            _ => "allow more money, or let it have less to do; `--no-limits` runs without limits",
        };
        Failure::new(kind, format!("{reason} before {before}")).help(help)
    }

    /// `the deadline of 5min of `main` passed`
    fn reason(&self, id: ScopeId, kind: Kind) -> String {
        let Some(scope) = self.scopes.get(id) else { return "the limit was reached".into() };
        match (kind, &scope.deadline, &scope.budget) {
            (Kind::DeadlineExceeded, Some(due), _) => {
                format!("the deadline of {} of `{}` passed", due.at.since(scope.started), scope.path)
            }
            (_, _, Some(purse)) => format!("the budget of {} of `{}` was spent", purse.amount, scope.path),
            _ => format!("a limit of `{}` was reached", scope.path),
        }
    }

    /// A training ended before its last epoch to keep a limit: what that limit makes of it.
    pub(super) fn cut(&mut self, scope: ScopeId, step: &StepPath, epochs: u64) -> Option<Failure> {
        let (limit, kind) = self.nearest_limit(scope)?;
        if matches!(self.on_miss_of(limit, kind)?, OnMiss::KeepBest | OnMiss::Finish) {
            let plural = if epochs == 1 { "" } else { "s" };
            self.mark(
                step.clone(),
                format!("it was stopped after {epochs} epoch{plural} to keep {}", self.limit_name(limit, kind)),
            );
            return None;
        }
        self.scopes.set_missed(limit, kind);
        Some(self.missed_failure(scope, kind, "its last epoch was over"))
    }

    /// `the deadline of `main``
    pub(super) fn limit_name(&self, id: ScopeId, kind: Kind) -> String {
        let what = if kind == Kind::DeadlineExceeded { "deadline" } else { "budget" };
        let path = self.scopes.get(id).map_or_else(String::new, |scope| scope.path.to_string());
        format!("the {what} of `{path}`")
    }

    /// The limit around that will be reached first, as things stand.
    pub(super) fn nearest_limit(&self, scope: ScopeId) -> Option<(ScopeId, Kind)> {
        let due = self.scopes.time_left(scope, self.now).map(|(id, left)| (left, (id, Kind::DeadlineExceeded)));
        let poor = self.scopes.money_left(scope, self.now).and_then(|(id, left)| {
            Some((self.scopes.affords(left, Size::from_mib(2048))?, (id, Kind::BudgetExceeded)))
        });
        due.into_iter().chain(poor).min_by_key(|(left, _)| *left).map(|(_, limit)| limit)
    }

    /// A search without limits of its own leaves something of what it finds to the steps that wait for it, so that a result can
    /// still be made of what it found.
    pub(super) fn spare_time_and_money(&mut self, site: Site, own: ScopeId) {
        let serves_others = |limit: ScopeId| limit != own && self.has_followers(site, limit);
        let nearest = |limited: fn(&Scope) -> bool| self.scopes.around(own).find(|(_, scope)| limited(scope));
        let shares_deadline = nearest(|scope| scope.deadline.is_some()).is_some_and(|(id, _)| serves_others(id));
        let shares_budget = nearest(|scope| scope.budget.is_some()).is_some_and(|(id, _)| serves_others(id));
        let ahead = self.planned_ahead(site);
        if shares_deadline && let Some((_, left)) = self.scopes.time_left(own, self.now) {
            let share =
                Duration::from_secs_f64(left.secs_f64() - spare(left.secs_f64(), ahead.map(|ahead| ahead.seconds)));
            self.scopes.set_deadline(own, Due::keep_best(self.now.after(share)));
        }
        if shares_budget && let Some((_, left)) = self.scopes.money_left(own, self.now) {
            let spare = spare(left.to_f64(), ahead.map(|ahead| ahead.dollars));
            self.scopes.set_budget(own, Purse::keep_best(left.less(spare)));
        }
    }

    /// What a training heeds whose workers are chosen on the way; none where it has neither a limit nor a goal. It is then as
    /// quick as it can be.
    pub(super) fn adapt(
        &self,
        site: Site,
        first: Option<u32>,
        scope: ScopeId,
        goal: Option<Goal>,
        resources: &Resources,
    ) -> Option<Adapt> {
        let due = self.scopes.time_left(scope, self.now).map(|_| Goal::MinCost);
        let poor = self.scopes.money_left(scope, self.now).map(|_| Goal::MinTime);
        Some(Adapt {
            goal: goal.or(due).or(poor)?,
            rate: self.options.prices.rate(resources.memory).to_f64(),
            first,
            reserve: self.planned_ahead(site).map_or(0.0, |ahead| ahead.seconds),
            purse: None,
        })
    }

    /// What is thought of the steps that follow, in all the scopes around; none where one of them is not known.
    pub(super) fn planned_ahead(&self, site: Site) -> Option<Ahead> {
        let mut whole = Ahead::default();
        for site in std::iter::successors(Some(site), |site| Some(self.instances.get(&site.instance)?.owner?.0)) {
            let Ahead { seconds, dollars } =
                self.options.plan.after(self.instances.get(&site.instance)?.region, site.node)?;
            whole = Ahead { seconds: whole.seconds + seconds, dollars: whole.dollars + dollars };
        }
        Some(whole)
    }

    /// Whether a trial that takes `usual` and costs `price` fits into what is left; if not, the limit that it would miss.
    pub(super) fn no_room(
        &self,
        scope: ScopeId,
        usual: Duration,
        price: Money,
        others: usize,
    ) -> Option<(ScopeId, Kind)> {
        let due = self.scopes.time_left(scope, self.now).filter(|(_, left)| *left < usual);
        if let Some((id, _)) = due {
            return Some((id, Kind::DeadlineExceeded));
        }
        // What runs beside it is taken to need its whole price still: a search would rather stop a trial early.
        let needed = price.checked_mul(Decimal::from(others as u64 + 1))?;
        let (id, left) = self.scopes.money_left(scope, self.now)?;
        (left < needed).then_some((id, Kind::BudgetExceeded))
    }
}

/// What a search leaves of its time or money to the steps that follow: something in any case.
fn spare(left: f64, ahead: Option<f64>) -> f64 {
    kept(left, ahead.unwrap_or(f64::INFINITY)).max(0.05 * left)
}

/// What is left of time or money to the steps that follow, which are thought to need so much: twice that, but no more than a
/// search leaves them where nobody knows.
pub(super) fn kept(left: f64, ahead: f64) -> f64 {
    let most = left.max(0.0) * (1.0 - SEARCH_SHARE.to_f64().unwrap_or(1.0));
    most.min(2.0 * ahead)
}
