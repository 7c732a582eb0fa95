use crate::{
    units::{Duration, Percent},
    wire::MAX_SHARDS,
};

/// Why a training can't be elastic in the way that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElasticError {
    /// A number is too small.
    #[error("`{name}` must be at least {least}, not {given}")]
    Least {
        /// What it is called.
        name: &'static str,
        /// The least that it may be.
        least: i64,
        /// What it is.
        given: i64,
    },
    /// There are more workers than shards at best.
    #[error("a training has at most {MAX_SHARDS} workers, not {0}")]
    Crowd(i64),
    /// A range of workers or memory ends before it begins.
    #[error("`{name}: {first}..{last}` ends before it begins")]
    Backward {
        /// Of what it is.
        name: &'static str,
        /// Its beginning.
        first: String,
        /// Its end.
        last: String,
    },
    /// A schedule with no value.
    #[error("a `schedule` needs at least one value")]
    Empty,
    /// A schedule whose lists do not fit each other.
    #[error("`at` needs {}, one for each value but the first, not {at}", count(*.values as u64 - 1, "epoch"))]
    Lengths {
        /// The values.
        values: usize,
        /// The epochs.
        at: usize,
    },
    /// A schedule that goes back in time.
    #[error("the epochs in `at` must grow, but {1} stands behind {0}")]
    Order(i64, i64),
    /// Shards that are no power of two, or too many.
    #[error("`shards` must be a power of two up to {MAX_SHARDS}, not {0}")]
    Shards(i64),
    /// A batch that can't be cut evenly.
    #[error("a batch of {batch} can't be cut into {shards} shards of the same size")]
    Cut {
        /// The samples in the batch.
        batch: u64,
        /// The shards.
        shards: u64,
    },
    /// Shards that can't be dealt out evenly.
    #[error("`workers: {workers}` does not divide the {} of this training", count(*.shards, "shard"))]
    Uneven {
        /// How many workers, or from how many to how many.
        workers: String,
        /// The shards.
        shards: u64,
    },
    /// More doubles than workers to double.
    #[error("`backups` must be below the {} of this training, not {backups}", count(u64::from(*.most), "worker"))]
    Backups {
        /// The doubles.
        backups: u32,
        /// The most workers that there are.
        most: u32,
    },
    /// `top_k` of nothing, or of more than there is.
    #[error("`top_k` keeps more than 0% of a gradient and at most 100%, not {0}")]
    Share(Percent),
    /// `every` of several things, or of none.
    #[error("`every` takes one of `time`, `epochs` and `steps`, not {}", match .0 { 0 => "none", _ => "several" })]
    Every(usize),
    /// `every` of no time.
    #[error("`time` of `every` must be longer than nothing, not {0}")]
    Time(Duration),
    /// A value of a type that the compiler does not let through.
    #[error("what should be {0} is something else")]
    Unchecked(&'static str),
}

impl ElasticError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Backward { name, first, last } => format!("write `{name}: {last}..{first}`"),
            Self::Empty | Self::Lengths { .. } | Self::Order(..) => {
                "behind the first, each value has the epochs that have passed when it begins to hold: \
                 `schedule([64, 128], at: [5])`"
                    .into()
            }
            Self::Shards(given) => match powers(MAX_SHARDS).rfind(|power| i128::from(*power) < i128::from(*given)) {
                Some(below) if below < MAX_SHARDS => format!("use {below} or {}", 2 * below),
                Some(most) => format!("use {most}"),
                None => "use 1 for a batch that is not cut".into(),
            },
            Self::Cut { batch, shards } => {
                let fitting = powers(*shards).filter(|power| batch.is_multiple_of(*power));
                let larger = batch.div_ceil(*shards).saturating_mul(*shards);
                format!("set `shards` to {}, or `batch` to {larger}", either(fitting))
            }
            Self::Uneven { shards, .. } => format!("use {}, or set `shards`", either(powers(*shards))),
            Self::Backups { most: 0 | 1, .. } => "set `workers`, or leave `backups` out".into(),
            Self::Every(_) => "write `every(2min)`, `every(epochs: 5)` or `every(steps: 1000)`".into(),
            Self::Unchecked(_) => "this is a fault of smltc; please report it".into(),
            Self::Least { .. } | Self::Crowd(_) | Self::Backups { .. } | Self::Share(_) | Self::Time(_) => return None,
        })
    }
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The powers of two up to `most`.
fn powers(most: u64) -> impl DoubleEndedIterator<Item = u64> {
    (0..=most.max(1).ilog2()).map(|power| 1 << power)
}

/// "1, 2 or 4"
fn either(numbers: impl Iterator<Item = u64>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    match numbers.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
