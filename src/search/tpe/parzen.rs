//! Parzen estimators with the practical choices of Optuna (Watanabe, "Tree-Structured Parzen Estimator", 2023, section 3).

use crate::{
    normal,
    search::{
        cube::{Coordinate, Point},
        space::{Distribution, Space},
    },
    seed::Generator,
};
use std::f64::consts::TAU;

/// The newest points count in full; those before them count the less the older they are.
const FRESH: usize = 25;

/// A density over a space: a sum of kernels, one at each point and a wide one, the prior, which keeps every value possible. A
/// kernel is a product over the dimensions; where its point has no coordinate, it is as wide as the prior.
#[derive(Clone, Debug)]
pub(super) struct Estimator {
    /// The share of each kernel; the last is the prior.
    weights: Vec<f64>,
    axes: Vec<Axis>,
}

/// The factors of all kernels along one dimension.
#[derive(Clone, Debug)]
enum Axis {
    Numbers(Vec<Bell>),
    Choices {
        /// The option that each kernel stands for; the prior stands for none.
        kernels: Vec<Option<usize>>,
        options: usize,
    },
}

/// A normal distribution cut off at 0 and 1.
#[derive(Clone, Copy, Debug)]
struct Bell {
    mean: f64,
    deviation: f64,
    /// The logarithm of the density at the mean.
    peak: f64,
}

impl Estimator {
    /// The density of points, from old to new.
    pub(super) fn new(space: &Space, points: &[&Point]) -> Self {
        let axis = |(index, distribution)| Axis::new(distribution, points.iter().map(|point| point[index]));
        let distributions = space.0.iter().map(|dimension| &dimension.distribution);
        Self { weights: weights(points.len()), axes: distributions.enumerate().map(axis).collect() }
    }

    /// A kernel, as likely as it weighs.
    pub(super) fn pick(&self, generator: &mut Generator) -> usize {
        let mut left = generator.unit();
        let chosen = self.weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        // Rounding may leave a little; the prior takes it.
        chosen.unwrap_or(self.weights.len() - 1)
    }

    /// A draw from a kernel along one dimension.
    pub(super) fn draw(&self, kernel: usize, dimension: usize, generator: &mut Generator) -> Coordinate {
        match &self.axes[dimension] {
            Axis::Numbers(bells) => Coordinate::Number(bells[kernel].draw(generator)),
            Axis::Choices { kernels, options } => {
                // The share that every option has comes first: the one that the kernel stands for has the rest.
                let any = generator.below(*options as u64) as usize;
                let even = generator.unit() < *options as f64 / (kernels.len() + options) as f64;
                Coordinate::Choice(kernels[kernel].filter(|_| !even).unwrap_or(any))
            }
        }
    }

    /// The logarithm of the density at a point.
    pub(super) fn log_density(&self, at: &Point) -> f64 {
        let kernels = (0..self.weights.len()).map(|kernel| {
            let along = self.axes.iter().zip(at).map(|(axis, at)| axis.log_density(kernel, *at));
            self.weights[kernel].ln() + along.sum::<f64>()
        });
        let kernels: Vec<f64> = kernels.collect();
        let most = kernels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + kernels.iter().map(|kernel| (kernel - most).exp()).sum::<f64>().ln()
    }
}

impl Axis {
    fn new(distribution: &Distribution, points: impl Iterator<Item = Coordinate>) -> Self {
        let options = distribution.options();
        if options > 0 {
            let option = |at| if let Coordinate::Choice(option) = at { Some(option) } else { None };
            return Self::Choices { kernels: points.map(option).chain([None]).collect(), options };
        }
        let mean = |at| if let Coordinate::Number(share) = at { Some(share) } else { None };
        let means: Vec<Option<f64>> = points.map(mean).collect();
        let known: Vec<f64> = means.iter().copied().flatten().collect();
        let mut deviations = deviations(&known, distribution.stretch() / 2.0).into_iter();
        let prior = Bell::new(0.5, 1.0);
        let bell = |mean: Option<f64>| mean.zip(mean.and_then(|_| deviations.next()));
        let bells: Vec<Option<(f64, f64)>> = means.into_iter().map(bell).collect();
        let bells = bells.into_iter().map(|bell| bell.map_or(prior, |(mean, deviation)| Bell::new(mean, deviation)));
        Self::Numbers(bells.chain([prior]).collect())
    }

    fn log_density(&self, kernel: usize, at: Coordinate) -> f64 {
        match (self, at) {
            (Self::Numbers(bells), Coordinate::Number(at)) => bells[kernel].log_density(at),
            (Self::Choices { kernels, options }, Coordinate::Choice(at)) => {
                // Each option has one part, and the one that the kernel stands for as many more as there are kernels.
                let (count, options) = (kernels.len() as f64, *options as f64);
                match kernels[kernel] {
                    Some(option) if option == at => ((1.0 + count) / (count + options)).ln(),
                    Some(_) => (1.0 / (count + options)).ln(),
                    None => (1.0 / options).ln(),
                }
            }
            _ => 0.0,
        }
    }
}

impl Bell {
    fn new(mean: f64, deviation: f64) -> Self {
        let inside = normal::cumulative((1.0 - mean) / deviation) - normal::cumulative(-mean / deviation);
        Self { mean, deviation, peak: -(deviation * inside).ln() - TAU.ln() / 2.0 }
    }

    fn draw(&self, generator: &mut Generator) -> f64 {
        // The mean lies inside and the deviation is at most 1, so a third of the draws or more lie inside too.
        loop {
            let at = self.mean + self.deviation * generator.normal();
            if (0.0..=1.0).contains(&at) {
                return at;
            }
        }
    }

    fn log_density(&self, at: f64) -> f64 {
        self.peak - ((at - self.mean) / self.deviation).powi(2) / 2.0
    }
}

/// The weights of `count` points from old to new, and of the prior; together 1.
fn weights(count: usize) -> Vec<f64> {
    let old = count.saturating_sub(FRESH);
    let (least, steps) = (1.0 / count as f64, old.saturating_sub(1).max(1) as f64);
    let ramp = (0..old).map(|index| least + (1.0 - least) * index as f64 / steps);
    let weights: Vec<f64> = ramp.chain(std::iter::repeat_n(1.0, count - old + 1)).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// A kernel reaches as far as the farther of its two neighbours; but none is narrower than a share of the interval that
/// shrinks with their number, nor than `least`.
fn deviations(means: &[f64], least: f64) -> Vec<f64> {
    let least = least.max(1.0 / (means.len() as f64 + 2.0).min(100.0));
    let mut order: Vec<usize> = (0..means.len()).collect();
    order.sort_by(|a, b| means[*a].total_cmp(&means[*b]));
    let mut deviations = vec![1.0; means.len()];
    for (place, index) in order.iter().enumerate() {
        let gap = |other: &usize| (means[*other] - means[*index]).abs();
        let before = place.checked_sub(1).and_then(|place| order.get(place)).map(gap);
        let after = order.get(place + 1).map(gap);
        // A point on its own reaches to the farther end.
        let alone = means[*index].max(1.0 - means[*index]);
        let reach = before.into_iter().chain(after).reduce(f64::max).unwrap_or(alone);
        deviations[*index] = reach.clamp(least, 1.0);
    }
    deviations
}
