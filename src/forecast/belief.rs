//! What is thought of the seconds of a training's step for each number of workers, after some were tried.
//!
//! The formulas are the prior mean of a Gaussian process over the logarithm of the workers (Rasmussen and Williams, 2006,
//! section 2.7): what was seen first corrects their two factors, and then what they leave unexplained.

use super::Spread;
use crate::search::Cholesky;

/// Steps as they were seen in a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// The workers of the round.
    pub workers: u32,
    /// The samples of a batch.
    pub batch: f64,
    /// Seconds of a step.
    pub seconds: f64,
    /// Seconds of it on exchanging gradients, where they were told apart.
    pub exchanging: Option<f64>,
}

/// What is thought of the seconds of a step.
pub struct Belief<'e> {
    /// Seconds of one sample on a worker.
    sample: f64,
    /// What the seconds of the formula for the exchange are multiplied with.
    factor: f64,
    /// Seconds of an exchange among so many workers, by the formula.
    exchange: &'e dyn Fn(u32) -> f64,
    seen: Vec<Seen>,
    /// What the process takes the errors that were seen for.
    process: Option<(Cholesky, Vec<f64>)>,
    /// The deviation of what the formulas leave unexplained.
    deviation: f64,
}

/// How far a round is off from what its steps take on the average.
const NOISE: f64 = 0.01;
/// How far the formulas are thought to be off, at first and once their factors were seen.
const UNSEEN: f64 = 0.3;
const UNEXPLAINED: f64 = 0.1;
/// Numbers of workers whose logarithms are that far apart have little to do with each other.
const LENGTH: f64 = 0.7;

impl<'e> Belief<'e> {
    /// What is thought once all of `seen` was seen; beforehand a sample was thought to take so many seconds on a worker, if
    /// anything was thought of it.
    pub fn new(sample: Option<f64>, exchange: &'e dyn Fn(u32) -> f64, seen: &[Seen]) -> Self {
        let (sample, factor) = factors(sample, exchange, seen);
        let deviation = if seen.is_empty() { UNSEEN } else { UNEXPLAINED };
        let mut belief = Self { sample, factor, exchange, seen: seen.to_vec(), process: None, deviation };
        if !seen.is_empty() {
            let errors: Vec<f64> =
                seen.iter().map(|seen| (seen.seconds / belief.formula(seen.workers, seen.batch)).ln()).collect();
            let matrix = seen.iter().enumerate().flat_map(|(row, a)| {
                let belief = &belief;
                seen.iter().enumerate().map(move |(column, b)| {
                    belief.covariance(a.workers, b.workers) + if row == column { NOISE * NOISE } else { 0.0 }
                })
            });
            let factor = Cholesky::new(seen.len(), matrix.collect());
            let weights = factor.solve(&errors);
            belief.process = Some((factor, weights));
        }
        belief
    }

    /// Seconds of a step.
    pub fn step(&self, workers: u32, batch: f64) -> Spread {
        let formula = self.formula(workers, batch);
        let Some((factor, weights)) = &self.process else { return Spread::new(formula, self.deviation) };
        let near: Vec<f64> = self.seen.iter().map(|seen| self.covariance(seen.workers, workers)).collect();
        let error: f64 = near.iter().zip(weights).map(|(near, weight)| near * weight).sum();
        let known: f64 = factor.halfway(&near).iter().map(|part| part * part).sum();
        let variance = (self.deviation * self.deviation - known).max(NOISE * NOISE);
        Spread::new(formula * error.exp(), variance.sqrt())
    }

    fn formula(&self, workers: u32, batch: f64) -> f64 {
        self.sample * batch / f64::from(workers.max(1)) + self.factor * (self.exchange)(workers)
    }

    /// How alike the errors for two numbers of workers are.
    fn covariance(&self, a: u32, b: u32) -> f64 {
        let apart = (f64::from(a.max(1)).ln() - f64::from(b.max(1)).ln()) / LENGTH;
        self.deviation * self.deviation * (-apart * apart / 2.0).exp()
    }
}

/// The seconds of a sample and the factor of the exchange that explain best what was seen, by least squares of relative errors.
/// What was thought beforehand counts as a measurement that is less sure.
fn factors(sample: Option<f64>, exchange: &dyn Fn(u32) -> f64, seen: &[Seen]) -> (f64, f64) {
    // Of each row: what the two unknowns are multiplied with, and what that should come to.
    let mut rows: Vec<[f64; 3]> = Vec::new();
    let alone = |seen: &Seen| seen.batch / f64::from(seen.workers.max(1));
    for seen in seen {
        let (share, time) = (alone(seen), exchange(seen.workers));
        match seen.exchanging.filter(|_| time > 0.0) {
            None => rows.push([share / seen.seconds, time / seen.seconds, 1.0]),
            Some(exchanging) => {
                let computing = (seen.seconds - exchanging).max(1e-9);
                rows.push([share / computing, 0.0, 1.0]);
                rows.push([0.0, time / exchanging.max(1e-9), 1.0]);
            }
        }
    }
    let before = NOISE / UNSEEN;
    if let Some(sample) = sample.filter(|sample| *sample > 0.0) {
        rows.push([before / sample, 0.0, before]);
    }
    rows.push([0.0, before, before]);
    let sum = |a: usize, b: usize| rows.iter().map(|row| row[a] * row[b]).sum::<f64>();
    let (aa, ab, bb, ay, by) = (sum(0, 0), sum(0, 1), sum(1, 1), sum(0, 2), sum(1, 2));
    let determinant = aa * bb - ab * ab;
    // Nothing is known of a sample before one was seen.
    if aa <= 0.0 {
        return (1.0, 1.0);
    }
    let (sample, factor) = ((ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant);
    match (sample > 0.0, factor > 0.0) {
        (true, true) => (sample, factor),
        // Whichever turns out to be nothing, the other explains all.
        (true, false) | (false, false) => (ay / aa, 0.0),
        (false, true) => (0.0, by / bb),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINEAR: &dyn Fn(u32) -> f64 = &|workers| 0.03 * f64::from(workers);

    fn seen(workers: u32, seconds: f64) -> Seen {
        Seen { workers, batch: 100.0, seconds, exchanging: None }
    }

    #[test]
    fn two_rounds_tell_both_factors() {
        let real = |workers: u32| 4.3 * 100.0 / f64::from(workers) + 1.6 * 0.03 * f64::from(workers);
        let belief = Belief::new(Some(7.86), LINEAR, &[seen(150, real(150)), seen(60, real(60))]);
        for workers in [40, 90, 120] {
            let found = belief.step(workers, 100.0);
            assert!((found.median / real(workers) - 1.0).abs() < 0.02, "{workers}: {} {}", found.median, real(workers));
        }
    }

    #[test]
    fn one_round_that_tells_computing_from_exchanging_is_enough() {
        let round = Seen { exchanging: Some(2.0), ..seen(10, 12.0) };
        let belief = Belief::new(None, LINEAR, &[round]);
        let found = belief.step(20, 100.0).median;
        assert!((found - (5.0 + 4.0)).abs() < 0.2, "{found}");
    }

    #[test]
    fn what_was_seen_is_sure_and_what_is_far_is_not() {
        let belief = Belief::new(Some(0.1), LINEAR, &[seen(8, 2.0)]);
        let (near, far) = (belief.step(8, 100.0), belief.step(100, 100.0));
        assert!((near.median - 2.0).abs() < 0.05 && near.deviation < 0.02 && far.deviation > 0.09);
    }
}
