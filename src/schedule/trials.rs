//! A search under way: its trials are jobs, and what it tries next is up to its strategy.

use super::{
    Notice, Scheduler, Site, StepPath,
    attempts::{Ended, Owner},
    failures::Part,
    scope::ScopeId,
    tree::{Active, Inherited, InstanceId, State},
};
use crate::{
    expr::Scope,
    graph::{self, Region, Train, Trial},
    plan::Resources,
    search::{Ask, Task},
    step::{self, Tries, Usual},
    units::{Duration, Money},
    value::Value,
    wire::{Failure, Goal, Kind, Op},
};
use std::collections::BTreeMap;

/// A search under way.
#[derive(Clone, Debug)]
pub(super) struct Trials<'g> {
    pub spec: &'g graph::Search<Region>,
    tries: Tries,
    resources: Resources,
    /// What holds for its trials; the seed is the search's own.
    pub inherited: Inherited,
    /// What is under way.
    pub tasks: BTreeMap<StepPath, UnderWay>,
    usual: Usual,
    failure: Option<Failure>,
    /// Whether nothing more is begun.
    closed: bool,
}

/// A trial, or a rung of one, under way.
#[derive(Clone, Debug)]
pub(super) struct UnderWay {
    pub task: Task,
    /// Where its steps are, when it is not a job.
    pub steps: Option<(InstanceId, ScopeId)>,
}

impl<'g> Scheduler<'g> {
    pub(super) fn open_search(
        &self,
        site: Site,
        spec: &'g graph::Search<Region>,
        scope: ScopeId,
        resources: Resources,
        inherited: Inherited,
    ) -> Result<Trials<'g>, Failure> {
        let tries = Tries::begin(spec, &self.view(site, scope, None), inherited.seed)?;
        Ok(Trials {
            spec,
            resources,
            inherited: Inherited { seed: tries.seed, ..inherited },
            tries,
            tasks: BTreeMap::new(),
            usual: Usual::default(),
            failure: None,
            closed: false,
        })
    }

    pub(super) fn trials_mut(&mut self, site: Site) -> Option<(&StepPath, ScopeId, &mut Trials<'g>)> {
        match self.active.get_mut(&site)? {
            Active { path, scope, state: State::Search(trials) } => Some((path, *scope, trials)),
            _ => None,
        }
    }

    /// Begins the next trial, or the next rung of one, if there is any; `true` when something changed.
    pub(super) fn pull_trial(&mut self, site: Site) -> bool {
        let Some((_, scope, _)) = self.trials_mut(site).filter(|(_, _, trials)| !trials.closed) else { return false };
        let is_limited = self.scopes.is_limited(scope);
        if is_limited {
            self.narrow(site);
        }
        if is_limited && let Some((limit, kind)) = self.lacks(site) {
            // Those that lead may go on once those beside them are over.
            if self.trials_mut(site).is_some_and(|(_, _, of)| of.tries.search.is_narrow() && !of.tasks.is_empty()) {
                return false;
            }
            let reason = format!("no further trial would end within {}", self.limit_name(limit, kind));
            self.stop_trials(site, &reason);
            return true;
        }
        let Some((_, _, trials)) = self.trials_mut(site) else { return false };
        match trials.tries.search.ask() {
            Ok(Ask::Wait) => return false,
            Ok(Ask::Over) => {
                trials.closed = true;
                self.end_search(site);
            }
            Ok(Ask::Run(task)) => {
                if let Err(failure) = self.begin_trial(site, task) {
                    self.fail_search(site, failure);
                }
            }
            Err(error) => self.fail_search(site, error.into()),
        }
        true
    }

    /// The limit within which what is tried next would not end, as far as is known.
    fn lacks(&mut self, site: Site) -> Option<(ScopeId, Kind)> {
        let (path, scope, trials) = self.trials_mut(site)?;
        let (search, others) = (&trials.tries.search, trials.tasks.len());
        let begun = search.trials().len();
        let (ahead, alone) = (search.epochs_ahead()?, search.epochs().filter(|_| search.is_narrow()));
        let (needed, trial) = (trials.usual.needed(ahead, alone, others), format!("{path}/trial"));
        // Before one was seen, a trial takes what was planned; but one is always tried.
        let planned = || {
            let step = self.options.plan.step(&trial).filter(|_| begun > 0)?;
            Some((step.time(), step.price()))
        };
        let (time, price) = needed.or_else(planned)?;
        self.no_room(scope, time, price, others)
    }

    /// Lets no new trial begin once what is left would bring none to its end: it then goes to the best of those that have begun.
    fn narrow(&mut self, site: Site) {
        let Some((path, scope, trials)) = self.trials_mut(site) else { return };
        let search = &trials.tries.search;
        let (begun, total) = (search.trials().len() as u64, search.total());
        let whole = search.epochs().and_then(|epochs| trials.usual.of(epochs));
        let Some((time, price)) = whole.filter(|_| !search.is_narrow() && begun < total) else { return };
        let path = path.clone();
        let Some(limit) = self.is_late(scope, time, price) else { return };
        let message = format!(
            "it began {begun} of {total} trials, of which the best go on until {} is near",
            self.limit_name(limit.0, limit.1)
        );
        self.mark(path, message);
        if let Some((_, _, trials)) = self.trials_mut(site) {
            trials.tries.search.narrow(trials.tries.search.decisions());
        }
    }

    /// The limit by which it is too late for a trial of a search that takes and costs so much as a whole.
    fn is_late(&self, scope: ScopeId, time: Duration, price: Money) -> Option<(ScopeId, Kind)> {
        let own = self.scopes.get(scope)?;
        let gone = self.now.since(own.started).secs_f64();
        let spent = own.spent.to_f64() + self.scopes.accrued(scope, self.now).to_f64();
        let is_late = |left: f64, gone: f64, whole: f64| Usual::is_late(left, left + gone, whole);
        let due = self.scopes.time_left(scope, self.now);
        let due = due.filter(|(_, left)| is_late(left.secs_f64(), gone, time.secs_f64()));
        let poor = self.scopes.money_left(scope, self.now);
        let poor = poor.filter(|(_, left)| is_late(left.to_f64(), spent, price.to_f64()));
        due.map(|(id, _)| (id, Kind::DeadlineExceeded)).or(poor.map(|(id, _)| (id, Kind::BudgetExceeded)))
    }

    fn fail_search(&mut self, site: Site, failure: Failure) {
        if let Some((path, ..)) = self.trials_mut(site) {
            let path = path.clone();
            self.clear(Part::Below(site));
            self.fail(site, path, failure);
        }
    }

    fn begin_trial(&mut self, site: Site, task: Task) -> Result<(), Failure> {
        let Some((_, _, trials)) = self.trials_mut(site) else { return Ok(()) };
        let choices = trials.tries.choices(trials.spec, task.trial);
        match &trials.spec.trial {
            Trial::Train(train) => self.begin_training(site, task, train, &choices),
            Trial::Steps { body, .. } => {
                self.begin_steps(site, task, body, choices);
                Ok(())
            }
        }
    }

    fn begin_training(&mut self, site: Site, task: Task, train: &'g Train, choices: &Scope) -> Result<(), Failure> {
        let Some((path, scope, trials)) = self.trials_mut(site) else { return Ok(()) };
        if trials.tries.passes_over(&task) {
            return Ok(());
        }
        let (resources, retry, timeout) = (trials.resources, trials.inherited.retry.clone(), trials.inherited.timeout);
        let (cache, search) = (trials.inherited.cache, &trials.tries.search);
        // The best have the machine for themselves, and till then each trial its share of it.
        let (slots, hurry) = if search.is_narrow() { (1, Some(Goal::MinTime)) } else { (search.parallel(), None) };
        let goal = trials.inherited.goal.or(hurry);
        let seed = trials.tries.seed_of(task.trial);
        let path = StepPath(format!("{path}/{}", task.name()).into());
        trials.tasks.insert(path.clone(), UnderWay { task: task.clone(), steps: None });
        let view = self.view(site, scope, Some(choices));
        let first = train.team.first;
        let mut train = step::train(train, &view, seed, self.options.workers)?;
        if let Some((_, _, trials)) = self.trials_mut(site) {
            trials.tries.rung(&task).into_iter().for_each(|rung| train.climb(rung));
        }
        let mut op = Op::Train(Box::new(train));
        let adapt = self.adapt(site, first, scope, goal, &resources);
        let share = if adapt.is_some() { self.options.capacity.share(slots) } else { self.options.capacity };
        let resources = resources.settle(&mut op, &share, adapt);
        if let Some(failure) = self.options.capacity.refuses(&resources) {
            return Err(failure);
        }
        self.enqueue(Owner::Trial(site), path, "trial", op, scope, resources, retry, timeout, cache);
        Ok(())
    }

    /// A trial, or a rung of one, is over.
    pub(super) fn end_trial(&mut self, site: Site, path: &StepPath, ended: Ended) {
        let Some((_, scope, trials)) = self.trials_mut(site) else { return };
        let Some(UnderWay { task, steps }) = trials.tasks.remove(path) else { return };
        let mut stop = None;
        let (value, failure) = match ended.result {
            Ok(done) => {
                if done.trained.as_ref().is_some_and(|trained| trained.cut) {
                    stop = Some(None);
                } else {
                    let epochs = trials.tries.search.epochs_of(task.trial, task.rung.unwrap_or(0));
                    trials.usual.see(epochs, ended.worked, ended.cost);
                }
                (trials.tries.note(&task, done), None)
            }
            // A choice that can't be trained is a result of the search: the worst.
            Err(failure) if steps.is_some() || step::blames_the_choice(&failure) => (None, Some(failure)),
            Err(failure) if matches!(failure.kind, Kind::DeadlineExceeded | Kind::BudgetExceeded) => {
                stop = Some(Some(failure.message.clone()));
                (None, Some(failure))
            }
            Err(failure) => {
                return self.fail_search(site, Failure { message: format!("{path}: {}", failure.message), ..failure });
            }
        };
        trials.tries.search.tell(&task, value);
        if let Some(failure) = &failure {
            trials.failure.get_or_insert_with(|| failure.clone());
        }
        let epochs = trials.tries.epochs(task.trial);
        let notice = Notice::Trial {
            search: StepPath(path.0.rsplit_once("/trial[").map_or(&*path.0, |(search, _)| search).into()),
            trial: task.trial,
            of: Some(trials.tries.search.total()),
            params: trials.tries.params(task.trial).clone(),
            epochs: steps.is_none().then_some(epochs),
            value,
            best: trials.tries.search.best(),
            elapsed: ended.worked,
            cost: ended.cost,
            failure,
        };
        self.note(notice);
        self.wake(site);
        match stop {
            None => self.end_search(site),
            Some(Some(reason)) => self.close_search(site, reason),
            Some(None) => {
                let limit = self
                    .nearest_limit(scope)
                    .map_or_else(|| "its limits".into(), |(id, kind)| self.limit_name(id, kind));
                self.close_search(site, format!("a trial was cut short to keep {limit}"));
            }
        }
    }

    /// Begins no more trials; those under way may end.
    fn stop_trials(&mut self, site: Site, reason: &str) {
        let Some((path, _, trials)) = self.trials_mut(site).filter(|(_, _, trials)| !trials.closed) else { return };
        trials.closed = true;
        let search = &trials.tries.search;
        let (path, begun, total) = (path.clone(), search.trials().len(), search.total());
        // Where the best went on alone, that was told.
        if !search.is_narrow() {
            self.mark(path, format!("it stopped after {begun} of {total} trials: {reason}; the best of them is kept"));
        }
        self.end_search(site);
    }

    /// Begins nothing more of a search, not even what waits for room.
    pub(super) fn let_trials_end(&mut self, site: Site, reason: &str) {
        self.stop_trials(site, reason);
        let Some((_, scope, _)) = self.trials_mut(site) else { return };
        for (job, owner) in self.jobs_in(scope) {
            if owner == Owner::Trial(site)
                && !self.is_under_way(job)
                && let Some(path) = self.job_path(job)
            {
                self.drop_job(job);
                if let Some((_, _, trials)) = self.trials_mut(site) {
                    trials.tasks.remove(&path);
                }
            }
        }
        self.end_search(site);
    }

    /// Stops all trials, and keeps the best of those that are over.
    pub(super) fn close_search(&mut self, site: Site, reason: String) {
        self.stop_trials(site, &reason);
        let Some((_, scope, trials)) = self.trials_mut(site) else { return };
        for UnderWay { steps, .. } in std::mem::take(&mut trials.tasks).into_values() {
            if let Some((region, own)) = steps {
                self.clear(Part::Region(region));
                self.close(own);
            }
        }
        for (job, owner) in self.jobs_in(scope) {
            if owner == Owner::Trial(site) {
                self.drop_job(job);
            }
        }
        self.end_search(site);
    }

    /// Ends a search that begins nothing more and has nothing under way.
    fn end_search(&mut self, site: Site) {
        let (now, Some((path, scope, trials))) = (self.now, self.trials_mut(site)) else { return };
        if !trials.closed || !trials.tasks.is_empty() {
            return;
        }
        let path = path.clone();
        let Some(mut output) = trials.tries.outcome() else {
            let first = trials.failure.take();
            let limit = self.scopes.missed(scope).or_else(|| self.nearest_limit(scope)).filter(|_| first.is_none());
            let failure = match limit {
                Some((_, kind)) => self.missed_failure(scope, kind, "a first trial was over"),
                None => Tries::fruitless(first.as_ref()),
            };
            return self.fail(site, path, failure);
        };
        if let Some(scope) = self.scopes.get(scope) {
            output.insert("cost".into(), Value::Money(scope.spent));
            output.insert("elapsed".into(), Value::Duration(now.since(scope.started)));
        }
        self.end(site, Value::Record(output));
    }
}

impl Trials<'_> {
    /// The scopes of the trials that go through steps at this moment.
    pub fn scopes(&self) -> impl Iterator<Item = ScopeId> {
        self.tasks.values().filter_map(|trial| trial.steps).map(|(_, own)| own)
    }
}
