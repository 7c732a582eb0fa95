//! Layers that change each number, or each row, by itself.

use super::{
    operation::{Operation, apply},
    product::sum,
};
use candle_core::{Result, Shape, Tensor};

/// `max(x, 0)`
struct Relu;

impl Operation for Relu {
    const NAME: &'static str = "relu";

    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        Ok((x.iter().map(|x| if *x < 0.0 { 0.0 } else { *x }).collect(), shape.clone()))
    }

    fn backward(&self, _: &[f32], _: &Shape, y: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        Ok(Some(y.iter().zip(gradient).map(|(y, gradient)| if *y > 0.0 { *gradient } else { 0.0 }).collect()))
    }
}

/// `max(x, 0)`; what is not a number stays so.
///
/// # Errors
/// When candle refuses.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    apply(x, Relu)
}

/// `e^x`, to two units in the last place, from operations that every processor rounds alike. It is the series of Cephes'
/// `expf` around the nearest power of two.
#[inline]
pub fn exp(x: f32) -> f32 {
    const LOG2_HIGH: f32 = 0.693_359_4;
    const LOG2_LOW: f32 = -2.121_944_4e-4;
    /// Added to a number below 2^22, it leaves the nearest whole number in the last bits.
    const NEAREST: f32 = 12_582_912.0;
    let bounded = x.clamp(-87.0, 88.0);
    let shifted = bounded * std::f32::consts::LOG2_E + NEAREST;
    let whole = shifted - NEAREST;
    let rest = bounded - whole * LOG2_HIGH - whole * LOG2_LOW;
    let series = [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5];
    let series = series.iter().fold(1.987_569_1e-4, |sum, term| sum * rest + term);
    let power = f32::from_bits(shifted.to_bits().wrapping_sub(NEAREST.to_bits()).wrapping_add(127) << 23);
    (series * rest * rest + rest + 1.0) * power
}

/// The normal distribution at `x`: its integral up to there, and its density times the square root of 2 π. The integral is
/// formula 7.1.26 of Abramowitz and Stegun (1964), which is off by less than 1.5e-7.
#[inline]
fn normal(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let density = exp(-z * z);
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = [-1.453_152, 1.421_413_8, -0.284_496_75, 0.254_829_6];
    let tail = 0.5 * density * t * series.iter().fold(1.061_405_4, |sum, term| sum * t + term);
    (if x < 0.0 { tail } else { 1.0 - tail }, density)
}

/// `x` times the share of a normal distribution that lies below it (Hendrycks and Gimpel, 2016).
struct Gelu;

impl Operation for Gelu {
    const NAME: &'static str = "gelu";

    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        Ok((x.iter().map(|x| x * normal(*x).0).collect(), shape.clone()))
    }

    fn backward(&self, x: &[f32], _: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        const SHARE: f32 = 0.398_942_3;
        let slope = |x: f32| {
            let (below, density) = normal(x);
            below + x * SHARE * density
        };
        Ok(Some(x.iter().zip(gradient).map(|(x, gradient)| slope(*x) * gradient).collect()))
    }
}

/// `x` times the share of a normal distribution that lies below it.
///
/// # Errors
/// When candle refuses.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    apply(x, Gelu)
}

/// Makes a row positive numbers that sum to 1; gives back the logarithm of the sum of the powers.
pub fn soften(row: &mut [f32]) -> f32 {
    let most = row.iter().fold(f32::NEG_INFINITY, |most, value| if *value > most { *value } else { most });
    row.iter_mut().for_each(|value| *value = exp(*value - most));
    let whole = sum(row);
    let share = 1.0 / whole;
    row.iter_mut().for_each(|value| *value *= share);
    most + whole.ln()
}

/// The gradient of what went into [`soften`], by what came out and its gradient, in the gradient's place.
pub fn harden(row: &[f32], gradient: &mut [f32]) {
    let mut mean = 0.0;
    for (share, gradient) in row.iter().zip(gradient.iter_mut()) {
        *gradient *= share;
        mean += *gradient;
    }
    row.iter().zip(gradient).for_each(|(share, gradient)| *gradient -= share * mean);
}

/// Positive numbers that sum to 1, over rows.
struct Softmax;

impl Operation for Softmax {
    const NAME: &'static str = "softmax";

    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        let mut y = x.to_vec();
        y.chunks_exact_mut(width(shape)).for_each(|row| {
            soften(row);
        });
        Ok((y, shape.clone()))
    }

    fn backward(&self, _: &[f32], shape: &Shape, y: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        let mut back = gradient.to_vec();
        let rows = y.chunks_exact(width(shape)).zip(back.chunks_exact_mut(width(shape)));
        rows.for_each(|(row, gradient)| harden(row, gradient));
        Ok(Some(back))
    }
}

/// The last dimension, in which a row lies.
pub fn width(shape: &Shape) -> usize {
    shape.dims().last().copied().unwrap_or(1).max(1)
}

/// Positive numbers that sum to 1, over the last dimension.
///
/// # Errors
/// When candle refuses.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    apply(x, Softmax)
}

/// Multiplies by numbers that are not learned.
struct Mask(Vec<f32>);

impl Mask {
    fn over(&self, values: &[f32]) -> Vec<f32> {
        values.iter().zip(&self.0).map(|(value, mask)| value * mask).collect()
    }
}

impl Operation for Mask {
    const NAME: &'static str = "mask";

    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        Ok((self.over(x), shape.clone()))
    }

    fn backward(&self, _: &[f32], _: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        Ok(Some(self.over(gradient)))
    }
}

/// Multiplies each number by one of `mask`, as many.
///
/// # Errors
/// When candle refuses.
pub fn mask(x: &Tensor, mask: Vec<f32>) -> Result<Tensor> {
    apply(x, Mask(mask))
}

#[cfg(test)]
mod tests {
    use super::{exp, normal};

    #[test]
    fn powers_are_close() {
        for step in -8600..8700 {
            let x = step as f32 / 100.0;
            let wanted = f64::from(x).exp();
            assert!((f64::from(exp(x)) / wanted - 1.0).abs() < 2e-7, "{x}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 1e-37 && exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_normal_distribution_is_close() {
        // From tables.
        let known = [(0.0, 0.5), (0.5, 0.691_462), (1.0, 0.841_345), (2.0, 0.977_25), (3.0, 0.998_65)];
        for (x, below) in known {
            assert!((normal(x).0 - below).abs() < 1e-6 && (normal(-x).0 + below - 1.0).abs() < 1e-6, "{x}");
        }
    }
}
