//! Normalisation layers.

use super::{
    activation::width,
    operation::{Learned, Operation, apply, read},
    product::{dot, sum, sum_of},
};
use candle_core::{Result, Shape, Tensor};
use std::ops::Range;

/// Added to variances so that a feature that never changes does not divide by zero.
pub const EPSILON: f32 = 1e-5;

/// The mean and the variance of each feature over a shard's samples.
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

    /// The numbers of some samples.
    fn among(self, values: &[f32], samples: Range<usize>) -> &[f32] {
        let each = self.features * self.area;
        &values[samples.start * each..samples.end * each]
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
    /// Those of each shard that has samples.
    moments: Vec<Moments>,
    weight: Learned,
    bias: Learned,
}

impl Operation for BatchNorm {
    const NAME: &'static str = "batch-norm";

    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        let planes = Planes::of(shape);
        let (weight, bias) = (self.weight.values(), self.bias.values());
        let mut y = Vec::with_capacity(x.len());
        for (samples, moments) in self.weight.segments().each().zip(&self.moments) {
            let sharpness = moments.sharpness();
            for (feature, plane) in planes.each(planes.among(x, samples)) {
                let (mean, scale, bias) = (moments.mean[feature], sharpness[feature] * weight[feature], bias[feature]);
                y.extend(plane.iter().map(|x| (x - mean) * scale + bias));
            }
        }
        Ok((y, shape.clone()))
    }

    /// The moments are those of `x` itself, so that they pass gradients on.
    fn backward(&self, x: &[f32], shape: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        let planes = Planes::of(shape);
        let mut back = Vec::with_capacity(x.len());
        let mut moments = self.moments.iter();
        let sums = self.weight.segments().sum(2 * planes.features, |samples, sums| {
            if let Some(moments) = moments.next() {
                let (x, gradient) = (planes.among(x, samples.clone()), planes.among(gradient, samples));
                self.back(planes, moments, x, gradient, sums, &mut back);
            }
        });
        let (of_weight, of_bias) = sums.split_at(planes.features);
        self.weight.gradient(|weight| weight.copy_from_slice(of_weight));
        self.bias.gradient(|bias| bias.copy_from_slice(of_bias));
        Ok(Some(back))
    }
}

impl BatchNorm {
    /// For the samples of one shard, appends the gradient of what went in, and writes those of weight and bias to `sums`.
    fn back(
        &self,
        planes: Planes,
        moments: &Moments,
        x: &[f32],
        gradient: &[f32],
        sums: &mut [f32],
        back: &mut Vec<f32>,
    ) {
        let sharpness = moments.sharpness();
        let (of_weight, of_bias) = sums.split_at_mut(planes.features);
        for ((feature, x), (_, gradient)) in planes.each(x).zip(planes.each(gradient)) {
            let (mean, sharpness) = (moments.mean[feature], sharpness[feature]);
            of_bias[feature] += sum(gradient);
            of_weight[feature] += sharpness * x.iter().zip(gradient).map(|(x, slope)| (x - mean) * slope).sum::<f32>();
        }
        let share = planes.features as f32 / x.len() as f32;
        for ((feature, x), (_, gradient)) in planes.each(x).zip(planes.each(gradient)) {
            let (mean, sharpness) = (moments.mean[feature], sharpness[feature]);
            let scale = self.weight.values()[feature] * sharpness;
            let (common, tilt) = (of_bias[feature] * share, of_weight[feature] * share * sharpness);
            back.extend(x.iter().zip(gradient).map(|(x, slope)| scale * (slope - common - (x - mean) * tilt)));
        }
    }
}

/// Normalises each feature of `[batch, features]` or channel of `[batch, channels, h, w]` by the moments of its shard, whose
/// sum over all shards comes back for the running averages (Ioffe and Szegedy, 2015, Algorithm 1): means, then variances.
///
/// # Errors
/// When candle refuses.
pub fn batch_norm(input: &Tensor, weight: Learned, bias: Learned) -> Result<(Tensor, Vec<f32>)> {
    let input = input.contiguous()?;
    let planes = Planes::of(input.shape());
    let mut moments = Vec::new();
    let sums = read(&input, |x| {
        Ok(weight.segments().sum(2 * planes.features, |samples, sums| {
            let met = Moments::of(planes.among(x, samples), planes);
            sums[..planes.features].copy_from_slice(&met.mean);
            sums[planes.features..].copy_from_slice(&met.variance);
            moments.push(met);
        }))
    })?;
    Ok((apply(&input, BatchNorm { moments, weight, bias })?, sums))
}

/// Normalises by moments that were learned. It is for judging: no gradient comes back through it.
///
/// # Errors
/// When candle refuses.
pub fn batch_norm_with(input: &Tensor, moments: Moments, weight: Learned, bias: Learned) -> Result<Tensor> {
    apply(&input.detach(), BatchNorm { moments: vec![moments], weight, bias })
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
        let each = x.len() / self.weight.segments().samples();
        let mut back = Vec::with_capacity(x.len());
        let (mut normal, mut slopes) = (vec![0.0; width], vec![0.0; width]);
        let sums = self.weight.segments().sum(2 * width, |samples, sums| {
            let (of_weight, of_bias) = sums.split_at_mut(width);
            let [x, gradient] =
                [x, gradient].map(|rows| rows[samples.start * each..samples.end * each].chunks_exact(width));
            for (row, gradient) in x.zip(gradient) {
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
        });
        let (of_weight, of_bias) = sums.split_at(width);
        self.weight.gradient(|weight| weight.copy_from_slice(of_weight));
        self.bias.gradient(|bias| bias.copy_from_slice(of_bias));
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
