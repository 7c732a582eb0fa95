//! Layers against their definitions, written down step by step.

use super::*;

/// A convolution written down as its definition says.
#[test]
fn a_convolution_is_what_its_definition_says() {
    let (network, outputs) = network(&[conv(2, 3, (3, 2, 1)), bare("flatten")], &[2, 5, 4]);
    let table = table(&[2, 5, 4], Loss::Mse, 0, Seed::new(4));
    let mut weights = network.initial(Seed::new(8));
    weights.parameters.iter_mut().rev().take(3).zip([0.5, -1.0, 2.0]).for_each(|(bias, value)| *bias = value);
    let found =
        Worker { network: &network, table: &table, loss: Loss::Mse, threads: 1 }.outputs(&weights, 0..1).unwrap();
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
    let found =
        Worker { network: &network, table: &table, loss: Loss::Mse, threads: 1 }.outputs(&weights, 0..1).unwrap();
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
    assert_eq!(worker.outputs(&network.initial(Seed::new(1)), 0..1).unwrap(), [-1.0, -2.0, -4.0, -5.0]);
    assert_eq!(outputs, 4);
}
