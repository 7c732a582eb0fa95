use super::{Exit, words};
use crate::{
    runs::{Home, Run, RunState, Runs},
    value::Value,
};
use serde_json::json;
use std::path::PathBuf;

/// List the runs of a project, the latest first.
#[derive(clap::Args)]
pub struct Args {
    /// The project's folder, or a workflow file in it
    #[arg(default_value = ".", value_name = "PATH")]
    project: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> Exit {
    let runs = match open(&args.project) {
        Ok(Some(runs)) => runs,
        Ok(None) => {
            super::complain(format_args!("no runs yet"));
            return Exit::Ok;
        }
        Err(exit) => return exit,
    };
    let runs = match runs.list() {
        Ok(runs) => runs,
        Err(error) => {
            super::complain(format_args!("error: {error}"));
            return Exit::Failed;
        }
    };
    if args.json {
        runs.iter().for_each(|run| super::say(format_args!("{}\n", to_json(run))));
        return Exit::Ok;
    }
    let head = ["run", "workflow", "state", "took", "cost", "arguments"].map(str::to_owned);
    let rows = runs.iter().map(|run| {
        [
            run.id.clone(),
            format!("{} {}", run.file, run.workflow),
            run.state.word().to_owned(),
            run.elapsed.map(words::brief).unwrap_or_default(),
            run.spent.map(|spent| spent.to_string()).unwrap_or_default(),
            words::fields(&run.args),
        ]
    });
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        super::say(format_args!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end()));
    }
    Exit::Ok
}

/// The runs of the project at or around `path`, if there are any.
pub fn open(path: &std::path::Path) -> Result<Option<Runs>, Exit> {
    let folder = match path.is_file() {
        true => path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new(".")),
        false => path,
    };
    if !folder.is_dir() {
        super::complain(format_args!("error: there is no folder `{}`", folder.display()));
        return Err(Exit::Failed);
    }
    Runs::existing(&Home::of(folder)).map_err(|error| {
        super::complain(format_args!("error: {error}"));
        Exit::Failed
    })
}

/// The run that a name means, or the latest.
pub fn one(runs: &Runs, name: Option<&str>) -> Result<Run, String> {
    match runs.find(name).map_err(|error| error.to_string())? {
        Ok(run) => Ok(run),
        Err(several) if several.is_empty() => Err(match name {
            Some(name) => format!("there is no run `{name}`\nhelp: `smltc runs` lists them"),
            None => "there are no runs yet\nhelp: `smltc run FILE` makes one".into(),
        }),
        Err(several) => Err(format!("several runs start so: {}", several.join(", "))),
    }
}

/// A run as programs read it.
pub fn to_json(run: &Run) -> serde_json::Value {
    let mut json = json!({
        "run": run.id,
        "file": run.file,
        "workflow": run.workflow,
        "args": Value::Record(run.args.clone()).to_json(),
        "seed": run.seed,
        "started": jiff::Timestamp::from_millisecond(run.started).map(|time| time.to_string()).ok(),
        "state": run.state.word(),
        "elapsed": run.elapsed.map(crate::units::Duration::secs_f64),
        "cost": run.spent.map(crate::units::Money::to_f64),
    });
    if let RunState::Over(verdict) = &run.state {
        json["verdict"] = super::json::verdict(verdict);
    }
    json
}
