//! Gradients against finite differences, for every layer and loss; the same bits on any number of threads.

use super::{
    loss::Loss,
    network::{Network, Weights},
    optimizer::Optimizer,
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

/// The gradient that a step reports is the slope of the loss along every parameter. In 32 bits a difference quotient has an
/// error of its own, so most parameters must agree closely and none may be far off.
fn slopes_agree(layers: &[Call], input: &[usize], loss: Loss) {
    let (_, outputs) = network(layers, input);
    slopes_agree_on(&table(input, loss, outputs.max(2), Seed::new(12)), layers, loss);
}

fn slopes_agree_on(table: &Table, layers: &[Call], loss: Loss) {
    let (network, _) = network(layers, &table.shape);
    let mut weights = network.initial(Seed::new(5));
    let mut generator = Seed::new(6).generator();
    // Constants that start at zero or one hide mistakes.
    weights.parameters.iter_mut().for_each(|value| *value += 0.1 * generator.normal() as f32);
    let rows: Vec<usize> = (0..ROWS).collect();
    let worker = Worker { network: &network, table, loss, threads: 1 };
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
        assert!(error < 0.1, "{}: parameter {index}: slope {slope}, difference quotient {quotient}", shown(layers));
        off += usize::from(error > 0.01);
    }
    assert!(off * 20 <= gradient.len(), "{}: {off} of {} slopes are off", shown(layers), gradient.len());
    assert!(gradient.iter().any(|slope| *slope != 0.0));
}

fn shown(layers: &[Call]) -> String {
    Model::pipeline(layers.to_vec()).to_string()
}

#[test]
fn slopes_of_dense_layers_and_losses() {
    slopes_agree(&[dense(4, 3)], &[4], Loss::CrossEntropy);
    slopes_agree(&[dense(4, 1)], &[4], Loss::Mse);
    slopes_agree(&[dense(4, 1)], &[4], Loss::Bce);
    slopes_agree(&[with(dense(4, 3), "bias", Value::Bool(false))], &[4], Loss::CrossEntropy);
    // A dense layer works on the last dimension.
    slopes_agree(&[dense(2, 3), bare("flatten"), dense(9, 2)], &[3, 2], Loss::CrossEntropy);
}

#[test]
fn slopes_of_activations() {
    for between in ["relu", "gelu", "tanh", "sigmoid", "softmax"] {
        slopes_agree(&[dense(4, 5), bare(between), dense(5, 3)], &[4], Loss::CrossEntropy);
    }
}

#[test]
fn slopes_of_dropout() {
    let dropout = with(bare("dropout"), "rate", Value::Float(0.4));
    slopes_agree(&[dense(4, 8), dropout.clone(), dense(8, 3)], &[4], Loss::CrossEntropy);
    slopes_agree(&[residual(&[dense(4, 4), dropout], &[]), dense(4, 3)], &[4], Loss::CrossEntropy);
}

#[test]
fn slopes_of_norms() {
    for kind in ["batch_norm", "layer_norm"] {
        slopes_agree(&[dense(4, 5), norm(kind, 5), bare("tanh"), dense(5, 3)], &[4], Loss::CrossEntropy);
    }
    slopes_agree(
        &[conv(1, 2, (2, 1, 0)), norm("batch_norm", 2), bare("tanh"), bare("flatten"), dense(18, 2)],
        &[1, 4, 4],
        Loss::CrossEntropy,
    );
}

/// The slopes of some layers for images, and a dense one behind them.
fn slopes_of_images(layers: &[Call], input: &[usize]) {
    let layers = [layers, &[bare("flatten")]].concat();
    let (_, width) = network(&layers, input);
    slopes_agree(&[&layers[..], &[dense(width as i64, 2)]].concat(), input, Loss::CrossEntropy);
}

#[test]
fn slopes_of_convolutions_and_pools() {
    for window in [(3, 1, 1), (2, 2, 0), (3, 2, 1), (1, 1, 0)] {
        slopes_of_images(&[conv(2, 3, window), bare("tanh")], &[2, 5, 5]);
        // The second convolution needs the gradient of its images.
        slopes_of_images(&[conv(2, 3, window), bare("tanh"), conv(3, 2, window)], &[2, 5, 5]);
        let plain = |inputs, outputs| with(conv(inputs, outputs, window), "bias", Value::Bool(false));
        slopes_of_images(&[plain(2, 3), bare("tanh"), plain(3, 2)], &[2, 5, 5]);
    }
    let pools = [
        pool("max_pool2d", (2, 2, 0)),
        pool("max_pool2d", (3, 2, 1)),
        pool("max_pool2d", (2, 1, 1)),
        pool("avg_pool2d", (2, 1, 0)),
        pool("avg_pool2d", (3, 2, 0)),
        bare("global_avg_pool"),
    ];
    for pool in pools {
        slopes_of_images(&[conv(1, 2, (2, 1, 0)), bare("tanh"), pool], &[1, 6, 6]);
    }
}

#[test]
fn slopes_of_residual_blocks() {
    slopes_agree(&[residual(&[dense(4, 5), bare("tanh"), dense(5, 4)], &[]), dense(4, 3)], &[4], Loss::CrossEntropy);
    slopes_agree(
        &[residual(&[dense(4, 5), bare("tanh")], &[dense(4, 5)]), bare("tanh"), dense(5, 3)],
        &[4],
        Loss::CrossEntropy,
    );
    let within = residual(&[residual(&[conv(2, 2, (3, 1, 1))], &[]), bare("tanh")], &[norm("batch_norm", 2)]);
    slopes_of_images(&[conv(1, 2, (2, 1, 0)), within], &[1, 4, 4]);
}

#[test]
fn slopes_of_layers_for_sequences() {
    slopes_agree(&[dense(3, 4), bare("mean_pool"), dense(4, 2)], &[5, 3], Loss::CrossEntropy);
    slopes_agree(
        &[dense(3, 4), positions(5, 4), bare("tanh"), bare("mean_pool"), dense(4, 2)],
        &[5, 3],
        Loss::CrossEntropy,
    );
    for heads in [1, 2, 4] {
        let layers = [dense(3, 4), attention(4, heads), bare("tanh"), bare("mean_pool"), dense(4, 2)];
        slopes_agree(&layers, &[5, 3], Loss::CrossEntropy);
    }
}

/// Samples of token numbers below `vocabulary`, none of which is the last.
fn tokens(length: usize, vocabulary: usize) -> Table {
    let mut table = table(&[length], Loss::CrossEntropy, 2, Seed::new(1));
    table.features = (0..length * ROWS).map(|index| (index * index % (vocabulary - 1)) as f32).collect();
    table
}

#[test]
fn slopes_of_embeddings() {
    let table = tokens(3, 6);
    let layers = [embedding(6, 4), positions(3, 4), residual(&[attention(4, 2)], &[]), bare("mean_pool"), dense(4, 2)];
    slopes_agree_on(&table, &layers, Loss::CrossEntropy);
    let (network, _) = network(&layers, &[3]);
    let rows: Vec<usize> = (0..ROWS).collect();
    let worker = Worker { network: &network, table: &table, loss: Loss::CrossEntropy, threads: 1 };
    let gradient = worker.step(&network.initial(Seed::new(2)), &rows, ROWS, Seed::new(3)).unwrap().gradient;
    assert!(gradient[20..24].iter().all(|slope| *slope == 0.0), "a number that does not occur is not learned from");
}

/// A convolution written down as its definition says.
#[test]
fn a_convolution_is_what_its_definition_says() {
    let (network, outputs) = network(&[conv(2, 3, (3, 2, 1)), bare("flatten")], &[2, 5, 4]);
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

/// Attention written down as its definition says, one head and one pair of rows after another.
#[test]
fn attention_is_what_its_definition_says() {
    const LENGTH: usize = 4;
    const FEATURES: usize = 6;
    const WIDTH: usize = 3;
    let layers = [attention(FEATURES as i64, (FEATURES / WIDTH) as i64), bare("flatten")];
    let (network, _) = network(&layers, &[LENGTH, FEATURES]);
    let table = table(&[LENGTH, FEATURES], Loss::Mse, 0, Seed::new(4));
    let mut weights = network.initial(Seed::new(8));
    let mut generator = Seed::new(9).generator();
    weights.parameters.iter_mut().for_each(|value| *value += 0.2 * generator.normal() as f32);
    let found = Worker { network: &network, table: &table, loss: Loss::Mse, threads: 1 }.outputs(&weights).unwrap();
    let projections: Vec<&[f32]> = weights.parameters.chunks_exact(FEATURES * FEATURES + FEATURES).collect();
    let project = |which: usize, row: &[f32]| -> Vec<f32> {
        let (weight, bias) = projections[which].split_at(FEATURES * FEATURES);
        let column =
            |output: usize| bias[output] + (0..FEATURES).map(|i| row[i] * weight[i * FEATURES + output]).sum::<f32>();
        (0..FEATURES).map(column).collect()
    };
    let mut wanted = Vec::new();
    for sample in table.features.chunks_exact(LENGTH * FEATURES) {
        let rows =
            |which: usize| -> Vec<Vec<f32>> { sample.chunks_exact(FEATURES).map(|row| project(which, row)).collect() };
        let (queries, keys, values) = (rows(0), rows(1), rows(2));
        for query in &queries {
            let mut mixed = vec![0.0; FEATURES];
            for head in (0..FEATURES).step_by(WIDTH) {
                let head = head..head + WIDTH;
                let score = |key: &Vec<f32>| {
                    let product: f32 = query[head.clone()].iter().zip(&key[head.clone()]).map(|(q, k)| q * k).sum();
                    (product / (WIDTH as f32).sqrt()).exp()
                };
                let scores: Vec<f32> = keys.iter().map(score).collect();
                let sum: f32 = scores.iter().sum();
                for (score, value) in scores.iter().zip(&values) {
                    head.clone().for_each(|place| mixed[place] += score / sum * value[place]);
                }
            }
            wanted.extend(project(3, &mixed));
        }
    }
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().zip(&wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-5));
}

#[test]
fn what_pads_an_image_is_never_the_largest() {
    let (network, outputs) = network(&[pool("max_pool2d", (3, 2, 1)), bare("flatten")], &[1, 3, 3]);
    let features: Vec<f32> = (1..=9).map(|pixel| -(pixel as f32)).collect();
    let table = Table { features, shape: vec![1, 3, 3], labels: Labels::Numbers(vec![0.0]) };
    let worker = Worker { network: &network, table: &table, loss: Loss::Mse, threads: 1 };
    assert_eq!(worker.outputs(&network.initial(Seed::new(1))).unwrap(), [-1.0, -2.0, -4.0, -5.0]);
    assert_eq!(outputs, 4);
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
    let step = worker.step(&weights, &rows, ROWS, Seed::new(5)).unwrap();
    for _ in 0..200 {
        network.update_averages(&mut weights, &step.moments);
    }
    let judged = worker.outputs(&weights).unwrap();
    assert!(judged.iter().zip(&step.outputs).all(|(judged, learned)| (judged - learned).abs() < 1e-4));
}

/// The loss of some layers on a table, before and after some steps of Adam.
fn losses(layers: &[Call], table: &Table, steps: usize) -> (f64, f64) {
    let (network, _) = network(layers, &table.shape);
    let worker = Worker { network: &network, table, loss: Loss::CrossEntropy, threads: 2 };
    let mut weights = network.initial(Seed::new(1));
    let numbers = [("lr", 0.01), ("beta1", 0.9), ("beta2", 0.999), ("eps", 1e-8), ("weight_decay", 0.0)];
    let adam = Call::new("adam", numbers.map(|(name, value)| (name.into(), Value::Float(value))).into());
    let mut adam = Optimizer::parse(&adam, network.size()).unwrap();
    let rows: Vec<usize> = (0..table.rows()).collect();
    let mut losses = Vec::new();
    for _ in 0..steps {
        let step = worker.step(&weights, &rows, rows.len(), Seed::new(2)).unwrap();
        losses.push(step.loss / rows.len() as f64);
        adam.step(&mut weights.parameters, &step.gradient, 1.0);
        network.update_averages(&mut weights, &step.moments);
    }
    (losses[0], losses[steps - 1])
}

fn two_classes(indices: impl Iterator<Item = u32>) -> Labels {
    Labels::Classes { indices: indices.collect(), names: vec!["no".into(), "yes".into()] }
}

/// Whether a bar lies or stands, wherever it is.
#[test]
fn a_residual_network_learns() {
    let rows = 64;
    let mut generator = Seed::new(3).generator();
    let mut features = vec![0.0; rows * 64];
    for (row, image) in features.chunks_exact_mut(64).enumerate() {
        let (line, start) = (generator.below(8) as usize, generator.below(4) as usize);
        for place in start..start + 5 {
            image[if row % 2 == 0 { line * 8 + place } else { place * 8 + line }] = 1.0;
        }
    }
    let table = Table { features, shape: vec![1, 8, 8], labels: two_classes((0..rows as u32).map(|row| row % 2)) };
    let plain = |inputs, outputs, window| with(conv(inputs, outputs, window), "bias", Value::Bool(false));
    let block = |inputs, outputs, stride| {
        let body = [
            plain(inputs, outputs, (3, stride, 1)),
            norm("batch_norm", outputs),
            bare("relu"),
            plain(outputs, outputs, (3, 1, 1)),
            norm("batch_norm", outputs),
        ];
        let shortcut = [plain(inputs, outputs, (1, stride, 0)), norm("batch_norm", outputs)];
        [residual(&body, if inputs == outputs { &[] } else { &shortcut }), bare("relu")]
    };
    let layers = [
        &[plain(1, 4, (3, 1, 1)), norm("batch_norm", 4), bare("relu"), pool("max_pool2d", (3, 2, 1))][..],
        &block(4, 4, 1),
        &block(4, 8, 2),
        &[bare("global_avg_pool"), dense(8, 2)],
    ]
    .concat();
    let (before, after) = losses(&layers, &table, 30);
    assert!(before > 0.5 && after < 0.1, "{before} to {after}");
}

/// Whether token 1 comes before token 2, which the tokens by themselves do not tell.
#[test]
fn a_transformer_learns_the_order_of_tokens() {
    let rows = 64;
    let mut generator = Seed::new(3).generator();
    let mut features = Vec::new();
    for row in 0..rows {
        let mut text: Vec<f32> = (0..6).map(|_| 3.0 + generator.below(3) as f32).collect();
        let (first, second) = (generator.below(3) as usize, 3 + generator.below(3) as usize);
        (text[first], text[second]) = if row % 2 == 0 { (1.0, 2.0) } else { (2.0, 1.0) };
        features.extend(text);
    }
    let table = Table { features, shape: vec![6], labels: two_classes((0..rows as u32).map(|row| row % 2)) };
    let layers = |positions: Option<Call>| {
        let block = [
            residual(&[attention(16, 2)], &[]),
            norm("layer_norm", 16),
            residual(&[dense(16, 32), bare("gelu"), dense(32, 16)], &[]),
            norm("layer_norm", 16),
        ];
        let end = [bare("mean_pool"), dense(16, 2)];
        [&[embedding(6, 16)][..], positions.as_slice(), &block, &end].concat()
    };
    let (before, after) = losses(&layers(Some(positions(6, 16))), &table, 60);
    assert!(before > 0.5 && after < 0.1, "{before} to {after}");
    let (_, blind) = losses(&layers(None), &table, 60);
    assert!(blind > 0.3, "without positions there is nothing to tell the order by, but the loss is {blind}");
}

/// The gradient, the moments and the outputs of one step are the same bits on any number of threads.
fn threads_change_nothing(layers: &[Call], table: &Table) {
    let (network, _) = network(layers, &table.shape);
    let weights = network.initial(Seed::new(2));
    let order: Vec<usize> = (0..table.rows()).rev().collect();
    let step = |threads| {
        let worker = Worker { network: &network, table, loss: Loss::CrossEntropy, threads };
        let step = worker.step(&weights, &order, table.rows(), Seed::new(3)).unwrap();
        (step.gradient, step.loss, step.moments, step.outputs, worker.outputs(&weights).unwrap())
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

/// What a model of `std/models` learns, and its outputs for samples of shape `input`.
#[cfg(feature = "compile")]
fn published(model: &str, input: &[usize]) -> (usize, usize) {
    use crate::{check, check::program::StmtKind, cli::world::Files, expr::Expr};
    let project = tempfile::tempdir().unwrap();
    let path = project.path().join("main.smlt");
    let (name, _) = model.split_once('(').unwrap();
    let data = "dataset data { source: \"data.csv\", label: \"label\", format: idx() }";
    let text = format!("import std/models.{{{name}}}\n{data}\nworkflow main() {{ train {model} {{ data: data }} }}");
    std::fs::write(&path, text).unwrap();
    let outcome = check::check(&Files::open(&path).unwrap());
    assert!(outcome.diagnostics.is_empty(), "{:?}", outcome.diagnostics);
    let StmtKind::Train(train) = &outcome.value.workflows[0].body.stmts[0].kind else { panic!("not a training") };
    let Expr::Const(Value::Model(model)) = &train.model else { panic!("the model is not known") };
    let (network, outputs) = network(&model.layers, input);
    (network.size(), outputs)
}

/// Of torchvision, of the paper that made the architecture, and of the `transformers` library: `ResNet18_Weights`, table 1 of
/// LeCun et al. (1998) with all maps connected, `DistilBertForSequenceClassification`.
#[test]
#[cfg(feature = "compile")]
fn published_architectures_have_their_published_sizes() {
    assert_eq!(published("resnet18()", &[3, 224, 224]), (11_689_512, 1000));
    assert_eq!(published("resnet18(classes: 10)", &[3, 32, 32]), (11_689_512 - 990 * 513, 10));
    assert_eq!(published("lenet()", &[1, 28, 28]), (61_706, 10));
    let distilbert = "text_classifier(30522, 512, features: 768, heads: 12, blocks: 6)";
    assert_eq!(published(distilbert, &[512]), (66_955_010, 2));
}
