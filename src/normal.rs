//! The standard normal distribution.

use std::f64::consts::{SQRT_2, TAU};

/// The density at `z`.
pub fn density(z: f64) -> f64 {
    (-z * z / 2.0).exp() / TAU.sqrt()
}

/// The share of the draws below `z`.
pub fn cumulative(z: f64) -> f64 {
    libm::erfc(-z / SQRT_2) / 2.0
}

/// The number that a share of the draws lies below, within eight deviations of the mean.
pub fn quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    // Sixty halvings are all that the digits of a number can tell apart.
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        match cumulative(middle) < share {
            true => low = middle,
            false => high = middle,
        }
    }
    (low + high) / 2.0
}

/// The logarithm of `density(z) + z * cumulative(z)`, which is what a normal draw is expected to lie below `z`, counted as
/// zero where it lies above (Ament et al., "Unexpected Improvements to Expected Improvement", 2023, section 4.1).
pub fn log_shortfall(z: f64) -> f64 {
    // Far out the two terms cancel each other; what is left is the start of a series in 1/z².
    if z < -30.0 {
        return -z * z / 2.0 - TAU.ln() / 2.0 - 2.0 * (-z).ln() + (-3.0 / (z * z)).ln_1p();
    }
    (density(z) + z * cumulative(z)).ln()
}

#[cfg(test)]
mod tests;
