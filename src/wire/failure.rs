use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The kinds of failure that a workflow can retry or catch, by the names it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A command ended with an exit code other than 0, or a step's input was unusable.
    TaskFailed,
    /// A command wrote no result, or one of the wrong type.
    BadResult,
    /// An attempt took longer than its `@timeout`.
    Timeout,
    /// An attempt used more memory than it declared.
    OutOfMemory,
    /// The process that worked on the step is gone.
    WorkerLost,
    /// A command, or a service, asked to be tried later.
    Throttled,
    /// The scope's `@deadline` passed.
    DeadlineExceeded,
    /// The scope's `@budget` is spent.
    BudgetExceeded,
    /// An `assert` did not hold.
    AssertionFailed,
    /// A training's loss is no longer a number.
    Diverged,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::TaskFailed,
        Self::BadResult,
        Self::Timeout,
        Self::OutOfMemory,
        Self::WorkerLost,
        Self::Throttled,
        Self::DeadlineExceeded,
        Self::BudgetExceeded,
        Self::AssertionFailed,
        Self::Diverged,
    ];

    /// Whether it says that a limit of the workflow was reached.
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::DeadlineExceeded | Self::BudgetExceeded)
    }

    /// The name that `catch` and `@retry(on: …)` use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TaskFailed => "TaskFailed",
            Self::BadResult => "BadResult",
            Self::Timeout => "Timeout",
            Self::OutOfMemory => "OutOfMemory",
            Self::WorkerLost => "WorkerLost",
            Self::Throttled => "Throttled",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::BudgetExceeded => "BudgetExceeded",
            Self::AssertionFailed => "AssertionFailed",
            Self::Diverged => "Diverged",
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a step did not succeed, in words for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Failure {
    /// What kind of failure.
    pub kind: Kind,
    /// What is wrong and where, in one sentence: lower case, no final period.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The last lines of the step's log, where it has one.
    pub log: Vec<String>,
}

impl Failure {
    /// A failure without further help.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None, log: Vec::new() }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
