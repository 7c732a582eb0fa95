//! The metrics that trainings and commands reported, each as a series over epochs or over steps that a command counts.

use super::{Runs, RunsError};
use crate::{
    schedule::{Notice, StepPath, Time},
    wire::Progress,
};
use std::collections::{BTreeMap, HashMap};

/// The kinds of notices that metrics are in, and those that say that a command begins anew.
const KINDS: [&str; 3] = ["epoch", "progress", "step_retried"];

/// A metric of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The step; of a search, the trial.
    pub step: StepPath,
    /// The metric, such as `valid.loss`.
    pub name: String,
    /// Its values by epoch, or by the step that the command counted.
    pub points: BTreeMap<u64, Point>,
}

/// A value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When it was reported.
    pub at: Time,
    /// The value.
    pub value: f64,
}

impl Series {
    /// The latest value.
    pub fn last(&self) -> Option<f64> {
        self.points.last_key_value().map(|(_, point)| point.value)
    }
}

impl Runs {
    /// The metrics of a run, in the order in which they were first reported.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn metrics(&self, id: &str) -> Result<Vec<Series>, RunsError> {
        let mut metrics = Metrics::default();
        self.each_notice(id, &KINDS, |at, notice| metrics.hear(at, notice))?;
        metrics.series.retain(|series| !series.points.is_empty());
        Ok(metrics.series)
    }
}

#[derive(Default)]
struct Metrics {
    series: Vec<Series>,
    /// The places in `series`.
    places: HashMap<(StepPath, String), usize>,
}

impl Metrics {
    fn hear(&mut self, at: Time, notice: Notice) {
        match notice {
            Notice::Epoch { step, metrics } => {
                let step = trial_of(step);
                for (part, values) in [("train", metrics.train), ("valid", metrics.valid)] {
                    for (name, value) in values {
                        let series = self.of(&step, format!("{part}.{name}"));
                        // A training that is tried again goes on from an epoch that it had trained before.
                        series.points.split_off(&metrics.epoch);
                        series.points.insert(metrics.epoch, Point { at, value });
                    }
                }
            }
            Notice::Progress { step, progress: Progress::Metric { name, step: number, value } } => {
                let series = self.of(&step, name);
                let next = series.points.last_key_value().map_or(1, |(last, _)| last.saturating_add(1));
                series.points.insert(number.unwrap_or(next), Point { at, value });
            }
            // A command begins anew; a training clears what it trains again by itself.
            Notice::StepRetried { step, .. } => {
                let commands =
                    self.series.iter_mut().filter(|series| series.step == step && !is_training(&series.name));
                commands.for_each(|series| series.points.clear());
            }
            _ => {}
        }
    }

    fn of(&mut self, step: &StepPath, name: String) -> &mut Series {
        let place = *self.places.entry((step.clone(), name.clone())).or_insert_with(|| {
            self.series.push(Series { step: step.clone(), name, points: BTreeMap::new() });
            self.series.len() - 1
        });
        &mut self.series[place]
    }
}

/// The rungs of a trial are one training.
fn trial_of(step: StepPath) -> StepPath {
    match step.0.rsplit_once("/rung[") {
        Some((trial, _)) => StepPath(trial.into()),
        None => step,
    }
}

fn is_training(metric: &str) -> bool {
    metric.starts_with("train.") || metric.starts_with("valid.")
}
