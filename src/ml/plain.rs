//! A network in candle's own operations, which run on all of candle's devices: what a GPU trains with, and what our own
//! operations are held to.

use super::{
    loss::Loss,
    network::{Mode, Network, Part, Placed, Samples, drop_mask, sigmoid},
    norm::EPSILON,
    segments::sum,
    stages::Learnt,
};
use crate::{
    data::Labels,
    layers::{Layer, Window},
};
use candle_core::{D, DType, Device, Result, Tensor, Var};
use std::sync::OnceLock;

/// The first GPU, where this program is built for one and the machine has one; `CUDA_VISIBLE_DEVICES` chooses another, or
/// none.
pub fn gpu() -> Option<&'static Device> {
    static GPU: OnceLock<Option<Device>> = OnceLock::new();
    GPU.get_or_init(|| Device::cuda_if_available(0).ok().filter(Device::is_cuda)).as_ref()
}

/// A network on a device.
struct Plain<'n> {
    network: &'n Network,
    device: &'n Device,
    /// The parameters, one after another.
    learned: Vec<Var>,
    averages: &'n [f32],
    mode: Mode<'n>,
    /// The means and variances that the batch norms met, in their order, summed over the shards.
    moments: Vec<f32>,
}

impl Network {
    /// The loss of some samples and its gradient, computed on a device; `input` holds their features.
    ///
    /// # Errors
    /// When the input does not fit the layers, or the device has no room.
    pub fn learn_on(
        &self,
        device: &Device,
        input: &Tensor,
        parameters: &[f32],
        samples: Samples,
        loss: Loss,
        labels: &Labels,
    ) -> Result<Learnt> {
        let mut plain = Plain::new(self, device, parameters, &[], Mode::Learn(samples))?;
        let outputs = plain.outputs(input)?;
        let loss = plain.loss(loss, &outputs, labels, samples.places)?;
        let gradients = loss.backward()?;
        let mut gradient = Vec::with_capacity(self.size());
        for parameter in &plain.learned {
            match gradients.get(parameter) {
                Some(slopes) => gradient.extend(floats(slopes)?),
                None => gradient.resize(gradient.len() + parameter.elem_count(), 0.0),
            }
        }
        Ok(Learnt { loss: loss.to_scalar()?, gradient, moments: plain.moments, outputs: floats(&outputs)? })
    }

    /// What comes out when `input`, `[batch, …]`, goes in, to judge it, computed on a device.
    ///
    /// # Errors
    /// When the input does not fit the layers, or the device has no room.
    pub fn judge_on(&self, device: &Device, input: &Tensor, parameters: &[f32], averages: &[f32]) -> Result<Tensor> {
        Plain::new(self, device, parameters, averages, Mode::Judge)?.outputs(input)
    }
}

impl<'n> Plain<'n> {
    /// Brings the numbers of a network to a device.
    fn new(
        network: &'n Network,
        device: &'n Device,
        parameters: &[f32],
        averages: &'n [f32],
        mode: Mode<'n>,
    ) -> Result<Self> {
        let learned = network.parameters.iter().map(|parameter| {
            let values = &parameters[parameter.range.clone()];
            Var::from_tensor(&Tensor::from_slice(values, parameter.shape.as_slice(), device)?)
        });
        Ok(Self { network, device, learned: learned.collect::<Result<_>>()?, averages, mode, moments: Vec::new() })
    }

    fn outputs(&mut self, input: &Tensor) -> Result<Tensor> {
        self.through(&self.network.parts, input.to_device(self.device)?)
    }

    fn through(&mut self, parts: &[Part], input: Tensor) -> Result<Tensor> {
        parts.iter().try_fold(input, |x, part| match part {
            Part::Layer(placed) => self.layer(placed, x),
            Part::Residual { body, shortcut } => {
                let one = self.through(body, x.clone())?;
                one.add(&self.through(shortcut, x)?)
            }
        })
    }

    fn layer(&mut self, placed: &Placed, x: Tensor) -> Result<Tensor> {
        let own = |offset: usize| self.learned[placed.parameters.start + offset].as_tensor();
        match &placed.layer {
            Layer::Dense { bias, .. } => dense(&x, own(0), bias.then(|| own(1))),
            Layer::Conv2d { inputs, outputs, window, bias } => {
                let filters = own(0).reshape((*outputs, *inputs, window.size, window.size))?;
                let maps = x.conv2d(&filters, window.padding, window.stride, 1, 1)?;
                if *bias { maps.broadcast_add(&own(1).reshape((*outputs, 1, 1))?) } else { Ok(maps) }
            }
            Layer::MaxPool2d(window) => {
                let mut squares = under(&x, *window, f32::NEG_INFINITY)?.into_iter();
                let first = squares.next().ok_or_else(|| candle_core::Error::Msg("a window has a side".into()))?;
                squares.try_fold(first, |most, square| square.gt(&most)?.where_cond(&square, &most))
            }
            Layer::AvgPool2d(window) => Tensor::stack(&under(&x, *window, 0.0)?, 0)?.mean(0),
            Layer::GlobalAvgPool => x.flatten_from(2)?.mean(2),
            Layer::MeanPool => x.mean(1),
            Layer::Relu => x.relu(),
            Layer::Gelu => x.gelu_erf(),
            Layer::Tanh => x.tanh(),
            Layer::Sigmoid => sigmoid(&x),
            Layer::Softmax => softmax(&x),
            Layer::Dropout { rate } => match self.mode {
                Mode::Learn(Samples { places, dropout, .. }) if *rate > 0.0 => {
                    let mask = drop_mask(x.shape(), *rate, dropout.child(&placed.path), places);
                    x.mul(&Tensor::from_vec(mask, x.shape(), self.device)?)
                }
                _ => Ok(x),
            },
            Layer::BatchNorm { .. } => self.batch_norm(placed, &x),
            Layer::LayerNorm { .. } => {
                let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
                let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + f64::from(EPSILON))?.sqrt()?;
                centred.broadcast_div(&deviation)?.broadcast_mul(own(0))?.broadcast_add(own(1))
            }
            Layer::Flatten => x.flatten_from(1),
            Layer::Reshape { shape } => {
                let batch = x.dim(0)?;
                x.reshape([&[batch], shape.as_slice()].concat())
            }
            Layer::Embedding { features, .. } => {
                let rows = own(0).index_select(&x.flatten_all()?.to_dtype(DType::U32)?, 0)?;
                rows.reshape([x.dims(), &[*features]].concat())
            }
            Layer::Positions { .. } => x.broadcast_add(own(0)),
            Layer::Attention { features, heads, .. } => {
                let (batch, length, _) = x.dims3()?;
                let width = features / heads;
                let head = |at: usize| {
                    let rows = dense(&x, own(2 * at), Some(own(2 * at + 1)))?;
                    rows.reshape((batch, length, *heads, width))?.transpose(1, 2)?.contiguous()
                };
                let queries = (head(0)? * (1.0 / (width as f64).sqrt()))?;
                let shares = softmax(&queries.matmul(&head(1)?.t()?.contiguous()?)?)?;
                let mixed = shares.matmul(&head(2)?)?.transpose(1, 2)?.contiguous()?;
                dense(&mixed.reshape((batch, length, *features))?, own(6), Some(own(7)))
            }
        }
    }

    /// By the moments of each shard to learn, by the averages to judge.
    fn batch_norm(&mut self, placed: &Placed, x: &Tensor) -> Result<Tensor> {
        let features = x.dim(1)?;
        let row = |values: &Tensor| values.reshape([&[1, features], vec![1; x.rank() - 2].as_slice()].concat());
        let [weight, bias] = [0, 1].map(|offset| row(&self.learned[placed.parameters.start + offset]));
        let (weight, bias) = (weight?, bias?);
        let scaled = |x: &Tensor, mean: &Tensor, variance: &Tensor| {
            let deviation = (row(variance)? + f64::from(EPSILON))?.sqrt()?;
            x.broadcast_sub(&row(mean)?)?.broadcast_div(&deviation)?.broadcast_mul(&weight)?.broadcast_add(&bias)
        };
        let samples = match self.mode {
            Mode::Learn(samples) => samples,
            Mode::Judge => {
                let moments = self.network.moments(self.averages, placed);
                let on_device = |values: Vec<f32>| Tensor::from_vec(values, features, self.device);
                return scaled(x, &on_device(moments.mean)?, &on_device(moments.variance)?);
            }
        };
        let over_samples = |values: &Tensor| values.transpose(0, 1)?.flatten_from(1)?.mean(1);
        let (mut moments, mut normal) = (Vec::new(), Vec::new());
        for shard in samples.segments.each() {
            let x = x.narrow(0, shard.start, shard.len())?;
            let mean = over_samples(&x)?;
            let variance = over_samples(&x.broadcast_sub(&row(&mean)?)?.sqr()?)?;
            normal.push(scaled(&x, &mean, &variance)?);
            moments.push(Some([floats(&mean)?, floats(&variance)?].concat()));
        }
        self.moments.extend(sum(moments).unwrap_or_default());
        Tensor::cat(&normal, 0)
    }

    fn loss(&self, loss: Loss, outputs: &Tensor, labels: &Labels, rows: &[usize]) -> Result<Tensor> {
        let column = |wanted: Vec<f32>| Tensor::from_vec(wanted, (rows.len(), 1), self.device);
        let wanted = match labels {
            Labels::Numbers(numbers) => column(rows.iter().map(|row| numbers[*row]).collect())?,
            Labels::Classes { indices, .. } => column(rows.iter().map(|row| indices[*row] as f32).collect())?,
        };
        let outputs = outputs.flatten_from(1)?;
        match loss {
            Loss::Mse => outputs.sub(&wanted)?.sqr()?.sum_all(),
            Loss::Bce => {
                let tail = (outputs.abs()?.neg()?.exp()? + 1.0)?.log()?;
                outputs.relu()?.sub(&outputs.mul(&wanted)?)?.add(&tail)?.sum_all()
            }
            Loss::CrossEntropy => {
                let own = outputs.gather(&wanted.to_dtype(DType::U32)?, 1)?;
                let most = outputs.max_keepdim(1)?.detach();
                let whole = outputs.broadcast_sub(&most)?.exp()?.sum_keepdim(1)?.log()?.add(&most)?;
                whole.sub(&own)?.sum_all()
            }
        }
    }
}

fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// `x W + b` over the last dimension.
fn dense(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (inputs, outputs) = weight.dims2()?;
    let y = x.reshape(((), inputs))?.matmul(weight)?;
    let y = bias.map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))?;
    y.reshape([&x.dims()[..x.rank() - 1], &[outputs]].concat())
}

fn softmax(x: &Tensor) -> Result<Tensor> {
    let powers = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?.exp()?;
    powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)
}

/// For each place of a window, the pixels that lie under it at all positions: `[batch, channels, rows, columns]`.
/// candle's own pooling knows no padding, and no gradient where windows overlap.
fn under(x: &Tensor, window: Window, padding: f32) -> Result<Vec<Tensor>> {
    let border = |x: Tensor, dimension: usize| -> Result<Tensor> {
        if window.padding == 0 {
            return Ok(x);
        }
        let mut dims = x.dims().to_vec();
        dims[dimension] = window.padding;
        let edge = Tensor::full(padding, dims, x.device())?;
        Tensor::cat(&[&edge, &x, &edge], dimension)
    };
    let x = border(border(x.clone(), 2)?, 3)?;
    let places = |offset: usize, dimension: usize| -> Result<Tensor> {
        let last = x.dim(dimension)? + offset + 1 - window.size;
        let places: Vec<u32> = (offset..last).step_by(window.stride).map(|place| place as u32).collect();
        Tensor::new(places, x.device())
    };
    let mut squares = Vec::with_capacity(window.size * window.size);
    for y in 0..window.size {
        let lines = x.index_select(&places(y, 2)?, 2)?;
        for column in 0..window.size {
            squares.push(lines.index_select(&places(column, 3)?, 3)?);
        }
    }
    Ok(squares)
}
