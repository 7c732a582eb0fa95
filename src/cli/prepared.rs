//! A workflow that a command line names whose further options are the workflow's parameters.

use super::{Exit, check, graph, world::Files};
use crate::{graph::Graph, source::Name};
use std::{collections::BTreeSet, ffi::OsString, path::PathBuf};

/// The options of a command, for finding the file before its parameters are known.
pub struct Switches {
    /// Those that take a value.
    pub with_value: &'static [&'static str],
    /// Those that take none.
    pub without: &'static [&'static str],
}

/// A file that was checked, and the workflow of it that is to run.
pub struct Prepared {
    pub file: PathBuf,
    pub files: Files,
    pub graph: Graph,
    /// The environment variables that are secrets.
    pub hidden: BTreeSet<Name>,
}

impl Switches {
    /// The workflow file, which is the first word that is no option, and the workflow that may follow it.
    pub fn file(&self, words: &[OsString]) -> Option<(PathBuf, Option<String>)> {
        let mut words = words.iter().skip(2).peekable();
        while let Some(word) = words.next() {
            let text = word.to_string_lossy();
            if self.with_value.contains(&&*text) {
                words.next();
            } else if !text.starts_with('-') {
                return Some((word.into(), self.workflow(words)));
            }
        }
        None
    }

    /// The workflow among the words behind the file: the first that is no option of the command, unless it is a parameter's.
    fn workflow<'a>(&self, mut words: impl Iterator<Item = &'a OsString>) -> Option<String> {
        while let Some(word) = words.next() {
            let text = word.to_string_lossy();
            if self.with_value.contains(&&*text) {
                words.next();
            } else if !text.starts_with('-') {
                return Some(text.into_owned());
            } else if !self.without.contains(&&*text) && !text.contains('=') {
                return None;
            }
        }
        None
    }
}

impl Prepared {
    /// Checks the file, and takes the workflow that is meant; what is wrong is told.
    pub fn new(file: PathBuf, workflow: Option<String>, words: &[OsString]) -> Result<Self, Exit> {
        let given = |option: &str| words.iter().any(|word| word == option);
        let (files, program) = check::program(&file, given("--json"), given("--quiet") || given("-q"))?;
        let workflow = graph::pick(&program, workflow.as_deref()).map_err(|message| {
            super::complain(format_args!("error: {message}"));
            Exit::Usage
        })?;
        let graph = crate::graph::build(workflow, &files);
        Ok(Self { file, files, graph, hidden: program.secrets })
    }
}
