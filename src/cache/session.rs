//! The cache as one run uses it.

use super::{
    Cache, CacheError, Finding,
    draft::{Draft, Keyed, meaning},
    files,
    memo::Memo,
    now, result,
    words::Words,
    writer::{Line, Made, Writer},
};
use crate::{
    limits::Caching,
    schedule::{Attempt, Launch, StepPath},
    store::Objects,
    types::Type,
    value::Hash,
    wire::{Done, Op},
};
use rusqlite::{Connection, OptionalExtension};
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A result that serves again within this time is not noted a second time.
const USED_AGAIN: i64 = 60 * 60 * 1000;

/// The cache as one run uses it.
pub struct Session {
    database: Connection,
    writer: Writer,
    words: Words,
    project: PathBuf,
    objects: Objects,
    /// Whether results may serve.
    reads: bool,
    /// Steps under way whose results are to be kept.
    open: HashMap<Attempt, Open>,
    /// The steps that needed a result.
    asked: HashSet<StepPath>,
    served: usize,
    /// What went wrong; nothing is read or written any more.
    broken: Option<CacheError>,
}

struct Open {
    key: Hash,
    kind: &'static str,
    read: Vec<(PathBuf, Hash)>,
}

/// How many steps needed a result, and how many of these were there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub steps: usize,
    /// Those from the cache.
    pub served: usize,
}

/// A result that was there already.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// The result.
    pub done: Box<Done>,
    /// The run that made it.
    pub run: String,
}

/// How a step begins.
pub enum Begin {
    /// With the result that is there already.
    Served(Served),
    /// It must be run.
    Run,
    /// Once it is known what its files hold, which takes a while: [`Draft::finish`], then [`Session::found`].
    Read(Box<Draft>),
}

impl Session {
    /// Opens the cache in the file `path` for the run `run` of a project. Where not `reads`, no result serves, but new
    /// ones are kept.
    ///
    /// # Errors
    /// When the cache can't be used.
    pub fn open(path: &Path, run: &str, project: &Path, objects: Objects, reads: bool) -> Result<Self, CacheError> {
        let memo = Arc::<Memo>::default();
        let (reading, writing) = (Cache::open(path)?.database, Cache::open(path)?.database);
        Ok(Self {
            database: reading,
            writer: Writer::new(writing, run.to_owned(), memo.clone()),
            words: Words::new(project.to_owned(), memo),
            project: project.to_owned(),
            objects,
            reads,
            open: HashMap::new(),
            asked: HashSet::new(),
            served: 0,
            broken: None,
        })
    }

    /// Looks for the result of an attempt that is to begin.
    pub fn begin(&mut self, launch: &Launch) -> Begin {
        self.asked.insert(launch.attempt.step.clone());
        if self.broken.is_some() {
            return Begin::Run;
        }
        let finding = match (launch.cache, &launch.op) {
            (Some(Caching::Off), _) => Some(Finding::Off),
            (None | Some(Caching::Within(_)), Op::Command(command)) if is_effect(&command.output) => {
                Some(Finding::Effect)
            }
            _ => None,
        };
        if let Some(finding) = finding {
            self.note(&launch.attempt, None, finding);
            return Begin::Run;
        }
        match Draft::new(&launch.op, &self.project, &self.objects, &self.words) {
            Ok(draft) if !draft.is_quick() => Begin::Read(Box::new(draft)),
            draft => match self.found(launch, draft.and_then(Draft::finish)) {
                Some(served) => Begin::Served(served),
                None => Begin::Run,
            },
        }
    }

    /// Looks for the result of an attempt, once it is known what it depends on.
    pub fn found(&mut self, launch: &Launch, keyed: Result<Keyed, String>) -> Option<Served> {
        if self.broken.is_some() {
            return None;
        }
        let keyed = match keyed {
            Ok(keyed) => keyed,
            Err(reason) => {
                self.note(&launch.attempt, None, Finding::Unknown(reason));
                return None;
            }
        };
        let key = keyed.parts.key();
        let (finding, served) = match self.look_up(key, launch.cache) {
            Ok(found) => found,
            Err(error) => {
                self.broken = Some(error);
                return None;
            }
        };
        let parts = served.is_none().then_some(keyed.parts);
        self.note(&launch.attempt, Some((key, parts)), finding);
        match &served {
            Some(_) => self.served += 1,
            None => {
                let open = Open { key, kind: meaning(&launch.op).0, read: keyed.files };
                self.open.insert(launch.attempt.clone(), open);
            }
        }
        served
    }

    fn look_up(&self, key: Hash, caching: Option<Caching>) -> Result<(Finding, Option<Served>), CacheError> {
        if !self.reads {
            return Ok((Finding::Ignored, None));
        }
        let row = self
            .database
            .prepare_cached("select done, run, made, used from entries where key = ?")?
            .query_row([key.as_bytes()], |row| {
                Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
            })
            .optional()?;
        let Some((done, run, made, used)) = row else { return Ok((Finding::Nothing, None)) };
        let now = now();
        if matches!(caching, Some(Caching::Within(age)) if now.saturating_sub(made) > age.millis()) {
            return Ok((Finding::Old { run, made }, None));
        }
        let done = result(&done)?;
        if !files(&done).iter().all(|file| self.objects.holds(file)) {
            return Ok((Finding::Lost { run }, None));
        }
        if now.saturating_sub(used) > USED_AGAIN {
            self.writer.send(Line::Used(key));
        }
        Ok((Finding::Served { run: run.clone(), made }, Some(Served { done: Box::new(done), run })))
    }

    fn note(&self, attempt: &Attempt, key: Option<(Hash, Option<super::Parts>)>, finding: Finding) {
        let (key, parts) = key.map_or((None, None), |(key, parts)| (Some(key), parts));
        self.writer.send(Line::Step { step: attempt.step.to_string(), key, parts, finding });
    }

    /// An attempt came to a result: keeps it, unless a limit cut it short.
    pub fn done(&mut self, attempt: &Attempt, done: &Done) {
        self.words.new_epoch();
        let Some(Open { key, kind, read }) = self.open.remove(attempt) else { return };
        if done.trained.as_ref().is_some_and(|trained| trained.cut) {
            return;
        }
        let step = attempt.step.to_string();
        self.writer.send(Line::Result(Box::new(Made { key, kind, step, done: done.clone(), read })));
    }

    /// An attempt came to nothing.
    pub fn failed(&mut self, attempt: &Attempt) {
        self.words.new_epoch();
        self.open.remove(attempt);
    }

    /// Waits until all is written, and tells how many steps were served.
    ///
    /// # Errors
    /// When the cache could not be read or written, with which the run went on without it.
    pub fn close(self) -> (Tally, Result<(), CacheError>) {
        let written = self.writer.end();
        let tally = Tally { steps: self.asked.len(), served: self.served };
        (tally, self.broken.map_or(written, Err))
    }
}

/// Whether a command of this result is run for what it does.
fn is_effect(output: &Type) -> bool {
    match output {
        Type::Record(fields) => fields.is_empty(),
        Type::None => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
