//! The measured tables. Those read here have one form: a model, a system, a number of workers, what was measured, notes.

use crate::{Model, System};
use std::{fs, io, path::Path};

/// A table by model, system and number of workers.
pub struct Table(Vec<Row>);

struct Row {
    model: String,
    system: String,
    workers: u64,
    measured: f64,
}

impl Table {
    pub fn read(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        let malformed = |line: &str| io::Error::other(format!("{}: `{line}` is not as expected", path.display()));
        let text = fs::read_to_string(&path)?;
        let rows = text.lines().skip(1).map(|line| Row::parse(line).ok_or_else(|| malformed(line)));
        rows.collect::<io::Result<_>>().map(Self)
    }

    /// What was measured of a system with a model, from the fewest workers to the most.
    pub fn of(&self, model: &Model, system: &System) -> Vec<(u64, f64)> {
        let rows = self.0.iter().filter(|row| row.model == model.id && row.system == system.id);
        let mut found: Vec<_> = rows.map(|row| (row.workers, row.measured)).collect();
        found.sort_by_key(|(workers, _)| *workers);
        found
    }
}

impl Row {
    /// Commas in notes do no harm, since notes come last.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(',');
        let (model, system) = (fields.next()?.to_owned(), fields.next()?.to_owned());
        Some(Self { model, system, workers: fields.next()?.parse().ok()?, measured: fields.next()?.parse().ok()? })
    }
}
