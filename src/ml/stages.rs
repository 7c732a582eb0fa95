//! Learning stage by stage: the gradients of the last layers are there while those of the first are still computed.

use super::{
    network::{Mode, Network, Part, Pass, Samples},
    operation::{Operation, Rows, apply, read},
};
use candle_core::{Result, Shape, Tensor, Var};
use std::{ops::Range, sync::Arc};

/// A stage holds at least as many parameters, 256 KiB of them; smaller pieces are not worth a message.
const PARAMETERS: usize = 64 << 10;

/// What learning from some shards comes to.
pub struct Learnt {
    /// The loss.
    pub loss: f32,
    /// Its gradient, in the order of the parameters.
    pub gradient: Vec<f32>,
    /// The means and variances that the batch norms met, in their order, summed over the shards.
    pub moments: Vec<f32>,
    /// What came out, row after row.
    pub outputs: Vec<f32>,
}

/// Layers that come one after another, and their place in the row of parameters.
struct Stage {
    parts: Range<usize>,
    row: Range<usize>,
}

impl Network {
    /// The stages of `least` parameters or more.
    fn stages(&self, least: usize) -> Vec<Stage> {
        let mut stages: Vec<Stage> = Vec::new();
        let (mut first, mut start) = (0, 0);
        for index in 0..self.parts.len() {
            let end = self.end(&self.parts[index]).unwrap_or(start);
            if end - start >= least {
                stages.push(Stage { parts: first..index + 1, row: start..end });
                (first, start) = (index + 1, end);
            }
        }
        // What is left is no stage of its own.
        match stages.last_mut() {
            Some(last) => (last.parts.end, last.row.end) = (self.parts.len(), self.size()),
            None => stages.push(Stage { parts: 0..self.parts.len(), row: 0..self.size() }),
        }
        stages
    }

    /// The stretches of the row in which [`Network::learn`] gives gradients, in that order.
    pub fn stretches(&self) -> Vec<Range<usize>> {
        self.stages(PARAMETERS).into_iter().rev().map(|stage| stage.row).collect()
    }

    /// Where the last parameter of a part ends in the row, if it has any.
    fn end(&self, part: &Part) -> Option<usize> {
        match part {
            Part::Layer(placed) => self.parameters[placed.parameters.clone()].last().map(|last| last.range.end),
            Part::Residual { body, shortcut } => body.iter().chain(shortcut).filter_map(|part| self.end(part)).max(),
        }
    }

    /// The loss of some shards and its gradient. As soon as the gradients of some parameters are there, the last layers'
    /// first, `deliver` hears of their place in the row.
    ///
    /// # Errors
    /// When the input does not fit the layers.
    pub fn learn(
        &self,
        input: Tensor,
        parameters: &Arc<[f32]>,
        samples: Samples,
        loss: &dyn Fn(&Tensor) -> Result<Tensor>,
        deliver: &mut dyn FnMut(Range<usize>, &[f32]),
    ) -> Result<Learnt> {
        self.learn_in(&self.stages(PARAMETERS), input, parameters, samples, loss, deliver)
    }

    fn learn_in(
        &self,
        stages: &[Stage],
        input: Tensor,
        parameters: &Arc<[f32]>,
        samples: Samples,
        loss: &dyn Fn(&Tensor) -> Result<Tensor>,
        deliver: &mut dyn FnMut(Range<usize>, &[f32]),
    ) -> Result<Learnt> {
        let rows = Rows::new(parameters.clone(), samples.segments.clone());
        let mut pass = Pass { rows: &rows, averages: &[], mode: Mode::Learn(samples), met: Vec::new() };
        let mut outputs = input;
        // Each stage begins at a leaf, where its gradients end.
        let mut cuts = Vec::with_capacity(stages.len());
        for stage in stages {
            let leaf = Var::from_tensor(&outputs.detach())?;
            let before = outputs;
            outputs = self.through(&self.parts[stage.parts.clone()], leaf.as_tensor().clone(), &mut pass)?;
            cuts.push((stage, before, leaf));
        }
        let loss = loss(&outputs)?;
        let mut end = loss.clone();
        while let Some((stage, before, leaf)) = cuts.pop() {
            let gradients = end.backward()?;
            rows.gradient(|gradient| deliver(stage.row.clone(), &gradient[stage.row.clone()]));
            if !cuts.is_empty() {
                let upstream = match gradients.get(&leaf) {
                    Some(gradient) => read(&gradient.contiguous()?, |gradient| Ok(gradient.to_vec()))?,
                    None => vec![0.0; before.elem_count()],
                };
                end = apply(&before, Upstream(upstream))?;
            }
        }
        Ok(Learnt {
            loss: loss.to_scalar()?,
            gradient: rows.gradient(std::mem::take),
            moments: pass.met,
            outputs: outputs.flatten_all()?.to_vec1()?,
        })
    }
}

/// Stands for a loss whose gradient by what goes in is known.
struct Upstream(Vec<f32>);

impl Operation for Upstream {
    const NAME: &'static str = "upstream";

    fn forward(&self, _: &[f32], _: &Shape) -> Result<(Vec<f32>, Shape)> {
        Ok((vec![0.0], Shape::from(())))
    }

    fn backward(&self, _: &[f32], _: &Shape, _: &[f32], _: &[f32]) -> Result<Option<Vec<f32>>> {
        Ok(Some(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::PARAMETERS;
    use crate::{
        layers::{self, Shape},
        ml::{
            network::{Network, Samples},
            segments::Segments,
        },
        seed::Seed,
        value::{Call, Model, Value},
    };
    use candle_core::{Device, Tensor};
    use std::sync::Arc;

    fn layer(name: &str, args: &[(&str, i64)]) -> Call {
        Call::new(name, args.iter().map(|(name, value)| ((*name).into(), Value::Int(*value))).collect())
    }

    fn network(layers: &[Call], input: &[usize]) -> Network {
        Network::new(&layers::check(layers, &Shape(input.to_vec())).unwrap().0)
    }

    fn dense(inputs: i64, outputs: i64) -> Call {
        layer("dense", &[("inputs", inputs), ("outputs", outputs)])
    }

    #[test]
    fn small_models_have_one_stage() {
        let stages = |layers: &[Call]| {
            let stages = network(layers, &[300]).stages(PARAMETERS);
            stages.into_iter().map(|stage| (stage.parts, stage.row)).collect::<Vec<_>>()
        };
        assert_eq!(stages(&[dense(300, 8), layer("relu", &[]), dense(8, 3)]), [(0..3, 0..2435)]);
        let large = [dense(300, 300), layer("tanh", &[]), dense(300, 300), dense(300, 2)];
        assert_eq!(stages(&large), [(0..1, 0..90_300), (1..4, 90_300..181_202)]);
        assert_eq!(stages(&[layer("softmax", &[])]), [(0..1, 0..0)]);
    }

    /// However many stages there are, the bits are the same, and each parameter's gradient is delivered once, the last
    /// stage's first.
    #[test]
    fn stages_change_no_bit() {
        let body = Value::Model(Box::new(Model::pipeline(vec![
            layer("layer_norm", &[("features", 8)]),
            layer("attention", &[("features", 8), ("heads", 2)]),
        ])));
        let layers = [
            layer("embedding", &[("vocabulary", 5), ("features", 8)]),
            layer("positions", &[("length", 4), ("features", 8)]),
            Call::new("residual", [("body".into(), body), ("shortcut".into(), Value::None)].into()),
            Call::new("dropout", [("rate".into(), Value::Float(0.2))].into()),
            layer("flatten", &[]),
            dense(32, 6),
            layer("batch_norm", &[("features", 6)]),
            layer("gelu", &[]),
            dense(6, 1),
        ];
        let network = network(&layers, &[4]);
        let parameters: Arc<[f32]> = network.initial(Seed::new(3)).parameters.into();
        let tokens: Vec<f32> = (0..12).map(|index| (index * index % 5) as f32).collect();
        let segments = Segments::new(&[3]);
        let samples = Samples { places: &[0, 1, 2], segments: &segments, dropout: Seed::new(4) };
        let learn = |least| {
            let (stages, input) = (network.stages(least), Tensor::from_slice(&tokens, (3, 4), &Device::Cpu).unwrap());
            let mut delivered = vec![0.0; network.size()];
            let mut end = network.size();
            let mut deliver = |place: std::ops::Range<usize>, gradient: &[f32]| {
                assert_eq!(place.end, end, "stages come from the last to the first");
                end = place.start;
                delivered[place].copy_from_slice(gradient);
            };
            let loss = |outputs: &Tensor| outputs.sqr()?.sum_all();
            let learnt = network.learn_in(&stages, input, &parameters, samples, &loss, &mut deliver).unwrap();
            assert_eq!(end, 0, "all is delivered");
            assert!(delivered == learnt.gradient, "what is delivered is the gradient");
            (stages.len(), learnt.loss, learnt.gradient, learnt.moments, learnt.outputs)
        };
        let whole = learn(usize::MAX);
        assert!(whole.0 == 1 && whole.2.iter().any(|slope| *slope != 0.0));
        for (least, count) in [(1, 6), (100, 2)] {
            let staged = learn(least);
            assert_eq!(staged.0, count);
            assert!((&staged.1, &staged.2, &staged.3, &staged.4) == (&whole.1, &whole.2, &whole.3, &whole.4));
        }
    }
}
