//! Normalisation layers.

use candle_core::{D, Result, Tensor};

/// Added to variances so that a feature that never changes does not divide by zero.
const EPSILON: f64 = 1e-5;

/// The mean and the variance of each feature over a micro-batch, both `[features]`.
pub struct Moments {
    /// The means.
    pub mean: Tensor,
    /// The variances.
    pub variance: Tensor,
}

/// Normalises each feature of `[batch, features]` or channel of `[batch, channels, h, w]` by the micro-batch's own
/// moments, which come back for the running averages (Ioffe and Szegedy, 2015, Algorithm 1).
pub fn batch_norm(input: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<(Tensor, Moments)> {
    let others: &[usize] = if input.rank() == 2 { &[0] } else { &[0, 2, 3] };
    let mean = input.mean_keepdim(others)?;
    let centred = input.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(others)?;
    let output = scale(&centred, &variance, weight, bias)?;
    let flat = |tensor: &Tensor| tensor.flatten_all().map(|tensor| tensor.detach());
    Ok((output, Moments { mean: flat(&mean)?, variance: flat(&variance)? }))
}

/// Normalises by moments that were learned.
pub fn batch_norm_with(input: &Tensor, moments: &Moments, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let centred = input.broadcast_sub(&spread(&moments.mean, input)?)?;
    scale(&centred, &spread(&moments.variance, input)?, weight, bias)
}

fn scale(centred: &Tensor, variance: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let deviation = (variance + EPSILON)?.sqrt()?;
    let normal = centred.broadcast_div(&deviation)?;
    normal.broadcast_mul(&spread(weight, centred)?)?.broadcast_add(&spread(bias, centred)?)
}

/// `[features]` in the rank of `like`, where features are the second dimension.
fn spread(features: &Tensor, like: &Tensor) -> Result<Tensor> {
    match like.rank() {
        2 => features.reshape((1, ())),
        _ => features.reshape((1, (), 1, 1)),
    }
}

/// Normalises the last dimension of each sample (Ba et al., 2016).
pub fn layer_norm(input: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let centred = input.broadcast_sub(&input.mean_keepdim(D::Minus1)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + EPSILON)?.sqrt()?;
    centred.broadcast_div(&deviation)?.broadcast_mul(weight)?.broadcast_add(bias)
}
