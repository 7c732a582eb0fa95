//! The workers of a training's next round, when they are a range of which the best number is found out on the way.

use super::{Belief, Decision, Exchanges, Limits, Remaining, Seen};
use crate::{
    layers,
    units::Duration,
    wire::{Adapt, Goal, Standing, Train, shards},
};

/// Where a training stands between two rounds.
pub struct Stand<'a> {
    /// The training.
    pub train: &'a Train,
    /// What is heeded.
    pub adapt: Adapt,
    /// What came of the rounds so far.
    pub standing: &'a Standing,
    /// What is left of the limits.
    pub limits: Limits,
    /// What exchanges take.
    pub exchanges: &'a Exchanges,
    /// Seconds that it takes to begin a round with other workers.
    pub change: f64,
}

/// What is chosen for the next round.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The workers.
    pub workers: u32,
    /// It ends once so many epochs have passed, if not before.
    pub until: u64,
    /// It ends after this time, too.
    pub within: Duration,
    /// Why so many workers.
    pub why: String,
}

/// A training sees how other numbers of workers do in so many rounds at most.
const TRIES: usize = 5;
/// Seconds of a round that only tries, in times of what it takes to begin one.
const LONG: f64 = 3.0;
/// Where all is settled, it is looked at again once this share of the rest is over, but not so soon that beginning rounds
/// would take a twentieth of the time: things may have slowed down.
const AGAIN: f64 = 0.1;
const RARELY: f64 = 20.0;

impl Stand<'_> {
    /// Chooses the workers of the next round; `None` where no number of the range serves.
    pub fn choose(&self) -> Option<Chosen> {
        let shards = shards(&self.train.batch, self.train.shards);
        let candidates = self.train.team.workers.fitting(shards);
        let epochs = self.standing.epochs;
        let Some(last) = self.standing.went.last() else {
            let first = self.adapt.first.filter(|first| candidates.contains(first));
            let workers = first.or_else(|| first_guess(&candidates, self.adapt.goal))?;
            let why = if first.is_some() { "as planned" } else { "to see how they do" };
            let within = Duration::from_secs_f64(self.try_time());
            return Some(Chosen { workers, until: epochs + 1, within, why: why.into() });
        };
        let bytes = 4.0 * layers::parameters(&self.train.model.layers).unwrap_or(1e6);
        let exchange = |workers: u32| self.exchanges.of(self.train.team.exchange, workers, bytes as u64).seconds;
        let seen: Vec<Seen> = self
            .standing
            .went
            .iter()
            .map(|went| Seen {
                workers: went.workers,
                batch: went.batch,
                seconds: went.seconds,
                exchanging: Some(went.exchanging),
            })
            .collect();
        let belief = Belief::new(None, &exchange, &seen);
        let steps = self.standing.last.as_ref().map_or(0, |last| last.ahead) as f64;
        let remaining = Remaining {
            steps,
            batch: last.batch,
            now: Some(last.workers),
            change: self.change,
            rate: self.adapt.rate,
            try_steps: (self.try_time() / last.seconds).ceil(),
            tries: TRIES.saturating_sub(self.standing.went.len()) as u32,
        };
        let seconds = self.limits.seconds.map(|seconds| seconds - self.adapt.reserve);
        let limits = Limits { seconds, ..self.limits };
        let decision = Decision::of(&belief, &candidates, &remaining, limits, self.adapt.goal)?;
        let rest = decision.seconds.median.max(1e-3);
        let within = match decision.tries {
            true => self.try_time(),
            false => (AGAIN * rest).max(RARELY * self.change),
        };
        // The epochs that pass meanwhile, by the steps of those that have passed.
        let done = self.standing.last.as_ref().map_or(0, |last| last.steps[1]) as f64;
        let left = if epochs == 0 { 1.0 } else { epochs as f64 * steps / done.max(1.0) };
        let ahead = (left * (within / rest).min(1.0)).ceil().max(1.0);
        Some(Chosen {
            workers: decision.workers,
            until: epochs + ahead as u64,
            within: Duration::from_secs_f64(within),
            why: self.why(&decision, limits),
        })
    }

    fn try_time(&self) -> f64 {
        (LONG * self.change).max(0.1)
    }

    fn why(&self, decision: &Decision, limits: Limits) -> String {
        let seconds = |seconds: f64| Duration::from_secs_f64((seconds * 10.0).round() / 10.0).to_string();
        let rest = seconds(decision.seconds.median);
        let limit = match (limits.seconds, limits.dollars) {
            (Some(left), _) => format!(" of the {} left", seconds(left.max(0.0))),
            (None, Some(left)) => format!(", for ${:.2} of the ${left:.2} left", decision.dollars),
            (None, None) => String::new(),
        };
        match (decision.tries, decision.feasible) {
            (true, _) => "to see how they do".into(),
            (false, false) => format!("the nearest to the limits: the rest may take {rest}{limit}"),
            (false, true) => {
                let best = match self.adapt.goal {
                    Goal::MinCost => "the cheapest",
                    Goal::MinTime => "the quickest",
                    Goal::Balanced => "the best for time and money",
                };
                format!("{best} within the limits: the rest takes about {rest}{limit}")
            }
        }
    }
}

/// The workers of a first round of which nothing is known: for the least time the most, and else those in the middle.
fn first_guess(candidates: &[u32], goal: Goal) -> Option<u32> {
    match goal {
        Goal::MinTime => candidates.last().copied(),
        Goal::MinCost | Goal::Balanced => candidates.get(candidates.len() / 2).copied(),
    }
}
