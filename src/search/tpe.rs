//! The Tree-structured Parzen Estimator.
//!
//! Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011, section 4: where a tenth of the results counts as
//! good, the density of the good points, l, and that of all others, g, are estimated, and the next point is the one of
//! several draws from l for which l/g is largest, as the expected improvement grows with l/g. The densities are those of
//! whole points, so that dimensions which work together are seen to (Falkner et al., "BOHB", 2018, section 3.3). What is
//! under way counts among the others, so that trials at the same time go different ways.

mod parzen;

use super::{SearchError, cube::Point, history::History, space::Space};
use crate::{seed::Seed, value::Fields};
use parzen::Estimator;

/// So many good points are enough, however many results there are.
const MAX_GOOD: usize = 25;

/// The point to try next: the best of some draws.
pub(super) fn propose(space: &Space, history: &History, candidates: u64, seed: Seed) -> Result<Fields, SearchError> {
    let mut good = history.ranked();
    let mut others = good.split_off(good.len().div_ceil(10).min(MAX_GOOD));
    // An estimator forgets what is old, so it takes its points in the order of trials.
    good.sort_by_key(|(number, _)| *number);
    others.sort_by_key(|(number, _)| *number);
    let good: Vec<&Point> = good.into_iter().map(|(_, result)| &result.point).collect();
    let others: Vec<&Point> = others.into_iter().map(|(_, result)| &result.point).chain(&history.pending).collect();
    let (good, others) = (Estimator::new(space, &good), Estimator::new(space, &others));
    let mut best = (f64::NEG_INFINITY, Fields::new());
    for candidate in 0..candidates {
        let mut generator = seed.child(candidate).generator();
        let kernel = good.pick(&mut generator);
        let point = space.point(|index, dimension| {
            let at = good.draw(kernel, index, &mut generator);
            dimension.distribution.value(at)
        })?;
        let at = space.locate(&point);
        let gain = good.log_density(&at) - others.log_density(&at);
        if gain > best.0 {
            best = (gain, point);
        }
    }
    Ok(best.1)
}

#[cfg(test)]
mod tests;
