//! What layers cost: operations, learned numbers, and what a training has to keep of each sample.

use super::{Block, Form, Layer, Shape, draft::pipeline, infer};
use crate::value::Call;
use std::ops::{AddAssign, Sub};

/// What a model costs for one sample, on its way forward.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Additions and multiplications.
    pub operations: f64,
    /// Learned numbers.
    pub parameters: f64,
    /// Numbers that come out of the layers; the way back needs them all.
    pub activations: f64,
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.parameters += other.parameters;
        self.activations += other.activations;
    }
}

impl Sub for Work {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            operations: self.operations - other.operations,
            parameters: self.parameters - other.parameters,
            activations: self.activations - other.activations,
        }
    }
}

impl Work {
    /// The operations of learning from one sample: the way back has two products for each one of the way forward.
    pub fn learning(&self) -> f64 {
        3.0 * self.operations
    }
}

/// The learned numbers of a model, where all its layers are known and fit each other.
pub fn parameters(calls: &[Call]) -> Option<f64> {
    fn of(blocks: &[Block]) -> f64 {
        let own = |block: &Block| match block {
            Block::Layer(layer) => layer.learned(),
            Block::Residual { body, shortcut } => of(body) + of(shortcut),
        };
        blocks.iter().map(own).sum()
    }
    let drafts = pipeline(calls);
    let (blocks, _) = infer(&drafts, &Form::any()).ok()?;
    Some(of(&blocks?))
}

impl Layer {
    /// The numbers that it learns.
    fn learned(&self) -> f64 {
        self.parameters().into_iter().map(|(_, shape)| Shape(shape).width() as f64).sum()
    }

    /// Its work on one sample of shape `from`, of which it makes one of shape `to`. A product with a sum counts as two
    /// operations; what an exponential takes is counted as ten.
    pub fn work(&self, from: &Shape, to: &Shape) -> Work {
        let number = |size: usize| size as f64;
        let (came, comes) = (number(from.width()), number(to.width()));
        let rows = |features: usize| came / number(features.max(1));
        let operations = match self {
            Self::Dense { inputs, outputs, .. } => 2.0 * rows(*inputs) * number(*inputs) * number(*outputs),
            Self::Conv2d { inputs, window, .. } => 2.0 * comes * number(*inputs) * number(window.size).powi(2),
            Self::MaxPool2d(window) | Self::AvgPool2d(window) => comes * number(window.size).powi(2),
            Self::Attention { features, .. } => {
                let (length, features) = (rows(*features), number(*features));
                8.0 * length * features * features + 4.0 * length * length * features
            }
            Self::GlobalAvgPool | Self::MeanPool | Self::Relu | Self::Dropout { .. } | Self::Positions { .. } => came,
            Self::Gelu | Self::Tanh | Self::Sigmoid | Self::Softmax => 10.0 * came,
            Self::BatchNorm { .. } | Self::LayerNorm { .. } => 8.0 * came,
            Self::Embedding { .. } => comes,
            Self::Flatten | Self::Reshape { .. } => 0.0,
        };
        let inside = match self {
            Self::Attention { features, heads } => 3.0 * came + number(*heads) * rows(*features).powi(2),
            Self::Flatten | Self::Reshape { .. } => -comes,
            _ => 0.0,
        };
        Work { operations, parameters: self.learned(), activations: comes + inside }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::{Shape, work},
        value::{Call, Fields, Value},
    };

    fn call(name: &str, args: &[(&str, i64)]) -> Call {
        let args: Fields = args.iter().map(|(name, value)| ((*name).into(), Value::Int(*value))).collect();
        Call::new(name, args)
    }

    #[test]
    fn a_network_of_two_layers_is_counted_by_hand() {
        let layers = [
            call("dense", &[("inputs", 3), ("outputs", 5)]),
            call("relu", &[]),
            call("dense", &[("inputs", 5), ("outputs", 2)]),
        ];
        let work = work(&layers, &Shape(vec![3])).unwrap();
        assert_eq!(work.operations, 2.0 * 15.0 + 5.0 + 2.0 * 10.0);
        assert_eq!(work.parameters, 20.0 + 12.0);
        assert_eq!(super::parameters(&layers), Some(32.0));
        assert_eq!(work.activations, 12.0);
        assert_eq!(work.learning(), 3.0 * work.operations);
    }

    #[test]
    fn a_filter_counts_at_each_place() {
        let conv = call("conv2d", &[("inputs", 1), ("outputs", 4), ("kernel", 3), ("stride", 1), ("padding", 1)]);
        let work = work(&[conv], &Shape(vec![1, 8, 8])).unwrap();
        assert_eq!((work.operations, work.parameters), (2.0 * 4.0 * 64.0 * 9.0, 40.0));
    }
}
