//! Shards that flow through together come to the same bits as one by one.

use super::*;
use crate::ml::{segments::sum, shards::Share};

const SAMPLES: usize = 60;

/// Cuts of a few samples into shards, some of which have one or none.
fn cuts() -> impl Iterator<Item = Vec<std::ops::Range<usize>>> {
    let mut generator = Seed::new(7).generator();
    let mut below = move |most: u64| generator.below(most) as usize;
    (0..8).map(move |_| {
        let mut start = 0;
        let sizes = (0..1 + below(8)).map(|_| [0, 1, below(8)][below(3)]).chain([1]).collect::<Vec<_>>();
        let place = |size| {
            start += size;
            start - size..start
        };
        sizes.into_iter().map(place).collect()
    })
}

/// The gradient, the moments, the loss and the outputs of shards are the same together as one by one, summed in the tree.
fn together_as_alone(layers: &[Call], input: &[usize], loss: Loss, vocabulary: Option<usize>) {
    let (network, outputs) = network(layers, input);
    let mut generator = Seed::new(8).generator();
    let width: usize = input.iter().product();
    let features = (0..SAMPLES * width).map(|_| match vocabulary {
        Some(vocabulary) => generator.below(vocabulary as u64) as f32,
        None => generator.normal() as f32,
    });
    let features = features.collect();
    let labels = match loss {
        Loss::Mse => Labels::Numbers((0..SAMPLES).map(|_| generator.normal() as f32).collect()),
        _ => Labels::Classes {
            indices: (0..SAMPLES).map(|_| generator.below(outputs.max(2) as u64) as u32).collect(),
            names: (0..outputs.max(2)).map(|class| class.to_string()).collect(),
        },
    };
    let table = Table { features, shape: input.to_vec(), labels };
    let mut weights = network.initial(Seed::new(5));
    weights.parameters.iter_mut().for_each(|value| *value += 0.1 * generator.normal() as f32);
    let order: Vec<usize> = (0..SAMPLES).rev().collect();
    for cut in cuts() {
        let shards: Vec<&[usize]> = cut.iter().map(|range| &order[range.clone()]).collect();
        let share = |threads, shards: &[&[usize]]| {
            let worker = Worker { network: &network, table: &table, loss, threads };
            worker.share(&weights, shards, Seed::new(9).into(), None).unwrap()
        };
        let alone: Vec<Share> = shards.iter().map(|rows| share(1, &[rows])).collect();
        let gradient = sum(alone.iter().map(|share| share.gradient.clone()).collect());
        let tail = sum(alone.iter().map(|share| share.tail.clone()).collect());
        let outputs = alone.into_iter().flat_map(|share| share.outputs).collect::<Vec<_>>();
        for threads in [1, 3] {
            let together = share(threads, &shards);
            let agree = (together.gradient == gradient, together.tail == tail, together.outputs == outputs);
            assert!(agree == (true, true, true), "{}: {cut:?}, {threads} threads: {agree:?}", shown(layers));
        }
    }
}

#[test]
fn of_dense_layers_and_losses() {
    for loss in [Loss::Mse, Loss::Bce] {
        together_as_alone(&[dense(4, 1)], &[4], loss, None);
    }
    together_as_alone(&[dense(30, 70), bare("relu"), dense(70, 9)], &[30], Loss::CrossEntropy, None);
    // More rows for each sample than one chain of multiply-adds takes.
    together_as_alone(&[dense(2, 3), bare("mean_pool"), dense(3, 2)], &[300, 2], Loss::CrossEntropy, None);
}

#[test]
fn of_layers_without_parameters() {
    let dropout = with(bare("dropout"), "rate", Value::Float(0.4));
    for between in [bare("gelu"), bare("tanh"), bare("sigmoid"), bare("softmax"), dropout] {
        together_as_alone(&[dense(4, 5), between, dense(5, 3)], &[4], Loss::CrossEntropy, None);
    }
    for pool in [pool("max_pool2d", (3, 2, 1)), pool("avg_pool2d", (2, 1, 0)), bare("global_avg_pool")] {
        let layers = [conv(1, 2, (2, 1, 0)), pool, bare("flatten")];
        let (_, width) = network(&layers, &[1, 6, 6]);
        let layers = [&layers[..], &[dense(width as i64, 2)]].concat();
        together_as_alone(&layers, &[1, 6, 6], Loss::CrossEntropy, None);
    }
}

#[test]
fn of_convolutions_and_norms() {
    for norm in [norm("batch_norm", 3), bare("tanh")] {
        let layers = [conv(2, 3, (3, 1, 1)), norm, conv(3, 1, (2, 2, 0)), bare("flatten"), dense(4, 2)];
        together_as_alone(&layers, &[2, 5, 5], Loss::CrossEntropy, None);
    }
    for kind in ["batch_norm", "layer_norm"] {
        together_as_alone(&[dense(4, 5), norm(kind, 5), dense(5, 3)], &[4], Loss::CrossEntropy, None);
    }
}

#[test]
fn of_layers_for_sequences() {
    let block = residual(&[norm("layer_norm", 8), attention(8, 2)], &[]);
    let layers = [embedding(11, 8), positions(5, 8), block.clone(), bare("mean_pool"), dense(8, 2)];
    together_as_alone(&layers, &[5], Loss::CrossEntropy, Some(11));
    together_as_alone(&[dense(3, 8), block, bare("flatten"), dense(40, 2)], &[5, 3], Loss::CrossEntropy, None);
}
