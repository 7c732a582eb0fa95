//! How alike the values at two points are, with a length for each dimension: Matérn 5/2 along ranges of numbers (Snoek et al.,
//! 2012, section 3.1), times an exponential along options.
//!
//! A smooth kernel would take it for certain that an option between two others does as well as they do. The exponential one
//! expects each step from one option to the next to make a difference of its own (Rasmussen and Williams, 2006, section 4.2.1),
//! and where options have no order, it is that of Hutter et al., "Sequential Model-Based Optimization for General Algorithm
//! Configuration", 2011, section 4.2.

use crate::search::{
    cube::{Coordinate, Point},
    space::{Distribution, Space},
};

/// How values change along a dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Axis {
    /// Smoothly, with a number.
    Numbers,
    /// By leaps, from one option to another.
    Options,
}

/// Two different options without an order are as far apart as two with one.
const APART: f64 = 0.5;

impl Axis {
    /// Those of a space.
    pub(super) fn all(space: &Space) -> Vec<Self> {
        let axis = |distribution: &Distribution| match distribution {
            Distribution::Choice(_) => Self::Options,
            _ => Self::Numbers,
        };
        space.0.iter().map(|dimension| axis(&dimension.distribution)).collect()
    }

    /// The difference that a scale is multiplied with: a square for numbers, a distance for options. Where a dimension does not
    /// exist, its number counts as the middle.
    pub(super) fn difference(self, a: Coordinate, b: Coordinate) -> f64 {
        let number = |at| if let Coordinate::Number(at) = at { at } else { 0.5 };
        let distance = match (a, b) {
            (Coordinate::Choice(_), _) | (_, Coordinate::Choice(_)) if a == b => 0.0,
            (Coordinate::Choice(_), _) | (_, Coordinate::Choice(_)) => APART,
            (a, b) => (number(a) - number(b)).abs(),
        };
        match self {
            Self::Numbers => distance * distance,
            Self::Options => distance,
        }
    }

    /// One over the length, squared for numbers.
    fn scale(self, log_length: f64) -> f64 {
        match self {
            Self::Numbers => (-2.0 * log_length).exp(),
            Self::Options => (-log_length).exp(),
        }
    }
}

/// A kernel of variance 1, with noise beside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kernel {
    axes: Vec<Axis>,
    /// How strongly the difference along each dimension counts.
    pub(super) scales: Vec<f64>,
    /// The variance of the noise.
    pub(super) noise: f64,
}

impl Kernel {
    /// The kernel with the logarithms of a length for each dimension, and then of the noise.
    pub(super) fn new(axes: &[Axis], logarithms: &[f64]) -> Self {
        let (noise, lengths) = logarithms.split_last().unwrap_or((&0.0, &[]));
        let scales = axes.iter().zip(lengths).map(|(axis, length)| axis.scale(*length)).collect();
        Self { axes: axes.to_vec(), scales, noise: noise.exp() }
    }

    /// The correlation of two points.
    pub(super) fn correlation(&self, a: &Point, b: &Point) -> f64 {
        let along = self.axes.iter().zip(a.iter().zip(b));
        self.at(along.map(|(axis, (a, b))| axis.difference(*a, *b))).0
    }

    /// The correlation at differences along the dimensions, and its derivative by the squared distance along numbers.
    pub(super) fn at(&self, differences: impl Iterator<Item = f64>) -> (f64, f64) {
        let (mut squared, mut leaps) = (0.0, 0.0);
        for ((difference, scale), axis) in differences.zip(&self.scales).zip(&self.axes) {
            match axis {
                Axis::Numbers => squared += difference * scale,
                Axis::Options => leaps += difference * scale,
            }
        }
        let (correlation, slope) = matern(squared);
        let decay = (-leaps).exp();
        (correlation * decay, slope * decay)
    }
}

/// The correlation at a squared distance, and its derivative by the squared distance.
fn matern(squared: f64) -> (f64, f64) {
    let distance = (5.0 * squared).sqrt();
    let decay = (-distance).exp();
    ((1.0 + distance + 5.0 / 3.0 * squared) * decay, -5.0 / 6.0 * (1.0 + distance) * decay)
}
