//! What a run that was cut off can go on from.

use crate::{
    graph::Graph,
    schedule::{Event, Options, Scheduler, Time, Verdict},
    store::Objects,
    value::{Artifact, Fields, Hash},
    wire::{Done, Failure},
};
use std::{collections::HashMap, io};

/// The part of a run's log that the run goes on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past(Vec<(Time, Event)>);

/// Why a run can't go on.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// What made it fail would do so again.
    #[error("it would fail again: {0}")]
    Failed(Failure),
    /// A file that was given to it is gone or damaged, and no step makes it again.
    #[error("the file `{0}` that was given to it is gone or damaged")]
    Argument(String),
    /// The system does not let a file be read, or a damaged one be removed.
    #[error("a file in `.smlt/objects` can't be looked at: {0}")]
    Store(#[from] io::Error),
}

impl Past {
    /// What holds of a run's log. A step whose stored files are gone or damaged is to be done again, with all that came
    /// after it, and so is a step whose failure ended the run. Damaged files are taken out of the store.
    ///
    /// # Errors
    /// When what made the run fail would do so again, or a file that was given to it is gone.
    pub fn of(
        graph: &Graph,
        args: &Fields,
        options: &Options,
        objects: &Objects,
        mut log: Vec<(Time, Event)>,
    ) -> Result<Self, PastError> {
        let mut store = Store { objects, known: HashMap::new() };
        let mut given = Vec::new();
        args.values().for_each(|arg| arg.stored_files(&mut |file| given.push(file.clone())));
        for file in given {
            if !store.has(&file)? {
                return Err(PastError::Argument(file.name));
            }
        }
        for index in 0..log.len() {
            if let Event::Done(_, done) = &log[index].1
                && !store.has_all(done)?
            {
                log.truncate(index);
                break;
            }
        }
        let mut run = Scheduler::new(graph, args.clone(), options.clone());
        for index in 0..log.len() {
            let (time, event) = log[index].clone();
            let is_failure = matches!(event, Event::Failed(..));
            run.step(time, event);
            if let Some(Verdict::Failed { failure, .. }) = run.verdict() {
                if failure.kind.is_limit() || !is_failure {
                    return Err(PastError::Failed(failure.clone()));
                }
                log.truncate(index);
                break;
            }
        }
        Ok(Self(log))
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing has happened.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The run's time when its last event happened.
    pub(super) fn end(&self) -> Time {
        self.0.iter().map(|(time, _)| *time).max().unwrap_or_default()
    }

    pub(super) fn into_log(self) -> Vec<(Time, Event)> {
        self.0
    }
}

/// Stored files, each looked at once.
struct Store<'a> {
    objects: &'a Objects,
    known: HashMap<Hash, bool>,
}

impl Store<'_> {
    fn has_all(&mut self, done: &Done) -> io::Result<bool> {
        let mut files: Vec<Artifact> = Vec::new();
        done.output.stored_files(&mut |file| files.push(file.clone()));
        files.extend(done.trained.as_ref().and_then(|trained| trained.checkpoint.clone()));
        for file in files {
            if !self.has(&file)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has(&mut self, file: &Artifact) -> io::Result<bool> {
        if let Some(known) = self.known.get(&file.hash) {
            return Ok(*known);
        }
        let has = self.objects.check(file)?;
        self.known.insert(file.hash, has);
        Ok(has)
    }
}
