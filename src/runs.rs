//! The runs of a project: a list, and for each run the log that it is.
//!
//! All is kept in `.smlt/` beside the workflow file: `runs.db` holds the list and the logs, `objects/` what steps made,
//! `runs/<id>/` each run's working files and the logs of its commands. Two programs may use it at the same time.

pub mod compare;
mod find;
pub mod gc;
mod leaves;
mod log;
pub mod logs;
pub mod metrics;
pub mod mlflow;
pub mod pick;
mod recorder;
pub mod references;
mod remove;
mod story;

pub use find::{NotFound, Query, Standing};
pub use leaves::leaves;
pub use log::Place;
pub use recorder::Recorder;
pub use remove::Removal;
pub use story::{End, Step, Story, Trial};

use crate::{
    database,
    schedule::{Event, Notice, Options, Time, Verdict},
    units::{Duration, Money},
    value::{Fields, Hash},
};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, TransactionBehavior, params};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Changed with every change of the tables or of what their JSON holds.
const FORMAT: i64 = 2;

const TABLES: &str = "
    create table if not exists runs (
        id text primary key, file text not null, workflow text not null, args text not null, seed integer not null,
        files text not null, options text not null, started integer not null, process integer not null,
        born integer not null, ended integer, spent text, verdict text
    ) strict;
    -- What the scheduler was told: replaying it gives the scheduler back.
    create table if not exists events (run text not null, at integer not null, event text not null) strict;
    -- What the user was told: reports read it.
    create table if not exists notices (run text not null, at integer not null, notice text not null) strict;
    create index if not exists runs_by_start on runs (started, id);
    create index if not exists events_of on events (run);
    create index if not exists notices_of on notices (run);
";

/// Why the list of runs can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// The folder can't be made or written.
    #[error(
        "`{0}` can't be written: {1}\nhelp: runs are kept there; allow writing, or run a copy of the project elsewhere"
    )]
    Folder(PathBuf, io::Error),
    /// The database refused.
    #[error("the list of runs, `.smlt/runs.db`, can't be used: {0}{help}", help = mend(.0))]
    Database(#[from] rusqlite::Error),
    /// It was written by another version of the program.
    #[error(
        "the list of runs, `.smlt/runs.db`, was written by another version of smltc\nhelp: use that version, or rename \
         `.smlt`, which begins a new list"
    )]
    Version,
    /// What it holds can't be read.
    #[error(
        "the list of runs, `.smlt/runs.db`, holds what can't be read: {0}\nhelp: rename it, which begins a new list"
    )]
    Content(#[from] serde_json::Error),
    /// Another process is at the run.
    #[error("the run is under way in process {0}\nhelp: wait for its end, or stop it: `kill -INT {0}`")]
    Running(u32),
    /// Another process was at the run meanwhile.
    #[error("the run was resumed by another process meanwhile\nhelp: `smltc runs` shows how it stands now")]
    Changed,
}

/// What can be done about an error of the database.
fn mend(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "\nhelp: it is damaged; rename it, and `runs.db-wal` beside it, which begins a new list. What steps have made \
             is kept in `.smlt/objects`"
        }
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => "\nhelp: free space on the disk of the project",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "\nhelp: allow writing in `.smlt`, or run a copy of the project elsewhere"
        }
        _ => "",
    }
}

/// The folder of a project in which its runs are kept.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// The home in a project's folder.
    pub fn of(project: &Path) -> Self {
        Self(project.join(".smlt"))
    }

    /// Where stored files lie.
    pub fn objects(&self) -> PathBuf {
        self.0.join("objects")
    }

    /// A run's own folder.
    pub fn run(&self, id: &str) -> PathBuf {
        self.0.join("runs").join(id)
    }

    /// The cache of the results of steps.
    pub fn cache(&self) -> PathBuf {
        self.0.join("cache.db")
    }

    fn database(&self) -> PathBuf {
        self.0.join("runs.db")
    }
}

/// Where the commands of a run get folders to work in, inside the run's own.
pub fn work(run: &Path) -> PathBuf {
    run.join("work")
}

/// A run as the list has it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name, such as `20261123-231455-main-7f3a`.
    pub id: String,
    /// The workflow file, from the project's folder.
    pub file: String,
    /// The workflow.
    pub workflow: String,
    /// Its arguments.
    pub args: Fields,
    /// Its seed.
    pub seed: u64,
    /// When it started, in milliseconds since 1970.
    pub started: i64,
    /// How it stands.
    pub state: RunState,
    /// How long it took, if it is over.
    pub elapsed: Option<Duration>,
    /// What it cost, if it is over.
    pub spent: Option<Money>,
}

/// What a run was begun with, besides its arguments, and must go on with.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// The hash of what its workflow file and all that it imports say.
    pub files: Hash,
    /// How it is done.
    pub options: Options,
}

/// How a run stands.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// It is under way.
    Running,
    /// Its program is gone without having ended it.
    Interrupted,
    /// It is over.
    Over(Box<Verdict>),
}

impl RunState {
    /// The state in one word.
    pub fn word(&self) -> &'static str {
        self.standing().word()
    }
}

/// The runs of a project.
pub struct Runs {
    database: Connection,
}

impl Runs {
    /// Opens the runs of a project, and makes room for them if there are none yet.
    ///
    /// # Errors
    /// When the folder can't be written, or holds the runs of another version.
    pub fn open(home: &Home) -> Result<Self, RunsError> {
        fs::create_dir_all(&home.0).map_err(|error| RunsError::Folder(home.0.clone(), error))?;
        // A project's own version control need not know of its runs.
        let ignore = home.0.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(|error| RunsError::Folder(ignore, error))?;
        }
        Self::ready(Connection::open(home.database())?)
    }

    /// Opens the runs of a project, if it has any.
    ///
    /// # Errors
    /// When they are of another version, or can't be read.
    pub fn existing(home: &Home) -> Result<Option<Self>, RunsError> {
        if !home.database().exists() {
            return Ok(None);
        }
        match Connection::open_with_flags(home.database(), OpenFlags::SQLITE_OPEN_READ_WRITE).map(Self::ready)? {
            // Who may only read can read what was there when the last run ended.
            Err(RunsError::Database(error))
                if matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)) =>
            {
                let uri = format!("file:{}?immutable=1", home.database().display());
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                Ok(Some(Self { database: Connection::open_with_flags(uri, flags)? }))
            }
            ready => ready.map(Some),
        }
    }

    fn ready(database: Connection) -> Result<Self, RunsError> {
        match database::ready(&database, FORMAT, TABLES)? {
            true => Ok(Self { database }),
            false => Err(RunsError::Version),
        }
    }

    /// Enters a run that begins now, in this process.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn enter(&self, run: &Run, recipe: &Recipe) -> Result<(), RunsError> {
        let process = std::process::id();
        self.database.execute(
            "insert into runs (id, file, workflow, args, seed, files, options, started, process, born)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                run.id,
                run.file,
                run.workflow,
                json(&run.args)?,
                run.seed as i64,
                recipe.files.to_string(),
                json(&recipe.options)?,
                run.started,
                process,
                born(process).unwrap_or(0)
            ],
        )?;
        Ok(())
    }

    /// What a run was begun with.
    ///
    /// # Errors
    /// When the list can't be read.
    pub fn recipe(&self, id: &str) -> Result<Recipe, RunsError> {
        let mut query = self.database.prepare("select files, options from runs where id = ?")?;
        let (files, options) = query.query_row([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        Ok(Recipe { files: serde_json::from_value(files.into())?, options: serde_json::from_str(&options)? })
    }

    /// The process that is at a run, if one is.
    ///
    /// # Errors
    /// When the list can't be read.
    pub fn holder(&self, id: &str) -> Result<Option<u32>, RunsError> {
        Ok(holder(&self.database, id)?)
    }

    /// Lets this process go on with a run whose log was read: of its `events`, the first `kept` stay, and it is under way
    /// again. Of several processes that try, one succeeds.
    ///
    /// # Errors
    /// When another process is at the run or was since, or the list can't be written.
    pub fn take_over(&mut self, id: &str, events: usize, kept: usize) -> Result<(), RunsError> {
        let change = self.database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(process) = holder(&change, id)? {
            return Err(RunsError::Running(process));
        }
        let logged: i64 = change.query_row("select count(*) from events where run = ?", [id], |row| row.get(0))?;
        if usize::try_from(logged) != Ok(events) {
            return Err(RunsError::Changed);
        }
        change.execute(
            "delete from events where run = ?1 and rowid not in
                 (select rowid from events where run = ?1 order by rowid limit ?2)",
            params![id, kept as i64],
        )?;
        let process = std::process::id();
        change.execute(
            "update runs set process = ?, born = ?, ended = null, spent = null, verdict = null where id = ?",
            params![process, born(process).unwrap_or(0), id],
        )?;
        Ok(change.commit()?)
    }

    /// Takes the connection for a thread that writes the log of the run `id`.
    pub fn record(self, id: &str) -> Recorder {
        Recorder::new(self.database, id.to_owned())
    }

    /// What the user was told in a run, in order.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn notices(&self, id: &str) -> Result<Vec<(Time, Notice)>, RunsError> {
        self.log("select at, notice from notices where run = ? order by rowid", id)
    }

    /// What the scheduler was told in a run, in order.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn events(&self, id: &str) -> Result<Vec<(Time, Event)>, RunsError> {
        self.log("select at, event from events where run = ? order by rowid", id)
    }

    fn log<T: DeserializeOwned>(&self, query: &str, id: &str) -> Result<Vec<(Time, T)>, RunsError> {
        let mut query = self.database.prepare(query)?;
        let rows = query.query_map([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| {
            let (at, text) = row?;
            Ok((Time(Duration::from_millis(at)), serde_json::from_str(&text)?))
        })
        .collect()
    }
}

fn read(row: &Row) -> Result<Run, RunsError> {
    let verdict: Option<String> = row.get("verdict")?;
    let state = match verdict {
        Some(verdict) => RunState::Over(serde_json::from_str(&verdict)?),
        None => match born(row.get("process")?) {
            Some(born) if born == row.get::<_, i64>("born")? => RunState::Running,
            _ => RunState::Interrupted,
        },
    };
    Ok(Run {
        id: row.get("id")?,
        file: row.get("file")?,
        workflow: row.get("workflow")?,
        args: serde_json::from_str(&row.get::<_, String>("args")?)?,
        seed: row.get::<_, i64>("seed")? as u64,
        started: row.get("started")?,
        state,
        elapsed: row.get::<_, Option<i64>>("ended")?.map(Duration::from_millis),
        spent: row.get::<_, Option<String>>("spent")?.map(|spent| serde_json::from_str(&spent)).transpose()?,
    })
}

fn holder(database: &Connection, id: &str) -> rusqlite::Result<Option<u32>> {
    let mut query = database.prepare("select process, born, verdict is not null from runs where id = ?")?;
    let (process, birth, is_over): (u32, i64, bool) =
        query.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(Some(process).filter(|_| !is_over && born(process) == Some(birth)))
}

fn json(value: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(value)
}

/// When a process started, in clock ticks since the machine did: a process number is used again, the two together are not.
/// `None` when there is no such process, or it is dead and only waits for its parent to hear of it.
fn born(process: u32) -> Option<i64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name stands in parentheses and may hold anything; what follows it are the state and numbers.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    fields.next().filter(|state| !matches!(*state, "Z" | "X"))?;
    fields.nth(18)?.parse().ok()
}

/// A new run's name: when it started, what runs, and four digits that tell apart what started in one second.
pub fn new_id(workflow: &str, now: &jiff::ZonedDateTime) -> String {
    let nanos = now.timestamp().as_nanosecond();
    let hash = blake3::hash(format!("{nanos} {}", std::process::id()).as_bytes());
    format!("{}-{workflow}-{:.4}", now.strftime("%Y%m%d-%H%M%S"), hash.to_hex().as_str())
}

#[cfg(test)]
mod tests;
