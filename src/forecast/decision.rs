//! How many workers a training goes on with.
//!
//! What is tried next is what is expected to save most, all told, when the best is settled for right after it: the knowledge
//! gradient (Frazier, Powell and Dayanik, 2009), with limits that must be kept as in Gardner et al., 2014. Unlike expected
//! improvement, it sees that a try tells of other numbers of workers too, and that there is nothing to learn where all is
//! known. A try is a round of the training, so that no work is lost.

use super::{Belief, Spread, belief::Thought};
use crate::wire::Goal;

/// What is left of the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Seconds until the deadline.
    pub seconds: Option<f64>,
    /// Dollars.
    pub dollars: Option<f64>,
}

/// What a training still has to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Remaining {
    /// Steps.
    pub steps: f64,
    /// The samples of a batch.
    pub batch: f64,
    /// The workers of the last round, if there was one.
    pub now: Option<u32>,
    /// Seconds that it takes to begin a round with another number of workers.
    pub change: f64,
    /// Dollars of a worker in a second.
    pub rate: f64,
    /// Steps of a round that only tries.
    pub try_steps: f64,
    /// Rounds that may still only try.
    pub tries: u32,
}

/// The workers of the next round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// How many.
    pub workers: u32,
    /// Whether to see how they do, before they are settled for.
    pub tries: bool,
    /// Seconds that the rest is thought to take with them.
    pub seconds: Spread,
    /// Dollars.
    pub dollars: f64,
    /// Whether both limits are thought to be kept.
    pub feasible: bool,
}

/// A limit must be kept unless a normal draw is so many deviations above its mean, which one in ten is.
const SURE: f64 = 1.2816;
/// A number of workers is left for another only where that is better by this share at least.
const WORTH: f64 = 0.01;
/// Something is tried only where that is expected to save this share at least: a round has costs of its own.
const SAVED: f64 = 0.001;
/// What is less sure than this is not settled for before it was tried.
const UNSURE: f64 = 0.1;
/// To try one number of workers tells about the same as to try another less than so many times as large.
const APART: f64 = 1.05;
/// What a try may bring, in deviations: the middles of seven equal shares of all that a normal draw may be.
const OUTCOMES: [f64; 7] = [-1.4652, -0.7916, -0.3661, 0.0, 0.3661, 0.7916, 1.4652];

impl Decision {
    /// Decides on the workers of the next round among `candidates`, which are not none and
    /// begin with the fewest.
    pub fn of(belief: &Belief, candidates: &[u32], remaining: &Remaining, limits: Limits, goal: Goal) -> Option<Self> {
        let options: Vec<Thought> = candidates.iter().map(|workers| belief.of(*workers, remaining.batch)).collect();
        let outlook = Outlook { remaining: *remaining, limits, goal };
        let best = outlook.best(options.iter().map(|option| (option.workers(), option.step)))?;
        let settled = options.iter().find(|option| option.workers() == best.workers)?;
        let gain = |tried: &Thought| outlook.gain(belief, &options, settled, tried);
        let tries = remaining.tries > 0 && remaining.steps > remaining.try_steps;
        let mut least = 0.0;
        let told_apart = |option: &&Thought| {
            let workers = f64::from(option.workers());
            let apart = workers >= least;
            least = if apart { workers * APART } else { least };
            apart || option.workers() == best.workers
        };
        let tried = options.iter().filter(|_| tries).filter(told_apart).map(|option| (gain(option), option));
        match tried.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
            Some((gain, tried)) if gain > SAVED * best.value => {
                Some(outlook.prospect(tried.workers(), tried.step).decision(true))
            }
            // To look at it soon costs next to nothing.
            _ => Some(best.decision(tries && settled.step.deviation > UNSURE)),
        }
    }
}

/// What is ahead of a training.
#[derive(Clone, Copy, Debug)]
struct Outlook {
    remaining: Remaining,
    limits: Limits,
    goal: Goal,
}

/// What one number of workers promises.
#[derive(Clone, Copy, Debug)]
struct Prospect {
    workers: u32,
    seconds: Spread,
    dollars: f64,
    /// What there is to be made least of.
    value: f64,
    /// How many times the limits it takes, when it is as bad as it may surely be.
    overrun: f64,
}

impl Outlook {
    fn prospect(&self, workers: u32, step: Spread) -> Prospect {
        let change = if self.remaining.now == Some(workers) { 0.0 } else { self.remaining.change };
        let seconds = step.median * self.remaining.steps + change;
        let dollars = self.remaining.rate * f64::from(workers) * seconds;
        // Nothing is left of a limit that is passed, but the least overrun is still the best.
        let share = |of: f64, most: Option<f64>| most.map_or(0.0, |most| of / most.max(1e-9));
        let overrun = share(seconds, self.limits.seconds).max(share(dollars, self.limits.dollars));
        Prospect {
            workers,
            seconds: Spread::new(seconds, step.deviation),
            dollars,
            value: self.value(workers, seconds),
            overrun: if overrun > 0.0 { overrun * (SURE * step.deviation).exp() } else { 0.0 },
        }
    }

    fn value(&self, workers: u32, seconds: f64) -> f64 {
        let rate = self.remaining.rate * f64::from(workers);
        match self.goal {
            Goal::MinCost => rate * seconds,
            Goal::MinTime => seconds,
            // Its logarithm has the same least place, and adds up.
            Goal::Balanced => rate.max(f64::MIN_POSITIVE).sqrt() * seconds,
        }
    }

    /// The best of those that keep the limits, or else the one that comes nearest to keeping them.
    fn best(&self, options: impl Iterator<Item = (u32, Spread)>) -> Option<Prospect> {
        let (mut best, mut now, mut nearest) = (None::<Prospect>, None, None::<Prospect>);
        for option in options.map(|(workers, step)| self.prospect(workers, step)) {
            if !option.is_feasible() {
                if nearest.is_none_or(|nearest| option.overrun < nearest.overrun) {
                    nearest = Some(option);
                }
                continue;
            }
            if best.is_none_or(|best| option.value < best.value) {
                best = Some(option);
            }
            if self.remaining.now == Some(option.workers) {
                now = Some(option);
            }
        }
        let Some(best) = best else { return nearest };
        Some(now.filter(|now| now.value <= best.value * (1.0 + WORTH)).unwrap_or(best))
    }

    /// What it is expected to save that a round tries so many workers and the then best are settled for, instead of those that
    /// would be now.
    fn gain(&self, belief: &Belief, options: &[Thought], settled: &Thought, tried: &Thought) -> f64 {
        let moved = |option: &Thought| {
            let moves = belief.moves(option, tried);
            let left = (option.step.deviation.powi(2) - moves * moves).max(0.0).sqrt();
            (option.workers(), Spread::new(option.step.median, left), moves)
        };
        let after =
            |(workers, step, moves): (u32, Spread, f64), outcome: f64| (workers, step.times((moves * outcome).exp()));
        let all: Vec<_> = options.iter().map(moved).collect();
        let (settled, tried) = (moved(settled), moved(tried));
        let saved = |outcome: f64| {
            let round = Remaining { steps: self.remaining.try_steps, ..self.remaining };
            let (workers, step) = after(tried, outcome);
            let round = Self { remaining: round, ..*self }.prospect(workers, step);
            let then = Self {
                remaining: Remaining {
                    steps: self.remaining.steps - self.remaining.try_steps,
                    now: Some(workers),
                    ..self.remaining
                },
                limits: Limits {
                    seconds: self.limits.seconds.map(|most| most - round.seconds.median),
                    dollars: self.limits.dollars.map(|most| most - round.dollars),
                },
                ..*self
            };
            let then = then.best(all.iter().map(|option| after(*option, outcome))).map_or(0.0, |then| then.worth());
            let (workers, step) = after(settled, outcome);
            self.prospect(workers, step).worth() - round.value - then
        };
        OUTCOMES.iter().map(|outcome| saved(*outcome)).sum::<f64>() / OUTCOMES.len() as f64
    }
}

impl Prospect {
    fn is_feasible(&self) -> bool {
        self.overrun <= 1.0
    }

    /// Its value, which is the worse the more the limits are overrun.
    fn worth(&self) -> f64 {
        self.value * self.overrun.max(1.0)
    }

    fn decision(&self, tries: bool) -> Decision {
        let Self { workers, seconds, dollars, .. } = *self;
        Decision { workers, tries, seconds, dollars, feasible: self.is_feasible() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::Seen;

    const EXCHANGE: &dyn Fn(u32) -> f64 = &|workers| 0.05 * f64::from(workers);
    const ALL: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];

    fn remaining() -> Remaining {
        Remaining { steps: 100.0, batch: 100.0, now: None, change: 1.0, rate: 0.001, try_steps: 2.0, tries: 0 }
    }

    /// Steps of which eight workers were seen to take 10/8 s and the exchange.
    fn decide(limits: Limits, goal: Goal) -> Decision {
        let seen = Seen { workers: 8, batch: 100.0, seconds: 10.0 / 8.0 + 0.4, exchanging: Some(0.4) };
        let belief = Belief::new(Some(0.1), EXCHANGE, &[seen]);
        Decision::of(&belief, &ALL, &remaining(), limits, goal).unwrap()
    }

    #[test]
    fn the_cheapest_that_keeps_the_deadline_is_taken() {
        assert_eq!(decide(Limits::default(), Goal::MinCost).workers, 1);
        let limits = Limits { seconds: Some(400.0), dollars: None };
        let found = decide(limits, Goal::MinCost);
        assert!(found.workers == 4 && found.feasible, "{found:?}");
    }

    #[test]
    fn the_quickest_that_keeps_the_budget_is_taken() {
        // 16 take 100 × (10/16 + 0.8) s, and more of them longer.
        assert_eq!(decide(Limits::default(), Goal::MinTime).workers, 16);
        let limits = Limits { seconds: None, dollars: Some(1.5) };
        assert_eq!(decide(limits, Goal::MinTime).workers, 8);
        assert_eq!(decide(Limits::default(), Goal::Balanced).workers, 8);
    }

    #[test]
    fn where_no_limit_can_be_kept_the_nearest_is_taken() {
        let found = decide(Limits { seconds: Some(50.0), dollars: None }, Goal::MinCost);
        assert!(found.workers == 16 && !found.feasible, "{found:?}");
    }

    #[test]
    fn a_try_must_be_worth_its_price() {
        let seen = Seen { workers: 16, batch: 100.0, seconds: 10.0 / 16.0 + 0.8, exchanging: None };
        let belief = Belief::new(Some(0.1), EXCHANGE, &[seen]);
        let at = |steps: f64, tries: u32| {
            let remaining = Remaining { steps, tries, now: Some(16), ..remaining() };
            Decision::of(&belief, &ALL, &remaining, Limits::default(), Goal::MinTime).unwrap().tries
        };
        assert!(at(10_000.0, 1) && !at(10_000.0, 0) && !at(10.0, 1));
    }

    #[test]
    fn what_was_never_seen_is_tried_before_it_is_settled_for() {
        let belief = Belief::new(Some(0.1), EXCHANGE, &[]);
        let with = |tries: u32| {
            let remaining = Remaining { tries, ..remaining() };
            Decision::of(&belief, &ALL, &remaining, Limits::default(), Goal::MinTime).unwrap()
        };
        assert!(with(1).tries && !with(0).tries);
    }
}
