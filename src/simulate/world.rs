//! What is still to happen in a simulated run.

use super::{
    fleet::Fleet,
    foresight::{Course, Foresight, Leg, Next, Rounds},
    share::{Demand, speeds},
};
use crate::{
    schedule::{Attempt, Event, Launch, Time},
    seed::Seed,
    units::Duration,
    wire::{Failure, Kind},
};
use std::collections::{BTreeMap, HashSet};

pub(super) struct World<'a> {
    foresight: &'a Foresight<'a>,
    seed: Seed,
    fleet: Fleet<'a>,
    /// What happens at one time happens in the order in which it was foreseen.
    queue: BTreeMap<(Time, u64), Happening>,
    teams: BTreeMap<u64, UnderWay<'a>>,
    /// Whether some of them wait for others at the store.
    is_crowded: bool,
    stopped: HashSet<Attempt>,
    next: u64,
}

enum Happening {
    Event(Event),
    /// A leg of a team is over, if it was not put off since.
    Over {
        team: u64,
        version: u32,
    },
}

/// A training by several workers, in one of its legs.
struct UnderWay<'a> {
    rounds: Box<Rounds<'a>>,
    launched: Time,
    leg: Leg,
    /// Seconds of the leg's work that were done, when the training had taken so many, and how quickly it goes on.
    done: f64,
    as_of: f64,
    speed: f64,
    version: u32,
}

impl UnderWay<'_> {
    /// Seconds of the training at which the leg is over.
    fn end(&self) -> f64 {
        (self.as_of + (self.leg.work - self.done) / self.speed).min(self.leg.by)
    }

    /// Seconds of its work that are done when the training has taken so many.
    fn done(&self, seconds: f64) -> f64 {
        (self.done + (seconds - self.as_of).max(0.0) * self.speed).min(self.leg.work)
    }

    fn go_on(&mut self, now: Time, speed: f64) {
        let seconds = now.since(self.launched).secs_f64();
        (self.done, self.as_of) = (self.done(seconds), self.as_of.max(seconds));
        self.speed = speed;
        self.version += 1;
    }

    fn at(&self, seconds: f64) -> Time {
        self.launched.after(Duration::from_secs_f64(seconds))
    }
}

impl<'a> World<'a> {
    pub(super) fn new(foresight: &'a Foresight<'a>, seed: Seed) -> Self {
        let mut world = Self {
            foresight,
            seed,
            fleet: foresight.fleet(),
            queue: BTreeMap::new(),
            teams: BTreeMap::new(),
            is_crowded: false,
            stopped: HashSet::new(),
            next: 0,
        };
        world.tell(Time::default(), Event::Begin);
        world
    }

    /// An attempt begins, beside others: `busy` with it.
    pub(super) fn start(&mut self, now: Time, launch: Box<Launch>, busy: usize) {
        match self.foresight.foresee(launch, now, busy, self.seed, &mut self.fleet) {
            Course::Certain(events) => {
                for (after, event) in events {
                    self.tell(now.after(after), event);
                }
            }
            Course::Rounds(rounds) => self.begin(now, now, rounds),
        }
    }

    /// Something happens.
    pub(super) fn tell(&mut self, at: Time, event: Event) {
        self.push(at, Happening::Event(event));
    }

    fn push(&mut self, at: Time, happening: Happening) {
        self.next += 1;
        self.queue.insert((at, self.next), happening);
    }

    /// What happens next; of attempts that were stopped, nothing does.
    pub(super) fn pop(&mut self) -> Option<(Time, Event)> {
        loop {
            let ((now, _), happening) = self.queue.pop_first()?;
            match happening {
                Happening::Over { team, version } => self.over(now, team, version),
                Happening::Event(event) => {
                    match &event {
                        Event::Progress(attempt, _) | Event::Done(attempt, _) if self.stopped.contains(attempt) => {
                            continue;
                        }
                        Event::Done(attempt, _) | Event::Failed(attempt, ..) => self.fleet.give_back(now, attempt),
                        _ => {}
                    }
                    return Some((now, event));
                }
            }
        }
    }

    /// A step that is stopped says so at once.
    pub(super) fn stop(&mut self, now: Time, attempt: Attempt) {
        self.teams.retain(|_, team| *team.rounds.attempt() != attempt);
        self.share(now);
        let failure = Failure::new(Kind::WorkerLost, "it was stopped");
        self.tell(now, Event::Failed(attempt.clone(), failure, Duration::ZERO));
        self.stopped.insert(attempt);
    }

    /// The next leg of a training begins, unless it was the last.
    fn begin(&mut self, launched: Time, now: Time, mut rounds: Box<Rounds<'a>>) {
        match rounds.next(&mut self.fleet) {
            Next::Over(event) => self.tell(now, event),
            Next::Leg(leg, event) => {
                if let Some(event) = event {
                    self.tell(now, event);
                }
                self.next += 1;
                let (team, as_of) = (self.next, rounds.seconds() + leg.idle);
                let under_way = UnderWay { rounds, launched, leg, done: 0.0, as_of, speed: 1.0, version: 0 };
                self.push(under_way.at(under_way.end()), Happening::Over { team, version: 0 });
                self.teams.insert(team, under_way);
            }
        }
        self.share(now);
    }

    fn over(&mut self, now: Time, team: u64, version: u32) {
        if self.teams.get(&team).is_none_or(|team| team.version != version) {
            return;
        }
        let Some(mut team) = self.teams.remove(&team) else { return };
        let end = team.end();
        let event = team.rounds.ended(team.leg, end, team.done(end));
        self.tell(now, event);
        self.begin(team.launched, now, team.rounds);
    }

    /// Shares the store anew among those that use it now.
    fn share(&mut self, now: Time) {
        let demands: Vec<Demand> = self.teams.values().map(|team| team.leg.demand).collect();
        let wanted: f64 = demands.iter().map(|demand| demand.share).sum();
        let is_crowded = wanted > 1.0;
        if !is_crowded && !self.is_crowded {
            return;
        }
        self.is_crowded = is_crowded;
        let mut put_off = Vec::new();
        for ((id, team), speed) in self.teams.iter_mut().zip(speeds(&demands)) {
            if team.speed != speed {
                team.go_on(now, speed);
                put_off.push((team.at(team.end()), Happening::Over { team: *id, version: team.version }));
            }
        }
        for (at, happening) in put_off {
            self.push(at.max(now), happening);
        }
    }
}
