//! Small networks that must learn.

use super::*;
use crate::ml::optimizer::Optimizer;

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
        let step = step(&worker, &weights, &[&rows], Seed::new(2));
        losses.push(step.loss / rows.len() as f64);
        adam.step(&mut weights.parameters, &step.gradient, 1.0);
        network.update_averages(&mut weights.averages, &step.moments);
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
