//! What the result of a command depends on.

use super::{Writer, bytes};
use crate::{
    cache::parts::Subject,
    source::Name,
    value::{Artifact, Fields, Value},
    wire::{Command, Program, Word},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A word of a command line. What is a parameter's value is told by its name: the value is a part of its own.
#[derive(Serialize)]
enum Piece<'a> {
    Input(&'a Name),
    Text(&'a str),
    File(&'a Artifact),
}

impl Writer<'_> {
    pub(super) fn command(&mut self, command: &Command) -> Result<(), String> {
        // What a command may use or is told of limits decides whether it ends well, not what it comes to.
        let Command { program, inputs, output, env, secrets } = command;
        self.parts.add(Subject::Output, &bytes(output), Some(output.to_string()));
        let mut data = BTreeSet::new();
        for (name, value) in inputs {
            match value {
                Value::Std(call) => self.call(name, call),
                Value::Model(model) => self.model(name, model),
                Value::Dataset(dataset) => self.dataset(name, dataset)?,
                value => self.setting(&**name, value, Some(value.to_string())),
            }
            self.files_of(value, &mut data);
        }
        for (name, text) in env {
            self.parts.add(Subject::Env(name.clone()), text.as_bytes(), Some(format!("{text:?}")));
            self.script(text, &data);
        }
        for (variable, name) in secrets {
            self.parts.add(Subject::Secret(variable.clone()), name.as_bytes(), Some(format!("`{name}`")));
        }
        match program {
            Program::Shell(script) => {
                let shown = (!script.contains('\n')).then(|| format!("`{script}`"));
                self.parts.add(Subject::Command, &bytes(&("shell", script)), shown);
                self.script(script, &data);
            }
            Program::Args(words) => {
                let pieces = pieces(words, inputs);
                let shown: Vec<String> = pieces.iter().map(shown).collect();
                self.parts.add(Subject::Command, &bytes(&("args", pieces)), Some(format!("`{}`", shown.join(" "))));
                for word in words {
                    if let Word::Text(text) = word {
                        self.script(text, &data);
                    }
                }
            }
        }
        Ok(())
    }

    /// The files that a value given to a task names; the texts in it are added to `data`.
    fn files_of<'v>(&mut self, value: &'v Value, data: &mut BTreeSet<&'v str>) {
        match value {
            Value::String(text) => {
                self.files.extend(self.words.given(text).map(|named| (named.name, named.path)));
                data.insert(text);
            }
            Value::List(items) => items.iter().for_each(|item| self.files_of(item, data)),
            Value::Map(fields) | Value::Record(fields) => fields.values().for_each(|field| self.files_of(field, data)),
            _ => {}
        }
    }

    /// The files that a command line or script names. What was given to the task is data; what the task itself names may
    /// be a script, which imports others beside it.
    fn script(&mut self, text: &str, data: &BTreeSet<&str>) {
        for named in &*self.words.script(text) {
            self.named(named);
            if !data.contains(&*named.name) {
                self.words.beside(named).iter().for_each(|other| self.named(other));
            }
        }
    }
}

fn pieces<'a>(words: &'a [Word], inputs: &'a Fields) -> Vec<Piece<'a>> {
    let mut texts: BTreeMap<String, &Name> = BTreeMap::new();
    for (name, value) in inputs {
        match value {
            Value::String(text) => drop(texts.insert(text.to_string(), name)),
            Value::List(_) | Value::Map(_) | Value::Record(_) | Value::Artifact(_) | Value::Model(_) => {}
            value => drop(texts.insert(value.to_string(), name)),
        }
    }
    let stored = |artifact: &Artifact| {
        inputs
            .iter()
            .find(|(_, value)| matches!(value, Value::Artifact(own) if **own == *artifact))
            .map(|(name, _)| name)
    };
    let piece = |word: &'a Word| match word {
        Word::Text(text) => texts.get(text).map_or(Piece::Text(text), |name| Piece::Input(name)),
        Word::File(artifact) => stored(artifact).map_or(Piece::File(artifact), Piece::Input),
    };
    words.iter().map(piece).collect()
}

fn shown(piece: &Piece) -> String {
    match piece {
        Piece::Input(name) => format!("{{{name}}}"),
        Piece::Text(text) => (*text).to_owned(),
        Piece::File(artifact) => artifact.name.clone(),
    }
}
