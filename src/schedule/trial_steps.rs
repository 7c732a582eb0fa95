//! The trials of a search over steps: each is a region, entered once for each choice.

use super::{
    Notice, Scheduler, Site, StepPath, attempts::Ended, failures::Part, scope::ScopeId, tree::InstanceId,
    trials::UnderWay,
};
use crate::{
    expr::Scope,
    graph::Region,
    limits::{Limits, OnMiss},
    search::Task,
    units::{Duration, Money},
    value::Value,
    wire::{Done, Failure, Kind},
};

impl<'g> Scheduler<'g> {
    /// Enters the steps of a trial.
    pub(super) fn begin_steps(&mut self, site: Site, task: Task, body: &'g Region, choices: Scope) {
        let Some((path, scope, trials)) = self.trials_mut(site) else { return };
        let (path, inherited) = (StepPath(format!("{path}/trial[{}]", task.trial).into()), trials.inherited.clone());
        let own = self.scopes.open(Some(scope), path.clone(), &Limits::default(), self.now);
        let region = self.enter(body, path.to_string(), Some((site, 0)), own, inherited, choices);
        if let Some((_, _, trials)) = self.trials_mut(site) {
            trials.tasks.insert(path.clone(), UnderWay { task, steps: Some((region, own)) });
        }
        self.note(Notice::StepStarted { step: path, kind: "trial".into(), attempt: 1 });
        self.wake_nodes(region);
    }

    /// The steps of a trial are over, or count as failed.
    pub(super) fn end_steps(&mut self, site: Site, path: &StepPath, result: Result<Value, Failure>) {
        let Some((_, _, trials)) = self.trials_mut(site) else { return };
        let Some((_, own)) = trials.tasks.get(path).and_then(|trial| trial.steps) else { return };
        // What was stopped inside may still be dying, at a cost.
        let dying = self.scopes.accrued(own, self.now);
        let (worked, cost) = match self.close(own) {
            Some(scope) => (self.now.since(scope.started), scope.spent.checked_add(dying).unwrap_or(scope.spent)),
            None => (Duration::ZERO, Money::ZERO),
        };
        let result = result.map(|output| Done { output, trained: None, elapsed: worked });
        self.end_trial(site, path, Ended { result, cost, worked });
    }

    /// Lets a trial fail without its search: where the choice is to blame, the trial has no value; where a limit around
    /// the search keeps the best, the search ends. `false` when the failure climbs on.
    pub(super) fn fail_steps(&mut self, region: InstanceId, limit: Option<ScopeId>, failure: &Failure) -> bool {
        let Some((site, _)) = self.instances.get(&region).and_then(|instance| instance.owner) else { return false };
        let Some((_, _, trials)) = self.trials_mut(site) else { return false };
        let found = trials.tasks.iter().find_map(|(path, trial)| match trial.steps {
            Some((other, own)) if other == region => Some((path.clone(), own)),
            _ => None,
        });
        let Some((path, own)) = found else { return false };
        let is_own = match failure.kind {
            Kind::Diverged | Kind::OutOfMemory | Kind::Timeout => true,
            Kind::DeadlineExceeded | Kind::BudgetExceeded => limit.is_some_and(|limit| self.is_inside(limit, own)),
            _ => false,
        };
        if is_own {
            self.clear(Part::Region(region));
            self.end_steps(site, &path, Err(failure.clone()));
            return true;
        }
        match limit.filter(|_| failure.kind.is_limit()).and_then(|limit| self.on_miss_of(limit, failure.kind)) {
            Some(OnMiss::KeepBest) => self.close_search(site, failure.message.clone()),
            // The trial gets no further; those beside it may.
            Some(OnMiss::Finish) => {
                self.clear(Part::Region(region));
                self.end_steps(site, &path, Err(failure.clone()));
            }
            _ => return false,
        }
        true
    }
}
