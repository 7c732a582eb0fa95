//! How likely a trial is to succeed, where some failed. The improvement expected of a point counts as much as it is likely to
//! come about (Gelbart et al., "Bayesian Optimization with Unknown Constraints", 2014).

use super::{kernel::Axis, process::Process, standardize};
use crate::{normal, search::cube::Point};

/// A process that has seen where trials succeed and where they fail, as a regression on two values (Rasmussen and Williams,
/// 2006, section 6.5).
#[derive(Clone, Debug)]
pub(super) struct Success {
    process: Process,
    /// The value halfway between success and failure.
    halfway: f64,
}

impl Success {
    /// What is to be learnt from points, some of which failed; nothing where none did.
    pub(super) fn learn(axes: &[Axis], points: Vec<Point>, failed: &[bool]) -> Option<Self> {
        if !failed.contains(&true) {
            return None;
        }
        let values = standardize(&failed.iter().map(|failed| f64::from(u8::from(*failed))).collect::<Vec<_>>());
        let value = |outcome| failed.iter().position(|failed| *failed == outcome).map_or(0.0, |index| values[index]);
        let halfway = value(true).midpoint(value(false));
        Some(Self { process: Process::fit(axes, points, values), halfway })
    }

    /// The logarithm of the chance that a trial succeeds.
    pub(super) fn log_chance(&self, at: &Point) -> f64 {
        let (mean, deviation) = self.process.predict(at);
        normal::cumulative((self.halfway - mean) / deviation).max(f64::MIN_POSITIVE).ln()
    }
}
