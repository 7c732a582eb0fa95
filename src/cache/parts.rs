//! What a step's result depends on, part by part, so that a difference can be told.

use crate::value::Hash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A longer text is not shown.
const SHOWN: usize = 60;

/// One of the things that a step's result depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The kind of step, and the version of what it means.
    Kind,
    /// The command line or the script of a task.
    Command,
    /// The declared result of a task.
    Output,
    /// A parameter of a task or a setting of a step; `optimizer.lr` is inside of `optimizer`.
    Setting(String),
    /// An environment variable of a task.
    Env(String),
    /// An environment variable of a task that holds a secret, of which the name alone counts.
    Secret(String),
    /// A file or folder, by its path.
    File(String),
}

impl Subject {
    /// Whether `other` says a part of what this does.
    fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Setting(whole), Self::Setting(part)) => {
                part.strip_prefix(whole.as_str()).is_some_and(|rest| rest.starts_with('.'))
            }
            _ => false,
        }
    }
}

/// What something came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The hash of all of it.
    pub hash: Hash,
    /// The whole as a person would write it, where that is short.
    pub shown: Option<String>,
}

/// All that a step's result depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Subject, Content)>", into = "Vec<(Subject, Content)>")]
pub struct Parts(BTreeMap<Subject, Content>);

/// A part in which two steps differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which part.
    pub subject: Subject,
    /// What it was, if it was there.
    pub before: Option<Content>,
    /// What it is, if it is there.
    pub now: Option<Content>,
}

impl Parts {
    /// Adds a part, by the bytes that tell it from all others.
    pub fn add(&mut self, subject: Subject, bytes: &[u8], shown: Option<String>) {
        self.add_hash(subject, Hash::of(bytes), shown);
    }

    /// Adds a part, by its hash.
    pub fn add_hash(&mut self, subject: Subject, hash: Hash, shown: Option<String>) {
        let shown = shown.filter(|text| text.len() <= SHOWN);
        self.0.insert(subject, Content { hash, shown });
    }

    /// The key under which a result of these parts is kept.
    pub fn key(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        for (subject, content) in &self.0 {
            let (tag, name) = match subject {
                Subject::Kind => (0_u8, ""),
                Subject::Command => (1, ""),
                Subject::Output => (2, ""),
                Subject::Setting(name) => (3, &**name),
                Subject::Env(name) => (4, &**name),
                Subject::File(name) => (5, &**name),
                Subject::Secret(name) => (6, &**name),
            };
            hasher.update(&[tag]).update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
            hasher.update(content.hash.as_bytes());
        }
        hasher.finalize().into()
    }

    /// Where they differ from `before`. Of a whole that differs because a part of it does, only the part is told.
    pub fn changes(&self, before: &Self) -> Vec<Change> {
        let subjects = self.0.keys().chain(before.0.keys().filter(|subject| !self.0.contains_key(subject)));
        let content = |parts: &Self, subject| parts.0.get(subject).cloned();
        let mut changes: Vec<Change> = subjects
            .map(|subject| Change {
                subject: subject.clone(),
                before: content(before, subject),
                now: content(self, subject),
            })
            .filter(|change| {
                let hash = |content: &Option<Content>| content.as_ref().map(|content| content.hash);
                hash(&change.before) != hash(&change.now)
            })
            .collect();
        let all: Vec<Subject> = changes.iter().map(|change| change.subject.clone()).collect();
        changes.retain(|change| !all.iter().any(|other| change.subject.holds(other)));
        changes
    }
}

impl From<Vec<(Subject, Content)>> for Parts {
    fn from(parts: Vec<(Subject, Content)>) -> Self {
        Self(parts.into_iter().collect())
    }
}

impl From<Parts> for Vec<(Subject, Content)> {
    fn from(parts: Parts) -> Self {
        parts.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
