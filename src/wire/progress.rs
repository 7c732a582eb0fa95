use super::{Begun, Failure, Round};
use crate::{
    units::Duration,
    value::{Artifact, Fields, Value, float},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A line that a worker writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// How far it is.
    Progress(Progress),
    /// It succeeded.
    Done(Done),
    /// It has done its part of a training's round; another worker tells what came of the training, or another round follows.
    Left,
    /// It did not.
    Failed(Failure),
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The step is done.
    Done(Done),
    /// A worker's part of a training's round is done.
    Left,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// An epoch of a training is over.
    Epoch(EpochMetrics),
    /// A round of a training begins whose workers were chosen.
    Begun(Begun),
    /// A round of a training is over.
    Round(Round),
    /// A round of a training was given up, and another begins at its last checkpoint.
    RoundLost {
        /// Its number.
        number: u32,
        /// Why.
        reason: String,
    },
    /// The samples of a training were dealt out to its shards.
    Dealt {
        /// How many shards.
        shards: usize,
        /// The bytes of all samples, as workers fetch them.
        bytes: u64,
    },
    /// A metric that a command reported.
    Metric {
        /// Its name.
        name: String,
        /// Its step, counted by the command.
        step: Option<u64>,
        /// Its value.
        #[serde(with = "float")]
        value: f64,
    },
    /// The share of the work that a command reported done, from 0 to 1.
    Share(f64),
    /// A line of a command's log.
    Log(String),
}

/// What one epoch came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// The epoch, from 1.
    pub epoch: u64,
    /// The epochs that there will be at most.
    pub of: u64,
    /// Metrics of the training part, `loss` among them.
    #[serde(with = "float::map")]
    pub train: BTreeMap<String, f64>,
    /// Metrics of the validation part; empty without one.
    #[serde(with = "float::map")]
    pub valid: BTreeMap<String, f64>,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// The value that the step's name stands for afterwards: a record.
    pub output: Value,
    /// What a training leaves for the search that drives it.
    pub trained: Option<Trained>,
    /// The time the worker spent on it.
    pub elapsed: Duration,
}

/// What a training leaves for the search that drives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// The objective's value at the kept epoch.
    #[serde(with = "float::option")]
    pub objective: Option<f64>,
    /// The epochs trained so far.
    pub epochs: u64,
    /// Full state to go on from, when the training paused at a rung.
    pub checkpoint: Option<Artifact>,
    /// Whether it ended early because the deadline drew near.
    pub cut: bool,
}

/// What is known of a dataset once it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Numbers in one sample.
    pub width: u64,
    /// Distinct labels; 0 when the label is a number to predict.
    pub classes: u64,
    /// Rows in all parts.
    pub rows: u64,
    /// The feature columns' names.
    pub columns: Vec<String>,
    /// The files, after globs.
    pub shards: Vec<String>,
}

impl From<Facts> for Value {
    fn from(facts: Facts) -> Self {
        let strings =
            |texts: Vec<String>| Value::List(texts.into_iter().map(|text| Value::String(text.into())).collect());
        Value::Record(Fields::from([
            ("width".into(), Value::Int(facts.width as i64)),
            ("classes".into(), Value::Int(facts.classes as i64)),
            ("rows".into(), Value::Int(facts.rows as i64)),
            ("columns".into(), strings(facts.columns)),
            ("shards".into(), strings(facts.shards)),
        ]))
    }
}
