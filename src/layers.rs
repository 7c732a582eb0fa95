//! Layers: what each takes and gives, and what it costs. No numbers are computed here.

mod draft;
mod error;
mod form;
mod parse;
mod shape;
mod work;

#[cfg(test)]
mod tests;

pub use draft::{Draft, Known, Pipeline};
pub use error::{LayerError, Mend, Misfit, ModelError, ShapeError, Wrong};
pub use form::{Form, Shape};
pub use shape::{check, infer, work};
pub use work::{Work, parameters};

/// A part of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A layer.
    Layer(Layer),
    /// Two ways side by side, whose outcomes are added (He et al., 2016).
    Residual {
        /// One way.
        body: Vec<Block>,
        /// The other; without any layer, what comes in is added as it is.
        shortcut: Vec<Block>,
    },
}

/// A layer that holds no others; its sizes are numbers, or numbers that may not be known yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer<S = usize> {
    /// Every input connected with every output.
    Dense {
        /// Numbers in.
        inputs: S,
        /// Numbers out.
        outputs: S,
        /// Whether a learned constant is added.
        bias: bool,
    },
    /// A square filter that moves over an image.
    Conv2d {
        /// Channels in.
        inputs: S,
        /// Channels out.
        outputs: S,
        /// How the filter lies on the image.
        window: Window<S>,
        /// Whether a learned constant is added.
        bias: bool,
    },
    /// The largest value of each square.
    MaxPool2d(Window<S>),
    /// The mean of each square.
    AvgPool2d(Window<S>),
    /// The mean of each channel.
    GlobalAvgPool,
    /// The mean of the rows.
    MeanPool,
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
        features: S,
    },
    /// Centres and scales the features of each sample.
    LayerNorm {
        /// Features.
        features: S,
    },
    /// Any shape as one row.
    Flatten,
    /// Whole numbers as learned rows.
    Embedding {
        /// Numbers below this.
        vocabulary: S,
        /// The length of a row.
        features: S,
    },
    /// A learned row added to each row by its place.
    Positions {
        /// Rows.
        length: S,
        /// The length of a row.
        features: S,
    },
    /// Rows mixed with one another, by weights that they themselves decide.
    Attention {
        /// The length of a row.
        features: S,
        /// How many mixtures there are side by side.
        heads: S,
    },
    /// The same numbers in another shape.
    Reshape {
        /// The shape.
        shape: Vec<S>,
    },
}

/// How a square lies on an image and moves over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window<S = usize> {
    /// Its side.
    pub size: S,
    /// How far it moves.
    pub stride: S,
    /// Places around the image that it may cover as well.
    pub padding: S,
}

impl Window {
    /// The positions along an image's side of `length`; none when the square is larger than the image.
    pub const fn positions(self, length: usize) -> Option<usize> {
        match length.saturating_add(2 * self.padding).checked_sub(self.size) {
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
            Self::Conv2d { inputs, outputs, window, bias } => {
                let area = window.size.saturating_mul(window.size);
                let weight = ("weight", vec![outputs, inputs.saturating_mul(area)]);
                if bias { vec![weight, ("bias", vec![outputs])] } else { vec![weight] }
            }
            Self::BatchNorm { features } | Self::LayerNorm { features } => {
                vec![("weight", vec![features]), ("bias", vec![features])]
            }
            Self::Embedding { vocabulary, features } => vec![("weight", vec![vocabulary, features])],
            Self::Positions { length, features } => vec![("weight", vec![length, features])],
            Self::Attention { features, .. } => {
                let (weight, bias) = (vec![features, features], vec![features]);
                vec![
                    ("query.weight", weight.clone()),
                    ("query.bias", bias.clone()),
                    ("key.weight", weight.clone()),
                    ("key.bias", bias.clone()),
                    ("value.weight", weight.clone()),
                    ("value.bias", bias.clone()),
                    ("output.weight", weight),
                    ("output.bias", bias),
                ]
            }
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
            Self::GlobalAvgPool => "global_avg_pool",
            Self::MeanPool => "mean_pool",
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
            Self::Positions { .. } => "positions",
            Self::Attention { .. } => "attention",
            Self::Reshape { .. } => "reshape",
        }
    }
}

impl Window<Option<usize>> {
    /// The window, when it is known whole.
    fn complete(self) -> Option<Window> {
        Some(Window { size: self.size?, stride: self.stride?, padding: self.padding? })
    }
}

impl Layer<Option<usize>> {
    /// The layer, when all its sizes are known.
    pub fn complete(&self) -> Option<Layer> {
        Some(match *self {
            Self::Dense { inputs, outputs, bias } => Layer::Dense { inputs: inputs?, outputs: outputs?, bias },
            Self::Conv2d { inputs, outputs, window, bias } => {
                Layer::Conv2d { inputs: inputs?, outputs: outputs?, window: window.complete()?, bias }
            }
            Self::MaxPool2d(window) => Layer::MaxPool2d(window.complete()?),
            Self::AvgPool2d(window) => Layer::AvgPool2d(window.complete()?),
            Self::GlobalAvgPool => Layer::GlobalAvgPool,
            Self::MeanPool => Layer::MeanPool,
            Self::Relu => Layer::Relu,
            Self::Gelu => Layer::Gelu,
            Self::Tanh => Layer::Tanh,
            Self::Sigmoid => Layer::Sigmoid,
            Self::Softmax => Layer::Softmax,
            Self::Dropout { rate } => Layer::Dropout { rate },
            Self::BatchNorm { features } => Layer::BatchNorm { features: features? },
            Self::LayerNorm { features } => Layer::LayerNorm { features: features? },
            Self::Flatten => Layer::Flatten,
            Self::Embedding { vocabulary, features } => {
                Layer::Embedding { vocabulary: vocabulary?, features: features? }
            }
            Self::Positions { length, features } => Layer::Positions { length: length?, features: features? },
            Self::Attention { features, heads } => Layer::Attention { features: features?, heads: heads? },
            Self::Reshape { ref shape } => {
                let shape: Vec<usize> = shape.iter().copied().collect::<Option<_>>()?;
                Layer::Reshape { shape: Some(shape).filter(|shape| !shape.is_empty())? }
            }
        })
    }
}
