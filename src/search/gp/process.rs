//! Regression with a Gaussian process (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapter 2).

use super::{
    cholesky::{Cholesky, dot},
    kernel::{Axis, Kernel},
    likelihood,
};
use crate::search::cube::Point;

/// A Gaussian process that has seen values at points.
#[derive(Clone, Debug)]
pub(super) struct Process {
    kernel: Kernel,
    points: Vec<Point>,
    values: Vec<f64>,
    variance: f64,
    factor: Cholesky,
    /// The inverse of the correlations, times the values.
    weights: Vec<f64>,
}

impl Process {
    /// The process that explains `values` at `points` best; the values have mean 0 and deviation 1.
    pub(super) fn fit(axes: &[Axis], points: Vec<Point>, values: Vec<f64>) -> Self {
        let (kernel, variance) = likelihood::fit(axes, &points, &values);
        Self::new(kernel, variance, points, values)
    }

    fn new(kernel: Kernel, variance: f64, points: Vec<Point>, values: Vec<f64>) -> Self {
        let size = points.len();
        let mut matrix = Vec::with_capacity(size * size);
        for a in &points {
            matrix.extend(points.iter().map(|b| kernel.correlation(a, b)));
        }
        (0..size).for_each(|index| matrix[index * size + index] += kernel.noise);
        let factor = Cholesky::new(size, matrix);
        let weights = factor.solve(&values);
        Self { kernel, points, values, variance, factor, weights }
    }

    /// The same process, which believes that its guesses for further points have come true (the "Kriging believer" of
    /// Ginsbourger et al., "Kriging Is Well-Suited to Parallelize Optimization", 2010).
    pub(super) fn believe(mut self, further: &[Point]) -> Self {
        let guesses: Vec<f64> = further.iter().map(|point| self.predict(point).0).collect();
        self.points.extend_from_slice(further);
        self.values.extend(guesses);
        Self::new(self.kernel, self.variance, self.points, self.values)
    }

    /// The least of the values, believed ones included.
    pub(super) fn least(&self) -> f64 {
        self.values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The mean and the deviation of what is thought of a point, noise left out.
    pub(super) fn predict(&self, at: &Point) -> (f64, f64) {
        let near: Vec<f64> = self.points.iter().map(|point| self.kernel.correlation(point, at)).collect();
        let half = self.factor.halfway(&near);
        // Rounding must not take the variance at a point that is known to zero or below.
        let left = (1.0 - dot(&half, &half)).max(1e-12);
        (dot(&near, &self.weights), (self.variance * left).sqrt())
    }
}
