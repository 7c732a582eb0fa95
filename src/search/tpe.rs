//! The Tree-structured Parzen Estimator.
//!
//! Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011, section 4: where a tenth of the results counts as
//! good, the density of the good points, l, and that of the others, g, are estimated for each dimension alone, and the next
//! value is that of several draws from l for which l/g is largest, as the expected improvement grows with l/g. A
//! dimension learns from those trials alone in which it exists. What is under way counts among the others, so that trials
//! at the same time go different ways.

mod parzen;

use super::{
    SearchError,
    cube::{Coordinate, Point},
    history::History,
    space::Space,
};
use crate::{
    seed::Seed,
    value::{Fields, Value},
};
use parzen::Estimator;

/// So many good points are enough, however many results there are.
const MAX_GOOD: usize = 25;

/// The point to try next, chosen among `candidates` draws for each dimension.
pub(super) fn propose(space: &Space, history: &History, candidates: u64, seed: Seed) -> Result<Fields, SearchError> {
    let ranked = history.ranked();
    space.point(|index, dimension| {
        let along = |point: &Point| Some(point[index]).filter(|at| *at != Coordinate::Absent);
        let mut good: Vec<(usize, Coordinate)> =
            ranked.iter().filter_map(|(number, result)| Some((*number, along(&result.point)?))).collect();
        let mut others = good.split_off(good.len().div_ceil(10).min(MAX_GOOD));
        // An estimator forgets what is old, so it takes its points in the order of trials.
        good.sort_by_key(|(number, _)| *number);
        others.sort_by_key(|(number, _)| *number);
        let pending = history.pending.iter().filter_map(along);
        let distribution = &dimension.distribution;
        let good = Estimator::new(distribution, good.into_iter().map(|(_, at)| at).collect());
        let others = Estimator::new(distribution, others.into_iter().map(|(_, at)| at).chain(pending).collect());
        let mut generator = seed.child(&dimension.name).generator();
        let draws = (0..candidates).map(|_| {
            let value = distribution.value(good.draw(&mut generator));
            let at = distribution.locate(&value);
            (good.density(at) / others.density(at), value)
        });
        draws.min_by(|(a, _), (b, _)| b.total_cmp(a)).map_or(Value::None, |(_, value)| value)
    })
}
