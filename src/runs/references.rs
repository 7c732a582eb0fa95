//! Which stored files the runs of a project refer to.

use super::{Runs, RunsError};
use crate::value::Hash;
use std::collections::BTreeSet;

/// The letters that a hash is written with.
const LENGTH: usize = 64;

impl Runs {
    /// The hashes of all stored files that an argument, an event, a notice or a result of any run names.
    ///
    /// # Errors
    /// When the logs can't be read.
    pub fn references(&self) -> Result<BTreeSet<Hash>, RunsError> {
        let mut found = BTreeSet::new();
        for column in [
            "args from runs",
            "verdict from runs where verdict is not null",
            "event from events",
            "notice from notices",
        ] {
            let mut select = self.database.prepare(&format!("select {column}"))?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                found.extend(hashes(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?));
            }
        }
        Ok(found)
    }
}

/// All that may be a hash in a text. What only looks like one keeps nothing but a file of that very name.
fn hashes(text: &str) -> impl Iterator<Item = Hash> {
    let words = text.split(|c: char| !c.is_ascii_hexdigit());
    words.filter(|word| word.len() == LENGTH).filter_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        runs::{
            Home, Recorder, Run,
            tests::{recipe, run},
        },
        schedule::{Notice, StepPath, Time, Verdict},
        units::{Duration, Money},
        value::{Artifact, Fields, Value},
    };

    fn artifact(name: &str) -> Artifact {
        Artifact { name: name.into(), hash: Hash::of(name.as_bytes()), bytes: 1 }
    }

    #[test]
    fn what_any_part_of_a_log_names_is_referred_to() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::of(folder.path());
        let value = |name: &str| Value::Artifact(Box::new(artifact(name)));
        let runs = Runs::open(&home).unwrap();
        let run = Run { args: Fields::from([("table".into(), value("argument"))]), ..run("one") };
        runs.enter(&run, &recipe()).unwrap();
        let recorder: Recorder = runs.record("one");
        let (step, cost) = (StepPath("main/a".into()), Money::ZERO);
        let list = Value::List(vec![value("in a list")]);
        recorder.notice(Time::default(), &Notice::StepDone { step, elapsed: Duration::ZERO, cost, value: list });
        let verdict = Verdict::Succeeded { value: value("result"), marks: Vec::new() };
        recorder.end(Time::default(), cost, &verdict).unwrap();

        let found = Runs::existing(&home).unwrap().unwrap().references().unwrap();
        assert_eq!(found, ["argument", "in a list", "result"].map(|name| artifact(name).hash).into());
    }

    #[test]
    fn hashes_are_found_also_in_a_text_inside_a_text() {
        let hash = Hash::of(b"a");
        let found: Vec<Hash> = hashes(&format!(r#"{{"text":"{{\"hash\":\"{hash}\"}}","not":"{hash}0"}}"#)).collect();
        assert_eq!(found, [hash]);
    }
}
