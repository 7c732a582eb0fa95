//! The scheduler as a pure state machine: the time and an event in, actions out. It has no clock and does no I/O, so the
//! local driver, tests on virtual time and the replay of a log all drive the same one.
//!
//! Work is *pulled*: only when a slot is free does a `for` begin its next item or a search its next trial, so a fan-out
//! over a million items holds a handful of them, and a search decides with all that is known by then.

mod attempts;
mod event;
mod failures;
mod limits;
mod ops;
mod scope;
mod tree;
mod trial_steps;
mod trials;

#[cfg(test)]
mod tests;

pub use event::{Action, Attempt, Event, Launch, Mark, Notice, StepPath, Time, Verdict};

use crate::{graph::Graph, plan::Prices, seed::Seed, source::Name, value::Fields};
use attempts::{Job, JobId};
use failures::Part;
use petgraph::graph::NodeIndex;
use scope::Scopes;
use std::collections::{BTreeMap, VecDeque};
use tree::{Active, Instance, InstanceId};

/// What compounds may begin in one step. Rounds and items without a job take no time, and there may be more of them than
/// the world outside should have to wait for.
const PULLS: usize = 10_000;

/// How a run is to be done.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed of everything random.
    pub seed: Seed,
    /// Whether deadlines and budgets are kept; they are reported on either way.
    pub enforce: bool,
    /// What things cost.
    pub prices: Prices,
    /// What `run_id()` gives.
    pub run_id: Name,
    /// The attempts that may be under way at the same time.
    pub slots: usize,
}

/// A node of a region that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Site {
    instance: InstanceId,
    node: NodeIndex,
}

/// A run of a workflow.
#[derive(Clone, Debug)]
pub struct Scheduler<'g> {
    graph: &'g Graph,
    options: Options,
    now: Time,
    next_id: u64,
    instances: BTreeMap<InstanceId, Instance<'g>>,
    active: BTreeMap<Site, Active<'g>>,
    scopes: Scopes,
    jobs: BTreeMap<JobId, Job>,
    /// Nodes that wait for nothing any more.
    ready: VecDeque<Site>,
    /// Attempts that wait for a slot.
    queue: VecDeque<JobId>,
    /// Compounds that may have more to do, in the order in which they began.
    sources: Vec<Site>,
    marks: Vec<Mark>,
    /// How the run ends, once that is decided.
    verdict: Option<Verdict>,
    finished: bool,
    wake: Option<Time>,
    actions: Vec<Action>,
}

impl<'g> Scheduler<'g> {
    /// A run of the workflow `graph` with a value for each parameter, by name. It begins with [`Event::Begin`].
    pub fn new(graph: &'g Graph, args: Fields, options: Options) -> Self {
        let path = StepPath(graph.workflow.clone());
        let scopes = Scopes::new(path, &graph.limits, options.enforce, options.prices.clone());
        let mut scheduler = Self {
            graph,
            now: Time::default(),
            next_id: 0,
            instances: BTreeMap::new(),
            active: BTreeMap::new(),
            scopes,
            jobs: BTreeMap::new(),
            ready: VecDeque::new(),
            queue: VecDeque::new(),
            sources: Vec::new(),
            marks: Vec::new(),
            verdict: None,
            finished: false,
            wake: None,
            actions: Vec::new(),
            options,
        };
        scheduler.plant(args);
        scheduler
    }

    /// A run as it stood after the events of a log. Nothing is to be done again: the log tells what was.
    pub fn replay(
        graph: &'g Graph,
        args: Fields,
        options: Options,
        log: impl IntoIterator<Item = (Time, Event)>,
    ) -> Self {
        let mut scheduler = Self::new(graph, args, options);
        for (time, event) in log {
            scheduler.step(time, event);
        }
        scheduler
    }

    /// Takes in what happened at `now`, and says what to do. Time never goes back: an earlier `now` counts as the latest.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        match event {
            Event::Begin => self.begin(),
            Event::Progress(attempt, progress) => self.progress(&attempt, progress),
            Event::Done(attempt, done) => self.done(&attempt, *done),
            Event::Served(attempt, done) => self.served(&attempt, *done),
            Event::Failed(attempt, failure, _) => self.failed(&attempt, failure),
            Event::Tick => {}
            Event::Cancel => self.conclude(Verdict::Cancelled),
        }
        self.settle();
        self.enforce();
        self.wake_retries();
        let has_more = self.fill_slots();
        self.finish_or_wake(has_more);
        std::mem::take(&mut self.actions)
    }

    /// The attempts under way.
    pub fn running(&self) -> usize {
        self.jobs.values().filter(|job| job.since().is_some()).count()
    }

    fn begin(&mut self) {
        let root = self.scopes.get(Scopes::ROOT);
        let (deadline, budget) = root.map_or((None, None), |root| {
            (root.deadline.map(|due| due.at.since(root.started)), root.budget.as_ref().map(|purse| purse.amount))
        });
        let args = self.arguments();
        self.note(Notice::RunStarted { workflow: self.graph.workflow.clone(), args, deadline, budget });
        self.sprout();
    }

    fn note(&mut self, notice: Notice) {
        self.actions.push(Action::Note(notice));
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Starts what can be started while slots are free: what is queued first, then what compounds have to give. Says
    /// whether there may be more to start at once.
    fn fill_slots(&mut self) -> bool {
        for _ in 0..PULLS {
            if self.verdict.is_some() || self.running() >= self.options.slots.max(1) {
                return false;
            }
            if !self.launch_next() && !self.pull() {
                return false;
            }
            self.settle();
            self.enforce();
        }
        true
    }

    /// Asks the compounds, in order, for something to do; not those whose limits would only let it wait.
    fn pull(&mut self) -> bool {
        let meters = self.meters();
        (0..self.sources.len()).any(|index| {
            // Only one that gave something changes the list.
            let Some(site) = self.sources.get(index).copied() else { return false };
            let scope = self.active.get(&site).map(|active| active.scope);
            scope.is_some_and(|scope| self.scopes.has_room(scope, &meters))
                && (self.pull_item(site) || self.pull_trial(site) || self.pull_round(site))
        })
    }

    /// Decides how the run ends, and stops what is under way.
    fn conclude(&mut self, verdict: Verdict) {
        if self.verdict.is_none() {
            self.verdict = Some(verdict);
            self.clear(Part::All);
        }
    }

    fn finish_or_wake(&mut self, has_more: bool) {
        if self.finished {
            return;
        }
        if self.jobs.is_empty()
            && let Some(verdict) = &self.verdict
        {
            self.finished = true;
            let verdict = match verdict.clone() {
                Verdict::Succeeded { value, .. } => {
                    Verdict::Succeeded { value, marks: std::mem::take(&mut self.marks) }
                }
                verdict => verdict,
            };
            self.actions.push(Action::Finish(verdict));
            return;
        }
        if has_more {
            self.actions.push(Action::WakeAt(self.now));
            self.wake = None;
            return;
        }
        let retry = self.jobs.values().filter_map(Job::due).min();
        let limit = self.scopes.next_reach(self.now, &self.meters()).filter(|_| self.verdict.is_none());
        let wake = retry.into_iter().chain(limit).min();
        if wake.is_some() && wake != self.wake {
            self.actions.extend(wake.map(Action::WakeAt));
        }
        self.wake = wake;
    }
}
