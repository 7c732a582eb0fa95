//! Gradients against finite differences, for every layer and loss; the same bits on any number of threads.

use super::{
    loss::Loss,
    network::{Network, Weights},
    shards::Worker,
};
use crate::{
    data::{Labels, Table},
    layers::{Layer, Shape, Window},
    seed::Seed,
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

fn network(layers: &[Layer], input: &[usize]) -> (Network, usize) {
    let mut shape = Shape(input.to_vec());
    let mut plan = Vec::new();
    for layer in layers {
        shape = layer.output(&shape).unwrap();
        plan.push((layer.clone(), shape.clone()));
    }
    (Network::new(&plan), shape.width())
}

/// The gradient that a step reports is the slope of the loss along every parameter. In 32 bits a difference quotient has an
/// error of its own, so most parameters must agree closely and none may be far off.
fn slopes_agree(layers: &[Layer], input: &[usize], loss: Loss) {
    let (network, outputs) = network(layers, input);
    let table = table(input, loss, outputs.max(2), Seed::new(12));
    let mut weights = network.initial(Seed::new(5));
    let mut generator = Seed::new(6).generator();
    // Constants that start at zero or one hide mistakes.
    weights.parameters.iter_mut().for_each(|value| *value += 0.1 * generator.normal() as f32);
    let rows: Vec<usize> = (0..ROWS).collect();
    let worker = Worker { network: &network, table: &table, loss, threads: 1 };
    let dropout = Seed::new(9);
    let at = |weights: &Weights| worker.step(weights, &rows, ROWS, dropout).unwrap();
    let gradient = at(&weights).gradient;
    assert_eq!(gradient.len(), network.size());
    let step = 2e-3_f32;
    let mut off = 0;
    for (index, slope) in gradient.iter().enumerate() {
        let mut moved = |by: f32| {
            let before = weights.parameters[index];
            weights.parameters[index] = before + by;
            let loss = at(&weights).loss / ROWS as f64;
            weights.parameters[index] = before;
            loss
        };
        let quotient = (moved(step) - moved(-step)) / f64::from(2.0 * step);
        let error = (quotient - f64::from(*slope)).abs() / (1.0 + quotient.abs());
        assert!(error < 0.1, "{layers:?}: parameter {index}: slope {slope}, difference quotient {quotient}");
        off += usize::from(error > 0.01);
    }
    assert!(off * 20 <= gradient.len(), "{layers:?}: {off} of {} slopes are off", gradient.len());
    assert!(gradient.iter().any(|slope| *slope != 0.0));
}

const fn dense(inputs: usize, outputs: usize) -> Layer {
    Layer::Dense { inputs, outputs, bias: true }
}

const fn window(size: usize, stride: usize, padding: usize) -> Window {
    Window { size, stride, padding }
}

#[test]
fn slopes_of_dense_layers_and_losses() {
    slopes_agree(&[dense(4, 3)], &[4], Loss::CrossEntropy);
    slopes_agree(&[dense(4, 1)], &[4], Loss::Mse);
    slopes_agree(&[dense(4, 1)], &[4], Loss::Bce);
    slopes_agree(&[Layer::Dense { inputs: 4, outputs: 3, bias: false }], &[4], Loss::CrossEntropy);
    // A dense layer works on the last dimension.
    slopes_agree(&[dense(2, 3), Layer::Flatten, dense(9, 2)], &[3, 2], Loss::CrossEntropy);
}

#[test]
fn slopes_of_activations() {
    for between in [Layer::Relu, Layer::Gelu, Layer::Tanh, Layer::Sigmoid, Layer::Softmax] {
        slopes_agree(&[dense(4, 5), between, dense(5, 3)], &[4], Loss::CrossEntropy);
    }
}

#[test]
fn slopes_of_dropout() {
    slopes_agree(&[dense(4, 8), Layer::Dropout { rate: 0.4 }, dense(8, 3)], &[4], Loss::CrossEntropy);
}

#[test]
fn slopes_of_norms() {
    slopes_agree(&[dense(4, 5), Layer::BatchNorm { features: 5 }, Layer::Tanh, dense(5, 3)], &[4], Loss::CrossEntropy);
    slopes_agree(&[dense(4, 5), Layer::LayerNorm { features: 5 }, Layer::Tanh, dense(5, 3)], &[4], Loss::CrossEntropy);
    let conv = Layer::Conv2d { inputs: 1, outputs: 2, window: window(2, 1, 0) };
    slopes_agree(
        &[conv, Layer::BatchNorm { features: 2 }, Layer::Tanh, Layer::Flatten, dense(18, 2)],
        &[1, 4, 4],
        Loss::CrossEntropy,
    );
}

#[test]
fn slopes_of_convolutions_and_pools() {
    for window in [window(3, 1, 1), window(2, 2, 0), window(3, 2, 1), window(1, 1, 0)] {
        let conv = |inputs, outputs| Layer::Conv2d { inputs, outputs, window };
        let (_, width) = network(&[conv(2, 3), Layer::Flatten], &[2, 5, 5]);
        slopes_agree(&[conv(2, 3), Layer::Tanh, Layer::Flatten, dense(width, 2)], &[2, 5, 5], Loss::CrossEntropy);
        // The second convolution needs the gradient of its images.
        let two = [conv(2, 3), Layer::Tanh, conv(3, 2), Layer::Flatten];
        let (_, width) = network(&two, &[2, 5, 5]);
        slopes_agree(&[&two[..], &[dense(width, 2)]].concat(), &[2, 5, 5], Loss::CrossEntropy);
    }
    for pool in
        [Layer::MaxPool2d(window(2, 2, 0)), Layer::AvgPool2d(window(2, 1, 0)), Layer::AvgPool2d(window(3, 2, 0))]
    {
        let conv = Layer::Conv2d { inputs: 1, outputs: 2, window: window(2, 1, 0) };
        let before = [conv, Layer::Tanh, pool, Layer::Flatten];
        let (_, width) = network(&before, &[1, 6, 6]);
        slopes_agree(&[&before[..], &[dense(width, 2)]].concat(), &[1, 6, 6], Loss::CrossEntropy);
    }
}

#[test]
fn slopes_of_embeddings() {
    let layers = [Layer::Embedding { vocabulary: 5, features: 3 }, Layer::Flatten, dense(6, 2)];
    let (network, _) = network(&layers, &[2]);
    let mut table = table(&[2], Loss::CrossEntropy, 2, Seed::new(1));
    table.features = (0..2 * ROWS).map(|index| (index % 4) as f32).collect();
    let weights = network.initial(Seed::new(2));
    let rows: Vec<usize> = (0..ROWS).collect();
    let worker = Worker { network: &network, table: &table, loss: Loss::CrossEntropy, threads: 1 };
    let step = worker.step(&weights, &rows, ROWS, Seed::new(3)).unwrap();
    // Rows 0 to 3 occur, the last does not.
    assert!(step.gradient[..12].chunks(3).all(|row| row.iter().any(|slope| *slope != 0.0)));
    assert!(step.gradient[12..15].iter().all(|slope| *slope == 0.0));
}

/// A convolution written down as its definition says.
#[test]
fn a_convolution_is_what_its_definition_says() {
    let window = window(3, 2, 1);
    let conv = Layer::Conv2d { inputs: 2, outputs: 3, window };
    let (network, outputs) = network(&[conv, Layer::Flatten], &[2, 5, 4]);
    let table = table(&[2, 5, 4], Loss::Mse, 0, Seed::new(4));
    let mut weights = network.initial(Seed::new(8));
    weights.parameters.iter_mut().rev().take(3).zip([0.5, -1.0, 2.0]).for_each(|(bias, value)| *bias = value);
    let found = Worker { network: &network, table: &table, loss: Loss::Mse, threads: 1 }.outputs(&weights).unwrap();
    let (filters, bias) = weights.parameters.split_at(3 * 18);
    let mut wanted = Vec::new();
    for image in table.features.chunks_exact(40) {
        let pixel = |channel: usize, y: i64, x: i64| match (0..5).contains(&y) && (0..4).contains(&x) {
            true => image[channel * 20 + y as usize * 4 + x as usize],
            false => 0.0,
        };
        for output in 0..3 {
            for (y, x) in (0..3_i64).flat_map(|y| (0..2_i64).map(move |x| (y, x))) {
                let mut sum = bias[output];
                for place in 0..18 {
                    let (channel, dy, dx) = (place / 9, place as i64 / 3 % 3, place as i64 % 3);
                    sum += filters[output * 18 + place] * pixel(channel, 2 * y + dy - 1, 2 * x + dx - 1);
                }
                wanted.push(sum);
            }
        }
    }
    assert_eq!(outputs, 18);
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().zip(&wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-5));
}

#[test]
fn threads_change_no_bit() {
    let layers = [
        Layer::Conv2d { inputs: 1, outputs: 4, window: window(3, 1, 1) },
        Layer::BatchNorm { features: 4 },
        Layer::Relu,
        Layer::MaxPool2d(window(2, 2, 0)),
        Layer::Flatten,
        Layer::Dropout { rate: 0.3 },
        dense(36, 5),
    ];
    let (network, _) = network(&layers, &[1, 6, 6]);
    let mut generator = Seed::new(1).generator();
    let rows = 300;
    let table = Table {
        features: (0..rows * 36).map(|_| generator.normal() as f32).collect(),
        shape: vec![1, 6, 6],
        labels: Labels::Classes {
            indices: (0..rows as u32).map(|row| row % 5).collect(),
            names: (0..5).map(|class| class.to_string()).collect(),
        },
    };
    let weights = network.initial(Seed::new(2));
    let order: Vec<usize> = (0..rows).rev().collect();
    let step = |threads| {
        let worker = Worker { network: &network, table: &table, loss: Loss::CrossEntropy, threads };
        let step = worker.step(&weights, &order, rows, Seed::new(3)).unwrap();
        (step.gradient, step.loss, step.moments, step.outputs, worker.outputs(&weights).unwrap())
    };
    let one = step(1);
    for threads in [2, 3, 5, 8, 64] {
        assert!(step(threads) == one, "{threads} threads");
    }
}
