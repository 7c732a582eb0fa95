use super::{
    Layer, LayerError, Window,
    draft::{Draft, Known},
};
use crate::value::Value;

/// The numbers that one layer may learn: more than a model of this size could use.
const MAX_PARAMETERS: usize = 1 << 31;

/// A size that may not be known yet.
type Size = Option<usize>;

impl Draft {
    /// The layer that it stands for, as far as it is known; `residual` holds layers and is none itself.
    ///
    /// # Errors
    /// When an argument is out of range.
    pub fn layer(&self) -> Result<Layer<Size>, LayerError> {
        let layer = match &*self.name {
            "dense" => {
                Layer::Dense { inputs: self.size("inputs")?, outputs: self.size("outputs")?, bias: self.has_bias() }
            }
            "conv2d" => Layer::Conv2d {
                inputs: self.size("inputs")?,
                outputs: self.size("outputs")?,
                window: self.window("kernel", self.count("padding", 0, "zero or more")?)?,
                bias: self.has_bias(),
            },
            "max_pool2d" => {
                let window = self.window("size", self.count("padding", 0, "zero or more")?)?;
                if let (Some(size), Some(padding)) = (window.size, window.padding)
                    && padding > size / 2
                {
                    return Err(self.wrong("padding", "at most half of `size`"));
                }
                Layer::MaxPool2d(window)
            }
            "avg_pool2d" => Layer::AvgPool2d(self.window("size", Some(0))?),
            "global_avg_pool" => Layer::GlobalAvgPool,
            "mean_pool" => Layer::MeanPool,
            "relu" => Layer::Relu,
            "gelu" => Layer::Gelu,
            "tanh" => Layer::Tanh,
            "sigmoid" => Layer::Sigmoid,
            "softmax" => Layer::Softmax,
            "dropout" => Layer::Dropout { rate: self.rate()? },
            "batch_norm" => Layer::BatchNorm { features: self.size("features")? },
            "layer_norm" => Layer::LayerNorm { features: self.size("features")? },
            "flatten" => Layer::Flatten,
            "embedding" => Layer::Embedding { vocabulary: self.size("vocabulary")?, features: self.size("features")? },
            "positions" => Layer::Positions { length: self.size("length")?, features: self.size("features")? },
            "attention" => {
                let (features, heads) = (self.size("features")?, self.size("heads")?);
                if let (Some(features), Some(heads)) = (features, heads)
                    && features % heads != 0
                {
                    return Err(self.wrong("heads", "a divisor of `features`"));
                }
                Layer::Attention { features, heads }
            }
            "reshape" => Layer::Reshape { shape: self.shape()? },
            other => return Err(LayerError::Unknown(other.to_owned())),
        };
        for (_, shape) in layer.complete().iter().flat_map(Layer::parameters) {
            let count = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
            if count.is_none_or(|count| count > MAX_PARAMETERS) {
                return Err(LayerError::TooLarge(self.to_string()));
            }
        }
        Ok(layer)
    }

    fn wrong(&self, argument: &'static str, wanted: &'static str) -> LayerError {
        LayerError::Argument { layer: self.to_string(), argument, wanted }
    }

    fn value(&self, argument: &str) -> Option<&Value> {
        match self.args.get(argument) {
            Some(Known::Value(value)) if *value != Value::None => Some(value),
            _ => None,
        }
    }

    fn count(&self, argument: &'static str, least: usize, wanted: &'static str) -> Result<Size, LayerError> {
        let Some(value) = self.value(argument) else { return Ok(None) };
        let size = value.as_int().and_then(|value| usize::try_from(value).ok());
        match size.filter(|size| (least..=1 << 31).contains(size)) {
            Some(size) => Ok(Some(size)),
            None => Err(self.wrong(argument, wanted)),
        }
    }

    fn size(&self, argument: &'static str) -> Result<Size, LayerError> {
        self.count(argument, 1, "at least 1")
    }

    fn window(&self, side: &'static str, padding: Size) -> Result<Window<Size>, LayerError> {
        Ok(Window { size: self.size(side)?, stride: self.size("stride")?, padding })
    }

    fn has_bias(&self) -> bool {
        self.value("bias") != Some(&Value::Bool(false))
    }

    /// A rate that is not known yet is any.
    fn rate(&self) -> Result<f64, LayerError> {
        let Some(rate) = self.value("rate") else { return Ok(0.0) };
        let rate = rate.as_f64().filter(|rate| (0.0..1.0).contains(rate));
        rate.ok_or_else(|| self.wrong("rate", "from 0 up to, but not, 1"))
    }

    /// A shape that is not known has no sizes.
    fn shape(&self) -> Result<Vec<Size>, LayerError> {
        let wrong = || self.wrong("shape", "a list of sizes of at least 1");
        let sizes = match self.value("shape") {
            None => return Ok(Vec::new()),
            Some(Value::List(sizes)) if !sizes.is_empty() => sizes,
            Some(_) => return Err(wrong()),
        };
        let size = |size: &Value| match size.as_int().and_then(|size| usize::try_from(size).ok()) {
            Some(size) if size > 0 => Ok(Some(size)),
            _ if *size == Value::None => Ok(None),
            _ => Err(wrong()),
        };
        sizes.iter().map(size).collect()
    }
}
