//! Runs of a workflow on virtual time. The scheduler is the real one; what comes of a step, when and at what price is drawn
//! from what is thought of it. Many such runs tell how long a workflow takes, what it costs, and how likely its limits hold.

mod choice;
mod experience;
mod foresight;
mod outlook;
mod sample;
mod slack;
mod tally;
#[cfg(test)]
mod tests;

pub use choice::{Choice, Tried};
pub use experience::Experience;
pub use foresight::{Foresight, Rehearse, Slowdown, Staffing, Team};
pub use outlook::{Basis, Outlook, Point, Question, Row, SURE, Wish};
pub use tally::{Ends, Sorted, Tally};

use crate::{
    graph::Graph,
    schedule::{Action, Attempt, Event, Notice, Options, Scheduler, Time, Verdict},
    seed::Seed,
    units::{Duration, Money},
    value::Fields,
    wire::{Failure, Kind},
};
use std::collections::{BTreeMap, HashSet};

/// A run that did not take place.
#[derive(Clone, Debug)]
pub struct Trace {
    /// How it ended; none where it had too many steps to be followed to its end.
    pub verdict: Option<Verdict>,
    /// How long it took.
    pub elapsed: Duration,
    /// What it cost.
    pub spent: Money,
    /// What its user would have been told.
    pub notices: Vec<(Time, Notice)>,
}

/// A run with more events is not followed to its end: a `repeat` may have a million rounds.
const MAX_EVENTS: usize = 2_000_000;

/// Runs a workflow on virtual time. The same seed gives the same run.
pub fn simulate(graph: &Graph, args: &Fields, options: &Options, foresight: &Foresight, seed: Seed) -> Trace {
    let mut world = World::default();
    let mut scheduler = Scheduler::new(graph, args.clone(), options.clone());
    let mut trace = Trace { verdict: None, elapsed: Duration::ZERO, spent: Money::ZERO, notices: Vec::new() };
    world.push(Time::default(), Event::Begin);
    for _ in 0..MAX_EVENTS {
        let Some((now, event)) = world.pop() else { break };
        trace.elapsed = now.0;
        for action in scheduler.step(now, event) {
            match action {
                Action::Start(launch) => {
                    for (after, event) in foresight.foresee(&launch, now, scheduler.running(), seed) {
                        world.push(now.after(after), event);
                    }
                }
                Action::Stop(attempt) => world.stop(now, attempt),
                Action::WakeAt(at) => world.push(at.max(now), Event::Tick),
                Action::Note(notice) => {
                    if let Notice::Spent { total } = notice {
                        trace.spent = total;
                    }
                    trace.notices.push((now, notice));
                }
                Action::Finish(verdict) => {
                    trace.verdict = Some(verdict);
                    return trace;
                }
            }
        }
    }
    trace
}

/// What is still to happen.
#[derive(Default)]
struct World {
    /// What happens at one time happens in the order in which it was foreseen.
    queue: BTreeMap<(Time, u64), Event>,
    stopped: HashSet<Attempt>,
    next: u64,
}

impl World {
    fn push(&mut self, at: Time, event: Event) {
        self.next += 1;
        self.queue.insert((at, self.next), event);
    }

    /// What happens next; of attempts that were stopped, nothing does.
    fn pop(&mut self) -> Option<(Time, Event)> {
        loop {
            let ((at, _), event) = self.queue.pop_first()?;
            match &event {
                Event::Progress(attempt, _) | Event::Done(attempt, _) if self.stopped.contains(attempt) => {}
                _ => return Some((at, event)),
            }
        }
    }

    /// A step that is stopped says so at once.
    fn stop(&mut self, now: Time, attempt: Attempt) {
        let failure = Failure::new(Kind::WorkerLost, "it was stopped");
        self.push(now, Event::Failed(attempt.clone(), failure, Duration::ZERO));
        self.stopped.insert(attempt);
    }
}
