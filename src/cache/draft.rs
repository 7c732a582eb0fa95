//! From a step to the parts of its key: first what its settings say, then what the files hold that it reads.

mod command;

use super::{
    memo::Memo,
    parts::{Parts, Subject},
    words::{Named, Words},
};
use crate::{
    data::Files,
    store::Objects,
    value::{Call, Dataset, Hash, Model},
    wire::{Evaluate, Horizon, Inspect, Op, Train},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Of how many bytes of files the hash may be taken while others wait.
const QUICK: u64 = 1 << 20;

/// What each kind of step means. A number is raised whenever the same settings and data come to something else.
pub(super) const fn meaning(op: &Op) -> (&'static str, u32) {
    match op {
        Op::Inspect(_) => ("inspect", 1),
        Op::Train(_) => ("train", 3),
        Op::Evaluate(_) => ("evaluate", 1),
        Op::Command(_) => ("run", 1),
    }
}

/// The parts of a step's key, but for what its files hold.
pub struct Draft {
    parts: Parts,
    files: BTreeMap<String, PathBuf>,
    memo: Arc<Memo>,
}

/// The parts of a step's key, and the files that they were taken from.
pub struct Keyed {
    /// The parts.
    pub parts: Parts,
    /// The files with the hashes of their contents.
    pub files: Vec<(PathBuf, Hash)>,
}

impl Draft {
    /// What the settings of a step say. The error is one sentence.
    pub fn new(op: &Op, project: &Path, objects: &Objects, words: &Words) -> Result<Self, String> {
        let mut parts = Parts::default();
        let (kind, version) = meaning(op);
        let by = if cfg!(feature = "cuda") && matches!(op, Op::Train(_) | Op::Evaluate(_)) { ", by CUDA" } else { "" };
        let kind = format!("{kind}, version {version}{by}");
        parts.add(Subject::Kind, kind.as_bytes(), Some(kind.clone()));
        let files = BTreeMap::new();
        let mut writer = Writer { parts, files, project, objects, words };
        match op {
            Op::Inspect(inspect) => {
                let Inspect { data } = &**inspect;
                writer.dataset("data", data)?;
            }
            Op::Train(train) => writer.train(train)?,
            Op::Evaluate(evaluate) => {
                let Evaluate { model, data, metrics } = &**evaluate;
                writer.model("model", model);
                writer.dataset("data", data)?;
                writer.calls("metrics", metrics);
            }
            Op::Command(command) => writer.command(command)?,
        }
        Ok(Self { parts: writer.parts, files: writer.files, memo: words.memo().clone() })
    }

    /// Whether little must be read to finish it.
    pub fn is_quick(&self) -> bool {
        let bytes = self.files.values().try_fold(0_u64, |sum, path| Some(sum.saturating_add(self.memo.unread(path)?)));
        bytes.is_some_and(|bytes| bytes <= QUICK)
    }

    /// Adds what the files hold. The error is one sentence.
    pub fn finish(self) -> Result<Keyed, String> {
        let Self { mut parts, files, memo } = self;
        let mut read = Vec::with_capacity(files.len());
        for (name, path) in files {
            let hash = memo.content(&path).map_err(|error| format!("`{name}` can't be read: {error}"))?;
            parts.add_hash(Subject::File(name), hash, None);
            read.push((path, hash));
        }
        Ok(Keyed { parts, files: read })
    }
}

struct Writer<'a> {
    parts: Parts,
    files: BTreeMap<String, PathBuf>,
    project: &'a Path,
    objects: &'a Objects,
    words: &'a Words,
}

impl Writer<'_> {
    fn setting(&mut self, name: impl Into<String>, value: &impl Serialize, shown: Option<String>) {
        self.parts.add(Subject::Setting(name.into()), &bytes(value), shown);
    }

    fn train(&mut self, train: &Train) -> Result<(), String> {
        let Train {
            model,
            data,
            valid,
            optimizer,
            loss,
            schedule,
            batch,
            shards,
            averaging,
            horizon,
            until,
            metrics,
            objective,
            init,
            seed,
            rung,
            team,
        } = train;
        self.model("model", model);
        self.dataset("data", data)?;
        if let Some(valid) = valid {
            self.dataset("valid", valid)?;
        }
        self.call("optimizer", optimizer);
        for (name, call) in [("loss", loss), ("schedule", schedule)] {
            if let Some(call) = call {
                self.call(name, call);
            }
        }
        self.setting("batch", batch, Some(batch.to_string()));
        self.setting("shards", shards, shards.map(|shards| shards.to_string()));
        self.setting("sync", averaging, Some(averaging.to_string()));
        // Who trains comes to the same bits, unless the workers' own ways are averaged or what they give is rounded.
        if !averaging.is_exact() {
            self.setting("workers", &team.workers, Some(team.workers.to_string()));
            self.setting("exchange", &team.exchange, team.exchange.map(|exchange| exchange.name().to_owned()));
            self.setting("replan", &team.replan, None);
        }
        let (name, length) = match horizon {
            Horizon::Epochs(epochs) => ("epochs", epochs),
            Horizon::Steps(steps) => ("steps", steps),
        };
        self.setting(name, length, Some(length.to_string()));
        self.setting("until", until, None);
        self.calls("metrics", metrics);
        self.setting("objective", objective, None);
        self.setting("init", init, init.as_ref().map(ToString::to_string));
        self.setting("seed", seed, None);
        self.setting("rung", rung, rung.as_ref().map(|rung| format!("up to epoch {}", rung.pause_at)));
        Ok(())
    }

    fn named(&mut self, Named { name, path }: &Named) {
        if !self.files.contains_key(name) {
            self.files.insert(name.clone(), path.clone());
        }
    }

    fn call(&mut self, name: &str, call: &Call) {
        self.setting(name, call, Some(call.to_string()));
        for (arg, value) in &call.args {
            self.setting(format!("{name}.{arg}"), value, Some(value.to_string()));
        }
    }

    fn calls(&mut self, name: &str, calls: &[Call]) {
        let shown: Vec<&str> = calls.iter().map(|call| &*call.name).collect();
        self.setting(name, &calls, Some(format!("[{}]", shown.join(", "))));
    }

    fn model(&mut self, name: &str, model: &Model) {
        self.setting(name, model, None);
        for (arg, value) in &model.args {
            self.setting(format!("{name}.{arg}"), value, Some(value.to_string()));
        }
    }

    fn dataset(&mut self, name: &str, dataset: &Dataset) -> Result<(), String> {
        self.setting(name, dataset, None);
        self.files_of_dataset(dataset)
    }

    fn files_of_dataset(&mut self, dataset: &Dataset) -> Result<(), String> {
        let files = Files::find(dataset, self.project, self.objects).and_then(|files| files.all(dataset));
        for source in files.map_err(|error| error.to_string())? {
            // What a stored file holds, its name tells already.
            if !source.path().starts_with(self.objects.root()) {
                self.files.insert(source.name.clone(), source.path().to_owned());
            }
        }
        Ok(())
    }
}

/// The bytes that tell a setting from all others; the maps in it are in the order of their keys.
fn bytes(value: &impl Serialize) -> Vec<u8> {
    // Plain data with texts as keys can always be written.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
