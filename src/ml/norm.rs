//! Normalisation layers.

use super::{
    activation::width,
    operation::{Learned, Operation, apply, read},
    product::{dot, sum, sum_of},
};
use candle_core::{Result, Shape, Tensor};

/// Added to variances so that a feature that never changes does not divide by zero.
const EPSILON: f32 = 1e-5;

/// The mean and the variance of each feature over a micro-batch.
#[derive(Clone)]
pub struct Moments {
    /// The means.
    pub mean: Vec<f32>,
    /// The variances.
    pub variance: Vec<f32>,
}

/// How the features of a batch lie: `[batch, features]`, or `[batch, channels, h, w]` with an area of `h · w`.
#[derive(Clone, Copy)]
struct Planes {
    features: usize,
    area: usize,
}

impl Planes {
    fn of(shape: &Shape) -> Self {
        let dims = shape.dims();
        Self { features: dims.get(1).copied().unwrap_or(1), area: dims.iter().skip(2).product() }
    }

    /// The numbers of each feature, piece by piece in the order of the samples.
    fn each(self, values: &[f32]) -> impl Iterator<Item = (usize, &[f32])> {
        values.chunks_exact(self.area.max(1)).enumerate().map(move |(index, plane)| (index % self.features, plane))
    }

    /// For each feature, the sum over the samples of what `of` makes of its planes.
    fn sums(self, values: &[f32], of: impl Fn(usize, &[f32]) -> f32) -> Vec<f32> {
        let mut sums = vec![0.0; self.features];
        self.each(values).for_each(|(feature, plane)| sums[feature] += of(feature, plane));
        sums
    }
}

impl Moments {
    fn of(x: &[f32], planes: Planes) -> Self {
        let share = planes.features as f32 / x.len() as f32;
        let mean: Vec<f32> = planes.sums(x, |_, plane| sum(plane)).iter().map(|sum| sum * share).collect();
        let squares = planes.sums(x, |feature, plane| {
            let mean = mean[feature];
            sum_of(plane, |x| (x - mean) * (x - mean))
        });
        Self { variance: squares.iter().map(|sum| sum * share).collect(), mean }
    }

    /// One over each deviation.
    fn sharpness(&self) -> Vec<f32> {
        self.variance.iter().map(|variance| 1.0 / (variance + EPSILON).sqrt()).collect()
    }
}

/// Normalises each feature of `[batch, features]` or channel of `[batch, channels, h, w]` by moments, and scales it.
struct BatchNorm {
    moments: Moments,
    weight: Learned,
    bias: Learned,
}

impl Operation for BatchNorm {
    const NAME: &'static str = "batch-norm";

    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        let sharpness = self.moments.sharpness();
        let (weight, bias) = (self.weight.values(), self.bias.values());
        let mut y = Vec::with_capacity(x.len());
        for (feature, plane) in Planes::of(shape).each(x) {
            let (mean, scale, bias) = (self.moments.mean[feature], sharpness[feature] * weight[feature], bias[feature]);
            y.extend(plane.iter().map(|x| (x - mean) * scale + bias));
        }
        Ok((y, shape.clone()))
    }

    /// The moments are those of `x` itself, so that they pass gradients on.
    fn backward(&self, x: &[f32], shape: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        let planes = Planes::of(shape);
        let sharpness = self.moments.sharpness();
        let of_bias = planes.sums(gradient, |_, plane| sum(plane));
        let mut of_weight = vec![0.0; planes.features];
        for ((feature, x), (_, gradient)) in planes.each(x).zip(planes.each(gradient)) {
            let (mean, sharpness) = (self.moments.mean[feature], sharpness[feature]);
            of_weight[feature] += sharpness * x.iter().zip(gradient).map(|(x, slope)| (x - mean) * slope).sum::<f32>();
        }
        let share = planes.features as f32 / x.len() as f32;
        let mut back = Vec::with_capacity(x.len());
        for ((feature, x), (_, gradient)) in planes.each(x).zip(planes.each(gradient)) {
            let (mean, sharpness) = (self.moments.mean[feature], sharpness[feature]);
            let scale = self.weight.values()[feature] * sharpness;
            let (common, tilt) = (of_bias[feature] * share, of_weight[feature] * share * sharpness);
            back.extend(x.iter().zip(gradient).map(|(x, slope)| scale * (slope - common - (x - mean) * tilt)));
        }
        self.weight.gradient(|weight| weight.copy_from_slice(&of_weight));
        self.bias.gradient(|bias| bias.copy_from_slice(&of_bias));
        Ok(Some(back))
    }
}

/// Normalises each feature of `[batch, features]` or channel of `[batch, channels, h, w]` by the micro-batch's own
/// moments, which come back for the running averages (Ioffe and Szegedy, 2015, Algorithm 1).
///
/// # Errors
/// When candle refuses.
pub fn batch_norm(input: &Tensor, weight: Learned, bias: Learned) -> Result<(Tensor, Moments)> {
    let input = input.contiguous()?;
    let moments = read(&input, |x| Ok(Moments::of(x, Planes::of(input.shape()))))?;
    Ok((apply(&input, BatchNorm { moments: moments.clone(), weight, bias })?, moments))
}

/// Normalises by moments that were learned. It is for judging: no gradient comes back through it.
///
/// # Errors
/// When candle refuses.
pub fn batch_norm_with(input: &Tensor, moments: Moments, weight: Learned, bias: Learned) -> Result<Tensor> {
    apply(&input.detach(), BatchNorm { moments, weight, bias })
}

/// Normalises each row (Ba et al., 2016).
struct LayerNorm {
    weight: Learned,
    bias: Learned,
}

impl LayerNorm {
    /// The mean of a row, and one over its deviation.
    fn moments(row: &[f32]) -> (f32, f32) {
        let share = 1.0 / row.len() as f32;
        let mean = sum(row) * share;
        let variance = sum_of(row, |x| (x - mean) * (x - mean)) * share;
        (mean, 1.0 / (variance + EPSILON).sqrt())
    }
}

impl Operation for LayerNorm {
    const NAME: &'static str = "layer-norm";

    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        let (weight, bias) = (self.weight.values(), self.bias.values());
        let mut y = Vec::with_capacity(x.len());
        for row in x.chunks_exact(width(shape)) {
            let (mean, sharpness) = Self::moments(row);
            let scaled = row.iter().zip(weight).zip(bias);
            y.extend(scaled.map(|((x, weight), bias)| (x - mean) * sharpness * weight + bias));
        }
        Ok((y, shape.clone()))
    }

    fn backward(&self, x: &[f32], shape: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        let width = width(shape);
        let weight = self.weight.values();
        let (mut of_weight, mut of_bias) = (vec![0.0; width], vec![0.0; width]);
        let mut back = Vec::with_capacity(x.len());
        let (mut normal, mut slopes) = (vec![0.0; width], vec![0.0; width]);
        for (row, gradient) in x.chunks_exact(width).zip(gradient.chunks_exact(width)) {
            let (mean, sharpness) = Self::moments(row);
            normal.iter_mut().zip(row).for_each(|(normal, x)| *normal = (x - mean) * sharpness);
            slopes.iter_mut().zip(gradient).zip(weight).for_each(|((slope, by), weight)| *slope = by * weight);
            of_bias.iter_mut().zip(gradient).for_each(|(sum, by)| *sum += by);
            of_weight.iter_mut().zip(gradient).zip(&normal).for_each(|((sum, by), normal)| *sum += by * normal);
            let common = sum(&slopes) / width as f32;
            let tilt = dot(&slopes, &normal) / width as f32;
            let terms = slopes.iter().zip(&normal);
            back.extend(terms.map(|(slope, normal)| sharpness * (slope - common - normal * tilt)));
        }
        self.weight.gradient(|weight| weight.copy_from_slice(&of_weight));
        self.bias.gradient(|bias| bias.copy_from_slice(&of_bias));
        Ok(Some(back))
    }
}

/// Normalises the last dimension of each sample.
///
/// # Errors
/// When candle refuses.
pub fn layer_norm(input: &Tensor, weight: Learned, bias: Learned) -> Result<Tensor> {
    apply(input, LayerNorm { weight, bias })
}
