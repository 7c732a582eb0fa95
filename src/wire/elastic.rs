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
