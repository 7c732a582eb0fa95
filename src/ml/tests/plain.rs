//! candle's own operations against ours.

use super::*;
use crate::ml::{network::Samples, segments::Segments};
use candle_core::{Device, Tensor};

/// Fails unless both come to the same loss, gradient, moments and outputs of two shards, and judge alike.
pub fn agrees(worker: &Worker, weights: &Weights, rows: &[usize], dropout: Seed) {
    let Worker { network, table, loss, .. } = worker;
    let input = Tensor::from_slice(
        &table.features[..rows.len() * table.width()],
        [&[rows.len()], table.shape.as_slice()].concat(),
        &Device::Cpu,
    )
    .unwrap();
    let (first, second) = rows.split_at(rows.len() / 3);
    let segments = Segments::new(&[first.len(), second.len()]);
    let samples = Samples { places: rows, segments: &segments, dropout };
    let Weights { parameters, averages } = weights;
    let other = network.learn_on(&Device::Cpu, &input, parameters, samples, *loss, &table.labels).unwrap();
    let own = worker.share(weights, &[first, second], dropout.into(), None).unwrap();
    close("gradient", &own.gradient.unwrap(), &other.gradient);
    close("moments and loss", &own.tail.unwrap(), &[other.moments, vec![other.loss]].concat());
    close("outputs", &own.outputs.concat(), &other.outputs);
    let judged = network.judge_on(&Device::Cpu, &input, parameters, averages).unwrap();
    let own = worker.outputs(weights, 0..1).unwrap();
    close("judged", &own, &judged.flatten_all().unwrap().to_vec1().unwrap());
}

fn close(what: &str, own: &[f32], other: &[f32]) {
    assert_eq!(own.len(), other.len(), "{what}");
    for (index, (own, other)) in own.iter().zip(other).enumerate() {
        assert!((own - other).abs() <= 1e-4 * (1.0 + own.abs()), "{what} {index}: {own}, but candle's is {other}");
    }
}
