//! Deadlines, budgets, retries, timeouts and the use of the cache, as annotations state them.

use crate::{
    units::{Duration, Money, Percent, Size},
    wire::{Goal, Kind},
};
use serde::{Deserialize, Serialize};

/// The rounds that a `repeat` may have: it shall end.
pub const MAX_ROUNDS: i64 = 1_000_000;

/// The limits of one scope or step. What is absent is inherited or unlimited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// `@deadline`: the time from the scope's start within which it must end.
    pub deadline: Option<Deadline>,
    /// `@budget`: the money that the scope may spend.
    pub budget: Option<Budget>,
    /// `@timeout`: the time that one attempt may take.
    pub timeout: Option<Duration>,
    /// `@retry`: what to do when an attempt fails.
    pub retry: Option<Retry>,
    /// `@max_parallel`: the children that may run at the same time.
    pub max_parallel: Option<u32>,
    /// The memory that an attempt needs.
    pub memory: Option<Memory>,
    /// The processors that an attempt needs.
    pub cpu: Option<f64>,
    /// `@goal`: what trainings whose workers are a range make least of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// `@seed`: the seed of everything random in the scope.
    pub seed: Option<u64>,
    /// `@cache`: whether results of earlier runs may serve.
    pub cache: Option<Caching>,
}

impl Limits {
    /// Whether time or money runs out.
    pub fn is_limited(&self) -> bool {
        self.deadline.is_some() || self.budget.is_some()
    }

    /// Whether one of them says that this happens when it is missed.
    pub fn has(&self, on_miss: OnMiss) -> bool {
        let deadline = self.deadline.as_ref().and_then(|deadline| deadline.on_miss);
        let budget = self.budget.as_ref().and_then(|budget| budget.on_miss);
        [deadline, budget].contains(&Some(on_miss))
    }

    /// What holds inside: what is said there, or else what is inherited from around it. A scope's own limits are not.
    #[must_use]
    pub fn inside(&self, own: &Self) -> Self {
        Self {
            deadline: own.deadline.clone(),
            budget: own.budget.clone(),
            timeout: own.timeout.or(self.timeout),
            retry: own.retry.clone().or_else(|| self.retry.clone()),
            max_parallel: own.max_parallel,
            memory: own.memory.or(self.memory),
            cpu: own.cpu.or(self.cpu),
            goal: own.goal.or(self.goal),
            seed: own.seed.or(self.seed),
            cache: own.cache.or(self.cache),
        }
    }
}

/// `@cache(on)`, `@cache(off)`, `@cache(7d)`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caching {
    /// A result may serve, whatever its age; also that of a command which returns nothing.
    On,
    /// No result is kept, and none serves.
    Off,
    /// A result may serve that is no older than this.
    Within(Duration),
}

/// The memory that an attempt needs: `2GiB`, or a range within which a plan chooses, `2GiB..10GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Memory {
    /// So much.
    Exactly(Size),
    /// Not less than the first and not more than the second.
    Within(Size, Size),
}

impl Memory {
    /// The least that it may be.
    pub const fn least(self) -> Size {
        match self {
            Self::Exactly(memory) | Self::Within(memory, _) => memory,
        }
    }

    /// The most that it may be, which it is where no plan says otherwise: that is enough if anything is.
    pub const fn most(self) -> Size {
        match self {
            Self::Exactly(memory) | Self::Within(_, memory) => memory,
        }
    }
}

/// `@deadline(2h, on_miss: keep_best, warn_at: [80%])`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deadline {
    /// From the scope's start.
    pub after: Duration,
    /// What happens then; when nothing is said, what can keep its best does, and all else fails.
    pub on_miss: Option<OnMiss>,
    /// The shares at which to warn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warn_at: Vec<Percent>,
}

/// `@budget($5, warn_at: [50%])`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// How much.
    pub amount: Amount,
    /// What happens when it is spent; when nothing is said, what can keep its best does, and all else fails.
    pub on_miss: Option<OnMiss>,
    /// The shares at which to warn.
    pub warn_at: Vec<Percent>,
}

/// How much a budget is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// Money.
    Money(Money),
    /// A share of the budget of the scope around it.
    Share(Percent),
}

/// What happens when a limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMiss {
    /// The scope fails, whatever it has.
    Fail,
    /// Searches and trainings keep the best they have; what has nothing to show fails.
    KeepBest,
    /// The same, but what is under way may end first; nothing more begins.
    Finish,
    /// The scope's value is `none`.
    Skip,
}

/// `@retry(max: 2, backoff: 5s, on: [WorkerLost])`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts after the first.
    pub max: u32,
    /// The wait before the first retry.
    pub backoff: Duration,
    /// What the wait is multiplied with each time.
    pub factor: f64,
    /// Whether the wait is drawn between half and the whole of it.
    pub jitter: bool,
    /// The kinds of failure that are retried; every kind when empty.
    pub on: Vec<Kind>,
    /// What the memory is multiplied with for an attempt after one that ran out of it.
    pub memory: Option<f64>,
}
