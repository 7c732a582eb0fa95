//! The kernel that explains what was seen best: the one of the greatest posterior, found by following its gradient
//! (Rasmussen and Williams, 2006, section 5.4.1).

use super::{
    cholesky::{Cholesky, dot},
    kernel::{Axis, Kernel},
};
use crate::search::cube::Point;
use std::f64::consts::SQRT_2;

/// The mean and deviation of what is thought of a logarithm beforehand, and how far it may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prior {
    mean: f64,
    deviation: f64,
    least: f64,
    most: f64,
}

/// So many values with a mean square of one are taken as seen beforehand, which keeps the variance of a few away from zero.
const SEEN: f64 = 2.0;

/// The most steps to the greatest posterior.
const MAX_STEPS: usize = 50;
/// The first step along a logarithm, the longest, and one that is not worth going on for.
const FIRST_STEP: f64 = 0.5;
const MAX_STEP: f64 = 2.0;
const LAST_STEP: f64 = 0.02;

/// The best kernel and the variance that it is multiplied with; the values have mean 0 and deviation 1.
pub(super) fn fit(axes: &[Axis], points: &[Point], values: &[f64]) -> (Kernel, f64) {
    let problem = Problem::new(axes, points, values, priors(axes.len()));
    let kernel = problem.ascend();
    let variance = problem.explain(&kernel).variance;
    (kernel, variance)
}

/// What is thought of the length of each dimension, and of the noise.
pub(super) fn priors(dimensions: usize) -> Vec<Prior> {
    // The more dimensions, the farther apart points are: the mode of the prior of Hvarfner et al., "Vanilla Bayesian
    // Optimization Performs Great in High Dimensions", 2024, section 4. Their deviation of √3 is too wide for tens of
    // results: what showed no effect so far would count as what has none.
    let usual = SQRT_2 - 3.0 + (dimensions.max(1) as f64).ln() / 2.0;
    let mut priors = vec![Prior { mean: usual, deviation: 1.0, least: -5.0, most: 7.0 }; dimensions];
    priors.push(Prior { mean: -8.0, deviation: 2.0, least: -14.0, most: 0.0 });
    priors
}

/// Values at points, to be explained.
pub(super) struct Problem<'v> {
    axes: &'v [Axis],
    values: &'v [f64],
    priors: Vec<Prior>,
    /// The difference along each dimension for each pair of points: those of a point with the points before it
    /// follow those of the point before.
    differences: Vec<f64>,
}

/// What a kernel makes of the values.
struct Explained {
    factor: Cholesky,
    weights: Vec<f64>,
    variance: f64,
    /// The correlation of each pair of points, and its derivative by the squared distance along numbers.
    correlations: Vec<(f64, f64)>,
}

impl<'v> Problem<'v> {
    pub(super) fn new(axes: &'v [Axis], points: &[Point], values: &'v [f64], priors: Vec<Prior>) -> Self {
        let pairs = points.iter().enumerate().flat_map(|(row, a)| points[..row].iter().map(move |b| (a, b)));
        let along = pairs.flat_map(|(a, b)| axes.iter().zip(a.iter().zip(b)));
        let differences = along.map(|(axis, (a, b))| axis.difference(*a, *b)).collect();
        Self { axes, values, priors, differences }
    }

    fn explain(&self, kernel: &Kernel) -> Explained {
        let size = self.values.len();
        let dimensions = kernel.scales.len();
        let mut matrix = vec![0.0; size * size];
        let mut correlations = Vec::with_capacity(size * size / 2);
        let mut pair = 0;
        for row in 0..size {
            for column in 0..row {
                let at = kernel.at(self.differences[pair * dimensions..][..dimensions].iter().copied());
                matrix[row * size + column] = at.0;
                correlations.push(at);
                pair += 1;
            }
            matrix[row * size + row] = 1.0 + kernel.noise;
        }
        let factor = Cholesky::new(size, matrix);
        let weights = factor.solve(self.values);
        let variance = (dot(self.values, &weights) + SEEN) / (size as f64 + SEEN);
        Explained { factor, weights, variance, correlations }
    }

    /// The logarithm of the posterior of a kernel, but for a constant, and its gradient. The variance is not among what is
    /// followed: the best one for a kernel has a formula (Jones et al., "Efficient Global Optimization", 1998, section 3).
    pub(super) fn posterior(&self, at: &[f64]) -> (f64, Vec<f64>) {
        let kernel = Kernel::new(self.axes, at);
        let Explained { factor, weights, variance, correlations } = self.explain(&kernel);
        let seen = weights.len() as f64 + SEEN;
        let mut posterior = -seen / 2.0 * variance.ln() - factor.log_determinant() / 2.0;
        let inverse = factor.inverse();
        let (mut lengths, mut noise, mut pair) = (vec![0.0; kernel.scales.len()], 0.0, 0);
        for (row, a) in weights.iter().enumerate() {
            let inverse = &inverse[row * (row + 1) / 2..];
            for (b, inverse) in weights[..row].iter().zip(inverse) {
                let pull = a * b / variance - inverse;
                let (correlation, slope) = correlations[pair];
                let along = &self.differences[pair * lengths.len()..];
                for ((sum, along), axis) in lengths.iter_mut().zip(along).zip(self.axes) {
                    // By the logarithm of the length, but for the scale.
                    let slope = match axis {
                        Axis::Numbers => -2.0 * slope,
                        Axis::Options => correlation,
                    };
                    *sum += pull * along * slope;
                }
                pair += 1;
            }
            noise += (a * a / variance - inverse[row]) / 2.0;
        }
        let lengths = lengths.into_iter().zip(&kernel.scales).map(|(sum, scale)| sum * scale);
        let mut gradient: Vec<f64> = lengths.chain([noise * kernel.noise]).collect();
        for ((slope, at), prior) in gradient.iter_mut().zip(at).zip(&self.priors) {
            let z = (at - prior.mean) / prior.deviation;
            posterior -= z * z / 2.0;
            *slope -= z / prior.deviation;
        }
        (posterior, gradient)
    }

    /// Climbs from what is thought beforehand; each logarithm has a step of its own, which grows while the gradient keeps
    /// its sign and shrinks when that turns ("iRprop−" of Igel and Hüsken, 2003; for this use Blum and Riedmiller, 2013).
    fn ascend(&self) -> Kernel {
        let mut at: Vec<f64> = self.priors.iter().map(|prior| prior.mean).collect();
        let mut steps = vec![FIRST_STEP; self.priors.len()];
        let mut before = vec![0.0; self.priors.len()];
        let mut best = (f64::NEG_INFINITY, at.clone());
        for _ in 0..MAX_STEPS {
            let (posterior, gradient) = self.posterior(&at);
            if posterior > best.0 {
                best = (posterior, at.clone());
            }
            for (index, prior) in self.priors.iter().enumerate() {
                let turn = gradient[index] * before[index];
                steps[index] = if turn < 0.0 { steps[index] / 2.0 } else { (steps[index] * 1.2).min(MAX_STEP) };
                before[index] = if turn < 0.0 { 0.0 } else { gradient[index] };
                let step = if before[index] == 0.0 { 0.0 } else { steps[index].copysign(before[index]) };
                at[index] = (at[index] + step).clamp(prior.least, prior.most);
            }
            if steps.iter().all(|step| *step < LAST_STEP) {
                break;
            }
        }
        Kernel::new(self.axes, &best.1)
    }
}
