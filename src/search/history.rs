//! What a strategy that learns may look at.

use super::{Trial, better, cube::Point, space::Space};

/// The results that the next decision reads, and the trials whose results it does not.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// In the order in which the trials were begun.
    pub results: Vec<Observation>,
    /// Trials that count as under way, whether their results are there or not.
    pub pending: Vec<Point>,
}

/// What came of a trial.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    /// What it tried.
    pub point: Point,
    /// The objective, turned so that less is better; none when the trial failed.
    pub cost: Option<f64>,
}

impl History {
    /// The history of `trials`, of which `results` are read.
    pub(super) fn new(space: &Space, trials: &[Trial], results: &[Option<f64>], larger: bool) -> Self {
        let (told, pending) = trials.split_at(results.len());
        let cost = |value: f64| if larger { -value } else { value };
        let observe = |(trial, value): (&Trial, &Option<f64>)| Observation {
            point: space.locate(&trial.params),
            cost: value.map(cost),
        };
        Self {
            results: told.iter().zip(results).map(observe).collect(),
            pending: pending.iter().map(|trial| space.locate(&trial.params)).collect(),
        }
    }

    /// The results from the best to the worst, each with its place in the order of trials; a failure is the worst.
    pub(super) fn ranked(&self) -> Vec<(usize, &Observation)> {
        let mut ranked: Vec<(usize, &Observation)> = self.results.iter().enumerate().collect();
        ranked.sort_by(|(_, a), (_, b)| better(a.cost, b.cost, false));
        ranked
    }
}
