//! Results of steps, kept under the hash of all that they depend on, so that what was done once need not be done again.
//!
//! `.smlt/cache.db` (SQLite, WAL) holds the results; the files in them lie in the object store, and are there before the
//! entry that names them. Two programs may use it at the same time.

mod draft;
mod memo;
mod parts;
mod session;
mod words;
mod writer;

pub use draft::{Draft, Keyed};
pub use memo::Memo;
pub use parts::{Change, Content, Parts, Subject};
pub use session::{Begin, Served, Session, Tally};
pub use words::{Named, Words};

use crate::{
    database,
    units::Duration,
    value::{Artifact, Hash},
    wire::Done,
};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Changed with every change of the tables or of what their JSON holds.
const FORMAT: i64 = 1;

const TABLES: &str = "
    -- What a step came to, under the hash of all that it depends on; times are milliseconds since 1970.
    create table if not exists entries (
        key blob primary key, kind text not null, done text not null, bytes integer not null, run text not null,
        step text not null, made integer not null, used integer not null
    ) strict;
    -- What a key was made from.
    create table if not exists parts (key blob primary key, parts text not null) strict;
    -- For each step of each run, what was found when it began.
    create table if not exists steps (
        run text not null, step text not null, key blob, finding text not null, primary key (run, step)
    ) strict, without rowid;
";

/// Why the cache can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The database refused.
    #[error("the cache, `.smlt/cache.db`, can't be used: {0}")]
    Database(#[from] rusqlite::Error),
    /// It was written by another version of the program.
    #[error("the cache, `.smlt/cache.db`, was written by another version of smltc")]
    Version,
    /// What it holds can't be read.
    #[error("the cache, `.smlt/cache.db`, holds what can't be read: {0}")]
    Content(#[from] serde_json::Error),
}

impl CacheError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Version => "remove the file; all that is lost is that steps run again",
            Self::Database(_) | Self::Content(_) => {
                "if it is damaged, remove the file; all that is lost is that steps run again"
            }
        }
    }
}

/// What was found when a step began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The result of a run, made at a time, which served.
    Served {
        /// The run.
        run: String,
        /// When, in milliseconds since 1970.
        made: i64,
    },
    /// No result of a step like this.
    Nothing,
    /// A result, but one that is older than `@cache` allows.
    Old {
        /// The run that made it.
        run: String,
        /// When, in milliseconds since 1970.
        made: i64,
    },
    /// A result of a run whose files are gone or damaged.
    Lost {
        /// The run that made it.
        run: String,
    },
    /// `--no-cache`: nothing was looked for.
    Ignored,
    /// `@cache(off)`: nothing was looked for.
    Off,
    /// The command returns nothing, so it is run for what it does.
    Effect,
    /// It can't be told what the step depends on, for this reason.
    Unknown(String),
}

/// A result that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The hash of all that it depends on.
    pub key: Hash,
    /// The kind of its step: `train`, `run`, `evaluate`, `inspect`.
    pub kind: String,
    /// The step that made it.
    pub step: String,
    /// The run that made it.
    pub run: String,
    /// When, in milliseconds since 1970.
    pub made: i64,
    /// When it last served, or was made; right to the hour.
    pub used: i64,
    /// The length of its files.
    pub bytes: u64,
    /// The stored files in it.
    pub files: Vec<Artifact>,
}

/// The cache of a project.
pub struct Cache {
    database: Connection,
}

impl Cache {
    /// Opens the cache in a file, and makes the file if there is none yet.
    ///
    /// # Errors
    /// When it can't be written, is no database, or was written by another version.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        Self::ready(Connection::open(path)?)
    }

    /// Opens the cache in a file, if it is there.
    ///
    /// # Errors
    /// When it can't be written, is no database, or was written by another version.
    pub fn existing(path: &Path) -> Result<Option<Self>, CacheError> {
        if !path.exists() {
            return Ok(None);
        }
        Self::ready(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?).map(Some)
    }

    fn ready(database: Connection) -> Result<Self, CacheError> {
        match database::ready(&database, FORMAT, TABLES)? {
            true => Ok(Self { database }),
            false => Err(CacheError::Version),
        }
    }

    /// All results, the newest first.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn entries(&self) -> Result<Vec<Entry>, CacheError> {
        let mut query = self.database.prepare("select * from entries order by made desc, rowid desc")?;
        let rows = query.query_map([], |row| Ok((read(row)?, row.get::<_, String>("done")?)))?;
        rows.map(|row| {
            let (mut entry, done) = row?;
            entry.files = files(&result(&done)?);
            Ok(entry)
        })
        .collect()
    }

    /// The stored files that results refer to.
    ///
    /// # Errors
    /// When the results can't be read.
    pub fn references(&self) -> Result<BTreeSet<Hash>, CacheError> {
        let mut query = self.database.prepare("select done from entries")?;
        let rows = query.query_map([], |row| row.get::<_, String>(0))?;
        let mut references = BTreeSet::new();
        for done in rows {
            references.extend(Hash::all_in(&done?));
        }
        Ok(references)
    }

    /// Drops results.
    ///
    /// # Errors
    /// When the cache can't be written.
    pub fn drop_entries(&mut self, keys: impl IntoIterator<Item = Hash>) -> Result<(), CacheError> {
        let batch = self.database.transaction()?;
        for key in keys {
            batch.prepare_cached("delete from entries where key = ?")?.execute([key.as_bytes()])?;
        }
        batch.commit()?;
        Ok(())
    }

    /// Drops what is known of the steps of runs that are not among `runs`, and what no step or result needs any more.
    ///
    /// # Errors
    /// When the cache can't be written.
    pub fn forget_runs_but(&mut self, runs: &BTreeSet<String>) -> Result<(), CacheError> {
        let batch = self.database.transaction()?;
        {
            let mut query = batch.prepare("select distinct run from steps")?;
            let known = query.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            for run in known.iter().filter(|run| !runs.contains(*run)) {
                batch.execute("delete from steps where run = ?", [run])?;
            }
        }
        batch.execute(
            "delete from parts where key not in (select key from entries)
             and key not in (select key from steps where key is not null)",
            [],
        )?;
        batch.commit()?;
        Ok(())
    }

    /// What was found when the steps of a run began, by step.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn findings(&self, run: &str) -> Result<Vec<(String, Finding)>, CacheError> {
        let mut query = self.database.prepare("select step, finding from steps where run = ? order by step")?;
        let rows = query.query_map([run], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| {
            let (step, finding) = row?;
            Ok((step, serde_json::from_str(&finding)?))
        })
        .collect()
    }

    /// What a step of a run depended on; `None` where that is not known.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn parts(&self, run: &str, step: &str) -> Result<Option<Parts>, CacheError> {
        let text: Option<String> = self
            .database
            .query_row(
                "select parts from parts join steps using (key) where run = ? and step = ?",
                [run, step],
                |row| row.get(0),
            )
            .optional()?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
    }
}

fn read(row: &Row) -> rusqlite::Result<Entry> {
    let key: [u8; 32] = row.get("key")?;
    Ok(Entry {
        key: key.into(),
        kind: row.get("kind")?,
        step: row.get("step")?,
        run: row.get("run")?,
        made: row.get("made")?,
        used: row.get("used")?,
        bytes: u64::try_from(row.get::<_, i64>("bytes")?).unwrap_or(0),
        files: Vec::new(),
    })
}

/// Reads a result, which may be nested deeper than JSON from strangers should be.
fn result(json: &str) -> serde_json::Result<Done> {
    let mut json = serde_json::Deserializer::from_str(json);
    json.disable_recursion_limit();
    Done::deserialize(&mut json)
}

/// The stored files in a result, each once.
fn files(done: &Done) -> Vec<Artifact> {
    let checkpoint = done.trained.as_ref().and_then(|trained| trained.checkpoint.as_ref());
    let mut files: Vec<Artifact> = checkpoint.into_iter().cloned().collect();
    done.output.stored_files(&mut |file| files.push(file.clone()));
    files.sort_by_key(|file| file.hash);
    files.dedup_by_key(|file| file.hash);
    files
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from(since).millis()
}

#[cfg(test)]
impl Cache {
    /// Keeps a value as the result of a step.
    pub fn keep(&self, key: Hash, output: crate::value::Value) {
        let done = Done { output, trained: None, elapsed: Duration::ZERO };
        let done = serde_json::to_string(&done).unwrap();
        let insert = "insert into entries values (?, 'run', ?, 0, 'a', 'main/a', 0, 0)";
        self.database.execute(insert, rusqlite::params![key.as_bytes(), done]).unwrap();
    }
}
