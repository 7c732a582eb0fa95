use crate::{normal, seed::Generator};
use serde::{Deserialize, Serialize};

/// A positive number that is not known exactly: its logarithm is normal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Half of the draws are below.
    pub median: f64,
    /// The deviation of the logarithm; about the relative error where it is small.
    pub deviation: f64,
}

impl Spread {
    /// A number known exactly.
    pub const fn certain(value: f64) -> Self {
        Self { median: value, deviation: 0.0 }
    }

    /// A number known so well.
    pub const fn new(median: f64, deviation: f64) -> Self {
        Self { median, deviation }
    }

    /// What positive samples look as if drawn from; `None` without any. The fewer they are, the less is taken as known:
    /// `doubt` is the deviation that one alone leaves.
    pub fn of(samples: &[f64], doubt: f64) -> Option<Self> {
        let logs: Vec<f64> = samples.iter().filter(|sample| **sample > 0.0).map(|sample| sample.ln()).collect();
        let count = logs.len() as f64;
        if logs.is_empty() {
            return None;
        }
        let mean = logs.iter().sum::<f64>() / count;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        // The doubt counts as one more sample that is so far off.
        Some(Self { median: mean.exp(), deviation: ((squares + doubt * doubt) / count).sqrt() })
    }

    /// The number that a share of the draws is below.
    pub fn quantile(&self, share: f64) -> f64 {
        if self.deviation == 0.0 { self.median } else { self.at(normal::quantile(share)) }
    }

    /// A draw.
    pub fn draw(&self, random: &mut Generator) -> f64 {
        if self.deviation == 0.0 { self.median } else { self.at(random.normal()) }
    }

    /// The greatest of `count` draws.
    pub fn draw_greatest(&self, count: u32, random: &mut Generator) -> f64 {
        if self.deviation == 0.0 { self.median } else { self.greatest(count, random.unit()) }
    }

    /// What the greatest of `count` draws is below in a share of all cases.
    pub fn greatest(&self, count: u32, share: f64) -> f64 {
        self.quantile(share.powf(1.0 / f64::from(count.max(1))))
    }

    /// The same, so many times as large.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self { median: self.median * factor, deviation: self.deviation }
    }

    fn at(&self, deviations: f64) -> f64 {
        self.median * (self.deviation * deviations).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn the_greatest_of_many_is_what_draws_say() {
        let spread = Spread::new(2.0, 0.3);
        let mut random = Seed::new(1).generator();
        let mut greatest: Vec<f64> =
            (0..999).map(|_| (0..50).map(|_| spread.draw(&mut random)).fold(0.0, f64::max)).collect();
        greatest.sort_by(f64::total_cmp);
        assert!((greatest[499] / spread.greatest(50, 0.5) - 1.0).abs() < 0.03);
    }

    #[test]
    fn samples_give_their_middle_and_leave_doubt() {
        assert_eq!(Spread::of(&[], 0.5), None);
        let one = Spread::of(&[3.0], 0.5).unwrap();
        assert!((one.median - 3.0).abs() < 1e-12 && (one.deviation - 0.5).abs() < 1e-12);
        let many = Spread::of(&[2.9; 100], 0.5).unwrap();
        assert!(many.deviation < 0.06);
    }
}
