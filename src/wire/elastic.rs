use crate::units::{Duration, Percent};
use serde::{Deserialize, Serialize};

/// A value that changes at set points of a training: `schedule([64, 128], at: [5])`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged<T> {
    /// The value from the beginning.
    pub first: T,
    /// Later values, each with the epochs that have passed when it begins to hold, which grow.
    pub later: Vec<(u64, T)>,
}

impl<T: Copy> Staged<T> {
    /// A value that never changes.
    pub const fn fixed(value: T) -> Self {
        Self { first: value, later: Vec::new() }
    }

    /// The value once `epochs` have passed.
    pub fn after(&self, epochs: u64) -> T {
        self.later.iter().rev().find(|(at, _)| *at <= epochs).map_or(self.first, |(_, value)| *value)
    }

    /// The next epoch after which another value holds, once `epochs` have passed.
    pub fn next_change(&self, epochs: u64) -> Option<u64> {
        self.later.iter().map(|(at, _)| *at).find(|at| *at > epochs)
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = T> {
        std::iter::once(self.first).chain(self.later.iter().map(|(_, value)| *value))
    }
}

/// Who trains: it decides how long a training takes and what it costs, and not a bit of what comes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Team {
    /// How many.
    pub workers: Workers,
    /// The way that gradients take; chosen by their size and the number of workers when absent.
    pub exchange: Option<Exchange>,
    /// How many of the slowest workers have a double, the quicker of the two counting.
    pub backups: u32,
    /// When to write a checkpoint, where that is not left to the training.
    pub checkpoint: Option<Every>,
    /// When to end a round, so that the next may have other workers.
    pub replan: Option<Every>,
}

impl Team {
    /// Whether it takes more than one worker that has all to itself.
    pub fn is_several(&self) -> bool {
        self.replan.is_some() || self.workers != Workers::Staged(Staged::fixed(1))
    }
}

impl Default for Team {
    fn default() -> Self {
        let workers = Workers::Staged(Staged::fixed(1));
        Self { workers, exchange: None, backups: 0, checkpoint: None, replan: None }
    }
}

/// How many workers a training has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workers {
    /// So many, from some epoch on.
    Staged(Staged<u32>),
    /// From so many to so many, as there is room.
    Within(u32, u32),
}

/// A point that comes again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// After some time.
    Time(Duration),
    /// After some epochs.
    Epochs(u64),
    /// After some optimizer steps.
    Steps(u64),
}

/// The way that gradients take from worker to worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exchange {
    /// Each worker sums a part of the gradient for all (SMLT).
    ScatterReduce,
    /// One worker sums all of it (Cirrus).
    ParameterServer,
    /// The store sums it.
    InStore,
    /// Workers sum within groups, and the groups among each other.
    TwoLevel,
    /// Every worker sums all of it (Siren).
    AllToAll,
}

impl Exchange {
    /// Every way.
    pub const ALL: [Self; 5] =
        [Self::ScatterReduce, Self::ParameterServer, Self::InStore, Self::TwoLevel, Self::AllToAll];

    /// The name that a workflow uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScatterReduce => "scatter_reduce",
            Self::ParameterServer => "parameter_server",
            Self::InStore => "in_store",
            Self::TwoLevel => "two_level",
            Self::AllToAll => "all_to_all",
        }
    }
}

/// What workers give each other, and when. Only whole gradients after each step give the same bits for any number of
/// workers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Averaging {
    /// How gradients are written.
    pub codec: Codec,
    /// After how many steps: more than one is local SGD, where the workers' weights are averaged.
    pub every: u64,
}

impl Averaging {
    /// Whole gradients after each step.
    pub const EXACT: Self = Self { codec: Codec::F32, every: 1 };

    /// Whether any number of workers comes to the same bits.
    pub fn is_exact(self) -> bool {
        self == Self::EXACT
    }
}

/// How gradients are written on their way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// As they are.
    F32,
    /// With the 7 leading bits of their fraction.
    Bf16,
    /// In half precision.
    F16,
    /// Only the largest, by this share; what is left out is added to the next.
    TopK(Percent),
}

/// A round of a training: a stretch of it by the same workers. What a worker of an older round does reaches no newer one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoundId {
    /// The attempt at the training, from 1.
    pub attempt: u32,
    /// The round in it, from 1; 0 where a worker trains alone.
    pub number: u32,
}

/// A worker's place in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Where the workers meet: the address of a parameter store.
    pub store: String,
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
    /// The way that gradients take.
    pub exchange: Exchange,
    /// The round ends once so many epochs have passed.
    pub until: Option<u64>,
    /// A worker that gives no sign of life for so long is lost.
    pub silence: Duration,
}

/// What a round came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Its number in its attempt.
    pub number: u32,
    /// How many workers it had.
    pub workers: usize,
    /// The steps of the training before it and after it.
    pub steps: [u64; 2],
    /// The epochs that had passed before it and after it.
    pub epochs: [u64; 2],
    /// Samples learned from.
    pub samples: u64,
    /// The time that it took.
    pub elapsed: Duration,
    /// The mean loss of its samples.
    #[serde(with = "crate::value::float")]
    pub loss: f64,
    /// The time that each worker spent on its own shards, and in waiting for the others.
    pub laps: Vec<Lap>,
}

/// How a worker spent a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lap {
    /// On its own shards.
    pub computing: Duration,
    /// On exchanging gradients, as far as nothing else could be done meanwhile.
    pub waiting: Duration,
}

/// The shards that every batch of a training is cut into: `asked`, or else the largest power of two up to 8 that divides
/// every batch and leaves at least 32 samples in each shard.
pub fn shards(batch: &Staged<u64>, asked: Option<u64>) -> u64 {
    let fits = |shards: u64| batch.values().all(|batch| batch.is_multiple_of(shards) && batch / shards >= 32);
    asked.unwrap_or_else(|| [8, 4, 2].into_iter().find(|shards| fits(*shards)).unwrap_or(1))
}
