//! The rounds of a training by several workers, as a state machine hands them on.

use super::{Answer, Caught, Round};
use serde::{Deserialize, Serialize};

/// Where a training stands between two rounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The rounds that there were.
    pub rounds: u32,
    /// The epochs that have passed, as far as is known.
    pub epochs: u64,
    /// The steps of the latest checkpoint when a round was last lost.
    pub furthest: u64,
    /// How many rounds were lost one after the other and got no further.
    pub fruitless: u32,
    /// The ranks that had a double in the last round.
    pub doubled: Vec<usize>,
    /// What the last round came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Round>,
    /// How the rounds went whose workers were chosen, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub went: Vec<Went>,
}

/// How a round went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Went {
    /// Its workers.
    pub workers: u32,
    /// The samples of a batch.
    pub batch: f64,
    /// Seconds of a step.
    pub seconds: f64,
    /// Seconds of it on waiting for the others' gradients.
    pub exchanging: f64,
}

impl Went {
    /// How a round went; `None` where it had no step.
    fn of(round: &Round) -> Option<Self> {
        let steps = round.steps[1].saturating_sub(round.steps[0]) as f64;
        let waited = round.laps.iter().map(|lap| lap.waiting.secs_f64()).sum::<f64>() / round.laps.len().max(1) as f64;
        (steps > 0.0).then(|| Self {
            workers: round.workers as u32,
            batch: round.samples as f64 / steps,
            seconds: round.elapsed.secs_f64().max(1e-3) / steps,
            exchanging: waited / steps,
        })
    }
}

/// So many rounds are remembered: what was long before tells little.
const REMEMBERED: usize = 20;

/// After so many rounds that got no further, one after the other, a training is given up.
const FRUITLESS: u32 = 3;

impl Standing {
    /// Takes note of what a round came to.
    pub fn went(&mut self, round: &Round) {
        self.epochs = round.epochs[1];
        self.went.extend(Went::of(round));
        self.went.drain(..self.went.len().saturating_sub(REMEMBERED));
        self.last = Some(Round { doubled: self.doubled.clone(), ..round.clone() });
    }

    /// Takes note of a round that was lost when the latest checkpoint had so many steps: whether to give the training up.
    pub fn lost(&mut self, steps: u64) -> bool {
        self.fruitless = if steps > self.furthest { 1 } else { self.fruitless + 1 };
        self.furthest = self.furthest.max(steps);
        self.fruitless >= FRUITLESS
    }
}

/// A worker's place in the next round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// To learn from a part of the samples.
    Seat {
        /// The round, from 1.
        round: u32,
        /// Its rank, from 0.
        rank: usize,
        /// How many there are.
        of: usize,
        /// 0, or the number of the double that it is.
        copy: u32,
        /// The round ends once so many epochs have passed.
        until: Option<u64>,
        /// Whether it decides for all when to end the round.
        decides: bool,
    },
    /// To sum beside the store.
    Sum {
        /// The round, from 1.
        round: u32,
        /// How many workers there are.
        of: usize,
    },
}

/// What came of a worker's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The place that it had.
    pub place: Placement,
    /// What it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Why it said nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Caught>,
}

/// What is decided on between two rounds: where the training stands, and what came of the last round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Relay {
    /// Where it stands.
    pub standing: Standing,
    /// The parts of the last round.
    pub parts: Vec<Part>,
}
