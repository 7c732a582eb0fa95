//! Which runs are meant: one by a name for it, or all that fit a query.

use super::{Run, RunState, Runs, RunsError, read};
use crate::{
    diagnostic::similar,
    schedule::Verdict,
    value::{Fields, Value},
};
use rusqlite::{OptionalExtension, params};

/// How a run stands, without what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is under way.
    Running,
    /// Its program is gone without having ended it.
    Interrupted,
    /// It has the whole result.
    Succeeded,
    /// It has a result, and a limit made it less than what was asked for.
    CutShort,
    /// It has none.
    Failed,
    /// It has none, for a deadline or budget was missed.
    LimitMissed,
    /// The user stopped it.
    Cancelled,
}

impl Standing {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Interrupted,
        Self::Succeeded,
        Self::CutShort,
        Self::Failed,
        Self::LimitMissed,
        Self::Cancelled,
    ];

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Succeeded => "succeeded",
            Self::CutShort => "cut short",
            Self::Failed => "failed",
            Self::LimitMissed => "limit missed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl RunState {
    /// The state, without what came of the run.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Running => Standing::Running,
            Self::Interrupted => Standing::Interrupted,
            Self::Over(verdict) => match &**verdict {
                Verdict::Succeeded { marks, .. } if marks.is_empty() => Standing::Succeeded,
                Verdict::Succeeded { .. } => Standing::CutShort,
                Verdict::Failed { failure, .. } if failure.kind.is_limit() => Standing::LimitMissed,
                Verdict::Failed { .. } => Standing::Failed,
                Verdict::Cancelled => Standing::Cancelled,
            },
        }
    }
}

/// What must hold of a run; what is left out or empty asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The workflow file, from the project's folder.
    pub file: Option<String>,
    /// The workflow.
    pub workflow: Option<String>,
    /// How it stands: one of these.
    pub states: Vec<Standing>,
    /// When it started at the earliest, in milliseconds since 1970.
    pub since: Option<i64>,
    /// When it started at the latest.
    pub until: Option<i64>,
    /// Values of arguments, as they are written on the command line or in a file.
    pub params: Vec<(String, String)>,
}

impl Query {
    fn fits(&self, run: &Run) -> bool {
        (self.states.is_empty() || self.states.contains(&run.state.standing()))
            && self.params.iter().all(|(name, text)| is_written(run.argument(name), text))
    }
}

/// Whether `text` is a way to write the value.
fn is_written(value: Option<&Value>, text: &str) -> bool {
    let Some(value) = value else { return false };
    let number = || text.parse().is_ok_and(|number: f64| value.as_f64() == Some(number));
    value.as_str() == Some(text)
        || value.to_string() == text
        || matches!(value, Value::Money(money) if money.to_string()[1..] == *text)
        || number()
        || serde_json::from_str::<serde_json::Value>(text).is_ok_and(|json| json == value.to_json())
}

impl Run {
    /// An argument by its name; one inside a record by the names on the way, with dots between them.
    pub fn argument(&self, name: &str) -> Option<&Value> {
        inside(&self.args, name)
    }

    /// A field of the result in the same way; the whole of a result that is no record is called `result`.
    pub fn outcome(&self, name: &str) -> Option<&Value> {
        match self.result()? {
            Value::Record(fields) => inside(fields, name),
            value => (name == "result").then_some(value),
        }
    }

    /// The result, if there is one.
    pub fn result(&self) -> Option<&Value> {
        match &self.state {
            RunState::Over(verdict) => match &**verdict {
                Verdict::Succeeded { value, .. } => Some(value),
                Verdict::Failed { .. } | Verdict::Cancelled => None,
            },
            RunState::Running | RunState::Interrupted => None,
        }
    }
}

fn inside<'v>(fields: &'v Fields, name: &str) -> Option<&'v Value> {
    fields.get(name).or_else(|| {
        let (outer, inner) = name.split_once('.')?;
        match fields.get(outer)? {
            Value::Record(fields) | Value::Map(fields) => inside(fields, inner),
            _ => None,
        }
    })
}

/// Why no run is meant by a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// There is none at all.
    #[error("there are no runs yet")]
    NoRuns,
    /// There are fewer.
    #[error("`{name}` goes back too far: the number of runs is {count}")]
    TooFar {
        /// What was asked for.
        name: String,
        /// The runs that there are.
        count: usize,
    },
    /// None starts so.
    #[error("there is no run `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
        /// A run of a similar name.
        near: Option<String>,
    },
    /// Several start so.
    #[error("several runs start with `{name}`: {}", ids.join(", "))]
    Several {
        /// What was asked for.
        name: String,
        /// Some of them.
        ids: Vec<String>,
    },
}

/// The runs that are named where several start with the same text.
const SEVERAL: usize = 5;

/// How far the latest run is from the one meant by `last` or `last~2`; `None` for any other name.
fn steps_back(name: &str) -> Option<usize> {
    match name.strip_prefix("last")? {
        "" => Some(0),
        rest => rest.strip_prefix('~')?.parse().ok(),
    }
}

impl Runs {
    /// Whether a word is meant to name a run: names start with a date.
    pub fn is_name(word: &str) -> bool {
        steps_back(word).is_some() || word.starts_with(|c: char| c.is_ascii_digit())
    }

    /// All runs, the latest first.
    ///
    /// # Errors
    /// When the list can't be read.
    pub fn list(&self) -> Result<Vec<Run>, RunsError> {
        self.select(&Query::default(), usize::MAX)
    }

    /// The latest `limit` runs that fit a query, the latest first.
    ///
    /// # Errors
    /// When the list can't be read.
    pub fn select(&self, query: &Query, limit: usize) -> Result<Vec<Run>, RunsError> {
        let mut select = self.database.prepare(
            "select * from runs where (?1 is null or file = ?1) and (?2 is null or workflow = ?2) \
             and started >= ?3 and started <= ?4 order by started desc, id desc",
        )?;
        let (since, until) = (query.since.unwrap_or(i64::MIN), query.until.unwrap_or(i64::MAX));
        let rows = select.query_map(params![query.file, query.workflow, since, until], |row| Ok(read(row)))?;
        let fitting = rows.map(|run| run?).filter(|run| run.as_ref().map_or(true, |run| query.fits(run)));
        fitting.take(limit).collect()
    }

    /// The run that a name stands for: how its own name starts, `last`, or `last~N`, which is the Nth before the last.
    /// Without a name it is the last.
    ///
    /// # Errors
    /// When the list can't be read.
    pub fn find(&self, name: Option<&str>) -> Result<Result<Run, NotFound>, RunsError> {
        let name = name.unwrap_or("last");
        if let Some(back) = steps_back(name) {
            let query = "select * from runs order by started desc, id desc limit 1 offset ?";
            let run = self.database.query_row(query, [back.min(i64::MAX as usize) as i64], |row| Ok(read(row)));
            return Ok(match (run.optional()?.transpose()?, self.count()?) {
                (Some(run), _) => Ok(run),
                (None, 0) => Err(NotFound::NoRuns),
                (None, count) => Err(NotFound::TooFar { name: name.into(), count }),
            });
        }
        let mut select = self
            .database
            .prepare("select * from runs where id >= ?1 and id < ?1 || ?2 order by started desc, id desc")?;
        let rows = select.query_map(params![name, char::MAX.to_string()], |row| Ok(read(row)))?;
        let mut fitting = rows.map(|run| run?).take(SEVERAL + 1).collect::<Result<Vec<Run>, RunsError>>()?;
        // A whole name may be how another starts.
        if let Some(index) = fitting.iter().position(|run| run.id == name) {
            return Ok(Ok(fitting.swap_remove(index)));
        }
        Ok(match (fitting.pop(), fitting.is_empty()) {
            (Some(run), true) => Ok(run),
            (None, _) => Err(NotFound::Unknown { name: name.into(), near: self.near(name)? }),
            (Some(last), false) => {
                let ids = fitting.into_iter().chain([last]).map(|run| run.id).take(SEVERAL).collect();
                Err(NotFound::Several { name: name.into(), ids })
            }
        })
    }

    /// The number of runs.
    fn count(&self) -> Result<usize, RunsError> {
        let count: i64 = self.database.query_row("select count(*) from runs", [], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// A run with a name that is easily mistaken for this one.
    fn near(&self, name: &str) -> Result<Option<String>, RunsError> {
        let mut select = self.database.prepare("select id from runs order by started desc limit 1000")?;
        let ids = select.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        Ok(similar(name, ids.iter().map(String::as_str)).map(str::to_owned))
    }
}
