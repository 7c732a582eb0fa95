use crate::units::{Duration, Money, Percent};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most shards that a batch is cut into.
pub const MAX_SHARDS: u64 = 1024;

/// A batch is cut into no more shards than this where nobody asks for more.
const USUAL_SHARDS: u64 = 8;

/// A shard holds at least this many samples where nobody asks for fewer; smaller ones spend their time on overhead.
const USUAL_SAMPLES: u64 = 32;

/// The shards that every batch of a training is cut into: those that are asked for, or else the largest power of two that
/// cuts every batch evenly and leaves enough samples in a shard.
pub fn shards(batch: &Staged<u64>, asked: Option<u64>) -> u64 {
    let fits = |shards: &u64| batch.values().all(|batch| batch % shards == 0 && batch / shards >= USUAL_SAMPLES);
    let powers =
        || std::iter::successors(Some(USUAL_SHARDS), |shards| Some(shards / 2)).take_while(|shards| *shards > 1);
    asked.unwrap_or_else(|| powers().find(fits).unwrap_or(1))
}

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

/// As a workflow says it.
impl<T: Copy + fmt::Display> fmt::Display for Staged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.later.is_empty() {
            return self.first.fmt(f);
        }
        let values: Vec<String> = self.values().map(|value| value.to_string()).collect();
        let at: Vec<String> = self.later.iter().map(|(at, _)| at.to_string()).collect();
        write!(f, "schedule([{}], at: [{}])", values.join(", "), at.join(", "))
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
    /// What is heeded when the workers of a round are chosen out of a range of them; where it is absent, their number is
    /// settled at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapt: Option<Adapt>,
}

/// What is heeded when the workers of a round are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adapt {
    /// What there is to be made least of, within the limits.
    pub goal: Goal,
    /// Dollars of a worker in a second.
    pub rate: f64,
    /// The workers of the first round, where a plan says so.
    pub first: Option<u32>,
    /// Seconds that are to be left for the steps that follow.
    pub reserve: f64,
    /// Dollars with which it must be over, where something would stop it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purse: Option<f64>,
}

impl Adapt {
    /// Seconds that a round of so many workers has, by what is left once so much is spent: a little less than it lasts, so
    /// that weights can be written.
    pub fn lasts(&self, spent: f64, workers: u32) -> Option<f64> {
        let seconds = ((self.purse? - spent) / (self.rate * f64::from(workers.max(1)))).max(0.0);
        Some(seconds - spared(seconds))
    }
}

/// What a training leaves of the seconds that it has, for writing its weights.
pub fn spared(seconds: f64) -> f64 {
    (0.05 * seconds).min(1.0)
}

/// What a step is to make least of, within its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// What it costs.
    MinCost,
    /// The time that it takes.
    MinTime,
    /// Both: the product of time and money.
    Balanced,
}

impl Goal {
    /// All, by the names that `@goal` uses.
    pub const ALL: [(&'static str, Self); 3] =
        [("min_cost", Self::MinCost), ("min_time", Self::MinTime), ("balanced", Self::Balanced)];
}

impl Team {
    /// Whether it takes more than one worker that has all to itself.
    pub fn is_several(&self) -> bool {
        self.replan.is_some() || self.workers != Workers::Staged(Staged::fixed(1))
    }

    /// The dollars that it heeds, where so much money is left in the budgets around.
    pub fn dollars(&self, left: Option<Money>) -> Option<f64> {
        self.adapt.and_then(|adapt| adapt.purse).or(left.map(Money::to_f64))
    }

    /// The same with so many workers from beginning to end, and with as many backups as that leaves sense in.
    #[must_use]
    pub fn with_workers(self, workers: u32) -> Self {
        let backups = self.backups.min(workers.saturating_sub(1));
        Self { workers: Workers::Staged(Staged::fixed(workers)), backups, ..self }
    }
}

impl Default for Team {
    fn default() -> Self {
        let workers = Workers::Staged(Staged::fixed(1));
        Self { workers, exchange: None, backups: 0, checkpoint: None, replan: None, adapt: None }
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

impl Workers {
    /// How many train once `epochs` have passed: of a range the most that there is `room` for and that divide the shards,
    /// or else the fewest that do.
    pub fn after(&self, epochs: u64, shards: u64, room: u32) -> u32 {
        match self {
            Self::Staged(workers) => workers.after(epochs),
            Self::Within(least, _) => {
                let mut fitting = self.fitting(shards).into_iter();
                let fewest = fitting.next().unwrap_or(*least);
                fitting.take_while(|workers| *workers <= room).last().unwrap_or(fewest)
            }
        }
    }

    /// The numbers of workers that it may come to, of a range only those that divide the shards. None repeats, and they
    /// grow.
    pub fn fitting(&self, shards: u64) -> Vec<u32> {
        let mut fitting: Vec<u32> = match self {
            Self::Staged(workers) => workers.values().collect(),
            Self::Within(least, most) => (*least..=*most)
                .take_while(|workers| u64::from(*workers) <= shards.min(MAX_SHARDS))
                .filter(|workers| shards.is_multiple_of(u64::from(*workers)))
                .collect(),
        };
        fitting.sort_unstable();
        fitting.dedup();
        fitting
    }
}

/// As a workflow says it.
impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Staged(workers) => workers.fmt(f),
            Self::Within(least, most) => write!(f, "{least}..{most}"),
        }
    }
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
    /// After how many steps: more than one is local SGD, where the workers' weights are averaged. The codec then writes how
    /// far each has got since the last time.
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

/// As the arguments of a workflow's `sync`.
impl fmt::Display for Averaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "codec: {}, every: {}", self.codec, self.every)
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

/// As a workflow says it.
impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F32 => f.write_str("f32()"),
            Self::Bf16 => f.write_str("bf16()"),
            Self::F16 => f.write_str("f16()"),
            Self::TopK(share) => write!(f, "top_k({share})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Staged, Team, Workers, shards};

    fn staged<T: Clone>(values: &[T], at: &[u64]) -> Staged<T> {
        Staged { first: values[0].clone(), later: at.iter().copied().zip(values[1..].iter().cloned()).collect() }
    }

    #[test]
    fn a_batch_is_cut_evenly_into_a_power_of_two() {
        let counts: Vec<u64> = [1, 31, 32, 63, 64, 96, 100, 128, 192, 256, 1000, 4096]
            .map(|batch| shards(&Staged::fixed(batch), None))
            .into();
        assert_eq!(counts, [1, 1, 1, 1, 2, 2, 2, 4, 4, 8, 8, 8]);
    }

    #[test]
    fn batches_that_change_are_all_cut_into_the_same_shards() {
        assert_eq!(shards(&staged(&[128, 256], &[5]), None), 4);
        assert_eq!(shards(&staged(&[256, 100], &[5]), None), 2);
        assert_eq!(shards(&staged(&[256, 99], &[5]), None), 1);
        assert_eq!(shards(&staged(&[64, 128], &[5]), Some(16)), 16);
    }

    #[test]
    fn a_value_changes_when_its_epochs_have_passed() {
        let workers = staged(&[2_u32, 4, 1], &[3, 6]);
        let of_epochs: Vec<u32> = (0..8).map(|epochs| workers.after(epochs)).collect();
        assert_eq!(of_epochs, [2, 2, 2, 4, 4, 4, 1, 1]);
        assert_eq!(workers.to_string(), "schedule([2, 4, 1], at: [3, 6])");
        assert_eq!(Workers::Staged(workers.clone()).after(3, 8, 1), 4, "a number that is asked for is kept");
        assert_eq!(Workers::Staged(workers).fitting(8), [1, 2, 4]);
    }

    #[test]
    fn of_a_range_the_most_are_taken_that_there_is_room_for_and_that_divide_the_shards() {
        let workers = Workers::Within(2, 16);
        assert_eq!(workers.fitting(8), [2, 4, 8]);
        let by_room: Vec<u32> = [0, 1, 2, 3, 5, 8, 100].map(|room| workers.after(0, 8, room)).into();
        assert_eq!(by_room, [2, 2, 2, 2, 4, 8, 8]);
        assert!(Workers::Within(5, 7).fitting(8).is_empty());
    }

    #[test]
    fn a_smaller_team_has_fewer_backups() {
        let team = Team { backups: 3, ..Team::default() };
        assert_eq!(team.clone().with_workers(2).backups, 1);
        assert_eq!(team.clone().with_workers(1).backups, 0);
        assert_eq!(team.with_workers(8).backups, 3);
    }
}
