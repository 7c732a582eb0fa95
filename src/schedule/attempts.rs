//! Attempts at steps: queued, started, retried, stopped, charged for.

use super::{
    Action, Attempt, Launch, Notice, Scheduler, Site, StepPath, Time,
    scope::{Meter, ScopeId},
};
use crate::{
    limits::{Caching, Retry},
    plan::Resources,
    source::Name,
    units::{Duration, Money},
    value::Value,
    wire::{Done, Failure, Kind, Op, Progress},
};

/// Retries of a step whose worker was lost, whatever else is said: the loss is nothing that the step did.
const LOST: Retry = Retry { max: 2, backoff: Duration::from_millis(200), factor: 2.0, jitter: false, on: Vec::new() };

/// A step that needs a worker, through all its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JobId(u64);

/// Whom a job's end concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A step of its own.
    Step(Site),
    /// A trial of a search.
    Trial(Site),
    /// Nobody any more: it was stopped.
    Nobody,
}

/// A step that needs a worker.
#[derive(Clone, Debug)]
pub(super) struct Job {
    owner: Owner,
    path: StepPath,
    kind: Name,
    op: Op,
    pub scope: ScopeId,
    resources: Resources,
    retry: Option<Retry>,
    timeout: Option<Duration>,
    cache: Option<Caching>,
    /// The latest attempt, from 1.
    attempt: u32,
    /// Attempts that were lost with their worker.
    lost: u32,
    /// What ended attempts have cost, and how long they took.
    cost: Money,
    worked: Duration,
    state: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Queued,
    Running(Time),
    Waiting(Time),
}

impl Job {
    /// When the attempt under way began.
    pub const fn since(&self) -> Option<Time> {
        match self.state {
            Phase::Running(since) => Some(since),
            _ => None,
        }
    }

    /// When the next attempt is to begin.
    pub const fn due(&self) -> Option<Time> {
        match self.state {
            Phase::Waiting(until) => Some(until),
            _ => None,
        }
    }

    pub const fn site(&self) -> Option<Site> {
        match self.owner {
            Owner::Step(site) | Owner::Trial(site) => Some(site),
            Owner::Nobody => None,
        }
    }

    fn attempt(&self) -> Attempt {
        Attempt { step: self.path.clone(), number: self.attempt }
    }
}

/// What came of a trial's job.
pub(super) struct Ended {
    pub result: Result<Done, Failure>,
    pub cost: Money,
    pub worked: Duration,
}

impl Scheduler<'_> {
    #[expect(clippy::too_many_arguments, reason = "they are all there is to say about a job")]
    pub(super) fn enqueue(
        &mut self,
        owner: Owner,
        path: StepPath,
        kind: &str,
        op: Op,
        scope: ScopeId,
        resources: Resources,
        retry: Option<Retry>,
        timeout: Option<Duration>,
        cache: Option<Caching>,
    ) {
        let id = JobId(self.id());
        let job = Job {
            owner,
            path,
            kind: kind.into(),
            op,
            scope,
            resources,
            retry,
            timeout,
            cache,
            attempt: 0,
            lost: 0,
            cost: Money::ZERO,
            worked: Duration::ZERO,
            state: Phase::Queued,
        };
        self.jobs.insert(id, job);
        self.queue.push_back(id);
    }

    /// The attempts that cost something at this moment.
    pub(super) fn meters(&self) -> Vec<Meter> {
        let meter = |job: &Job| Some(Meter { scope: job.scope, memory: job.resources.memory, since: job.since()? });
        self.jobs.values().filter_map(meter).collect()
    }

    /// Puts back into the queue what has waited long enough.
    pub(super) fn wake_retries(&mut self) {
        for (id, job) in &mut self.jobs {
            if job.due().is_some_and(|due| due <= self.now) {
                job.state = Phase::Queued;
                self.queue.push_back(*id);
            }
        }
    }

    /// Starts the first queued job that may start.
    pub(super) fn launch_next(&mut self) -> bool {
        let meters = self.meters();
        let may = |id: &JobId| self.jobs.get(id).is_some_and(|job| self.scopes.has_room(job.scope, &meters));
        let Some(index) = self.queue.iter().position(may) else { return false };
        let id = self.queue.remove(index).filter(|id| self.jobs.contains_key(id));
        if let Some(id) = id {
            self.launch(id, &meters);
        }
        true
    }

    fn launch(&mut self, id: JobId, meters: &[Meter]) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (scope, memory) = (job.scope, job.resources.memory);
        let money = self.scopes.money_left(scope, self.now, meters);
        let affordable = money.and_then(|(_, left)| self.scopes.affords(left, memory));
        if let Some((poor, _)) = money.filter(|_| affordable.is_some_and(|time| time <= Duration::ZERO)) {
            self.miss(poor, Kind::BudgetExceeded);
            // Where that did not already end the job, nothing is left for it to start with.
            self.refuse(id, Kind::BudgetExceeded);
            return;
        }
        let time = self.scopes.time_left(scope, self.now);
        if time.is_some_and(|left| left <= Duration::ZERO) || self.scopes.missed(scope).is_some() {
            self.refuse(id, Kind::DeadlineExceeded);
            return;
        }
        let time_left = [time, affordable].into_iter().flatten().min().map(|left| match &self.jobs[&id].op {
            // A training ends by itself a little earlier, so as to keep what it has.
            Op::Train(_) => left.checked_sub(margin(left)).unwrap_or(left),
            _ => left,
        });
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.attempt += 1;
        job.state = Phase::Running(self.now);
        let launch = Launch {
            attempt: job.attempt(),
            op: job.op.clone(),
            memory,
            cpu: job.resources.cpu,
            timeout: job.timeout,
            time_left,
            money_left: money.map(|(_, left)| left),
            cache: job.cache,
        };
        let started = Notice::StepStarted { step: job.path.clone(), kind: job.kind.clone(), attempt: job.attempt };
        self.note(started);
        self.actions.push(Action::Start(Box::new(launch)));
    }

    /// Ends a queued job that a limit keeps from starting.
    fn refuse(&mut self, id: JobId, otherwise: Kind) {
        let Some(job) = self.jobs.remove(&id) else { return };
        let kind = self.scopes.missed(job.scope).map_or(otherwise, |(_, kind)| kind);
        let failure = self.missed_failure(job.scope, kind, "it could start");
        self.ended(job, Err(failure));
    }

    pub(super) fn progress(&mut self, attempt: &Attempt, progress: Progress) {
        let Some(job) = self.current(attempt).and_then(|id| self.jobs.get(&id)) else { return };
        let step = job.path.clone();
        self.note(match progress {
            Progress::Epoch(metrics) => Notice::Epoch { step, metrics },
            progress => Notice::Progress { step, progress },
        });
    }

    pub(super) fn done(&mut self, attempt: &Attempt, done: Done) {
        if let Some(job) = self.close_attempt(attempt) {
            self.ended(job, Ok(done));
        }
    }

    /// A result that was there already costs neither time nor money.
    pub(super) fn served(&mut self, attempt: &Attempt, done: Done) {
        if let Some(job) = self.current(attempt).and_then(|id| self.jobs.remove(&id)) {
            self.ended(job, Ok(done));
        }
    }

    pub(super) fn failed(&mut self, attempt: &Attempt, failure: Failure) {
        let Some(mut job) = self.close_attempt(attempt) else { return };
        if job.owner == Owner::Nobody || self.verdict.is_some() {
            return;
        }
        let lost = failure.kind == Kind::WorkerLost;
        job.lost += u32::from(lost);
        let asked = job.retry.as_ref().filter(|retry| {
            let limit = matches!(failure.kind, Kind::DeadlineExceeded | Kind::BudgetExceeded);
            !limit && (retry.on.is_empty() || retry.on.contains(&failure.kind)) && job.attempt <= retry.max
        });
        let retry = asked.cloned().or_else(|| (lost && job.lost <= LOST.max).then_some(LOST));
        let Some(retry) = retry else { return self.ended(job, Err(failure)) };
        let wait = self.backoff(&retry, &job);
        let until = self.now.after(wait);
        let late = self.scopes.time_left(job.scope, self.now).is_some_and(|left| left <= wait);
        if late || self.scopes.missed(job.scope).is_some() {
            return self.ended(job, Err(failure));
        }
        self.note(Notice::StepRetried { step: job.path.clone(), failure, attempt: job.attempt + 1, after: wait });
        job.state = Phase::Waiting(until);
        let id = JobId(self.id());
        self.jobs.insert(id, job);
    }

    /// `backoff · factor^(retries − 1)`, between half and the whole of it with jitter.
    fn backoff(&self, retry: &Retry, job: &Job) -> Duration {
        let whole = retry.backoff.secs_f64() * retry.factor.powi(job.attempt.saturating_sub(1) as i32);
        let seed = self.options.seed.child(&job.path).child("backoff").child(job.attempt);
        let share = if retry.jitter { 0.5 + seed.generator().unit() / 2.0 } else { 1.0 };
        Duration::from_secs_f64((whole * share).min(1e9))
    }

    /// The job whose latest attempt this is, if it is under way.
    fn current(&self, attempt: &Attempt) -> Option<JobId> {
        let is = |job: &Job| job.since().is_some() && job.attempt == attempt.number && job.path == attempt.step;
        self.jobs.iter().find(|(_, job)| is(job)).map(|(id, _)| *id)
    }

    /// Takes out the job of an attempt that ended, and charges for it; what was reported before counts no more.
    fn close_attempt(&mut self, attempt: &Attempt) -> Option<Job> {
        let mut job = self.jobs.remove(&self.current(attempt)?)?;
        let worked = self.now.since(job.since()?);
        let cost = self.options.prices.attempt(job.resources.memory, worked);
        job.cost = job.cost.checked_add(cost).unwrap_or(job.cost);
        job.worked = job.worked.checked_add(worked).unwrap_or(job.worked);
        for (scope, share, amount) in self.scopes.charge(job.scope, cost) {
            self.note(Notice::Limit { scope, message: format!("{share} of the budget of {amount} is spent") });
        }
        let total = self.spent();
        self.note(Notice::Spent { total });
        Some(job)
    }

    fn ended(&mut self, job: Job, result: Result<Done, Failure>) {
        match job.owner {
            Owner::Nobody => {}
            Owner::Trial(site) => {
                self.end_trial(site, &job.path, Ended { result, cost: job.cost, worked: job.worked });
            }
            Owner::Step(site) => match result {
                Err(failure) => self.fail(site, job.path, failure),
                Ok(done) => self.end_step(site, &job, done),
            },
        }
    }

    fn end_step(&mut self, site: Site, job: &Job, done: Done) {
        let mut output = done.output;
        if let Some(trained) = &done.trained {
            if let Value::Record(fields) = &mut output {
                fields.insert("cost".into(), Value::Money(job.cost));
                fields.insert("elapsed".into(), Value::Duration(job.worked));
            }
            if trained.cut
                && let Some(failure) = self.cut(job.scope, &job.path, trained.epochs)
            {
                return self.fail(site, job.path.clone(), failure);
            }
        }
        self.end(site, output);
    }

    /// Stops a job, and lets nobody hear of its end.
    pub(super) fn drop_job(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.since().is_some() {
            job.owner = Owner::Nobody;
            let attempt = job.attempt();
            let step = job.path.clone();
            self.actions.push(Action::Stop(attempt));
            self.note(Notice::StepStopped { step });
        } else {
            self.jobs.remove(&id);
        }
    }

    /// The jobs in a scope that somebody waits for.
    pub(super) fn jobs_in(&self, scope: ScopeId) -> Vec<(JobId, Owner)> {
        let inside = |job: &&Job| self.scopes.around(job.scope).any(|(id, _)| id == scope);
        let jobs = self.jobs.iter().filter(|(_, job)| job.owner != Owner::Nobody && inside(job));
        jobs.map(|(id, job)| (*id, job.owner)).collect()
    }

    pub(super) fn job_path(&self, id: JobId) -> Option<StepPath> {
        self.jobs.get(&id).map(|job| job.path.clone())
    }

    pub(super) fn job_scope(&self, id: JobId) -> Option<ScopeId> {
        self.jobs.get(&id).map(|job| job.scope)
    }
}

/// What a training leaves of its time for writing its weights.
fn margin(left: Duration) -> Duration {
    left.checked_mul(0.05).unwrap_or(left).min(Duration::from_millis(1000))
}
