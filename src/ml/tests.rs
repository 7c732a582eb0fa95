//! What layers compute, and that it is the same bits on any number of threads.

mod definitions;
mod disturbed;
mod learning;
mod plain;
mod resuming;
mod segments;
mod slopes;
mod together;

use super::{
    loss::Loss,
    network::{Network, Weights},
    shards::Worker,
};
use crate::{
    data::{Labels, Table},
    layers::{self, Shape},
    seed::Seed,
    value::{Call, Model, Value},
};

const ROWS: usize = 6;

/// Random samples of a shape, with labels for a loss.
fn table(shape: &[usize], loss: Loss, classes: usize, seed: Seed) -> Table {
    let mut generator = seed.generator();
    let width: usize = shape.iter().product();
    let features = (0..ROWS * width).map(|_| generator.normal() as f32).collect();
    let labels = match loss {
        Loss::Mse => Labels::Numbers((0..ROWS).map(|_| generator.normal() as f32).collect()),
        _ => Labels::Classes {
            indices: (0..ROWS).map(|_| generator.below(classes as u64) as u32).collect(),
            names: (0..classes).map(|class| class.to_string()).collect(),
        },
    };
    Table { features, shape: shape.to_vec(), labels }
}

/// A call of `std/nn` with whole numbers as arguments.
fn layer(name: &str, args: &[(&str, i64)]) -> Call {
    Call::new(name, args.iter().map(|(name, value)| ((*name).into(), Value::Int(*value))).collect())
}

fn with(mut call: Call, name: &str, value: Value) -> Call {
    call.args.insert(name.into(), value);
    call
}

fn bare(name: &str) -> Call {
    layer(name, &[])
}

fn dense(inputs: i64, outputs: i64) -> Call {
    layer("dense", &[("inputs", inputs), ("outputs", outputs)])
}

/// The side of a window, how far it moves, and the padding.
type Window = (i64, i64, i64);

fn conv(inputs: i64, outputs: i64, (kernel, stride, padding): Window) -> Call {
    let window = [("kernel", kernel), ("stride", stride), ("padding", padding)];
    layer("conv2d", &[&[("inputs", inputs), ("outputs", outputs)], &window[..]].concat())
}

fn pool(name: &str, (size, stride, padding): Window) -> Call {
    layer(name, &[("size", size), ("stride", stride), ("padding", padding)])
}

fn norm(name: &str, features: i64) -> Call {
    layer(name, &[("features", features)])
}

fn embedding(vocabulary: i64, features: i64) -> Call {
    layer("embedding", &[("vocabulary", vocabulary), ("features", features)])
}

fn positions(length: i64, features: i64) -> Call {
    layer("positions", &[("length", length), ("features", features)])
}

fn attention(features: i64, heads: i64) -> Call {
    layer("attention", &[("features", features), ("heads", heads)])
}

fn residual(body: &[Call], shortcut: &[Call]) -> Call {
    let model = |layers: &[Call]| match layers {
        [] => Value::None,
        layers => Value::Model(Box::new(Model::pipeline(layers.to_vec()))),
    };
    Call::new("residual", [("body".into(), model(body)), ("shortcut".into(), model(shortcut))].into())
}

fn network(layers: &[Call], input: &[usize]) -> (Network, usize) {
    let (blocks, output) = layers::check(layers, &Shape(input.to_vec())).unwrap();
    (Network::new(&blocks), output.width())
}

fn shown(layers: &[Call]) -> String {
    Model::pipeline(layers.to_vec()).to_string()
}

#[test]
fn parameters_have_names_by_their_place() {
    let block = residual(&[dense(4, 4), norm("batch_norm", 4)], &[with(dense(4, 4), "bias", Value::Bool(false))]);
    let (network, _) = network(&[block, bare("relu"), dense(4, 2)], &[4]);
    let names = |blocks: &[super::network::Parameter]| -> Vec<String> {
        blocks.iter().map(|block| block.name.clone()).collect()
    };
    let parameters = [
        "0.residual.body.0.dense.weight",
        "0.residual.body.0.dense.bias",
        "0.residual.body.1.batch_norm.weight",
        "0.residual.body.1.batch_norm.bias",
        "0.residual.shortcut.0.dense.weight",
        "2.dense.weight",
        "2.dense.bias",
    ];
    assert_eq!(names(&network.parameters), parameters);
    let averages = ["0.residual.body.1.batch_norm.mean", "0.residual.body.1.batch_norm.variance"];
    assert_eq!(names(&network.averages), averages);
}

/// What a batch comes to: mean gradients, the sum of losses, mean moments, and the outputs.
struct Step {
    gradient: Vec<f32>,
    loss: f64,
    moments: Vec<f32>,
    outputs: Vec<f32>,
}

fn step(worker: &Worker, weights: &Weights, shards: &[&[usize]], dropout: Seed) -> Step {
    let share = worker.share(weights, shards, dropout.into(), None).unwrap();
    let (gradient, tail) = (share.gradient.unwrap(), share.tail.unwrap());
    let (moments, loss) = tail.split_at(weights.averages.len());
    let mean = |sums: &[f32], count: usize| sums.iter().map(|sum| sum / count as f32).collect();
    Step {
        gradient: mean(&gradient, shards.iter().map(|rows| rows.len()).sum()),
        loss: loss[0].into(),
        moments: mean(moments, shards.len()),
        outputs: share.outputs.concat(),
    }
}

/// Running averages find their batch norms, also inside of residual blocks, whose body comes before the shortcut.
#[test]
fn averages_go_to_their_batch_norms() {
    let body = [dense(3, 3), norm("batch_norm", 3)];
    let shortcut = [dense(3, 3), norm("batch_norm", 3)];
    let (network, _) = network(&[norm("batch_norm", 3), residual(&body, &shortcut), dense(3, 2)], &[3]);
    let table = table(&[3], Loss::CrossEntropy, 2, Seed::new(3));
    let worker = Worker { network: &network, table: &table, loss: Loss::CrossEntropy, threads: 1 };
    let rows: Vec<usize> = (0..ROWS).collect();
    let mut weights = network.initial(Seed::new(4));
    // After many looks at one batch, judging by the averages is the same as learning by the batch's own moments.
    let step = step(&worker, &weights, &[&rows], Seed::new(5));
    for _ in 0..200 {
        network.update_averages(&mut weights.averages, &step.moments);
    }
    let judged = worker.outputs(&weights, 0..worker.chunks()).unwrap();
    assert!(judged.iter().zip(&step.outputs).all(|(judged, learned)| (judged - learned).abs() < 1e-4));
}

/// The gradient, the moments and the outputs of one step are the same bits on any number of threads.
fn threads_change_nothing(layers: &[Call], table: &Table) {
    let (network, _) = network(layers, &table.shape);
    let weights = network.initial(Seed::new(2));
    let order: Vec<usize> = (0..table.rows()).rev().collect();
    let step = |threads| {
        let worker = Worker { network: &network, table, loss: Loss::CrossEntropy, threads };
        let micro: Vec<&[usize]> = order.chunks(40).collect();
        let step = step(&worker, &weights, &micro, Seed::new(3));
        (step.gradient, step.loss, step.moments, step.outputs, worker.outputs(&weights, 0..worker.chunks()).unwrap())
    };
    let one = step(1);
    for threads in [2, 3, 5, 8, 64] {
        assert!(step(threads) == one, "{threads} threads: {}", shown(layers));
    }
}

#[test]
fn threads_change_no_bit() {
    let rows = 300;
    let labels = Labels::Classes {
        indices: (0..rows as u32).map(|row| row % 5).collect(),
        names: (0..5).map(|class| class.to_string()).collect(),
    };
    let mut generator = Seed::new(1).generator();
    let features = (0..rows * 36).map(|_| generator.normal() as f32).collect();
    let images = Table { features, shape: vec![1, 6, 6], labels: labels.clone() };
    let dropout = with(bare("dropout"), "rate", Value::Float(0.3));
    let block = residual(&[conv(4, 4, (3, 1, 1)), norm("batch_norm", 4), dropout.clone()], &[norm("batch_norm", 4)]);
    let layers = [
        conv(1, 4, (3, 1, 1)),
        norm("batch_norm", 4),
        bare("relu"),
        pool("max_pool2d", (2, 2, 0)),
        block,
        bare("flatten"),
        dropout,
        dense(36, 5),
    ];
    threads_change_nothing(&layers, &images);
    let features = (0..rows * 9).map(|index| (index * index % 11) as f32).collect();
    let texts = Table { features, shape: vec![9], labels };
    let layers = [
        embedding(11, 8),
        positions(9, 8),
        residual(&[attention(8, 2)], &[]),
        norm("layer_norm", 8),
        bare("mean_pool"),
        dense(8, 5),
    ];
    threads_change_nothing(&layers, &texts);
}
