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
    search::{self, Ask, Dimension, Distribution, Search, SearchError, Space, Task, has_rungs},
    step,
    units::{Duration, Money},
    value::{Fields, Value},
    wire::{Done, Failure, Horizon, Kind, Op, Rung},
};
use std::collections::BTreeMap;

/// The trials that are under way at the same time when nothing is said.
const PARALLEL: u64 = 4;

/// A search under way.
#[derive(Clone, Debug)]
pub(super) struct Trials<'g> {
    pub spec: &'g graph::Search<Region>,
    search: Search,
    resources: Resources,
    /// What holds for its trials; the seed is the search's own.
    pub inherited: Inherited,
    /// What is under way.
    pub tasks: BTreeMap<StepPath, UnderWay>,
    /// What came of each trial's latest rung.
    results: BTreeMap<u64, Done>,
    /// The most that a first rung, or a whole trial, took.
    usual: Option<(Duration, Money)>,
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

impl From<SearchError> for Failure {
    fn from(error: SearchError) -> Self {
        let failure = Self::new(Kind::TaskFailed, error.to_string());
        match error {
            SearchError::Bounds(..) => failure.help("the least value comes first: `uniform(0, 1)`"),
            SearchError::Boundless(_) => failure.help("use `uniform` or `choice` for it, or `strategy: random()`"),
            SearchError::LargeGrid(_) => failure.help("use fewer `points`, or `strategy: random(trials: 100)`"),
            SearchError::Condition(..) | SearchError::Setting(_) => failure,
        }
    }
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
        let view = self.view(site, scope, None);
        let mut space = Vec::new();
        for dimension in &spec.space {
            let distribution = step::value(&dimension.distribution, &view)?;
            let known = |var| crate::expr::Env::var(&view, var).cloned();
            space.push(Dimension {
                name: dimension.name.clone(),
                var: dimension.var,
                distribution: Distribution::parse(&dimension.name, &distribution)?,
                cond: dimension.cond.as_ref().map(|cond| cond.close(&known)),
            });
        }
        let Value::Std(strategy) = step::value(&spec.strategy, &view)? else {
            return Err(Failure::new(Kind::TaskFailed, "a search's strategy is not one of `std/search`"));
        };
        let parallel =
            spec.parallel.as_ref().map_or(Ok(PARALLEL), |parallel| step::count("parallel", parallel, &view, 1))?;
        let larger = match &spec.trial {
            Trial::Train(train) if matches!(train.horizon, step::Horizon::Steps(_)) && has_rungs(&strategy.name) => {
                let message = format!("`{}` counts in epochs, not in `steps`", strategy.name);
                let help = format!("leave `steps` out, and set `max_epochs` of `{}`", strategy.name);
                return Err(Failure::new(Kind::TaskFailed, message).help(help));
            }
            Trial::Train(train) => train.objective.as_ref().is_some_and(|(_, larger)| *larger),
            Trial::Steps { .. } if has_rungs(&strategy.name) => {
                let message = format!("`{}` ends trainings early, but an `objective` has no epochs", strategy.name);
                return Err(
                    Failure::new(Kind::TaskFailed, message).help("use a strategy of whole trials, such as `random`")
                );
            }
            Trial::Steps { larger, .. } => *larger,
        };
        let seed = step::seed(&spec.seed, &view, inherited.seed)?;
        let search =
            Search::new(Space(space), &strategy, usize::try_from(parallel).unwrap_or(usize::MAX), seed, larger)?;
        Ok(Trials {
            spec,
            search,
            resources,
            inherited: Inherited { seed, ..inherited },
            tasks: BTreeMap::new(),
            results: BTreeMap::new(),
            usual: None,
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
        let Some((_, scope, trials)) = self.trials_mut(site).filter(|(_, _, trials)| !trials.closed) else {
            return false;
        };
        if let Some((usual, price)) = trials.usual {
            let others = trials.tasks.len();
            if let Some((limit, kind)) = self.no_room(scope, usual, price, others) {
                let reason = format!("no further trial would end within {}", self.limit_name(limit, kind));
                self.stop_trials(site, &reason);
                return true;
            }
        }
        let Some((_, _, trials)) = self.trials_mut(site) else { return false };
        match trials.search.ask() {
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

    fn fail_search(&mut self, site: Site, failure: Failure) {
        if let Some((path, ..)) = self.trials_mut(site) {
            let path = path.clone();
            self.clear(Part::Below(site));
            self.fail(site, path, failure);
        }
    }

    fn begin_trial(&mut self, site: Site, task: Task) -> Result<(), Failure> {
        let Some((_, _, trials)) = self.trials_mut(site) else { return Ok(()) };
        let mut choices = Scope::default();
        let trial = &trials.search.trials()[task.trial as usize];
        for dimension in &trials.spec.space {
            choices.set(dimension.var, trial.params.get(&dimension.name).cloned().unwrap_or(Value::None));
        }
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
        let resume =
            trials.results.get(&task.trial).map(|done| done.trained.as_ref().and_then(|t| t.checkpoint.clone()));
        if resume == Some(None) {
            // The training was over before its horizon, so the next rung has nothing to add.
            let value = trials.search.trials()[task.trial as usize].value;
            trials.search.tell(&task, value);
            return Ok(());
        }
        let (resources, retry, timeout) = (trials.resources, trials.inherited.retry.clone(), trials.inherited.timeout);
        let cache = trials.inherited.cache;
        let seed = trials.inherited.seed.child(format_args!("trial[{}]", task.trial));
        let path = match task.rung {
            Some(rung) => format!("{path}/trial[{}]/rung[{rung}]", task.trial),
            None => format!("{path}/trial[{}]", task.trial),
        };
        let path = StepPath(path.into());
        trials.tasks.insert(path.clone(), UnderWay { task: task.clone(), steps: None });
        let view = self.view(site, scope, Some(choices));
        let mut train = step::train(train, &view, seed, self.options.workers)?;
        if let Some((pause_at, horizon)) = task.epochs {
            train.horizon = Horizon::Epochs(horizon);
            train.rung = Some(Rung { pause_at, resume: resume.flatten() });
        }
        let mut op = Op::Train(Box::new(train));
        let resources = resources.settle(&mut op, &self.options.capacity);
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
                let trained = done.trained.as_ref();
                let value = match trained {
                    Some(trained) => trained.objective,
                    None => done.output.as_f64().or_else(|| done.output.field("value")?.as_f64()),
                };
                let value = value.filter(|value| value.is_finite());
                if trained.is_some_and(|trained| trained.cut) {
                    stop = Some(None);
                } else if task.rung.unwrap_or(0) == 0 {
                    trials.usual = trials.usual.max(Some((ended.worked, ended.cost)));
                }
                trials.results.insert(task.trial, done);
                (value, None)
            }
            // A choice that can't be trained is a result of the search: the worst.
            Err(failure)
                if steps.is_some() || matches!(failure.kind, Kind::Diverged | Kind::OutOfMemory | Kind::Timeout) =>
            {
                (None, Some(failure))
            }
            Err(failure) if matches!(failure.kind, Kind::DeadlineExceeded | Kind::BudgetExceeded) => {
                stop = Some(Some(failure.message.clone()));
                (None, Some(failure))
            }
            Err(failure) => {
                return self.fail_search(site, Failure { message: format!("{path}: {}", failure.message), ..failure });
            }
        };
        trials.search.tell(&task, value);
        if let Some(failure) = &failure {
            trials.failure.get_or_insert_with(|| failure.clone());
        }
        let epochs = trials.epochs(task.trial);
        let notice = Notice::Trial {
            search: StepPath(path.0.rsplit_once("/trial[").map_or(&*path.0, |(search, _)| search).into()),
            trial: task.trial,
            of: Some(trials.search.total()),
            params: trials.search.trials()[task.trial as usize].params.clone(),
            epochs: steps.is_none().then_some(epochs),
            value,
            best: trials.search.best(),
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
        let (path, begun, total) = (path.clone(), trials.search.trials().len(), trials.search.total());
        self.mark(path, format!("it stopped after {begun} of {total} trials: {reason}; the best of them is kept"));
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
        let best = trials.search.best().and_then(|(number, value)| Some((number, value, trials.results.get(&number)?)));
        let Some((number, value, best)) = best else {
            let failure = trials.failure.take();
            let failure = match failure {
                Some(failure) => {
                    Failure { message: format!("no trial came to an end; the first: {}", failure.message), ..failure }
                }
                None => match self.scopes.missed(scope) {
                    Some((_, kind)) => self.missed_failure(scope, kind, "a first trial was over"),
                    None => match self.nearest_limit(scope) {
                        Some((_, kind)) => self.missed_failure(scope, kind, "a first trial was over"),
                        None => Failure::new(Kind::Diverged, "no trial gave a number"),
                    },
                },
            };
            return self.fail(site, path, failure);
        };
        let params = trials.search.trials()[number as usize].params.clone();
        let mut output = Fields::from([
            ("params".into(), Value::Record(params)),
            ("value".into(), Value::Float(value)),
            ("trials".into(), trials.records()),
        ]);
        match &trials.spec.trial {
            Trial::Steps { .. } => drop(output.insert("best".into(), best.output.clone())),
            Trial::Train(_) => output.extend(["model", "weights", "metrics", "epochs"].map(|name| {
                let field = best.output.field(name).cloned();
                (name.into(), field.unwrap_or(Value::None))
            })),
        }
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

    /// The epochs that a trial was trained so far.
    fn epochs(&self, trial: u64) -> u64 {
        self.results.get(&trial).and_then(|done| done.trained.as_ref()).map_or(0, |trained| trained.epochs)
    }

    /// What was tried, for the outcome.
    fn records(&self) -> Value {
        let record = |(trial, number): (&search::Trial, u64)| {
            let mut record = Fields::from([
                ("trial".into(), Value::Int(number as i64)),
                ("params".into(), Value::Record(trial.params.clone())),
                ("value".into(), trial.value.map_or(Value::None, Value::Float)),
            ]);
            if let Trial::Train(_) = self.spec.trial {
                record.insert("epochs".into(), Value::Int(self.epochs(number) as i64));
            }
            Value::Record(record)
        };
        Value::List(self.search.trials().iter().zip(0..).map(record).collect())
    }
}
