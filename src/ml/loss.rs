//! What a training makes small.

use super::{
    MlError,
    activation::{exp, soften, width},
    operation::{Operation, apply},
    segments::Segments,
    unusable,
};
use crate::{data::Labels, value::Call};
use candle_core::{Device, Error, Result, Shape, Tensor};
use std::sync::OnceLock;

/// A loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Negative log-likelihood of the right class under a softmax.
    CrossEntropy,
    /// Mean squared error.
    Mse,
    /// Binary cross-entropy of one output under a sigmoid.
    Bce,
}

impl Loss {
    /// The loss that is asked for, or else the one that fits the labels and the `outputs` of the model.
    ///
    /// # Errors
    /// When the model's outputs or the labels do not fit it.
    pub fn choose(
        call: Option<&Call>,
        labels: &Labels,
        outputs: usize,
        model: &str,
    ) -> std::result::Result<Self, MlError> {
        let loss = match (call.map(|call| &*call.name), labels) {
            (Some("cross_entropy"), _) => Self::CrossEntropy,
            (Some("mse"), _) => Self::Mse,
            (Some("bce"), _) => Self::Bce,
            (_, Labels::Numbers(_)) => Self::Mse,
            (_, Labels::Classes { names, .. }) if names.len() == 2 && outputs == 1 => Self::Bce,
            _ => Self::CrossEntropy,
        };
        match (loss, labels) {
            (Self::CrossEntropy | Self::Bce, Labels::Numbers(_)) => Err(unusable(
                "the label is a number, not a class",
                "use the loss `mse()`, or turn the label into a text or a whole number",
            )),
            (Self::CrossEntropy, Labels::Classes { names, .. }) if names.len() != outputs => Err(unusable(
                format!("`{model}` has {outputs} outputs, but the data has {} classes", names.len()),
                format!("let its last layer have {} outputs, such as `dense(…, {})`", names.len(), names.len()),
            )),
            (Self::Bce, Labels::Classes { names, .. }) if names.len() != 2 => Err(unusable(
                format!("`bce` is for two classes, but the data has {}", names.len()),
                "use the loss `cross_entropy()`",
            )),
            (Self::Bce | Self::Mse, _) if outputs != 1 => Err(unusable(
                format!("`{model}` has {outputs} outputs, but this loss wants 1"),
                "let its last layer have one output, such as `dense(…, 1)`",
            )),
            _ => Ok(loss),
        }
    }

    /// The sum of the losses of the samples `rows`, which lie in `segments`; `outputs` is `[rows, …]`.
    pub fn sum(self, outputs: &Tensor, labels: &Labels, rows: &[usize], segments: &Segments) -> Result<Tensor> {
        let numbers = |loss: Curve, slope: Curve| {
            let wanted = match labels {
                Labels::Numbers(numbers) => rows.iter().map(|row| numbers[*row]).collect(),
                Labels::Classes { indices, .. } => rows.iter().map(|row| indices[*row] as f32).collect(),
            };
            apply(&outputs.flatten_all()?, Pairs { wanted, loss, slope, segments: segments.clone() })
        };
        match self {
            Self::CrossEntropy => {
                let classes = match labels {
                    Labels::Classes { indices, .. } => rows.iter().map(|row| indices[*row]).collect(),
                    Labels::Numbers(_) => vec![0; rows.len()],
                };
                let segments = segments.clone();
                apply(&outputs.flatten_from(1)?, CrossEntropy { classes, segments, shares: OnceLock::new() })
            }
            Self::Mse => numbers(|x, y| (x - y) * (x - y), |x, y| 2.0 * (x - y)),
            // max(x, 0) - x y + log(1 + e^-|x|), which overflows nowhere.
            Self::Bce => {
                numbers(|x, y| x.max(0.0) - x * y + (1.0 + exp(-x.abs())).ln(), |x, y| 1.0 / (1.0 + exp(-x)) - y)
            }
        }
    }

    /// The mean of the losses of all samples, given their outputs, row after row.
    pub fn mean(self, outputs: &[f32], labels: &Labels) -> Result<f64> {
        let rows: Vec<usize> = (0..labels.len()).collect();
        let width = outputs.len() / rows.len().max(1);
        let outputs = Tensor::from_slice(outputs, (rows.len(), width), &Device::Cpu)?;
        let sum = self.sum(&outputs, labels, &rows, &Segments::new(&[rows.len()]))?.to_scalar::<f32>()?;
        Ok(f64::from(sum) / rows.len() as f64)
    }

    /// What the outputs of all samples, row after row, predict.
    pub fn predict(self, outputs: Vec<f32>, width: usize) -> Predictions {
        match self {
            Self::Mse => Predictions::Numbers(outputs),
            Self::Bce => {
                let both = |logit: &f32| {
                    let second = 1.0 / (1.0 + f64::from(-logit).exp());
                    vec![1.0 - second, second]
                };
                Predictions::Classes(outputs.iter().map(both).collect())
            }
            Self::CrossEntropy => {
                let row = |logits: &[f32]| {
                    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
                    let sum: f64 = powers.iter().sum();
                    powers.into_iter().map(|power| power / sum).collect()
                };
                Predictions::Classes(outputs.chunks_exact(width.max(1)).map(row).collect())
            }
        }
    }
}

/// The sum of the negative log-likelihoods of the classes under a softmax of `[samples, classes]`.
struct CrossEntropy {
    classes: Vec<u32>,
    segments: Segments,
    /// The softmax, once it is known.
    shares: OnceLock<Vec<f32>>,
}

impl Operation for CrossEntropy {
    const NAME: &'static str = "cross-entropy";

    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        let mut shares = x.to_vec();
        let mut losses = Vec::with_capacity(self.classes.len());
        for ((row, logits), class) in
            shares.chunks_exact_mut(width(shape)).zip(x.chunks_exact(width(shape))).zip(&self.classes)
        {
            let own = logits.get(*class as usize);
            losses.push(soften(row) - own.ok_or_else(|| Error::Msg(format!("there is no output for class {class}")))?);
        }
        // Forward runs once.
        let _ = self.shares.set(shares);
        Ok((total(&self.segments, &losses), Shape::from(())))
    }

    fn backward(&self, _: &[f32], shape: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        let mut back = self.shares.get().cloned().unwrap_or_default();
        for (row, class) in back.chunks_exact_mut(width(shape)).zip(&self.classes) {
            row[*class as usize] -= 1.0;
        }
        back.iter_mut().for_each(|value| *value *= gradient[0]);
        Ok(Some(back))
    }
}

/// What becomes of a number and the one that is wanted.
type Curve = fn(f32, f32) -> f32;

/// The sum of what `loss` makes of numbers and those that are wanted.
struct Pairs {
    wanted: Vec<f32>,
    loss: Curve,
    /// Its derivative by the first number.
    slope: Curve,
    segments: Segments,
}

impl Operation for Pairs {
    const NAME: &'static str = "loss";

    fn forward(&self, x: &[f32], _: &Shape) -> Result<(Vec<f32>, Shape)> {
        let losses: Vec<f32> = x.iter().zip(&self.wanted).map(|(x, wanted)| (self.loss)(*x, *wanted)).collect();
        Ok((total(&self.segments, &losses), Shape::from(())))
    }

    fn backward(&self, x: &[f32], _: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        Ok(Some(x.iter().zip(&self.wanted).map(|(x, wanted)| (self.slope)(*x, *wanted) * gradient[0]).collect()))
    }
}

/// The sum of the losses of all samples, shard by shard.
fn total(segments: &Segments, losses: &[f32]) -> Vec<f32> {
    segments.sum(1, |samples, sum| losses[samples].iter().for_each(|loss| sum[0] += loss))
}

/// What a model makes of samples.
pub enum Predictions {
    /// The probability of each class, for each sample.
    Classes(Vec<Vec<f64>>),
    /// A number for each sample.
    Numbers(Vec<f32>),
}
