//! Runs of a workflow on virtual time. The scheduler is the real one; what comes of a step, when and at what price is drawn
//! from what is thought of it. Many such runs tell how long a workflow takes, what it costs, and how likely its limits hold.

mod choice;
mod experience;
mod fleet;
mod foresight;
mod outlook;
mod sample;
mod share;
mod slack;
mod tally;
#[cfg(test)]
mod tests;
mod world;

pub use choice::{Choice, Chosen, Tried};
pub use experience::Experience;
pub use foresight::{Foresight, Rehearse, Slowdown, Staffing, Team};
pub use outlook::{Basis, Outlook, Point, Question, Row, SURE, Wish};
pub use tally::{Ends, Sorted, Tally};

use crate::{
    graph::Graph,
    schedule::{Action, Event, Notice, Options, Scheduler, Time, Verdict},
    seed::Seed,
    units::{Duration, Money},
    value::Fields,
};
use world::World;

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
    let mut world = World::new(foresight, seed);
    let mut scheduler = Scheduler::new(graph, args.clone(), options.clone());
    let mut trace = Trace { verdict: None, elapsed: Duration::ZERO, spent: Money::ZERO, notices: Vec::new() };
    for _ in 0..MAX_EVENTS {
        let Some((now, event)) = world.pop() else { break };
        trace.elapsed = now.0;
        for action in scheduler.step(now, event) {
            match action {
                Action::Start(launch) => world.start(now, launch, scheduler.running()),
                Action::Stop(attempt) => world.stop(now, attempt),
                Action::WakeAt(at) => world.tell(at.max(now), Event::Tick),
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
