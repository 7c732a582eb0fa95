//! The numbers that a training begins with.

use super::network::{Network, Part, Placed, Weights};
use crate::{layers::Layer, seed::Seed};

impl Network {
    /// First numbers. Weights before a rectifier are drawn after He et al. (2015), others after Glorot and Bengio (2010),
    /// rows that are looked up with variance 1, each block from a generator of its own.
    pub fn initial(&self, seed: Seed) -> Weights {
        let mut parameters = vec![0.0; self.size()];
        self.fill(&self.parts, false, seed, &mut parameters);
        let mut averages = vec![0.0; self.averages.last().map_or(0, |last| last.range.end)];
        for average in self.averages.iter().filter(|average| average.name.ends_with("variance")) {
            averages[average.range.clone()].fill(1.0);
        }
        Weights { parameters, averages }
    }

    /// Fills the parameters of some parts; `rectified` tells whether a rectifier comes after them.
    fn fill(&self, parts: &[Part], rectified: bool, seed: Seed, parameters: &mut [f32]) {
        for (index, part) in parts.iter().enumerate() {
            let rectified = is_rectified(&parts[index + 1..]).unwrap_or(rectified);
            match part {
                Part::Layer(placed) => self.fill_layer(placed, rectified, seed, parameters),
                Part::Residual { body, shortcut } => {
                    self.fill(body, rectified, seed, parameters);
                    self.fill(shortcut, rectified, seed, parameters);
                }
            }
        }
    }

    fn fill_layer(&self, placed: &Placed, rectified: bool, seed: Seed, parameters: &mut [f32]) {
        for parameter in &self.parameters[placed.parameters.clone()] {
            let block = &mut parameters[parameter.range.clone()];
            let weight = parameter.name.ends_with("weight");
            let variance = match (&placed.layer, parameter.shape.as_slice()) {
                _ if !weight => continue,
                (Layer::Positions { .. } | Layer::Embedding { .. }, _) => variance(1, 1, rectified),
                (Layer::Dense { .. } | Layer::Attention { .. }, [inputs, outputs]) => {
                    variance(*inputs, *outputs, rectified)
                }
                (Layer::Conv2d { outputs, window, .. }, [_, inputs]) => {
                    variance(*inputs, outputs * window.size * window.size, rectified)
                }
                _ => {
                    block.fill(1.0);
                    continue;
                }
            };
            let bound = (3.0 * variance).sqrt();
            let mut generator = seed.child(&parameter.name).generator();
            block.fill_with(|| ((2.0 * generator.unit() - 1.0) * bound) as f32);
        }
    }
}

/// Whether the first of some parts that changes more than the scale rectifies; nothing where there is none.
fn is_rectified(parts: &[Part]) -> Option<bool> {
    parts.iter().find_map(|part| match part {
        Part::Layer(Placed { layer, .. }) => match layer {
            Layer::BatchNorm { .. } | Layer::LayerNorm { .. } | Layer::Dropout { .. } => None,
            layer => Some(matches!(layer, Layer::Relu | Layer::Gelu | Layer::MaxPool2d(_))),
        },
        Part::Residual { .. } => Some(false),
    })
}

/// The variance of first weights that keeps that of what flows through them.
fn variance(inputs: usize, outputs: usize, rectified: bool) -> f64 {
    if rectified { 2.0 / inputs as f64 } else { 2.0 / (inputs + outputs) as f64 }
}
