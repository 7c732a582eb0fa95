//! Where workers come from: those that are done wait for other work, and new ones start, so many at a time.

use crate::{
    forecast::{Platform, Spread},
    schedule::{Attempt, Time},
    units::{Duration, Size},
};
use std::collections::{BTreeMap, HashMap};

/// The workers of a run.
pub struct Fleet<'a> {
    platform: &'a Platform,
    /// Workers of one size of memory can't take the place of others.
    sizes: BTreeMap<Size, Workers>,
    held: HashMap<Attempt, (Size, u32)>,
    objects: Gate,
}

struct Workers {
    /// How many wait, and since when; the last ones last.
    idle: Vec<(Time, u32)>,
    new: Gate,
}

/// How the workers begin that an attempt gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Seconds until they can be had.
    pub wait: f64,
    /// Seconds that each takes then.
    pub each: Spread,
    /// How many of them the others wait for.
    pub slow: u32,
}

impl Start {
    /// Seconds until all of them have begun.
    pub fn all(&self) -> f64 {
        self.wait + self.each.greatest(self.slow, 0.5)
    }
}

/// The seconds in which workers can be had anew.
const WAVE: f64 = 10.0;

impl<'a> Fleet<'a> {
    /// No workers so far.
    pub fn new(platform: &'a Platform) -> Self {
        let objects = Gate::new(platform.gets, 1.0);
        Self { platform, sizes: BTreeMap::new(), held: HashMap::new(), objects }
    }

    /// From now on an attempt has so many workers: more than before or fewer.
    pub fn have(&mut self, now: Time, attempt: &Attempt, memory: Size, workers: u32) -> Start {
        let before = self.held.insert(attempt.clone(), (memory, workers)).map_or(0, |(_, before)| before);
        let new = || Gate::new(self.platform.burst, WAVE);
        let all = self.sizes.entry(memory).or_insert_with(|| Workers { idle: Vec::new(), new: new() });
        let wanted = workers.saturating_sub(before);
        let (warm, again) = match self.platform.warm {
            None => (0, self.platform.start),
            Some(warm) => {
                all.idle.push((now, before.saturating_sub(workers)));
                (all.take(now, warm.kept, wanted), warm.start)
            }
        };
        let cold = wanted - warm;
        let wait = all.new.pass(now, cold).max(self.objects.pass(now, wanted));
        match cold {
            0 => Start { wait, each: again, slow: warm },
            _ => Start { wait, each: self.platform.start, slow: cold },
        }
    }

    /// How one begins that worked until now.
    pub fn again(&self) -> Spread {
        self.platform.warm.map_or(self.platform.start, |warm| warm.start)
    }

    /// An attempt is over: its workers wait for other work.
    pub fn give_back(&mut self, now: Time, attempt: &Attempt) {
        if let Some((memory, workers)) = self.held.remove(attempt)
            && let Some(all) = self.sizes.get_mut(&memory)
        {
            all.idle.push((now, workers));
        }
    }
}

impl Workers {
    /// Takes up to so many that wait, those that have waited least.
    fn take(&mut self, now: Time, kept: Duration, wanted: u32) -> u32 {
        self.idle.retain(|(since, _)| now.since(*since) <= kept);
        let mut taken = 0;
        while let Some((_, waiting)) = self.idle.last_mut().filter(|_| taken < wanted) {
            let some = (*waiting).min(wanted - taken);
            (taken, *waiting) = (taken + some, *waiting - some);
            if *waiting == 0 {
                self.idle.pop();
            }
        }
        taken
    }
}

/// Lets so many pass at once and in every span after that. What is not used is not saved up.
struct Gate {
    full: f64,
    per_second: f64,
    /// How many could pass; where more were let pass, others wait for that to be made up for.
    open: f64,
    as_of: Time,
}

impl Gate {
    fn new(full: u32, span: f64) -> Self {
        let full = f64::from(full);
        Self { full, per_second: full / span, open: full, as_of: Time::default() }
    }

    /// Seconds until so many more have passed.
    fn pass(&mut self, now: Time, count: u32) -> f64 {
        let passed = now.since(self.as_of).secs_f64().max(0.0);
        self.open = (self.open + passed * self.per_second).min(self.full) - f64::from(count);
        self.as_of = self.as_of.max(now);
        (-self.open / self.per_second).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::StepPath;

    fn attempt(name: &str) -> Attempt {
        Attempt { step: StepPath(name.into()), number: 1 }
    }

    fn at(seconds: i64) -> Time {
        Time(Duration::from_millis(1000 * seconds))
    }

    #[test]
    fn workers_that_are_done_begin_quickly_for_others_of_their_size_for_a_while() {
        let platform = Platform::lambda();
        let (cold, warm) = (platform.start, platform.warm.unwrap());
        let (small, large) = (Size::from_mib(512), Size::from_mib(1024));
        let mut fleet = Fleet::new(&platform);
        let start = |fleet: &mut Fleet, seconds, name, memory, workers| {
            let Start { each, slow, .. } = fleet.have(at(seconds), &attempt(name), memory, workers);
            (each, slow)
        };
        assert_eq!(start(&mut fleet, 0, "first", small, 4), (cold, 4));
        fleet.give_back(at(10), &attempt("first"));
        assert_eq!(start(&mut fleet, 20, "second", small, 3), (warm.start, 3));
        assert_eq!(start(&mut fleet, 20, "third", large, 1), (cold, 1));
        // One is left; the others are new.
        assert_eq!(start(&mut fleet, 30, "fourth", small, 3), (cold, 2));
        // Those whose team becomes smaller wait, too.
        assert_eq!(start(&mut fleet, 40, "fourth", small, 1), (warm.start, 0));
        assert_eq!(start(&mut fleet, 50, "fifth", small, 2), (warm.start, 2));
        fleet.give_back(at(60), &attempt("fifth"));
        let late = 61 + warm.kept.millis() / 1000;
        assert_eq!(start(&mut fleet, late, "sixth", small, 2), (cold, 2));
    }

    #[test]
    fn more_new_workers_than_can_be_had_at_once_wait() {
        let platform = Platform::lambda();
        let mut fleet = Fleet::new(&platform);
        let mut wait =
            |seconds, name, mib, workers| fleet.have(at(seconds), &attempt(name), Size::from_mib(mib), workers).wait;
        // A thousand every ten seconds, of each size of memory.
        assert_eq!(wait(0, "first", 512, 800), 0.0);
        assert_eq!(wait(0, "second", 512, 700), 5.0);
        assert_eq!(wait(0, "third", 1024, 1000), 0.0);
        assert_eq!(wait(10, "fourth", 512, 500), 0.0);
        // Nothing is saved up.
        assert_eq!(wait(1000, "fifth", 512, 1200), 2.0);
    }

    #[test]
    fn objects_are_asked_for_so_many_a_second() {
        let platform = Platform { burst: u32::MAX, gets: 100, ..Platform::lambda() };
        let mut fleet = Fleet::new(&platform);
        assert_eq!(fleet.have(at(0), &attempt("first"), Size::from_mib(512), 150).wait, 0.5);
        assert_eq!(fleet.have(at(0), &attempt("second"), Size::from_mib(512), 50).wait, 1.0);
    }
}
