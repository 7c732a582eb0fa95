use super::{Layer, LayerError};
use crate::value::Call;
use std::fmt;

/// The shape of one sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// The numbers in one sample; saturates.
    pub fn width(&self) -> usize {
        self.0.iter().fold(1, |product, size| product.saturating_mul(*size))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self.0.iter().map(usize::to_string).collect();
        write!(f, "[{}]", sizes.join(", "))
    }
}

/// A layer that can't take what comes in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("takes {expected}, but gets {found}")]
pub struct ShapeError {
    /// What it takes.
    pub expected: String,
    /// What comes in.
    pub found: Shape,
}

/// A pipeline whose layers do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A layer by itself makes no sense.
    #[error("layer {position}: {error}")]
    Layer {
        /// Its place, from 1.
        position: usize,
        /// What is wrong.
        error: LayerError,
    },
    /// A layer does not take what the one before gives.
    #[error("layer {position}, `{layer}`, {error}")]
    Shape {
        /// Its place, from 1.
        position: usize,
        /// As written.
        layer: String,
        /// What is wrong.
        error: ShapeError,
    },
    /// There is no layer.
    #[error("the model has no layers")]
    Empty,
}

/// The layers that calls of `std/nn` stand for, and the shape that each gives, when samples of shape `input` come in.
///
/// # Errors
/// When a layer makes no sense or does not fit the one before it.
pub fn check(calls: &[Call], input: &Shape) -> Result<Vec<(Layer, Shape)>, ModelError> {
    let mut shape = input.clone();
    let mut layers = Vec::with_capacity(calls.len());
    for (index, call) in calls.iter().enumerate() {
        let position = index + 1;
        let layer = Layer::parse(call).map_err(|error| ModelError::Layer { position, error })?;
        shape = layer.output(&shape).map_err(|error| ModelError::Shape { position, layer: call.to_string(), error })?;
        layers.push((layer, shape.clone()));
    }
    if layers.is_empty() { Err(ModelError::Empty) } else { Ok(layers) }
}

impl Layer {
    /// The shape of what comes out when samples of shape `input` come in.
    ///
    /// # Errors
    /// When it does not take that shape.
    pub fn output(&self, input: &Shape) -> Result<Shape, ShapeError> {
        let refuse = |expected: String| Err(ShapeError { expected, found: input.clone() });
        let sizes = input.0.as_slice();
        match self {
            Self::Dense { inputs, outputs, .. } => match sizes {
                [before @ .., last] if last == inputs => Ok(Shape([before, &[*outputs]].concat())),
                _ => refuse(format!("[{inputs}]")),
            },
            Self::Conv2d { inputs, outputs, window } => match sizes {
                [channels, height, width] if channels == inputs => {
                    match (window.positions(*height), window.positions(*width)) {
                        (Some(height), Some(width)) => Ok(Shape(vec![*outputs, height, width])),
                        _ => refuse(format!("an image of at least {0}×{0}", window.size)),
                    }
                }
                _ => refuse(format!("an image [{inputs}, height, width]")),
            },
            Self::MaxPool2d(window) | Self::AvgPool2d(window) => match sizes {
                [channels, height, width] => match (window.positions(*height), window.positions(*width)) {
                    (Some(height), Some(width)) => Ok(Shape(vec![*channels, height, width])),
                    _ => refuse(format!("an image of at least {0}×{0}", window.size)),
                },
                _ => refuse("an image [channels, height, width]".into()),
            },
            Self::BatchNorm { features } => match sizes {
                [first] | [first, _, _] if first == features => Ok(input.clone()),
                _ => refuse(format!("[{features}] or an image [{features}, height, width]")),
            },
            Self::LayerNorm { features } => match sizes.last() {
                Some(last) if last == features => Ok(input.clone()),
                _ => refuse(format!("[…, {features}]")),
            },
            Self::Embedding { features, .. } => match sizes {
                [length] => Ok(Shape(vec![*length, *features])),
                _ => refuse("a row of whole numbers".into()),
            },
            Self::Flatten => Ok(Shape(vec![input.width()])),
            Self::Reshape { shape } => {
                let wanted = Shape(shape.clone());
                if wanted.width() == input.width() { Ok(wanted) } else { refuse(format!("{} numbers", wanted.width())) }
            }
            Self::Relu | Self::Gelu | Self::Tanh | Self::Sigmoid | Self::Softmax | Self::Dropout { .. } => {
                Ok(input.clone())
            }
        }
    }
}
