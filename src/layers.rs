//! Layers: what each takes and gives, and what it costs. No numbers are computed here.

mod parse;
mod shape;

pub use parse::LayerError;
pub use shape::{ModelError, Shape, ShapeError, check};

/// A layer of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Every input connected with every output.
    Dense {
        /// Numbers in.
        inputs: usize,
        /// Numbers out.
        outputs: usize,
        /// Whether a learned constant is added.
        bias: bool,
    },
    /// A square filter that moves over an image.
    Conv2d {
        /// Channels in.
        inputs: usize,
        /// Channels out.
        outputs: usize,
        /// How the filter lies on the image.
        window: Window,
    },
    /// The largest value of each square.
    MaxPool2d(Window),
    /// The mean of each square.
    AvgPool2d(Window),
    /// `max(x, 0)`
    Relu,
    /// `x Φ(x)`
    Gelu,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// Positive numbers that sum to 1, over the last dimension.
    Softmax,
    /// Sets a share of the values to zero while training.
    Dropout {
        /// The share.
        rate: f64,
    },
    /// Centres and scales each feature or channel over the batch.
    BatchNorm {
        /// Features or channels.
        features: usize,
    },
    /// Centres and scales the features of each sample.
    LayerNorm {
        /// Features.
        features: usize,
    },
    /// Any shape as one row.
    Flatten,
    /// Whole numbers as learned rows.
    Embedding {
        /// Numbers below this.
        vocabulary: usize,
        /// The length of a row.
        features: usize,
    },
    /// The same numbers in another shape.
    Reshape {
        /// The shape.
        shape: Vec<usize>,
    },
}

/// How a square lies on an image and moves over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its side.
    pub size: usize,
    /// How far it moves.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: usize,
}

impl Window {
    /// The positions along an image's side of `length`; none when the square is larger than the image.
    pub const fn positions(self, length: usize) -> Option<usize> {
        match (length + 2 * self.padding).checked_sub(self.size) {
            Some(room) => Some(room / self.stride + 1),
            None => None,
        }
    }
}

impl Layer {
    /// The shapes of its learned parameters, with their names.
    pub fn parameters(&self) -> Vec<(&'static str, Vec<usize>)> {
        match *self {
            Self::Dense { inputs, outputs, bias } => {
                let weight = ("weight", vec![inputs, outputs]);
                if bias { vec![weight, ("bias", vec![outputs])] } else { vec![weight] }
            }
            Self::Conv2d { inputs, outputs, window } => {
                vec![("weight", vec![outputs, inputs * window.size * window.size]), ("bias", vec![outputs])]
            }
            Self::BatchNorm { features } | Self::LayerNorm { features } => {
                vec![("weight", vec![features]), ("bias", vec![features])]
            }
            Self::Embedding { vocabulary, features } => vec![("weight", vec![vocabulary, features])],
            _ => Vec::new(),
        }
    }

    /// The name of its kind.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Dense { .. } => "dense",
            Self::Conv2d { .. } => "conv2d",
            Self::MaxPool2d(_) => "max_pool2d",
            Self::AvgPool2d(_) => "avg_pool2d",
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Softmax => "softmax",
            Self::Dropout { .. } => "dropout",
            Self::BatchNorm { .. } => "batch_norm",
            Self::LayerNorm { .. } => "layer_norm",
            Self::Flatten => "flatten",
            Self::Embedding { .. } => "embedding",
            Self::Reshape { .. } => "reshape",
        }
    }
}
