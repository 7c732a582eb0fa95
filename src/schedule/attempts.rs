//! Attempts at steps: queued, started, retried, stopped, charged for.

use super::{
    Action, Attempt, Launch, Notice, Scheduler, Site, StepPath, Time,
    limits::kept,
    queue::{Line, Turn},
    scope::ScopeId,
};
use crate::{
    limits::{Caching, Retry},
    plan::{Ahead, Resources},
    source::Name,
    units::{Duration, Money, Size},
    value::Value,
    wire::{Done, Failure, Kind, Op, Progress, spared},
};

/// Retries of a step whose worker was lost, whatever else is said: the loss is nothing that the step did.
const LOST: Retry =
    Retry { max: 2, backoff: Duration::from_millis(200), factor: 2.0, jitter: false, on: Vec::new(), memory: None };

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
    pub owner: Owner,
    pub path: StepPath,
    kind: Name,
    op: Op,
    pub scope: ScopeId,
    resources: Resources,
    retry: Option<Retry>,
    timeout: Option<Duration>,
    cache: Option<Caching>,
    /// The latest attempt, from 1.
    attempt: u32,
    /// Attempts that ended with the program or when the user stopped it; they count as none.
    cut_off: u32,
    /// Attempts that were lost with their worker.
    lost: u32,
    /// What ended attempts have cost, and how long they took.
    cost: Money,
    worked: Duration,
    state: Phase,
    /// What its workers hold in the round under way, and since when; what they held before is charged.
    round: Option<(Resources, Time)>,
    /// Where it waits for room, and when it is its turn there.
    pub line: Line,
    pub turn: Turn,
    /// How many behind it began while it waited for more of the machine than was free.
    pub passed: u32,
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

    /// What the attempt under way holds, and since when.
    pub fn held(&self) -> Option<(Resources, Time)> {
        self.round.or(Some((self.resources, self.since()?)))
    }

    pub const fn site(&self) -> Option<Site> {
        match self.owner {
            Owner::Step(site) | Owner::Trial(site) => Some(site),
            Owner::Nobody => None,
        }
    }

    /// Queues it again; its latest attempt counts as none.
    pub fn put_back(&mut self) {
        self.cut_off += 1;
        self.state = Phase::Queued;
    }

    /// Which try at the step it is, by those that count.
    const fn tries(&self) -> u32 {
        self.attempt.saturating_sub(self.cut_off)
    }

    pub fn attempt(&self) -> Attempt {
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
        let (Owner::Step(site) | Owner::Trial(site)) = owner else { return };
        let id = JobId(self.id());
        let line = (self.scopes.nearest_parallel(scope), self.options.capacity.held_by(&resources));
        let turn = self.turn(site);
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
            cut_off: 0,
            lost: 0,
            cost: Money::ZERO,
            worked: Duration::ZERO,
            state: Phase::Queued,
            round: None,
            line,
            turn,
            passed: 0,
        };
        self.jobs.insert(id, job);
        self.line_up(id);
    }

    /// Puts back into the queue what has waited long enough.
    pub(super) fn wake_retries(&mut self) {
        while let Some((_, id)) = self.retries.first().copied().filter(|(due, _)| *due <= self.now) {
            self.retries.pop_first();
            if let Some(job) = self.jobs.get_mut(&id) {
                job.state = Phase::Queued;
            }
            self.line_up(id);
        }
    }

    /// Starts a queued job, or ends it where a limit keeps it from starting.
    pub(super) fn launch(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (scope, memory, all) = (job.scope, job.resources.memory, job.resources.memory_of_all());
        let money = self.scopes.money_left(scope, self.now);
        let affordable = money.and_then(|(_, left)| self.scopes.affords(left, all));
        if let Some((poor, _)) = money.filter(|_| affordable.is_some_and(|time| time <= Duration::ZERO)) {
            self.miss(poor, Kind::BudgetExceeded);
            // Where that did not already end the job, nothing is left for it to start with.
            self.refuse(id, Kind::BudgetExceeded);
            return;
        }
        let time = self.scopes.time_left(scope, self.now).map(|(_, left)| left);
        if time.is_some_and(|left| left <= Duration::ZERO) || self.scopes.missed(scope).is_some() {
            self.refuse(id, Kind::DeadlineExceeded);
            return;
        }
        let ahead = if let Owner::Step(site) = job.owner { self.planned_ahead(site) } else { None };
        let mut op = job.op.clone();
        let purse = self.scopes.stops_with(scope, self.now).map(|left| match &op {
            Op::Train(_) => left.less(kept(left.to_f64(), ahead.map_or(0.0, |ahead| ahead.dollars))),
            _ => left,
        });
        let mut lasts = purse.and_then(|left| self.scopes.affords(left, all));
        if let Op::Train(train) = &mut op
            && let Some(adapt) = &mut train.team.adapt
        {
            // How long it lasts depends on how many there are in each round.
            adapt.purse = purse.map(|left| left.less(self.options.prices.start().to_f64()).to_f64());
            lasts = None;
        }
        let stops = self.scopes.stops_after(scope, self.now).into_iter().chain(lasts).min();
        let time_left = stops.map(|left| match &op {
            // A training ends by itself a little earlier, so as to keep what it has, and have something made of it.
            Op::Train(_) => left.checked_sub(margin(left, ahead)).unwrap_or(left),
            _ => left,
        });
        self.step_out(id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.attempt += 1;
        job.state = Phase::Running(self.now);
        job.passed = 0;
        self.scopes.enter(scope, all, self.now);
        self.used.add(&job.line.1);
        self.running.insert(job.attempt(), id);
        let launch = Launch {
            attempt: job.attempt(),
            op,
            memory,
            memory_limit: job.resources.limited.then_some(memory),
            cpu: job.resources.cpus.to_f64(),
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
        self.step_out(id);
        let Some(job) = self.jobs.remove(&id) else { return };
        let kind = self.scopes.missed(job.scope).map_or(otherwise, |(_, kind)| kind);
        let failure = self.missed_failure(job.scope, kind, "it could start");
        self.ended(job, Err(failure));
    }

    pub(super) fn progress(&mut self, attempt: &Attempt, progress: Progress) {
        let Some(id) = self.running.get(attempt).copied() else { return };
        if let Progress::Begun(begun) = &progress {
            self.change_team(id, begun.workers);
        }
        let Some(step) = self.job_path(id) else { return };
        self.note(match progress {
            Progress::Epoch(metrics) => Notice::Epoch { step, metrics },
            progress => Notice::Progress { step, progress },
        });
    }

    /// Another number of workers begins a round of a training: the last round is charged, and what is held changes.
    fn change_team(&mut self, id: JobId, workers: u32) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some((before, since)) = job.held() else { return };
        let (scope, worked) = (job.scope, self.now.since(since));
        let cost = self.options.prices.held(before.memory_of_all(), worked);
        job.cost = job.cost.checked_add(cost).unwrap_or(job.cost);
        let after = Resources { workers: workers.max(1), ..job.resources };
        job.round = Some((after, self.now));
        self.used.subtract(&job.line.1);
        job.line.1 = self.options.capacity.held_by(&after);
        self.used.add(&job.line.1);
        self.scopes.leave(scope, before.memory_of_all(), since);
        self.charge(scope, cost);
        self.scopes.enter(scope, after.memory_of_all(), self.now);
    }

    /// Enters a cost into its scope and all around it.
    fn charge(&mut self, scope: ScopeId, cost: Money) {
        self.scopes.charge(scope, cost);
        let total = self.spent();
        self.note(Notice::Spent { total });
    }

    pub(super) fn done(&mut self, attempt: &Attempt, done: Done) {
        if let Some((_, job)) = self.close_attempt(attempt) {
            self.ended(job, Ok(done));
        }
    }

    /// A result that was there already costs neither time nor money.
    pub(super) fn served(&mut self, attempt: &Attempt, done: Done) {
        if let Some((_, job, _)) = self.take_out(attempt) {
            self.ended(job, Ok(done));
        }
    }

    pub(super) fn failed(&mut self, attempt: &Attempt, failure: Failure) {
        let Some((id, mut job)) = self.close_attempt(attempt) else { return };
        if job.owner == Owner::Nobody || self.verdict.is_some() {
            return;
        }
        if self.draining {
            return self.give_up(id, job, failure);
        }
        let lost = failure.kind == Kind::WorkerLost;
        job.lost += u32::from(lost);
        let asked = job.retry.as_ref().filter(|retry| {
            let limit = matches!(failure.kind, Kind::DeadlineExceeded | Kind::BudgetExceeded);
            !limit && (retry.on.is_empty() || retry.on.contains(&failure.kind)) && job.tries() <= retry.max
        });
        let retry = asked.cloned().or_else(|| (lost && job.lost <= LOST.max).then_some(LOST));
        let Some(retry) = retry else { return self.ended(job, Err(failure)) };
        let wait = self.backoff(&retry, &job);
        let until = self.now.after(wait);
        let late = self.scopes.time_left(job.scope, self.now).is_some_and(|(_, left)| left <= wait);
        if late || self.scopes.missed(job.scope).is_some() {
            return self.ended(job, Err(failure));
        }
        let mut memory = None;
        if let Some(factor) = retry.memory.filter(|_| failure.kind == Kind::OutOfMemory) {
            memory = self.more_memory(job.resources.memory, factor);
            let Some(memory) = memory else { return self.ended(job, Err(failure)) };
            job.resources = Resources { memory, limited: true, ..job.resources };
            job.line.1 = self.options.capacity.held_by(&job.resources);
        }
        let (step, attempt) = (job.path.clone(), job.attempt + 1);
        self.note(Notice::StepRetried { step, failure, attempt, after: wait, memory });
        job.state = Phase::Waiting(until);
        let id = JobId(self.id());
        self.retries.insert((until, id));
        self.jobs.insert(id, job);
    }

    /// The memory with which to try again what ran out of it: no more than the machine has, and nothing when all of that
    /// was too little.
    fn more_memory(&self, memory: Size, factor: f64) -> Option<Size> {
        let whole = self.options.capacity.memory;
        let more = memory.checked_mul(factor).map_or(whole, |more| more.min(whole));
        (more > memory).then_some(more)
    }

    /// `backoff · factor^(retries − 1)`, between half and the whole of it with jitter.
    fn backoff(&self, retry: &Retry, job: &Job) -> Duration {
        let whole = retry.backoff.secs_f64() * retry.factor.powi(job.tries().saturating_sub(1) as i32);
        let seed = self.options.seed.child(&job.path).child("backoff").child(job.tries());
        let share = if retry.jitter { 0.5 + seed.generator().unit() / 2.0 } else { 1.0 };
        Duration::from_secs_f64((whole * share).min(1e9))
    }

    /// Takes out the job of an attempt that ended, and tells since when it ran; what is reported later counts no more.
    fn take_out(&mut self, attempt: &Attempt) -> Option<(JobId, Job, Time)> {
        let id = self.running.remove(attempt)?;
        self.dying.remove(&id);
        let job = self.jobs.remove(&id)?;
        let (held, since) = job.held()?;
        self.used.subtract(&job.line.1);
        self.scopes.leave(job.scope, held.memory_of_all(), since);
        Some((id, job, since))
    }

    /// Takes out the job of an attempt that ended, and charges for it.
    pub(super) fn close_attempt(&mut self, attempt: &Attempt) -> Option<(JobId, Job)> {
        let (id, mut job, since) = self.take_out(attempt)?;
        let worked = job.since().map_or(Duration::ZERO, |since| self.now.since(since));
        let (held, _) = job.held()?;
        let cost = self.options.prices.attempt(held.memory_of_all(), self.now.since(since));
        job.cost = job.cost.checked_add(cost).unwrap_or(job.cost);
        job.worked = job.worked.checked_add(worked).unwrap_or(job.worked);
        // The next attempt begins with what the step asks for.
        job.round = None;
        job.line.1 = self.options.capacity.held_by(&job.resources);
        self.charge(job.scope, cost);
        Some((id, job))
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
        match job.state {
            Phase::Running(_) => {
                job.owner = Owner::Nobody;
                self.dying.insert(id);
                let (attempt, step) = (job.attempt(), job.path.clone());
                self.actions.push(Action::Stop(attempt));
                self.note(Notice::StepStopped { step });
                return;
            }
            Phase::Queued => self.step_out(id),
            Phase::Waiting(until) => drop(self.retries.remove(&(until, id))),
        }
        self.jobs.remove(&id);
    }

    /// The jobs in a scope that somebody waits for.
    pub(super) fn jobs_in(&self, scope: ScopeId) -> Vec<(JobId, Owner)> {
        let inside = |job: &&Job| self.scopes.around(job.scope).any(|(id, _)| id == scope);
        let jobs = self.jobs.iter().filter(|(_, job)| job.owner != Owner::Nobody && inside(job));
        jobs.map(|(id, job)| (*id, job.owner)).collect()
    }

    pub(super) fn is_under_way(&self, id: JobId) -> bool {
        self.jobs.get(&id).is_some_and(|job| job.since().is_some())
    }

    pub(super) fn job_path(&self, id: JobId) -> Option<StepPath> {
        self.jobs.get(&id).map(|job| job.path.clone())
    }

    pub(super) fn job_scope(&self, id: JobId) -> Option<ScopeId> {
        self.jobs.get(&id).map(|job| job.scope)
    }
}

/// What a training leaves of its time: for writing its weights, and for the steps that follow.
fn margin(left: Duration, ahead: Option<Ahead>) -> Duration {
    let left = left.secs_f64().max(0.0);
    Duration::from_secs_f64(spared(left).max(kept(left, ahead.map_or(0.0, |ahead| ahead.seconds))))
}
