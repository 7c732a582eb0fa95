//! The metrics that trainings and commands reported, each as a series over epochs or over steps that a command counts.

use super::{Runs, RunsError};
use crate::{
    schedule::{Notice, StepPath, Time},
    wire::Progress,
};
use std::collections::{BTreeMap, HashMap};

/// The kinds of notices that metrics are in, and those that say that a step begins, perhaps anew.
const KINDS: [&str; 3] = ["epoch", "progress", "step_started"];

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
    /// The places in `series` of each step's metrics.
    places: HashMap<StepPath, HashMap<String, usize>>,
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
            Notice::StepStarted { step, .. } => {
                for place in self.places.get(&step).into_iter().flat_map(HashMap::values) {
                    let series = &mut self.series[*place];
                    if !is_training(&series.name) {
                        series.points.clear();
                    }
                }
            }
            _ => {}
        }
    }

    fn of(&mut self, step: &StepPath, name: String) -> &mut Series {
        let places = self.places.entry(step.clone()).or_default();
        let place = *places.entry(name).or_insert_with_key(|name| {
            self.series.push(Series { step: step.clone(), name: name.clone(), points: BTreeMap::new() });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{units::Duration, wire::EpochMetrics};

    fn path(step: &str) -> StepPath {
        StepPath(step.into())
    }

    fn begun(step: &str, attempt: u32) -> Notice {
        Notice::StepStarted { step: path(step), kind: "run".into(), attempt }
    }

    fn metric(step: &str, number: Option<u64>, value: f64) -> Notice {
        Notice::Progress { step: path(step), progress: Progress::Metric { name: "loss".into(), step: number, value } }
    }

    fn epoch(step: &str, epoch: u64, value: f64) -> Notice {
        let train = BTreeMap::from([("loss".to_owned(), value)]);
        Notice::Epoch { step: path(step), metrics: EpochMetrics { epoch, of: 9, train, valid: BTreeMap::new() } }
    }

    fn points(notices: impl IntoIterator<Item = Notice>) -> Vec<(String, Vec<(u64, f64)>)> {
        let mut metrics = Metrics::default();
        notices.into_iter().for_each(|notice| metrics.hear(Time(Duration::ZERO), notice));
        let points = |series: &Series| series.points.iter().map(|(step, point)| (*step, point.value)).collect();
        let series = metrics.series.iter();
        series.map(|series| (format!("{} {}", series.step, series.name), points(series))).collect()
    }

    #[test]
    fn a_command_that_is_tried_again_begins_anew() {
        let told =
            [begun("a", 1), metric("a", None, 3.0), metric("a", None, 2.0), begun("a", 2), metric("a", None, 1.0)];
        assert_eq!(points(told), [("a loss".into(), vec![(1, 1.0)])]);
        let told = [metric("a", Some(10), 3.0), metric("a", Some(0), 2.0), metric("a", Some(10), 1.0)];
        assert_eq!(points(told), [("a loss".into(), vec![(0, 2.0), (10, 1.0)])]);
    }

    #[test]
    fn a_training_goes_on_from_an_epoch_that_it_had_trained_before() {
        let told = [epoch("a", 1, 3.0), epoch("a", 2, 2.0), epoch("a", 3, 9.0), begun("a", 2), epoch("a", 2, 1.0)];
        assert_eq!(points(told), [("a train.loss".into(), vec![(1, 3.0), (2, 1.0)])]);
    }

    #[test]
    fn the_rungs_of_a_trial_are_one_training() {
        let told = [epoch("s/trial[0]/rung[0]", 1, 3.0), epoch("s/trial[1]/rung[0]", 1, 4.0)];
        let told = told.into_iter().chain([epoch("s/trial[0]/rung[1]", 2, 2.0)]);
        let found = points(told);
        assert_eq!(found[0], ("s/trial[0] train.loss".into(), vec![(1, 3.0), (2, 2.0)]));
        assert_eq!(found.len(), 2);
    }
}
