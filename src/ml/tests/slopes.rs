//! Gradients against finite differences, for every layer and loss.

use super::*;

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
    let at = |weights: &Weights| step(&worker, weights, &[&rows], dropout);
    let gradient = at(&weights).gradient;
    assert_eq!(gradient.len(), network.size());
    plain::agrees(&worker, &weights, &rows, dropout);
    let width = 2e-3_f32;
    let mut off = 0;
    for (index, slope) in gradient.iter().enumerate() {
        let mut moved = |by: f32| {
            let before = weights.parameters[index];
            weights.parameters[index] = before + by;
            let loss = at(&weights).loss / ROWS as f64;
            weights.parameters[index] = before;
            loss
        };
        let quotient = (moved(width) - moved(-width)) / f64::from(2.0 * width);
        let error = (quotient - f64::from(*slope)).abs() / (1.0 + quotient.abs());
        assert!(error < 0.1, "{}: parameter {index}: slope {slope}, difference quotient {quotient}", shown(layers));
        off += usize::from(error > 0.01);
    }
    assert!(off * 20 <= gradient.len(), "{}: {off} of {} slopes are off", shown(layers), gradient.len());
    assert!(gradient.iter().any(|slope| *slope != 0.0));
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
    let gradient = step(&worker, &network.initial(Seed::new(2)), &[&rows], Seed::new(3)).gradient;
    assert!(gradient[20..24].iter().all(|slope| *slope == 0.0), "a number that does not occur is not learned from");
}
