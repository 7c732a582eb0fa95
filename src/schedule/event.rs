use crate::{
    source::{Name, Span},
    units::{Duration, Money, Size},
    value::{Fields, Value},
    wire::{Done, EpochMetrics, Failure, Kind, Op, Progress},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The time since the run started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub Duration);

impl Time {
    /// The time `wait` later; times that no run will see are all the last.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.checked_add(wait).unwrap_or(Duration::from_millis(i64::MAX)))
    }

    /// The time passed since `earlier`; negative when that is still to come.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.checked_sub(earlier.0).unwrap_or_default()
    }
}

/// A step of a run: a node's path with the item or trial it belongs to, such as `main/best/trial[7]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepPath(pub Name);

impl fmt::Display for StepPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One try at one step. What an older attempt reports after a newer one began is ignored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The step; for a search with rungs, trial and rung: `main/best/trial[7]/rung[2]`.
    pub step: StepPath,
    /// Which try, from 1.
    pub number: u32,
}

/// What the scheduler is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The run begins.
    Begin,
    /// An attempt tells how far it is.
    Progress(Attempt, Progress),
    /// An attempt succeeded.
    Done(Attempt, Box<Done>),
    /// An attempt failed, was stopped, or its worker is gone, after some time of work.
    Failed(Attempt, Failure, Duration),
    /// A time that was asked for has come.
    Tick,
    /// The user wants to stop: nothing more begins, what is under way may end.
    Cancel,
    /// The run goes on: what was under way when its program ended, or when the user stopped it, is to begin again.
    Resume,
}

/// What the scheduler wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start an attempt as soon as a worker is free; the scheduler never asks for more than its limits allow.
    Start(Box<Launch>),
    /// Stop an attempt; it then reports `Failed`, or `Done` when it was quicker.
    Stop(Attempt),
    /// Send a `Tick` at this time.
    WakeAt(Time),
    /// Tell the user and the log.
    Note(Notice),
    /// The run is over; nothing is under way any more.
    Finish(Verdict),
}

/// An attempt to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Which.
    pub attempt: Attempt,
    /// What to do.
    pub op: Op,
    /// The memory that it declares, by which it is charged.
    pub memory: Size,
    /// The memory that it is held to, where it declares some.
    pub memory_limit: Option<Size>,
    /// The processors that it declares.
    pub cpu: f64,
    /// Its own time limit; the driver kills it then and reports `Failed` with `Timeout`.
    pub timeout: Option<Duration>,
    /// The time until the nearest deadline around it.
    pub time_left: Option<Duration>,
    /// The money left in the tightest budget around it.
    pub money_left: Option<Money>,
}

/// What a user may want to know as it happens. Every line of progress, every report and `--json` are made of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Notice {
    /// The run began.
    RunStarted {
        /// The workflow.
        workflow: Name,
        /// Its arguments.
        args: Fields,
        /// When it must be over.
        deadline: Option<Duration>,
        /// What it may spend.
        budget: Option<Money>,
    },
    /// The run goes on after it was cut off or cancelled.
    RunResumed {
        /// The steps that were done.
        steps: u64,
        /// The trials that were over, or had paused at a rung.
        trials: u64,
    },
    /// A step or compound began.
    StepStarted {
        /// Which.
        step: StepPath,
        /// Its kind: `train`, `search`, `run`, `evaluate`, `inspect`, `for`, `if`, `group`,
        /// `try`, `repeat`, `workflow`.
        kind: Name,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// A step's result is that of an earlier run. Where that was known at once, the step was never said to have begun.
    StepServed {
        /// Which.
        step: StepPath,
        /// Its kind, as when it begins.
        kind: Name,
        /// The run that made the result.
        run: Name,
    },
    /// A training finished an epoch.
    Epoch {
        /// The step.
        step: StepPath,
        /// Its metrics.
        metrics: EpochMetrics,
    },
    /// A command reported progress, a metric or a line of its log.
    Progress {
        /// The step.
        step: StepPath,
        /// What it said.
        progress: Progress,
    },
    /// A trial of a search ended, or paused at a rung.
    Trial {
        /// The search.
        search: StepPath,
        /// The trial's number, from 0.
        trial: u64,
        /// Trials that there will be, where known.
        of: Option<u64>,
        /// What it chose.
        params: Fields,
        /// Epochs trained so far; none where a trial goes through steps.
        epochs: Option<u64>,
        /// The objective, if it has one.
        value: Option<f64>,
        /// The best value of the search so far, and its trial.
        best: Option<(u64, f64)>,
        /// The time that its training, or this rung of it, took.
        elapsed: Duration,
        /// What that cost.
        cost: Money,
        /// Why it has no value, when it failed.
        failure: Option<Failure>,
    },
    /// A step or compound ended well.
    StepDone {
        /// Which.
        step: StepPath,
        /// The time it took.
        elapsed: Duration,
        /// The estimated cloud cost of it and all below it.
        cost: Money,
        /// Its value, in short.
        value: Value,
    },
    /// A step failed for good.
    StepFailed {
        /// Which.
        step: StepPath,
        /// Why.
        failure: Failure,
    },
    /// A `try` caught the failure of a step inside it.
    StepCaught {
        /// The `try`.
        step: StepPath,
        /// What failed.
        failed: StepPath,
        /// What kind of failure.
        kind: Kind,
    },
    /// An attempt at a step was stopped, for a limit, a failure beside it, or the user.
    StepStopped {
        /// Which.
        step: StepPath,
    },
    /// A step failed and is tried again.
    StepRetried {
        /// Which.
        step: StepPath,
        /// Why.
        failure: Failure,
        /// The next attempt's number.
        attempt: u32,
        /// The wait before it.
        after: Duration,
        /// The memory that it then has, where that is more than before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memory: Option<Size>,
    },
    /// The user wants to stop, and this many steps are still under way.
    Stopping {
        /// How many.
        steps: usize,
    },
    /// A limit was reached, or a warned-of share of it.
    Limit {
        /// The scope.
        scope: StepPath,
        /// What happened and what follows, in one sentence.
        message: String,
    },
    /// The ledger: money spent by the whole run.
    Spent {
        /// The total.
        total: Money,
    },
}

/// Why a result is less than what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The scope whose limit was reached.
    pub scope: StepPath,
    /// What was cut short, in one sentence.
    pub message: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// With a result; marked where a limit cut it short.
    Succeeded {
        /// The workflow's value.
        value: Value,
        /// What was cut short.
        marks: Vec<Mark>,
    },
    /// Without one.
    Failed {
        /// The step that failed.
        step: StepPath,
        /// Where it stands in the source.
        span: Span,
        /// Why.
        failure: Failure,
    },
    /// The user stopped it.
    Cancelled,
}
