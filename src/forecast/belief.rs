//! What is thought of the seconds of a training's step for each number of workers, after some were tried.
//!
//! Their logarithm is a Gaussian process around a formula whose two factors are not known either (Rasmussen and Williams,
//! 2006, section 2.7): what was seen corrects the factors, and then what they leave unexplained. The formula is not linear in
//! the logarithms of its factors, so that it is linearized again and again where they turn out to be, as in an iterated
//! Kalman filter (Bell and Cathey, 1993).

use super::Spread;
use crate::search::Cholesky;
use std::{f64::consts::LN_2, iter};

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
    /// What the seconds of one sample on a worker were thought to be beforehand.
    sample: Spread,
    /// Seconds of an exchange among so many workers, by the formula.
    exchange: &'e dyn Fn(u32) -> f64,
    seen: Vec<Observation>,
    /// Of the covariances of what was seen.
    factor: Cholesky,
    /// What the process multiplies these with.
    weights: Vec<f64>,
}

/// How far a round is off from what its steps take on the average.
const NOISE: f64 = 0.02;
/// How far each factor is thought to be off before anything was seen: it may well be twice what is true, or half.
const UNSEEN: f64 = LN_2;
/// How far the seconds of a sample are thought to be off where nothing was thought of them.
const UNKNOWN: f64 = 10.0 * LN_2;
/// How far the formula is thought to be off with the best of factors.
const UNEXPLAINED: f64 = 0.1;
/// Numbers of workers whose logarithms are that far apart have little to do with each other.
const LENGTH: f64 = 0.7;
/// When the same steps take more by that share than they did, or less, the world has changed meanwhile.
const CHANGED: f64 = 0.25;
/// No step takes less, so that there are logarithms.
const LEAST: f64 = 1e-9;
/// How often the formula is linearized at most, and how near the last time must have come to the one before.
const TIMES: usize = 50;
const NEAR: f64 = 1e-6;

/// What the process tells of: the logarithm of the seconds of a step, or of its exchange alone.
#[derive(Clone, Copy, Debug)]
struct Point {
    workers: u32,
    batch: f64,
    whole: bool,
    /// How far the logarithms of the factors move it: the shares of computing and of exchanging.
    shares: [f64; 2],
    /// Where that starts: what it is with the factors that were thought of beforehand.
    start: f64,
}

#[derive(Clone, Copy, Debug)]
struct Observation {
    point: Point,
    seconds: f64,
    noise: f64,
}

/// What is thought of the steps of so many workers.
#[derive(Clone, Debug)]
pub(super) struct Thought {
    /// Seconds of a step.
    pub(super) step: Spread,
    point: Point,
    /// What of it is known from what was seen: the inner product of two such is by how much that lessens their covariance.
    known: Vec<f64>,
}

impl<'e> Belief<'e> {
    /// What is thought once all of `seen` was seen, the oldest first; beforehand a sample was thought to take so many seconds
    /// on a worker, if anything was thought of it.
    pub fn new(sample: Option<f64>, exchange: &'e dyn Fn(u32) -> f64, seen: &[Seen]) -> Self {
        let sample = match (sample.filter(|sample| *sample > 0.0), seen.first()) {
            (Some(sample), _) => Spread::new(sample, UNSEEN),
            (None, Some(Seen { workers, batch, seconds, .. })) => {
                Spread::new(seconds * f64::from(*workers) / batch, UNKNOWN)
            }
            (None, None) => Spread::new(1.0, UNKNOWN),
        };
        let seen = observations(seen, exchange);
        let weights = vec![0.0; seen.len()];
        let mut belief = Self { sample, exchange, seen, factor: Cholesky::new(0, Vec::new()), weights };
        for _ in 0..TIMES {
            if belief.linearize() < NEAR {
                break;
            }
        }
        belief
    }

    /// Seconds of a step.
    pub fn step(&self, workers: u32, batch: f64) -> Spread {
        self.of(workers, batch).step
    }

    /// All that is thought of the steps of so many workers.
    pub(super) fn of(&self, workers: u32, batch: f64) -> Thought {
        let point = self.linearized(Point::step(workers, batch));
        let near = self.near(&point);
        let seconds = (point.start + dot(&near, &self.weights)).exp();
        let known = self.factor.halfway(&near);
        let left = self.covariance(&point, &point) - dot(&known, &known);
        Thought { step: Spread::new(seconds, left.max(NOISE * NOISE).sqrt()), point, known }
    }

    /// How far the logarithm of what is thought of a step moves once `tried` was tried, where that turns out to take one
    /// deviation more than thought (Frazier, Powell and Dayanik, 2009, section 2).
    pub(super) fn moves(&self, thought: &Thought, tried: &Thought) -> f64 {
        let variance = self.left(tried, tried).max(0.0) + NOISE * NOISE;
        self.left(thought, tried) / variance.sqrt()
    }

    /// The covariance that is left between two.
    fn left(&self, a: &Thought, b: &Thought) -> f64 {
        self.covariance(&a.point, &b.point) - dot(&a.known, &b.known)
    }

    /// Fits the process to the formula as it is around the factors that are thought of now. Returns how far that moved it.
    fn linearize(&mut self) -> f64 {
        let points: Vec<Point> = self.seen.iter().map(|seen| self.linearized(seen.point)).collect();
        let mut moved = 0.0_f64;
        for (seen, point) in iter::zip(&mut self.seen, points) {
            moved =
                moved.max((seen.point.shares[0] - point.shares[0]).abs()).max((seen.point.start - point.start).abs());
            seen.point = point;
        }
        let mut matrix: Vec<f64> = self.seen.iter().flat_map(|seen| self.near(&seen.point)).collect();
        for (index, seen) in self.seen.iter().enumerate() {
            matrix[index * (self.seen.len() + 1)] += seen.noise * seen.noise;
        }
        let open: Vec<f64> = self.seen.iter().map(|seen| seen.seconds.ln() - seen.point.start).collect();
        self.factor = Cholesky::new(self.seen.len(), matrix);
        self.weights = self.factor.solve(&open);
        moved
    }

    /// The point with the formula as it is around the factors that are thought of now.
    fn linearized(&self, point: Point) -> Point {
        let factors = self.factors(point.batch);
        let computing = self.sample.median * point.batch / f64::from(point.workers.max(1)) * factors[0].exp();
        let exchanging = (self.exchange)(point.workers) * factors[1].exp();
        let (shares, seconds) = match point.whole {
            true => ([computing, exchanging].map(|part| part / (computing + exchanging)), computing + exchanging),
            false => ([0.0, 1.0], exchanging),
        };
        Point { shares, start: seconds.ln() - dot(&shares, &factors), ..point }
    }

    /// The logarithms of the factors with a batch: one that is right for a small batch may be wrong for a large one.
    fn factors(&self, batch: f64) -> [f64; 2] {
        let mut factors = [0.0; 2];
        for (seen, weight) in iter::zip(&self.seen, &self.weights) {
            let weight = weight * same(seen.point.batch, batch);
            iter::zip(&mut factors, seen.point.shares).for_each(|(factor, share)| *factor += share * weight);
        }
        let [computing, exchanging] = self.doubts();
        [computing * computing * factors[0], exchanging * exchanging * factors[1]]
    }

    /// How far the logarithms of the factors were thought to be off beforehand.
    fn doubts(&self) -> [f64; 2] {
        [self.sample.deviation, UNSEEN]
    }

    /// The covariances with what was seen.
    fn near(&self, point: &Point) -> Vec<f64> {
        self.seen.iter().map(|seen| self.covariance(&seen.point, point)).collect()
    }

    fn covariance(&self, a: &Point, b: &Point) -> f64 {
        let [computing, exchanging] = self.doubts();
        let factors =
            computing * computing * a.shares[0] * b.shares[0] + exchanging * exchanging * a.shares[1] * b.shares[1];
        let rest = match a.whole && b.whole {
            true => UNEXPLAINED * UNEXPLAINED * alike(a.workers, b.workers),
            false => 0.0,
        };
        same(a.batch, b.batch) * (factors + rest)
    }
}

impl Thought {
    /// The workers that it is about.
    pub(super) fn workers(&self) -> u32 {
        self.point.workers
    }
}

impl Point {
    /// Steps, before the formula is linearized.
    fn step(workers: u32, batch: f64) -> Self {
        Self { workers, batch, whole: true, shares: [0.0; 2], start: 0.0 }
    }
}

/// How much what the formula leaves unexplained with so many workers is that with others: the curve is smooth.
fn alike(a: u32, b: u32) -> f64 {
    let apart = (f64::from(a.max(1)) / f64::from(b.max(1))).ln() / LENGTH;
    (-apart * apart / 2.0).exp()
}

/// How much what is true with one batch is with another: half of it with twice as many samples. Unlike a smooth process, this
/// one, of Ornstein and Uhlenbeck over the logarithm, takes two batches for no trend.
fn same(a: f64, b: f64) -> f64 {
    a.min(b) / a.max(b)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    iter::zip(a, b).map(|(a, b)| a * b).sum()
}

/// What each round tells of steps, and of exchanges where they were told apart.
fn observations(seen: &[Seen], exchange: &dyn Fn(u32) -> f64) -> Vec<Observation> {
    let changed = |(index, old): (usize, &Seen)| {
        let same = |new: &&Seen| new.workers == old.workers && new.batch == old.batch;
        let apart = |new: &Seen| (new.seconds / old.seconds).ln().abs() > CHANGED.ln_1p();
        seen[index..].iter().filter(same).any(apart)
    };
    // All that was seen up to then is from before the change.
    let stale = seen.iter().enumerate().rposition(changed).map_or(0, |last| last + 1);
    seen.iter()
        .enumerate()
        .flat_map(|(index, seen)| {
            // What was seen before a change is worth no more than what was thought before anything was seen.
            let noise = if index < stale { UNSEEN } else { NOISE };
            let step = Point::step(seen.workers, seen.batch);
            let whole = Observation { point: step, seconds: seen.seconds.max(LEAST), noise };
            let part = seen.exchanging.filter(|seconds| *seconds > 0.0 && exchange(seen.workers) > 0.0);
            let part = part.map(|seconds| Observation {
                point: Point { whole: false, ..step },
                seconds,
                noise: noise.max(UNEXPLAINED),
            });
            iter::once(whole).chain(part)
        })
        .collect()
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
        assert!((near.median - 2.0).abs() < 0.05 && near.deviation < 0.03 && far.deviation > 0.09);
    }

    #[test]
    fn the_formula_is_found_though_it_was_thought_to_be_far_off() {
        for wrong in [0.1, 0.3, 3.0, 10.0] {
            let real = |workers: u32| 4.3 * 100.0 / f64::from(workers) + 1.6 * 0.03 * f64::from(workers);
            let belief = Belief::new(Some(4.3 * wrong), LINEAR, &[seen(100, real(100)), seen(25, real(25))]);
            let found = belief.step(50, 100.0).median;
            assert!((found / real(50) - 1.0).abs() < 0.05, "{wrong}: {found} {}", real(50));
        }
    }

    #[test]
    fn what_was_seen_before_a_change_counts_less() {
        let rounds = [seen(4, 30.0), seen(8, 20.0), seen(8, 20.0), seen(8, 20.0)];
        let (before, after) = (
            Belief::new(Some(1.0), LINEAR, &rounds),
            Belief::new(Some(1.0), LINEAR, &[&rounds[..], &[seen(8, 40.0)]].concat()),
        );
        assert!((after.step(8, 100.0).median / 40.0 - 1.0).abs() < 0.05, "{:?}", after.step(8, 100.0));
        // Nor is what was seen with others believed any more.
        assert!(after.step(4, 100.0).median > 1.5 * before.step(4, 100.0).median, "{:?}", after.step(4, 100.0));
        assert!(after.step(4, 100.0).deviation > 2.0 * before.step(4, 100.0).deviation);
    }

    #[test]
    fn a_try_tells_most_of_what_is_like_it() {
        let belief = Belief::new(Some(0.1), LINEAR, &[seen(64, 2.2)]);
        let thought = |workers: u32| belief.of(workers, 100.0);
        let moves = |workers: u32| belief.moves(&thought(workers), &thought(8));
        assert!(moves(8) > moves(12) && moves(12) > 0.5 * moves(8) && moves(64).abs() < 0.1 * moves(8));
        assert!(moves(8) < thought(8).step.deviation);
    }
}
