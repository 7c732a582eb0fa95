//! How alike the values at two points are: Matérn 5/2, with a length for each dimension (Snoek et al., 2012, section 3.1).

use crate::search::cube::{Coordinate, Point};

/// A kernel of variance 1, with noise beside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kernel {
    /// How strongly the squared difference along each dimension counts: one over its squared length.
    pub(super) scales: Vec<f64>,
    /// The variance of the noise.
    pub(super) noise: f64,
}

impl Kernel {
    /// The kernel with the logarithms of a length for each dimension, and then of the noise.
    pub(super) fn new(logarithms: &[f64]) -> Self {
        let (noise, lengths) = logarithms.split_last().unwrap_or((&0.0, &[]));
        Self { scales: lengths.iter().map(|length| (-2.0 * length).exp()).collect(), noise: noise.exp() }
    }

    /// The correlation of two points.
    pub(super) fn correlation(&self, a: &Point, b: &Point) -> f64 {
        let along = a.iter().zip(b).zip(&self.scales);
        matern(along.map(|((a, b), scale)| difference(*a, *b) * scale).sum()).0
    }
}

/// The square of the difference along one dimension. Different options are all equally far apart, as they are where each
/// has an axis of its own; where a dimension does not exist, its number counts as the middle.
pub(super) fn difference(a: Coordinate, b: Coordinate) -> f64 {
    let number = |at| if let Coordinate::Number(at) = at { at } else { 0.5 };
    match (a, b) {
        (Coordinate::Choice(_), _) | (_, Coordinate::Choice(_)) => f64::from(u8::from(a != b)),
        (a, b) => (number(a) - number(b)).powi(2),
    }
}

/// The correlation at a squared distance, and its derivative by the squared distance.
pub(super) fn matern(squared: f64) -> (f64, f64) {
    let distance = (5.0 * squared).sqrt();
    let decay = (-distance).exp();
    ((1.0 + distance + 5.0 / 3.0 * squared) * decay, -5.0 / 6.0 * (1.0 + distance) * decay)
}
