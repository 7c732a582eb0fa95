//! Parzen estimators of one dimension, as Optuna builds them (Watanabe, "Tree-Structured Parzen Estimator", 2023,
//! section 3): a kernel at each point and a wide one, the prior, which keeps every value possible.

use crate::{
    search::{cube::Coordinate, normal, space::Distribution},
    seed::Generator,
};

/// The newest points count in full; those before them count the less the older they are.
const FRESH: usize = 25;

/// A density along a dimension.
#[derive(Clone, Debug)]
pub(super) enum Estimator {
    /// Over the unit interval.
    Numbers(Vec<Kernel>),
    /// The chance of each option.
    Choices(Vec<f64>),
}

/// A normal distribution cut off at 0 and 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    /// Its share of the whole.
    weight: f64,
    mean: f64,
    deviation: f64,
}

impl Estimator {
    /// The density of points, from old to new.
    pub(super) fn new(distribution: &Distribution, points: Vec<Coordinate>) -> Self {
        let weights = weights(points.len());
        if let Distribution::Choice(options) = distribution {
            return Self::Choices(chances(&points, &weights, options.len()));
        }
        let means: Vec<f64> = points
            .iter()
            .filter_map(|at| if let Coordinate::Number(share) = at { Some(*share) } else { None })
            .collect();
        let deviations = deviations(&means, distribution.stretch() / 2.0);
        let prior = (0.5, 1.0);
        let kernels = means.into_iter().zip(deviations).chain([prior]).zip(weights);
        Self::Numbers(kernels.map(|((mean, deviation), weight)| Kernel { weight, mean, deviation }).collect())
    }

    /// A draw.
    pub(super) fn draw(&self, generator: &mut Generator) -> Coordinate {
        match self {
            Self::Numbers(kernels) => {
                let chosen = pick(kernels.iter().map(|kernel| kernel.weight), generator);
                Coordinate::Number(kernels.get(chosen).map_or(0.5, |kernel| kernel.draw(generator)))
            }
            Self::Choices(chances) => Coordinate::Choice(pick(chances.iter().copied(), generator)),
        }
    }

    /// The density at a point.
    pub(super) fn density(&self, at: Coordinate) -> f64 {
        match (self, at) {
            (Self::Numbers(kernels), Coordinate::Number(at)) => kernels.iter().map(|kernel| kernel.density(at)).sum(),
            (Self::Choices(chances), Coordinate::Choice(option)) => chances.get(option).copied().unwrap_or_default(),
            _ => 0.0,
        }
    }
}

impl Kernel {
    fn draw(&self, generator: &mut Generator) -> f64 {
        // The mean lies inside and the deviation is at most 1, so a third of the draws or more lie inside too.
        loop {
            let at = self.mean + self.deviation * generator.normal();
            if (0.0..=1.0).contains(&at) {
                return at;
            }
        }
    }

    fn density(&self, at: f64) -> f64 {
        let z = |at: f64| (at - self.mean) / self.deviation;
        let inside = normal::cumulative(z(1.0)) - normal::cumulative(z(0.0));
        self.weight * normal::density(z(at)) / (self.deviation * inside)
    }
}

/// The weights of `count` points from old to new, and of the prior; together 1.
fn weights(count: usize) -> Vec<f64> {
    let old = count.saturating_sub(FRESH);
    let (least, steps) = (1.0 / count as f64, old.saturating_sub(1).max(1) as f64);
    let ramp = (0..old).map(|index| least + (1.0 - least) * index as f64 / steps);
    let mut weights: Vec<f64> = ramp.chain(std::iter::repeat_n(1.0, count - old + 1)).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
    weights
}

/// A kernel reaches as far as the farther of its two neighbours; but no kernel is narrower than a share of the interval
/// that shrinks with their number, nor than `least`.
fn deviations(means: &[f64], least: f64) -> Vec<f64> {
    let least = least.max(1.0 / (means.len() as f64 + 2.0).min(100.0));
    let mut order: Vec<usize> = (0..means.len()).collect();
    order.sort_by(|a, b| means[*a].total_cmp(&means[*b]));
    let mut deviations = vec![1.0; means.len()];
    for (place, index) in order.iter().enumerate() {
        let gap = |other: Option<&usize>| other.map(|other| (means[*other] - means[*index]).abs());
        let before = gap(place.checked_sub(1).and_then(|place| order.get(place)));
        let after = gap(order.get(place + 1));
        // A point on its own reaches to the farther end.
        let alone = means[*index].max(1.0 - means[*index]);
        let reach = before.into_iter().chain(after).reduce(f64::max).unwrap_or(alone);
        deviations[*index] = reach.clamp(least, 1.0);
    }
    deviations
}

/// The chance of each of `count` options: each point stands for its own, and a little for all others.
fn chances(points: &[Coordinate], weights: &[f64], count: usize) -> Vec<f64> {
    let kernels = weights.len() as f64;
    let all = 1.0 + count as f64 / kernels;
    let mut chances = vec![0.0; count];
    for (point, weight) in points.iter().zip(weights) {
        if let Coordinate::Choice(option) = point {
            chances[*option] += weight / all;
        }
    }
    let prior = weights.last().copied().unwrap_or(1.0);
    let common = (1.0 - prior) / kernels / all + prior / count as f64;
    chances.iter_mut().for_each(|chance| *chance += common);
    chances
}

/// A place, as likely as its weight says; the weights are 1 together.
fn pick(weights: impl Iterator<Item = f64>, generator: &mut Generator) -> usize {
    let mut left = generator.unit();
    let mut last = 0;
    for (place, weight) in weights.enumerate() {
        last = place;
        left -= weight;
        if left < 0.0 {
            break;
        }
    }
    last
}
