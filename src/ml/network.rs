//! A model with its numbers: parameters in one row, and what flows through them.

use super::{
    MlError, activation,
    attention::attention,
    dense::{self, Dense},
    image::Convolve,
    norm::{self, Moments},
    operation::{Learned, Rows, apply},
    pool::{Pooling, pool},
    segments::Segments,
};
use crate::{
    layers::{Block, Layer},
    seed::Seed,
};
use candle_core::{Result, Shape as Dims, Tensor};
use std::{ops::Range, sync::Arc};

/// The share of a batch's moments in the running averages that a batch norm judges by.
const MOMENTUM: f32 = 0.1;

/// The plan of a model: its parts, and where the parameters of each lie in the row of all.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its parts, in order.
    pub parts: Vec<Part>,
    /// The parameters of all layers, in order.
    pub parameters: Vec<Parameter>,
    /// The running averages of all batch norms, in order: means, then variances.
    pub averages: Vec<Parameter>,
}

/// A part of a model.
#[derive(Clone, Debug)]
pub enum Part {
    /// A layer.
    Layer(Placed),
    /// Two ways side by side, whose outcomes are added.
    Residual {
        /// One way.
        body: Vec<Part>,
        /// The other.
        shortcut: Vec<Part>,
    },
}

/// A layer and the places of its numbers.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its place in the model, such as `3`, or `3.residual.body.0` inside another.
    pub path: String,
    /// What it is.
    pub layer: Layer,
    /// Its parameters, among those of all layers.
    pub parameters: Range<usize>,
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
    /// To learn: dropout draws for each sample, and batch norms use the moments of each shard.
    Learn(Samples<'a>),
}

/// Samples to learn from.
#[derive(Clone, Copy)]
pub struct Samples<'a> {
    /// Their places in the data, by which dropout names them.
    pub places: &'a [usize],
    /// Their shards.
    pub segments: &'a Segments,
    /// The seed of the epoch's dropout.
    pub dropout: Seed,
}

/// What flows beside the samples on their way through.
pub struct Pass<'a> {
    /// The parameters.
    pub rows: &'a Rows,
    /// The running averages, to judge by.
    pub averages: &'a [f32],
    /// How the samples flow.
    pub mode: Mode<'a>,
    /// The moments that the batch norms met so far, means and variances, summed over the shards.
    pub met: Vec<f32>,
}

fn place<'a>(
    blocks: &mut Vec<Parameter>,
    path: &str,
    layer: &Layer,
    named: impl IntoIterator<Item = (&'a str, Vec<usize>)>,
) -> Range<usize> {
    let first = blocks.len();
    for (name, shape) in named {
        let start = blocks.last().map_or(0, |last| last.range.end);
        let length: usize = shape.iter().product();
        blocks.push(Parameter { name: format!("{path}.{}.{name}", layer.name()), shape, range: start..start + length });
    }
    first..blocks.len()
}

impl Network {
    /// The plan of a model.
    pub fn new(blocks: &[Block]) -> Self {
        let mut network = Self { parts: Vec::new(), parameters: Vec::new(), averages: Vec::new() };
        network.parts = network.place(blocks, "");
        network
    }

    fn place(&mut self, blocks: &[Block], within: &str) -> Vec<Part> {
        let part = |(index, block): (usize, &Block)| {
            let path = format!("{within}{index}");
            match block {
                Block::Layer(layer) => {
                    let parameters = place(&mut self.parameters, &path, layer, layer.parameters());
                    let running = match layer {
                        Layer::BatchNorm { features } => vec![("mean", vec![*features]), ("variance", vec![*features])],
                        _ => Vec::new(),
                    };
                    let averages = place(&mut self.averages, &path, layer, running);
                    Part::Layer(Placed { path, layer: layer.clone(), parameters, averages })
                }
                Block::Residual { body, shortcut } => Part::Residual {
                    body: self.place(body, &format!("{path}.residual.body.")),
                    shortcut: self.place(shortcut, &format!("{path}.residual.shortcut.")),
                },
            }
        };
        blocks.iter().enumerate().map(part).collect()
    }

    /// The numbers that a training learns.
    pub fn size(&self) -> usize {
        self.parameters.last().map_or(0, |last| last.range.end)
    }

    /// The running averages of a batch norm.
    pub fn moments(&self, averages: &[f32], placed: &Placed) -> Moments {
        let block = |index: usize| averages[self.averages[placed.averages.start + index].range.clone()].to_vec();
        Moments { mean: block(0), variance: block(1) }
    }

    /// What comes out when `input`, `[batch, …]`, goes in, to judge it.
    ///
    /// # Errors
    /// When the input does not fit the layers.
    pub fn judge(&self, input: Tensor, parameters: &Arc<[f32]>, averages: &[f32]) -> Result<Tensor> {
        let rows = Rows::new(parameters.clone(), Segments::new(&[input.dim(0)?]));
        self.through(&self.parts, input, &mut Pass { rows: &rows, averages, mode: Mode::Judge, met: Vec::new() })
    }

    /// What comes out of some of its parts.
    ///
    /// # Errors
    /// When the input does not fit them.
    pub fn through(&self, parts: &[Part], input: Tensor, pass: &mut Pass) -> Result<Tensor> {
        parts.iter().try_fold(input, |x, part| match part {
            Part::Layer(placed) => self.layer(placed, x, pass),
            Part::Residual { body, shortcut } => {
                let one = self.through(body, x.clone(), pass)?;
                one.add(&self.through(shortcut, x, pass)?)
            }
        })
    }

    fn layer(&self, placed: &Placed, x: Tensor, pass: &mut Pass) -> Result<Tensor> {
        let own = |offset: usize| self.learned(pass.rows, placed, offset);
        // Nobody needs the gradient of the samples.
        let inner = placed.parameters.start > 0;
        match &placed.layer {
            Layer::Dense { bias, outputs, .. } => {
                apply(&x, Dense { weight: own(0), bias: bias.then(|| own(1)), outputs: *outputs, inner })
            }
            Layer::Conv2d { window, bias, outputs, .. } => {
                let (filters, bias) = (own(0), bias.then(|| own(1)));
                apply(&x, Convolve { window: *window, filters, bias, outputs: *outputs, inner })
            }
            Layer::MaxPool2d(window) => pool(&x, Pooling::Max, *window),
            Layer::AvgPool2d(window) => pool(&x, Pooling::Mean, *window),
            Layer::GlobalAvgPool => x.flatten_from(2)?.mean(2),
            Layer::MeanPool => x.mean(1),
            Layer::Relu => activation::relu(&x),
            Layer::Gelu => activation::gelu(&x),
            Layer::Tanh => x.tanh(),
            Layer::Sigmoid => sigmoid(&x),
            Layer::Softmax => activation::softmax(&x),
            Layer::Dropout { rate } => match pass.mode {
                Mode::Learn(Samples { places, dropout, .. }) if *rate > 0.0 => {
                    activation::mask(&x, drop_mask(x.shape(), *rate, dropout.child(&placed.path), places))
                }
                _ => Ok(x),
            },
            Layer::BatchNorm { .. } => match pass.mode {
                Mode::Learn(_) => {
                    let (output, moments) = norm::batch_norm(&x, own(0), own(1))?;
                    pass.met.extend(moments);
                    Ok(output)
                }
                Mode::Judge => norm::batch_norm_with(&x, self.moments(pass.averages, placed), own(0), own(1)),
            },
            Layer::LayerNorm { .. } => norm::layer_norm(&x, own(0), own(1)),
            Layer::Flatten => x.flatten_from(1),
            Layer::Reshape { shape } => {
                let batch = x.dim(0)?;
                x.reshape([&[batch], shape.as_slice()].concat())
            }
            Layer::Embedding { features, .. } => dense::embedding(&x, own(0), *features),
            Layer::Positions { .. } => dense::positions(&x, own(0)),
            Layer::Attention { features, heads, .. } => {
                let projection =
                    |at: usize| Dense { weight: own(2 * at), bias: Some(own(2 * at + 1)), outputs: *features, inner };
                let [queries, keys, values, outputs] = [0, 1, 2, 3].map(projection);
                attention(&x, [queries, keys, values, Dense { inner: true, ..outputs }], *heads)
            }
        }
    }

    fn learned(&self, rows: &Rows, placed: &Placed, offset: usize) -> Learned {
        rows.at(self.parameters[placed.parameters.start + offset].range.clone())
    }

    /// Moves the running averages towards the mean of the moments that the micro-batches met.
    pub fn update_averages(&self, averages: &mut [f32], moments: &[f32]) {
        averages.iter_mut().zip(moments).for_each(|(value, moment)| *value += MOMENTUM * (moment - *value));
    }

    /// The samples that an embedding can't look up are refused before they reach it.
    pub fn check_vocabulary(&self, features: &[f32]) -> std::result::Result<(), MlError> {
        let first = self.parts.iter().find_map(|part| match part {
            Part::Layer(Placed { layer: Layer::Flatten | Layer::Reshape { .. }, .. }) => None,
            part => Some(part),
        });
        let Some(Part::Layer(Placed { layer: Layer::Embedding { vocabulary, .. }, .. })) = first else { return Ok(()) };
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

/// Zeros at a share of places, and elsewhere what keeps the mean as it was. Each sample draws for itself.
pub fn drop_mask(shape: &Dims, rate: f64, seed: Seed, samples: &[usize]) -> Vec<f32> {
    let width = shape.elem_count() / samples.len().max(1);
    let kept = (1.0 / (1.0 - rate)) as f32;
    let mut mask = Vec::with_capacity(shape.elem_count());
    for sample in samples {
        let mut generator = seed.child(sample).generator();
        mask.extend((0..width).map(|_| if generator.unit() < rate { 0.0 } else { kept }));
    }
    mask
}
