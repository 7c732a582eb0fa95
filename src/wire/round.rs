use super::{Codec, Exchange, Failure, Secret};
use crate::{units::Duration, value::float};
use serde::{Deserialize, Serialize};

/// A round of a training: a stretch of it by the same workers. What a worker of an older round does reaches no newer one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoundId {
    /// The attempt at the training, from 1.
    pub attempt: u32,
    /// The round in it, from 1; 0 where a worker trains alone.
    pub number: u32,
}

/// What a worker has to do of a training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// All of it.
    Alone,
    /// To deal the samples out, before others train.
    Dealer,
    /// A round, among others.
    Seat(Box<Seat>),
}

impl Role {
    /// The place among others, if it is one.
    pub fn seat(&self) -> Option<&Seat> {
        match self {
            Self::Seat(seat) => Some(seat),
            Self::Alone | Self::Dealer => None,
        }
    }
}

/// A worker's place in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Where the workers meet: the address of a parameter store, which may hold a password.
    pub store: Secret,
    /// What the keys of the run begin with there.
    pub run: String,
    /// The name of the training among them.
    pub name: String,
    /// The round of this attempt, from 1.
    pub round: u32,
    /// Its rank, from 0.
    pub rank: usize,
    /// How many there are.
    pub of: usize,
    /// 0, or the number of the double that it is.
    pub copy: u32,
    /// The way that gradients take; chosen by their size when absent.
    pub exchange: Option<Exchange>,
    /// The round ends once so many epochs have passed.
    pub until: Option<u64>,
    /// Whether it decides for all when to write a checkpoint, to end the round and to stop. One does whose rank has no
    /// double, for doubles have clocks of their own and must give the same.
    pub decides: bool,
    /// A worker that gives no sign of life for so long is lost.
    pub silence: Duration,
}

/// A round that an aggregator sums for, beside the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggregation {
    /// Where the workers meet: the address of a parameter store, which may hold a password.
    pub store: Secret,
    /// What the keys of the run begin with there.
    pub run: String,
    /// The name of the training among them.
    pub name: String,
    /// The round of this attempt, from 1.
    pub round: u32,
    /// How many workers there are.
    pub of: usize,
    /// How gradients are written.
    pub codec: Codec,
    /// A worker that gives no sign of life for so long is lost.
    pub silence: Duration,
}

/// What came of a round, as its aggregator tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregated {
    /// The round; none where it could not be read which.
    pub round: Option<u32>,
    /// Why it came to no end; none where its workers have left it in order.
    pub failure: Option<Failure>,
}

/// A round that begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// Its number in its attempt.
    pub number: u32,
    /// How many workers it has.
    pub workers: u32,
    /// Why so many.
    pub why: String,
}

/// What a round came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Its number in its attempt.
    pub number: u32,
    /// How many workers it had.
    pub workers: usize,
    /// The ranks that had a double; none as the workers tell it, who don't know.
    pub doubled: Vec<usize>,
    /// The steps of the training before it and after it.
    pub steps: [u64; 2],
    /// The epochs that had passed before it and after it.
    pub epochs: [u64; 2],
    /// The steps that there may still be after it.
    #[serde(default)]
    pub ahead: u64,
    /// Samples learned from.
    pub samples: u64,
    /// The time that it took.
    pub elapsed: Duration,
    /// The mean loss of its samples.
    #[serde(with = "float")]
    pub loss: f64,
    /// The time that each worker spent on its own shards, and in waiting for samples and for the others.
    pub laps: Vec<Lap>,
}

/// How a worker spent a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lap {
    /// On its own shards.
    pub computing: Duration,
    /// On waiting for samples.
    pub fetching: Duration,
    /// On exchanging gradients, as far as nothing else could be done meanwhile.
    pub waiting: Duration,
}
