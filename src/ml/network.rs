//! A model with its numbers: parameters in one row, and what flows through them.

use super::{
    MlError,
    image::{self, Pooling},
    norm::{self, Moments},
};
use crate::{
    layers::{Layer, Shape},
    seed::Seed,
};
use candle_core::{Device, Result, Shape as Dims, Tensor, Var};
use std::ops::Range;

/// The share of a batch's moments in the running averages that a batch norm judges by.
const MOMENTUM: f32 = 0.1;

/// The plan of a model: its layers, and where the parameters of each lie in the row of all.
#[derive(Clone, Debug)]
pub struct Network {
    layers: Vec<Placed>,
    /// The parameters of all layers, in order.
    pub parameters: Vec<Parameter>,
    /// The running averages of all batch norms, in order: means, then variances.
    pub averages: Vec<Parameter>,
}

#[derive(Clone, Debug)]
struct Placed {
    layer: Layer,
    parameters: Range<usize>,
    averages: Range<usize>,
}

/// A named block of numbers in a row of all.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name, such as `0.dense.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its place in the row.
    pub range: Range<usize>,
}

/// The numbers of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// All parameters in a row.
    pub parameters: Vec<f32>,
    /// All running averages in a row.
    pub averages: Vec<f32>,
}

/// How samples flow through.
#[derive(Clone, Copy)]
pub enum Mode<'a> {
    /// To judge: nothing is dropped, and batch norms use their averages.
    Judge,
    /// To learn: dropout draws for each sample, named by its place in the data.
    Learn {
        /// The seed of the epoch's dropout.
        seed: Seed,
        /// The samples.
        samples: &'a [usize],
    },
}

fn place<'a>(
    blocks: &mut Vec<Parameter>,
    index: usize,
    layer: &Layer,
    named: impl IntoIterator<Item = (&'a str, Vec<usize>)>,
) -> Range<usize> {
    let first = blocks.len();
    for (name, shape) in named {
        let start = blocks.last().map_or(0, |last| last.range.end);
        let length: usize = shape.iter().product();
        blocks.push(Parameter {
            name: format!("{index}.{}.{name}", layer.name()),
            shape,
            range: start..start + length,
        });
    }
    first..blocks.len()
}

impl Network {
    /// The plan of a pipeline of layers.
    pub fn new(layers: &[(Layer, Shape)]) -> Self {
        let (mut parameters, mut averages) = (Vec::new(), Vec::new());
        let layers = layers
            .iter()
            .enumerate()
            .map(|(index, (layer, _))| {
                let own = place(&mut parameters, index, layer, layer.parameters());
                let running = match layer {
                    Layer::BatchNorm { features } => vec![("mean", vec![*features]), ("variance", vec![*features])],
                    _ => Vec::new(),
                };
                Placed { layer: layer.clone(), parameters: own, averages: place(&mut averages, index, layer, running) }
            })
            .collect();
        Self { layers, parameters, averages }
    }

    /// The numbers that a training learns.
    pub fn size(&self) -> usize {
        self.parameters.last().map_or(0, |last| last.range.end)
    }

    /// First numbers. Weights before a rectifier are drawn after He et al. (2015), others after Glorot and Bengio (2010),
    /// each block from a generator of its own.
    pub fn initial(&self, seed: Seed) -> Weights {
        let mut parameters = vec![0.0; self.size()];
        for (index, placed) in self.layers.iter().enumerate() {
            let rectified = self.layers[index + 1..]
                .iter()
                .map(|next| &next.layer)
                .find(|layer| {
                    !matches!(layer, Layer::BatchNorm { .. } | Layer::LayerNorm { .. } | Layer::Dropout { .. })
                })
                .is_some_and(|layer| matches!(layer, Layer::Relu | Layer::Gelu | Layer::MaxPool2d(_)));
            for parameter in &self.parameters[placed.parameters.clone()] {
                let block = &mut parameters[parameter.range.clone()];
                let weight = parameter.name.ends_with("weight");
                let (inputs, outputs) = match (&placed.layer, weight) {
                    (Layer::Dense { inputs, outputs, .. }, true) => (*inputs, *outputs),
                    (Layer::Conv2d { inputs, outputs, window }, true) => {
                        let area = window.size * window.size;
                        (inputs * area, outputs * area)
                    }
                    (Layer::Embedding { .. }, true) => (1, 1),
                    (_, true) => {
                        block.fill(1.0);
                        continue;
                    }
                    (_, false) => continue,
                };
                let variance = if rectified { 2.0 / inputs as f64 } else { 2.0 / (inputs + outputs) as f64 };
                let bound = (3.0 * variance).sqrt();
                let mut generator = seed.child(&parameter.name).generator();
                block.fill_with(|| ((2.0 * generator.unit() - 1.0) * bound) as f32);
            }
        }
        let mut averages = vec![0.0; self.averages.last().map_or(0, |last| last.range.end)];
        for average in self.averages.iter().filter(|average| average.name.ends_with("variance")) {
            averages[average.range.clone()].fill(1.0);
        }
        Weights { parameters, averages }
    }

    /// The parameters as tensors that gradients can be asked for.
    pub fn variables(&self, weights: &Weights) -> Result<Vec<Var>> {
        let block = |parameter: &Parameter| {
            Var::from_slice(&weights.parameters[parameter.range.clone()], parameter.shape.as_slice(), &Device::Cpu)
        };
        self.parameters.iter().map(block).collect()
    }

    fn moments(&self, weights: &Weights, placed: &Placed) -> Result<Moments> {
        let block = |index: usize| {
            let average = &self.averages[placed.averages.start + index];
            Tensor::from_slice(&weights.averages[average.range.clone()], average.shape.as_slice(), &Device::Cpu)
        };
        Ok(Moments { mean: block(0)?, variance: block(1)? })
    }

    /// What comes out when `input`, `[batch, …]`, goes in; and the moments that each batch norm met while learning.
    pub fn forward(
        &self,
        input: Tensor,
        variables: &[Var],
        weights: &Weights,
        mode: Mode,
    ) -> Result<(Tensor, Vec<Moments>)> {
        let mut x = input;
        let mut met = Vec::new();
        for (index, placed) in self.layers.iter().enumerate() {
            let own = |offset: usize| variables[placed.parameters.start + offset].as_tensor();
            x = match &placed.layer {
                Layer::Dense { inputs, outputs, bias } => {
                    let dims = x.dims().to_vec();
                    let rows: usize = dims[..dims.len() - 1].iter().product();
                    let product = x.reshape((rows, *inputs))?.matmul(own(0))?;
                    let sum = if *bias { product.broadcast_add(own(1))? } else { product };
                    sum.reshape([&dims[..dims.len() - 1], &[*outputs]].concat())?
                }
                Layer::Conv2d { window, .. } => {
                    image::conv2d(&x, own(0), own(1), *window, placed.parameters.start > 0)?
                }
                Layer::MaxPool2d(window) => image::pool(&x, Pooling::Max, *window)?,
                Layer::AvgPool2d(window) => image::pool(&x, Pooling::Mean, *window)?,
                Layer::Relu => x.relu()?,
                Layer::Gelu => x.gelu_erf()?,
                Layer::Tanh => x.tanh()?,
                Layer::Sigmoid => sigmoid(&x)?,
                Layer::Softmax => softmax(&x)?,
                Layer::Dropout { rate } => match mode {
                    Mode::Learn { seed, samples } if *rate > 0.0 => {
                        x.mul(&mask(x.shape(), *rate, seed.child(index), samples)?)?
                    }
                    _ => x,
                },
                Layer::BatchNorm { .. } => match mode {
                    Mode::Learn { .. } => {
                        let (output, moments) = norm::batch_norm(&x, own(0), own(1))?;
                        met.push(moments);
                        output
                    }
                    Mode::Judge => norm::batch_norm_with(&x, &self.moments(weights, placed)?, own(0), own(1))?,
                },
                Layer::LayerNorm { .. } => norm::layer_norm(&x, own(0), own(1))?,
                Layer::Flatten => x.flatten_from(1)?,
                Layer::Reshape { shape } => {
                    let batch = x.dim(0)?;
                    x.reshape([&[batch], shape.as_slice()].concat())?
                }
                Layer::Embedding { features, .. } => {
                    let (batch, length) = x.dims2()?;
                    let rows = x.flatten_all()?.to_dtype(candle_core::DType::U32)?;
                    own(0).index_select(&rows, 0)?.reshape((batch, length, *features))?
                }
            };
        }
        Ok((x, met))
    }

    /// Moves the running averages towards the moments that the micro-batches met, in their order.
    pub fn update_averages(&self, weights: &mut Weights, met: &[Vec<Vec<f32>>]) {
        for shard in met {
            for (average, moments) in self.averages.iter().zip(shard) {
                for (value, moment) in weights.averages[average.range.clone()].iter_mut().zip(moments) {
                    *value += MOMENTUM * (moment - *value);
                }
            }
        }
    }

    /// The samples that an embedding can't look up are refused before they reach it.
    pub fn check_vocabulary(&self, features: &[f32]) -> std::result::Result<(), MlError> {
        let Some(Layer::Embedding { vocabulary, .. }) = self
            .layers
            .iter()
            .map(|placed| &placed.layer)
            .find(|layer| !matches!(layer, Layer::Flatten | Layer::Reshape { .. }))
        else {
            return Ok(());
        };
        match features.iter().find(|value| value.fract() != 0.0 || **value < 0.0 || **value >= *vocabulary as f32) {
            None => Ok(()),
            Some(value) => Err(super::unusable(
                format!("the embedding takes whole numbers from 0 to {}, but the data holds {value}", vocabulary - 1),
                "give it a larger `vocabulary`, and leave out `scale` and `standardize`",
            )),
        }
    }
}

/// `1 / (1 + e^-x)`
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}

fn softmax(x: &Tensor) -> Result<Tensor> {
    let shifted = x.broadcast_sub(&x.max_keepdim(candle_core::D::Minus1)?.detach())?;
    let powers = shifted.exp()?;
    powers.broadcast_div(&powers.sum_keepdim(candle_core::D::Minus1)?)
}

/// Zeros at a share of places, and elsewhere what keeps the mean as it was. Each sample draws for itself.
fn mask(shape: &Dims, rate: f64, seed: Seed, samples: &[usize]) -> Result<Tensor> {
    let width = shape.elem_count() / samples.len().max(1);
    let kept = (1.0 / (1.0 - rate)) as f32;
    let mut mask = Vec::with_capacity(shape.elem_count());
    for sample in samples {
        let mut generator = seed.child(sample).generator();
        mask.extend((0..width).map(|_| if generator.unit() < rate { 0.0 } else { kept }));
    }
    Tensor::from_vec(mask, shape.clone(), &Device::Cpu)
}
