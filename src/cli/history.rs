//! What the commands about past runs have in common: whose runs, and which of them.

use super::Exit;
use crate::runs::{Home, NotFound, Query, Run, Runs, Standing};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

/// Whose runs.
#[derive(clap::Args)]
pub struct Project {
    /// The project's folder, or a workflow file in it
    #[arg(long, short, default_value = ".", value_name = "PATH")]
    project: PathBuf,
}

/// The runs of a project.
pub struct History {
    pub folder: PathBuf,
    pub home: Home,
    pub runs: Runs,
}

/// Tells what went wrong.
pub fn failed(error: impl Display) -> Exit {
    super::complain(format_args!("error: {error}"));
    Exit::Failed
}

/// Tells why the command line can't be used.
pub fn unusable(error: impl Display) -> Exit {
    super::complain(format_args!("error: {error}"));
    Exit::Usage
}

const NO_RUNS: &str = "there are no runs yet\nhelp: `smltc run FILE` makes one; `--project` names another folder";

impl Project {
    /// The project's runs; it must have some.
    pub fn history(&self) -> Result<History, Exit> {
        History::at(&self.project)?.ok_or_else(|| failed(NO_RUNS))
    }
}

impl History {
    /// The runs of the project at or around `path`, if there are any.
    pub fn at(path: &Path) -> Result<Option<Self>, Exit> {
        let folder = match path.is_file() {
            true => path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")),
            false => path,
        };
        if !folder.is_dir() {
            return Err(failed(format_args!("there is no folder `{}`", folder.display())));
        }
        // What is in the current folder is named without a dot and a slash in front.
        let home = Home::of(folder.strip_prefix(".").unwrap_or(folder));
        let runs = Runs::existing(&home).map_err(failed)?;
        Ok(runs.map(|runs| Self { folder: folder.to_owned(), home, runs }))
    }

    /// The run that a name stands for; the last without one.
    pub fn run(&self, name: Option<&str>) -> Result<Run, Exit> {
        self.runs.find(name).map_err(failed)?.map_err(|missing| match &missing {
            NotFound::NoRuns => failed(NO_RUNS),
            NotFound::Unknown { near: Some(near), .. } => {
                failed(format_args!("{missing}\nhelp: did you mean `{near}`?"))
            }
            NotFound::Unknown { .. } | NotFound::TooFar { .. } | NotFound::Several { .. } => {
                failed(format_args!("{missing}\nhelp: `smltc runs` lists them"))
            }
        })
    }
}

/// Which runs.
#[derive(clap::Args)]
pub struct Filter {
    /// Only runs of this workflow file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// Only runs that stand so; several may be given
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = standing())]
    states: Vec<Standing>,
    /// Only runs with this value of an argument; several may be given
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = argument)]
    params: Vec<(String, String)>,
}

impl Filter {
    /// Whether it leaves out none.
    pub fn is_empty(&self) -> bool {
        self.file.is_none() && self.workflow.is_none() && self.states.is_empty() && self.params.is_empty()
    }

    /// What it asks for.
    pub fn query(&self) -> Query {
        let name = |file: &PathBuf| file.file_name().map(|name| name.to_string_lossy().into_owned());
        Query {
            file: self.file.as_ref().and_then(name),
            workflow: self.workflow.clone(),
            states: self.states.clone(),
            params: self.params.clone(),
            ..Query::default()
        }
    }
}

/// States as words on a command line.
fn standing() -> impl TypedValueParser<Value = Standing> {
    let word = |standing: Standing| standing.word().replace(' ', "-");
    let words = PossibleValuesParser::new(Standing::ALL.map(word));
    words.map(move |text| {
        let found = Standing::ALL.into_iter().find(|standing| word(*standing) == text);
        // The parser takes no other word.
        found.unwrap_or(Standing::Failed)
    })
}

fn argument(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("a name and a value belong here, such as `lr=0.1`")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The moment a span of time before now, in milliseconds since 1970.
pub fn ago(time: crate::units::Duration) -> i64 {
    jiff::Timestamp::now().as_millisecond().saturating_sub(time.millis())
}
