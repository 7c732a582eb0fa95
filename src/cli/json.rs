//! The JSON that programs read: one object for each thing that happens, and one for a result.

use crate::{
    schedule::{Mark, Notice, Time, Verdict},
    units::{Duration, Money, Size},
    value::{Artifact, Value},
    wire::{Failure, Progress},
};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// A notice as an object; `None` for what only moves a display.
pub fn notice(at: Time, notice: &Notice) -> Option<Json> {
    let mut object = match notice {
        Notice::RunStarted { workflow, args, deadline, budget } => json!({
            "event": "run_started",
            "workflow": workflow,
            "args": Value::Record(args.clone()).to_json(),
            "deadline": deadline.map(Duration::secs_f64),
            "budget": budget.map(Money::to_f64),
        }),
        Notice::RunResumed { steps, trials } => {
            json!({ "event": "run_resumed", "steps": steps, "trials": trials })
        }
        Notice::StepStarted { step, kind, attempt } => {
            json!({ "event": "step_started", "step": step, "kind": kind, "attempt": attempt })
        }
        Notice::StepServed { step, kind, run } => {
            json!({ "event": "step_served", "step": step, "kind": kind, "run": run })
        }
        Notice::Epoch { step, metrics } => json!({
            "event": "epoch",
            "step": step,
            "epoch": metrics.epoch,
            "of": metrics.of,
            "train": metrics.train,
            "valid": metrics.valid,
        }),
        Notice::Progress { step, progress } => match progress {
            Progress::Epoch(_) => return None,
            Progress::Begun(begun) => json!({
                "event": "round_begun",
                "step": step,
                "round": begun.number,
                "workers": begun.workers,
                "why": begun.why,
            }),
            Progress::Round(round) => json!({ "event": "round_done", "step": step, "round": round }),
            Progress::Dealt { shards, bytes } => {
                json!({ "event": "samples_dealt", "step": step, "shards": shards, "bytes": bytes })
            }
            Progress::RoundLost { number, reason } => {
                json!({ "event": "round_lost", "step": step, "round": number, "reason": reason })
            }
            Progress::Metric { name, step: number, value } => {
                json!({ "event": "metric", "step": step, "name": name, "at_step": number, "value": value })
            }
            Progress::Share(share) => json!({ "event": "progress", "step": step, "share": share }),
            Progress::Log(line) => json!({ "event": "log", "step": step, "line": line }),
        },
        Notice::Trial { search, trial, of, params, epochs, value, best, elapsed, cost, failure } => json!({
            "event": "trial",
            "search": search,
            "trial": trial,
            "of": of,
            "params": Value::Record(params.clone()).to_json(),
            "epochs": epochs,
            "value": value,
            "best": best.map(|(trial, value)| json!({ "trial": trial, "value": value })),
            "elapsed": elapsed.secs_f64(),
            "cost": cost.to_f64(),
            "failure": failure.as_ref().map(self::failure),
        }),
        Notice::StepDone { step, elapsed, cost, value } => json!({
            "event": "step_done",
            "step": step,
            "elapsed": elapsed.secs_f64(),
            "cost": cost.to_f64(),
            "value": value.to_json(),
        }),
        Notice::StepFailed { step, failure } => {
            json!({ "event": "step_failed", "step": step, "failure": self::failure(failure) })
        }
        Notice::StepCaught { step, failed, kind } => {
            json!({ "event": "step_caught", "step": step, "failed": failed, "kind": kind.name() })
        }
        Notice::StepStopped { step } => json!({ "event": "step_stopped", "step": step }),
        Notice::StepRetried { step, failure, attempt, after, memory } => json!({
            "event": "step_retried",
            "step": step,
            "failure": self::failure(failure),
            "attempt": attempt,
            "after": after.secs_f64(),
            "memory": memory.map(Size::bytes),
        }),
        Notice::Stopping { steps } => json!({ "event": "stopping", "steps": steps }),
        Notice::Limit { scope, message } => json!({ "event": "limit", "scope": scope, "message": message }),
        Notice::Spent { total } => json!({ "event": "spent", "total": total.to_f64() }),
    };
    object["at"] = json!(at.0.secs_f64());
    Some(object)
}

/// How a run ended.
pub fn verdict(verdict: &Verdict) -> Json {
    match verdict {
        Verdict::Succeeded { value, marks } => json!({
            "status": "succeeded",
            "result": value.to_json(),
            "marks": marks.iter().map(mark).collect::<Vec<_>>(),
        }),
        Verdict::Failed { step, failure, .. } => {
            json!({ "status": "failed", "step": step, "failure": self::failure(failure) })
        }
        Verdict::Cancelled => json!({ "status": "cancelled" }),
    }
}

/// A result, with the path of each stored file.
pub fn result(value: &Value, path: &dyn Fn(&Artifact) -> PathBuf) -> Json {
    match value {
        Value::Artifact(artifact) => {
            let mut json = value.to_json();
            json["path"] = json!(path(artifact));
            json
        }
        Value::List(items) => items.iter().map(|item| result(item, path)).collect(),
        Value::Map(fields) | Value::Record(fields) => {
            fields.iter().map(|(name, value)| (name.to_string(), result(value, path))).collect()
        }
        value => value.to_json(),
    }
}

fn mark(mark: &Mark) -> Json {
    json!({ "scope": mark.scope, "message": mark.message })
}

fn failure(failure: &Failure) -> Json {
    json!({ "kind": failure.kind.name(), "message": failure.message, "help": failure.help, "log": failure.log })
}
