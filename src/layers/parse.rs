use super::{Layer, Window};
use crate::value::{Call, Value};

/// The numbers that one layer may learn: more than a model of this size could use.
const MAX_PARAMETERS: usize = 1 << 31;

/// A layer whose arguments make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    /// There is no such layer.
    #[error("there is no layer `{0}`")]
    Unknown(String),
    /// An argument is out of range.
    #[error("`{layer}`: `{argument}` must be {wanted}")]
    Argument {
        /// The layer, as written.
        layer: String,
        /// The argument.
        argument: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// The layer would learn too many numbers.
    #[error("`{0}` has more than 2^31 parameters")]
    TooLarge(String),
}

impl Layer {
    /// The layer that a call of `std/nn` stands for.
    ///
    /// # Errors
    /// When an argument is out of range.
    pub fn parse(call: &Call) -> Result<Self, LayerError> {
        let args = Args(call);
        let window = |padding: bool| -> Result<Window, LayerError> {
            let size = args.size(if padding { "kernel" } else { "size" })?;
            let padding = if padding { args.count("padding", 0, "zero or more")? } else { 0 };
            Ok(Window { size, stride: args.size("stride")?, padding })
        };
        let layer = match &*call.name {
            "dense" => Self::Dense {
                inputs: args.size("inputs")?,
                outputs: args.size("outputs")?,
                bias: call.args.get("bias") != Some(&Value::Bool(false)),
            },
            "conv2d" => {
                Self::Conv2d { inputs: args.size("inputs")?, outputs: args.size("outputs")?, window: window(true)? }
            }
            "max_pool2d" => Self::MaxPool2d(window(false)?),
            "avg_pool2d" => Self::AvgPool2d(window(false)?),
            "relu" => Self::Relu,
            "gelu" => Self::Gelu,
            "tanh" => Self::Tanh,
            "sigmoid" => Self::Sigmoid,
            "softmax" => Self::Softmax,
            "dropout" => {
                let rate = call.args.get("rate").and_then(Value::as_f64).filter(|rate| (0.0..1.0).contains(rate));
                Self::Dropout { rate: rate.ok_or_else(|| args.wrong("rate", "from 0 up to, but not, 1"))? }
            }
            "batch_norm" => Self::BatchNorm { features: args.size("features")? },
            "layer_norm" => Self::LayerNorm { features: args.size("features")? },
            "flatten" => Self::Flatten,
            "embedding" => Self::Embedding { vocabulary: args.size("vocabulary")?, features: args.size("features")? },
            "reshape" => {
                let wrong = || args.wrong("shape", "a list of sizes of at least 1");
                let Some(Value::List(sizes)) = call.args.get("shape") else { return Err(wrong()) };
                let size =
                    |size: &Value| size.as_int().and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
                let shape: Option<Vec<usize>> = sizes.iter().map(size).collect();
                Self::Reshape { shape: shape.filter(|shape| !shape.is_empty()).ok_or_else(wrong)? }
            }
            other => return Err(LayerError::Unknown(other.to_owned())),
        };
        for (_, shape) in layer.parameters() {
            let count = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
            if count.is_none_or(|count| count > MAX_PARAMETERS) {
                return Err(LayerError::TooLarge(call.to_string()));
            }
        }
        Ok(layer)
    }
}

struct Args<'a>(&'a Call);

impl Args<'_> {
    fn wrong(&self, argument: &'static str, wanted: &'static str) -> LayerError {
        LayerError::Argument { layer: self.0.to_string(), argument, wanted }
    }

    fn count(&self, argument: &'static str, least: i64, wanted: &'static str) -> Result<usize, LayerError> {
        let value = self.0.args.get(argument).and_then(Value::as_int).filter(|value| (least..=1 << 31).contains(value));
        value.map(|value| value as usize).ok_or_else(|| self.wrong(argument, wanted))
    }

    fn size(&self, argument: &'static str) -> Result<usize, LayerError> {
        self.count(argument, 1, "at least 1")
    }
}
