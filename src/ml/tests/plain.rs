//! candle's own operations against ours.

use super::{super::plain::Plain, *};
use crate::ml::network::Mode;
use candle_core::{Device, Tensor};

/// Fails unless both come to the same loss, gradient, moments and outputs, and judge alike.
pub fn agrees(worker: &Worker, weights: &Weights, rows: &[usize], dropout: Seed) {
    let Worker { network, table, loss, .. } = worker;
    let samples = Tensor::from_slice(
        &table.features[..rows.len() * table.width()],
        [&[rows.len()], table.shape.as_slice()].concat(),
        &Device::Cpu,
    )
    .unwrap();
    let plain = |mode| Plain::new(network, &Device::Cpu, &weights.parameters, &weights.averages, mode).unwrap();
    let mode = Mode::Learn { seed: dropout, samples: rows };
    let other = plain(mode).learn(&samples, *loss, &table.labels, rows).unwrap();
    let own = worker.shard(&weights.parameters.as_slice().into(), rows, dropout, &mut |_, _| {}).unwrap();
    close("loss", &[own.loss], &[other.loss]);
    close("gradient", &own.gradient, &other.gradient);
    close("moments", &own.moments.concat(), &other.moments.concat());
    close("outputs", &own.outputs, &other.outputs);
    let judged = plain(Mode::Judge).outputs(&samples).unwrap();
    let own = worker.outputs(weights, 0..1).unwrap();
    close("judged", &own, &judged.flatten_all().unwrap().to_vec1().unwrap());
}

fn close(what: &str, own: &[f32], other: &[f32]) {
    assert_eq!(own.len(), other.len(), "{what}");
    for (index, (own, other)) in own.iter().zip(other).enumerate() {
        assert!((own - other).abs() <= 1e-4 * (1.0 + own.abs()), "{what} {index}: {own}, but candle's is {other}");
    }
}
