//! The scheduler as a pure state machine: the time and an event in, actions out. It has no clock and does no I/O, so the
//! local driver, tests on virtual time and the replay of a log all drive the same one.
//!
//! Work is *pulled*: only when a processor is free does a `for` begin its next item or a search its next trial, so a
//! fan-out over a million items holds a handful of them, and a search decides with all that is known by then.

mod attempts;
mod drain;
mod event;
mod failures;
mod limits;
mod queue;
mod scope;
mod tree;
mod trial_steps;
mod trials;

#[cfg(test)]
mod tests;

pub use event::{Action, Attempt, Event, Launch, Mark, Notice, StepPath, Time, Verdict};

use crate::{
    graph::Graph,
    plan::{Capacity, Plan},
    prices::Prices,
    seed::Seed,
    source::Name,
    value::Fields,
};
use attempts::{Job, JobId};
use failures::Part;
use petgraph::graph::NodeIndex;
use queue::{Queue, Source};
use scope::Scopes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use tree::{Active, Instance, InstanceId};

/// What compounds may begin in one step. Rounds and items without a job take no time, and there may be more of them than
/// the world outside should have to wait for.
const PULLS: usize = 10_000;

/// How a run is to be done. A run that goes on must be done as it was begun, for its log to mean the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// The seed of everything random.
    pub seed: Seed,
    /// Whether deadlines and budgets are kept; they are reported on either way.
    pub enforce: bool,
    /// What things cost.
    pub prices: Prices,
    /// What `run_id()` gives.
    pub run_id: Name,
    /// What the attempts under way may hold together.
    pub capacity: Capacity,
    /// How many workers each training has, whatever the workflow says.
    pub workers: Option<u32>,
    /// What is thought of the steps.
    #[serde(default)]
    pub plan: Plan,
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
    /// The jobs under way, by their attempts.
    running: HashMap<Attempt, JobId>,
    /// Those of them that were stopped.
    dying: BTreeSet<JobId>,
    /// What the attempts under way hold.
    used: Capacity,
    /// The jobs that wait to be tried again, and until when.
    retries: BTreeSet<(Time, JobId)>,
    /// Nodes that wait for nothing any more.
    ready: VecDeque<Site>,
    /// Compounds that may have more to do.
    sources: BTreeMap<Site, Source>,
    /// What may begin when there is room.
    queue: Queue,
    marks: Vec<Mark>,
    /// Whether the user wants to stop: nothing more begins, the run ends with what is under way, and what fails now is to
    /// be done again when it goes on.
    draining: bool,
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
            running: HashMap::new(),
            dying: BTreeSet::new(),
            used: Capacity::default(),
            retries: BTreeSet::new(),
            ready: VecDeque::new(),
            sources: BTreeMap::new(),
            queue: Queue::default(),
            marks: Vec::new(),
            draining: false,
            verdict: None,
            finished: false,
            wake: None,
            actions: Vec::new(),
            options,
        };
        scheduler.plant(args);
        scheduler
    }

    /// A run as it stood after the events of a log; `watch` hears what the user was told then. Nothing is to be done
    /// again: the log tells what was. [`Event::Resume`] lets it go on.
    pub fn replay(
        graph: &'g Graph,
        args: Fields,
        options: Options,
        log: impl IntoIterator<Item = (Time, Event)>,
        watch: &mut dyn FnMut(Time, &Notice),
    ) -> Self {
        let mut scheduler = Self::new(graph, args, options);
        for (time, event) in log {
            for action in scheduler.step(time, event) {
                if let Action::Note(notice) = action {
                    watch(time, &notice);
                }
            }
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
            Event::Cancel => self.drain(),
            Event::Resume => self.resume(),
        }
        self.settle();
        self.enforce();
        self.wake_retries();
        let has_more = self.fill();
        self.finish_or_wake(has_more);
        std::mem::take(&mut self.actions)
    }

    /// How the run ends, once that is decided, though attempts may still be dying.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// The attempts under way.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    fn begin(&mut self) {
        let root = self.scopes.get(Scopes::ROOT);
        let (deadline, budget) = root.map_or((None, None), |root| {
            (
                root.deadline.as_ref().map(|due| due.at.since(root.started)),
                root.budget.as_ref().map(|purse| purse.amount),
            )
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

    /// Begins what can begin while the machine has room. Says whether there may be more to begin at once.
    fn fill(&mut self) -> bool {
        for _ in 0..PULLS {
            let full = self.used.cpus >= self.options.capacity.cpus;
            if self.verdict.is_some() || self.draining || full || !self.begin_next() {
                return false;
            }
            self.settle();
            self.enforce();
        }
        true
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
        // Whatever was decided meanwhile is told when the run goes on.
        let end = match &self.verdict {
            _ if self.draining => (self.running() == 0).then_some(Verdict::Cancelled),
            Some(Verdict::Succeeded { value, .. }) if self.jobs.is_empty() => {
                Some(Verdict::Succeeded { value: value.clone(), marks: self.marks.clone() })
            }
            verdict => verdict.clone().filter(|_| self.jobs.is_empty()),
        };
        if let Some(end) = end {
            self.finished = true;
            self.actions.push(Action::Finish(end));
            return;
        }
        if has_more {
            self.actions.push(Action::WakeAt(self.now));
            self.wake = None;
            return;
        }
        let retry = self.retries.first().map(|(due, _)| *due);
        let limit = self.scopes.next_reach(self.now).filter(|_| self.verdict.is_none());
        let wake = retry.into_iter().chain(limit).min();
        if wake.is_some() && wake != self.wake {
            self.actions.extend(wake.map(Action::WakeAt));
        }
        self.wake = wake;
    }
}
