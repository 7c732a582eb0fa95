//! What a training leaves behind.

use super::{
    Context, Ending, Failure, Fields, Group, Kind, MlError, Outcome, Progress, Training, Value, ledger, parts,
};
use crate::{
    ml::{state::State, unusable},
    units::Duration,
    value::Artifact,
    wire::{Done, EpochMetrics, Trained},
};
use serde_json::json;
use std::collections::BTreeMap;

impl Training<'_> {
    /// Ends the training, or the round of it.
    pub(super) fn end(
        mut self,
        ending: Ending,
        group: &mut dyn Group,
        context: &mut Context,
    ) -> Result<Outcome, MlError> {
        if ending == Ending::Drained {
            return Err(MlError::Failed(Failure::new(Kind::WorkerLost, "it was stopped at a checkpoint")));
        }
        let round = self.round(group)?;
        if group.rank() > 0 {
            return Ok(Outcome::Left);
        }
        if self.clock.number.number > 0 {
            (context.report)(Progress::Round(round));
        }
        if ending == Ending::Round {
            return Ok(Outcome::Left);
        }
        let done = self.done(ending == Ending::Cut, context)?;
        self.checkpoints.remove();
        Ok(Outcome::Done(done))
    }

    fn done(&self, cut: bool, context: &Context) -> Result<Done, MlError> {
        let weights = self.best_weights.as_ref().unwrap_or(&self.weights);
        let (best, objective) = match &self.ledger.best {
            Some(best) => (best.metrics.clone(), best.objective),
            None => (EpochMetrics { epoch: 0, of: 0, train: BTreeMap::new(), valid: BTreeMap::new() }, None),
        };
        let name = &self.job.model.name;
        let card = self.card(&best);
        let text = format!("{card:#}\n");
        let bytes = State::of_model(&self.network, weights).to_bytes(&card)?;
        let weights = store(context, &format!("{name}.safetensors"), &bytes)?;
        let card = store(context, &format!("{name}.card.json"), text.as_bytes())?;
        // What is cut within an epoch is not gone on from.
        let paused = self.job.rung.is_some() && self.ledger.epochs < self.horizon() && !self.ledger.satisfied && !cut;
        let checkpoint = if paused { Some(store(context, ledger::CHECKPOINT, &self.state(0, 1)?)?) } else { None };
        let mut model = self.job.model.clone();
        model.weights = Some(weights.clone());
        let history = self.ledger.history.iter().map(|metrics| {
            let mut fields = parts(metrics);
            fields.insert("epoch".into(), Value::Int(metrics.epoch as i64));
            Value::Record(fields)
        });
        let output = Value::Record(Fields::from([
            ("model".into(), Value::Model(Box::new(model))),
            ("weights".into(), Value::Artifact(Box::new(weights))),
            ("card".into(), Value::Artifact(Box::new(card))),
            ("metrics".into(), Value::Record(parts(&best))),
            ("history".into(), Value::List(history.collect())),
            ("epochs".into(), Value::Int(self.ledger.epochs as i64)),
            ("best_epoch".into(), Value::Int(best.epoch as i64)),
        ]));
        let trained = Trained { objective, epochs: self.ledger.epochs, checkpoint, cut };
        Ok(Done { output, trained: Some(trained), elapsed: Duration::from(self.clock.started.elapsed()) })
    }

    /// What the weights are and where they come from. It holds no time and no place, so the same training gives the same bytes.
    fn card(&self, best: &EpochMetrics) -> serde_json::Value {
        let model = &self.job.model;
        json!({
            "model": model.name,
            "args": Value::Record(model.args.clone()).to_json(),
            "layers": model.layers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "architecture": model.layers,
            "parameters": self.network.size(),
            "data": { "name": self.job.data.name, "hash": self.about.hash, "rows": self.about.train.rows },
            "lens": self.about.lens,
            "loss": format!("{:?}", self.loss),
            "optimizer": self.job.optimizer.to_string(),
            "batch": self.job.batch.values().collect::<Vec<_>>(),
            "shards": self.shuffle.all_shards(),
            "seed": self.job.seed,
            "epochs": self.ledger.epochs,
            "best_epoch": best.epoch,
            "metrics": { "train": best.train, "valid": best.valid },
            "smltc": env!("CARGO_PKG_VERSION"),
        })
    }
}

fn store(context: &Context, name: &str, bytes: &[u8]) -> Result<Artifact, MlError> {
    let stored = context.objects.put_bytes(name, bytes);
    stored.map_err(|error| unusable(format!("`{name}` can't be stored: {error}"), "check the disk's space and rights"))
}
