//! How many workers a training goes on with.
//!
//! As in Bayesian optimization with constraints (Gardner et al., 2014), what is expected to improve most, for the price of
//! trying it, is tried next (Snoek et al., 2012, section 3.2); a try is a round of the training, so that no work is lost.

use super::{Belief, Spread};
use crate::{normal, wire::Goal};

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

/// The chance with which a limit must be kept.
const SURE: f64 = 0.9;
/// A number of workers is left for another only where that is better by this share at least.
const WORTH: f64 = 0.01;

impl Decision {
    /// Decides on the workers of the next round among `candidates`, which are not none.
    pub fn of(belief: &Belief, candidates: &[u32], remaining: &Remaining, limits: Limits, goal: Goal) -> Option<Self> {
        let options: Vec<Prospect> =
            candidates.iter().map(|workers| Prospect::new(belief, *workers, remaining, limits, goal)).collect();
        let best = best(&options, remaining)?;
        let probe = best_try(&options, best, remaining).filter(|_| remaining.tries > 0);
        Some(probe.unwrap_or(best).decision(probe.is_some()))
    }
}

/// What one number of workers promises.
#[derive(Clone, Copy, Debug)]
struct Prospect {
    workers: u32,
    seconds: Spread,
    dollars: f64,
    /// What there is to be made least of.
    value: f64,
    /// The chance that the limits are kept.
    chance: f64,
    /// Of `value`, what a step adds.
    step: f64,
    /// And a change of the workers.
    change: f64,
}

impl Prospect {
    fn new(belief: &Belief, workers: u32, remaining: &Remaining, limits: Limits, goal: Goal) -> Self {
        let step = belief.step(workers, remaining.batch);
        let change = if remaining.now == Some(workers) { 0.0 } else { remaining.change };
        let seconds = Spread::new(step.median * remaining.steps + change, step.deviation);
        let rate = remaining.rate * f64::from(workers);
        let value = |seconds: f64| match goal {
            Goal::MinCost => rate * seconds,
            Goal::MinTime => seconds,
            // Its logarithm has the same least place, and adds up.
            Goal::Balanced => (rate.max(f64::MIN_POSITIVE)).sqrt() * seconds,
        };
        let within = |most: Option<f64>, median: f64| match most {
            None => 1.0,
            Some(most) if most <= 0.0 => 0.0,
            Some(most) => normal::cumulative((most / median.max(f64::MIN_POSITIVE)).ln() / seconds.deviation.max(1e-9)),
        };
        let dollars = rate * seconds.median;
        let chance = within(limits.seconds, seconds.median).min(within(limits.dollars, dollars));
        Self {
            workers,
            seconds,
            dollars,
            value: value(seconds.median),
            chance,
            step: value(step.median),
            change: value(change),
        }
    }

    fn decision(&self, tries: bool) -> Decision {
        let Self { workers, seconds, dollars, chance, .. } = *self;
        Decision { workers, tries, seconds, dollars, feasible: chance >= SURE }
    }
}

/// The best of those that keep the limits, or else the one that comes nearest to keeping them.
fn best<'p>(options: &'p [Prospect], remaining: &Remaining) -> Option<&'p Prospect> {
    let feasible = options.iter().filter(|option| option.chance >= SURE);
    let Some(best) = feasible.min_by(|a, b| a.value.total_cmp(&b.value)) else {
        // Where none has a chance at all, the quickest.
        return options
            .iter()
            .max_by(|a, b| a.chance.total_cmp(&b.chance).then(b.seconds.median.total_cmp(&a.seconds.median)));
    };
    let now = options.iter().find(|option| remaining.now == Some(option.workers) && option.chance >= SURE);
    Some(now.filter(|now| now.value <= best.value * (1.0 + WORTH)).unwrap_or(best))
}

/// What to try before `best` is settled for: where most is expected to be saved for the price of trying it.
fn best_try<'p>(options: &'p [Prospect], best: &Prospect, remaining: &Remaining) -> Option<&'p Prospect> {
    let steps = remaining.try_steps.min(remaining.steps);
    let worth = |option: &Prospect| {
        let deviation = option.seconds.deviation.max(1e-9);
        let ahead = (best.value / option.value.max(f64::MIN_POSITIVE)).ln();
        let saved = deviation * normal::log_shortfall(ahead / deviation).exp() * best.value * option.chance;
        // What the steps of the try cost more than those of the best do, and the change there and back.
        let price = (option.step - best.step).max(0.0) * steps + option.change + best.change;
        (saved - price, saved / price.max(f64::MIN_POSITIVE))
    };
    let tried = options.iter().filter(|option| option.workers != best.workers).map(|option| (worth(option), option));
    let worthy = tried.filter(|((gain, _), _)| *gain > WORTH * best.value);
    worthy.max_by(|((_, a), _), ((_, b), _)| a.total_cmp(b)).map(|(_, option)| option)
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
        let belief = Belief::new(Some(0.1), EXCHANGE, &[]);
        let at = |steps: f64, tries: u32| {
            let remaining = Remaining { steps, tries, now: Some(16), ..remaining() };
            Decision::of(&belief, &ALL, &remaining, Limits::default(), Goal::MinTime).unwrap().tries
        };
        assert!(at(10_000.0, 1) && !at(10_000.0, 0) && !at(10.0, 1));
    }
}
