//! Judging a trained model.

use super::{Context, MlError, loss::Loss, metric, network::Network, shards::Worker, state::State, unusable};
use crate::{
    data::{Data, Lens},
    layers::{self, Shape},
    units::Duration,
    value::{Fields, Part, Value},
    wire::{Done, Evaluate, Failure},
};
use serde::Deserialize;
use std::time::Instant;

/// What must be known of weights to use them.
#[derive(Deserialize)]
struct Card {
    lens: Lens,
}

/// Measures a trained model on a part of a data set, by default its test part.
///
/// # Errors
/// When the model has no weights, does not fit the data, or a metric is not for such labels.
pub fn evaluate(job: &Evaluate, data: &Data, context: &mut Context) -> Result<Done, Failure> {
    Ok(judge(job, data, context)?)
}

fn judge(job: &Evaluate, data: &Data, context: &Context) -> Result<Done, MlError> {
    let started = Instant::now();
    let model = &job.model;
    let weights = model.weights.as_ref().ok_or_else(|| {
        unusable(
            format!("the model `{}` has no weights yet", model.name),
            "train it first: `let final = train …`, then `evaluate final.model()`",
        )
    })?;
    let bytes = context.objects.read(weights).map_err(|error| unusable(error.to_string(), "run the training again"))?;
    let (mut weights, card) = State::from_bytes::<Card>(&bytes, &weights.name)?;
    let table = &*data.part(job.data.part, Part::Test, &card.lens).map_err(Failure::from)?;
    let input = Shape(table.shape.clone());
    let (blocks, output) = layers::check(&model.layers, &input).map_err(|error| {
        unusable(
            format!("the model `{}` does not fit `{}`, whose samples are {input}: {error}", model.name, job.data.name),
            "judge it on data of the shape it was trained on",
        )
    })?;
    let outputs = output.width();
    let loss = Loss::choose(None, &table.labels, outputs, &model.name)?;
    let network = Network::new(&blocks);
    network.check_vocabulary(&table.features)?;
    let weights = weights.weights(&network)?;
    let worker = Worker { network: &network, table, loss, threads: context.threads };
    let raw = worker.outputs(&weights, 0..worker.chunks())?;
    let mean_loss = loss.mean(&raw, &table.labels)?;
    let predictions = loss.predict(raw, outputs);
    let mut fields = Fields::new();
    for call in &job.metrics {
        let value = match &*call.name {
            "loss" => mean_loss,
            name => metric::measure(name, &predictions, &table.labels)?,
        };
        fields.insert(call.name.clone(), Value::Float(value));
    }
    Ok(Done { output: Value::Record(fields), trained: None, elapsed: Duration::from(started.elapsed()) })
}
