//! Bayesian optimization with a Gaussian process.
//!
//! Snoek et al., "Practical Bayesian Optimization of Machine Learning Algorithms", 2012: a Gaussian process is fitted to the
//! results so far, and the next point is the one that is expected to improve most upon the best of them. For what is under
//! way, the process takes its own guess as the result. Where trials failed, a second process learns where they do.

mod cholesky;
mod kernel;
mod likelihood;
mod process;
mod success;

use super::{
    SearchError,
    cube::{Coordinate, Point},
    history::History,
    space::Space,
};
use crate::{normal, seed::Seed, value::Fields};
pub use cholesky::Cholesky;
use kernel::Axis;
use process::Process;
use success::Success;

/// As the time for a fit grows with the cube of the number of results, no more than these are looked at: the best half of
/// them, and the latest of all others.
const MAX_RESULTS: usize = 200;
/// For the same reason, the latest of what is under way.
const MAX_PENDING: usize = 100;

/// The draws among which the search for the greatest improvement begins.
const DRAWS: usize = 400;
/// The draws from which it goes on, beside the best point so far.
const STARTS: usize = 4;
/// The first step along a number, and the last.
const STEPS: (f64, f64) = (0.1, 1e-3);
/// The steps that are tried from one start, give or take a round along all dimensions.
const MAX_STEPS: usize = 1000;
/// The options that are tried at a time.
const MAX_OPTIONS: usize = 16;

/// The point to try next.
pub(super) fn propose(space: &Space, history: &History, seed: Seed) -> Result<Fields, SearchError> {
    let mut results = history.ranked();
    if results.len() > MAX_RESULTS {
        let mut others = results.split_off(MAX_RESULTS / 2);
        others.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        results.extend(others.into_iter().take(MAX_RESULTS / 2));
    }
    let points: Vec<Point> = results.iter().map(|(_, result)| result.point.clone()).collect();
    let failed: Vec<bool> = results.iter().map(|(_, result)| result.cost.is_none()).collect();
    // Failures rank last, so the costs are those of the first points.
    let costs: Vec<f64> = results.iter().filter_map(|(_, result)| result.cost).collect();
    let known = points[..costs.len()].to_vec();
    let pending = &history.pending[history.pending.len().saturating_sub(MAX_PENDING)..];
    let best = known.first().cloned();
    let axes = Axis::all(space);
    let process = Process::fit(&axes, known, standardize(&costs)).believe(pending);
    let tried = history.results.iter().map(|result| &result.point).chain(&history.pending).collect();
    let success = Success::learn(&axes, points, &failed);
    Maximizer { space, least: process.least(), process, success, tried, seed }.best(best)
}

/// Costs with mean 0 and deviation 1. What lies far above the middle, as the cost of a training that all but diverged does, is
/// cut: it would flatten all that matters.
fn standardize(costs: &[f64]) -> Vec<f64> {
    let mut sorted = costs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(best), Some(worst)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let middle = sorted[sorted.len() / 2];
    let most = if middle > *best { worst.min(middle + 4.0 * (middle - best)) } else { *worst };
    // Between 0 and 1 no sum can overflow, and the halves of any two numbers have a difference.
    let width = (most / 2.0 - best / 2.0).max(f64::MIN_POSITIVE);
    let share = |cost: &f64| (cost.min(most) / 2.0 - best / 2.0) / width;
    let shares: Vec<f64> = costs.iter().map(share).collect();
    let count = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / count;
    let deviation = (shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / count).sqrt();
    let scale = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
    shares.into_iter().map(|share| (share - mean) * scale).collect()
}

/// The hunt for the point that is expected to improve most.
struct Maximizer<'s> {
    space: &'s Space,
    process: Process,
    least: f64,
    success: Option<Success>,
    /// What was tried or is under way, which would only give the same again.
    tried: Vec<&'s Point>,
    seed: Seed,
}

/// A point, and the logarithm of the improvement expected of it; nothing is expected of what was tried.
#[derive(Clone, Debug)]
struct Candidate {
    point: Fields,
    at: Point,
    improvement: f64,
}

impl Maximizer<'_> {
    fn best(&self, best: Option<Point>) -> Result<Fields, SearchError> {
        let draws = (0..DRAWS).map(|draw| self.candidate(&vec![Coordinate::Absent; self.space.0.len()], draw));
        let mut starts = draws.collect::<Result<Vec<Candidate>, SearchError>>()?;
        starts.sort_by(|a, b| b.improvement.total_cmp(&a.improvement));
        starts.truncate(STARTS);
        if let Some(best) = best {
            starts.push(self.candidate(&best, DRAWS)?);
        }
        let ends =
            starts.into_iter().map(|start| self.climb(start)).collect::<Result<Vec<Candidate>, SearchError>>()?;
        let best = ends.into_iter().min_by(|a, b| b.improvement.total_cmp(&a.improvement));
        Ok(best.map_or_else(Fields::new, |best| best.point))
    }

    /// The point that lies at given coordinates; what exists there but has no coordinate is drawn.
    fn candidate(&self, at: &Point, draw: usize) -> Result<Candidate, SearchError> {
        let seed = self.seed.child(draw);
        let point = self.space.point(|index, dimension| match at.get(index) {
            Some(Coordinate::Absent) | None => {
                dimension.distribution.draw(&mut seed.child(&dimension.name).generator())
            }
            Some(at) => dimension.distribution.value(*at),
        })?;
        let at = self.space.locate(&point);
        let improvement = if self.tried.contains(&&at) { f64::NEG_INFINITY } else { self.improvement(&at) };
        Ok(Candidate { point, at, improvement })
    }

    fn improvement(&self, at: &Point) -> f64 {
        let (mean, deviation) = self.process.predict(at);
        let chance = self.success.as_ref().map_or(0.0, |success| success.log_chance(at));
        normal::log_shortfall((self.least - mean) / deviation) + deviation.ln() + chance
    }

    /// Goes up along one dimension after the other, by steps that halve when none leads up (Hooke and Jeeves, "Direct Search",
    /// 1961).
    fn climb(&self, start: Candidate) -> Result<Candidate, SearchError> {
        let (mut best, mut step, mut tried) = (start, STEPS.0, 0);
        while step >= STEPS.1 && tried < MAX_STEPS {
            let before = best.improvement;
            for (index, dimension) in self.space.0.iter().enumerate() {
                // A shorter step would end at the same value.
                let step = step.max(dimension.distribution.stretch());
                for coordinate in beside(best.at[index], step, dimension.distribution.options()) {
                    let mut at = best.at.clone();
                    at[index] = coordinate;
                    let next = self.candidate(&at, DRAWS)?;
                    tried += 1;
                    if next.improvement > best.improvement {
                        best = next;
                    }
                }
            }
            if best.improvement <= before {
                step /= 2.0;
            }
        }
        Ok(best)
    }
}

/// The coordinates a step away, or the options that follow one.
fn beside(at: Coordinate, step: f64, options: usize) -> Vec<Coordinate> {
    match at {
        Coordinate::Absent => Vec::new(),
        Coordinate::Number(at) => [at - step, at + step].map(|at| Coordinate::Number(at.clamp(0.0, 1.0))).into(),
        Coordinate::Choice(at) => {
            (1..options.min(MAX_OPTIONS + 1)).map(|next| Coordinate::Choice((at + next) % options)).collect()
        }
    }
}

#[cfg(test)]
mod tests;
