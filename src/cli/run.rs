use super::{
    Exit, check, graph, json, params,
    progress::{Live, Plain, View},
    secrets, words,
    world::Files,
};
use crate::{
    diagnostic::RunError,
    disk::replace,
    graph::Graph,
    local::{self, Machine},
    plan::Prices,
    runs::{Home, Run, RunState, Runs, new_id},
    schedule::{Options, StepPath, Verdict},
    seed::Seed,
    source::{Name, Span, World},
    store::Objects,
    units::{Duration, Money},
    value::{Artifact, Value},
    wire::Failure,
};
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    thread,
};

/// Run a workflow on this machine.
///
/// A parameter of the workflow is an option of its own name: `smltc run tune.smlt --trials 40`. To see them all,
/// `smltc run tune.smlt --help`.
///
/// The result goes to the output, everything else to the error stream. Ends with 0 when there is a result, with 1 when
/// the file has errors or the run failed, with 2 when the command line can't be used, with 3 when a deadline or budget
/// was missed, with 130 when it was interrupted.
#[derive(clap::Args)]
#[command(override_usage = "smltc run [OPTIONS] FILE [WORKFLOW] [--PARAMETER VALUE]...")]
pub struct Args {
    /// The workflow file
    file: PathBuf,
    /// The workflow in it; may be left out when there is one only, or one called `main`
    workflow: Option<String>,
    /// Write the result into a file, as JSON
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write everything that happens to the output, one JSON object a line, the result last
    #[arg(long)]
    json: bool,
    /// The steps that may run at the same time [default: the number of processors]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    jobs: Option<u32>,
    /// The seed of everything random: the same seed gives the same result
    #[arg(long, value_name = "N", default_value_t)]
    seed: u64,
    /// Keep no deadline and no budget
    #[arg(long)]
    no_limits: bool,
    /// Reckon costs with the prices in this JSON file
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Read secrets from this file of lines `NAME=value`, and from the environment what it does not have
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// Show nothing but the result and errors
    #[arg(long, short)]
    quiet: bool,
}

/// The options of `run` that take a value, for finding the file before its parameters are known.
const WITH_VALUE: [&str; 7] = ["--out", "-o", "--jobs", "-j", "--seed", "--prices", "--secrets"];

/// The options of `run` that take none.
const WITHOUT_VALUE: [&str; 4] = ["--quiet", "-q", "--json", "--no-limits"];

/// A file that was checked, and the workflow of it that is to run.
struct Prepared {
    files: Files,
    graph: Graph,
    /// The environment variables that are secrets.
    hidden: BTreeSet<Name>,
}

/// Runs `smltc run` with the whole command line: its options depend on the file that it names.
pub fn main(words: &[OsString]) -> Exit {
    let prepared = match file_of(words) {
        None => None,
        Some((file, workflow)) => match prepare(&file, workflow, words) {
            Ok(prepared) => Some(prepared),
            Err(exit) => return exit,
        },
    };
    let mut command = super::Args::command();
    if let Some(prepared) = &prepared {
        command = command.mut_subcommand("run", |run| params::add(run, &prepared.graph));
    }
    let matches = match command.try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return super::usage(&error),
    };
    let (Some((_, matches)), Some(prepared)) = (matches.subcommand(), prepared) else { return Exit::Usage };
    match Args::from_arg_matches(matches) {
        Ok(args) => match &args.workflow {
            Some(name) if **name != *prepared.graph.workflow => {
                super::complain(format_args!(
                    "error: `{name}` stands behind the parameters\nhelp: a workflow stands right behind the file: \
                     `smltc run {} {name} …`",
                    args.file.display()
                ));
                Exit::Usage
            }
            _ => start(&args, matches, &prepared),
        },
        Err(error) => super::usage(&error),
    }
}

/// The workflow file, which is the first word that is no option, and the workflow that may follow it.
fn file_of(words: &[OsString]) -> Option<(PathBuf, Option<String>)> {
    let mut words = words.iter().skip(2).peekable();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if WITH_VALUE.contains(&&*text) {
            words.next();
        } else if !text.starts_with('-') {
            return Some((word.into(), workflow_of(words)));
        }
    }
    None
}

/// The workflow among the words behind the file: the first that is no option of `run`, unless it is a parameter's.
fn workflow_of<'a>(mut words: impl Iterator<Item = &'a OsString>) -> Option<String> {
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if WITH_VALUE.contains(&&*text) {
            words.next();
        } else if !text.starts_with('-') {
            return Some(text.into_owned());
        } else if !WITHOUT_VALUE.contains(&&*text) && !text.contains('=') {
            return None;
        }
    }
    None
}

fn prepare(file: &Path, workflow: Option<String>, words: &[OsString]) -> Result<Prepared, Exit> {
    let given = |option: &str| words.iter().any(|word| word == option);
    let (files, program) = check::program(file, given("--json"), given("--quiet") || given("-q"))?;
    let workflow = graph::pick(&program, workflow.as_deref()).map_err(|message| {
        super::complain(format_args!("error: {message}"));
        Exit::Usage
    })?;
    let graph = crate::graph::build(workflow, &files);
    Ok(Prepared { files, graph, hidden: program.secrets })
}

fn start(args: &Args, matches: &ArgMatches, prepared: &Prepared) -> Exit {
    let Prepared { files, graph, hidden } = prepared;
    let (home, wrong) = (Home::of(files.project()), |message: String| {
        super::complain(format_args!("error: {message}"));
        Exit::Usage
    });
    let objects = Objects::open(home.objects());
    let own = super::Args::command();
    let own = own.find_subcommand("run").unwrap_or(&own);
    let values = match params::read(matches, own, graph, &objects) {
        Ok(values) => values,
        Err(message) => {
            return wrong(format!(
                "{message}\nhelp: `smltc run {} --help` tells of all parameters",
                args.file.display()
            ));
        }
    };
    let prices = match args.prices.as_deref().map_or_else(|| Ok(Prices::embedded()), Prices::read) {
        Ok(prices) => prices,
        Err(error) => return wrong(error.to_string()),
    };
    let secrets = match secrets::read(graph, args.secrets.as_deref()) {
        Ok(secrets) => secrets,
        Err(message) => return wrong(message),
    };
    if let Some(out) = &args.out
        && let Err(error) = writable(out)
    {
        return wrong(format!("`{}` can't be written: {error}", out.display()));
    }
    let now = jiff::ZonedDateTime::now();
    let run = Run {
        id: new_id(&graph.workflow, &now),
        file: args.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        workflow: graph.workflow.to_string(),
        args: values.clone(),
        seed: args.seed,
        started: now.timestamp().as_millisecond(),
        state: RunState::Running,
        elapsed: None,
        spent: None,
    };
    let internal = |error: &dyn std::fmt::Display| {
        super::complain(format_args!("error: {error}"));
        Exit::Failed
    };
    let recorder = match Runs::open(&home).and_then(|runs| runs.enter(&run).map(|()| runs.record(&run.id))) {
        Ok(recorder) => recorder,
        Err(error) => return internal(&error),
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        seed: Seed::new(args.seed),
        enforce: !args.no_limits,
        prices,
        run_id: run.id.as_str().into(),
        slots: args.jobs.map_or(cores, |jobs| jobs as usize),
    };
    let machine = Machine {
        project: files.project().to_owned(),
        objects: home.objects(),
        folder: home.run(&run.id),
        cores,
        secrets,
        hidden: hidden.clone(),
    };
    let mut view = match (args.quiet, args.json) {
        (_, true) => View::Json,
        (true, _) => View::Quiet,
        _ if io::stderr().is_terminal() => View::Live(Box::new(Live::new())),
        _ => View::Plain(Plain::default()),
    };
    let end = local::run(graph, values, options, machine, recorder, &mut |at, notice| view.show(at, notice));
    view.close();
    let (verdict, elapsed, spent) = match end {
        Ok(end) => end,
        Err(error) => return internal(&error),
    };
    let report = Report { args, files, graph, objects: &objects, id: &run.id };
    report.end(&verdict, elapsed, spent)
}

/// Finds out before a long run whether its result can be written after it.
fn writable(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if path.exists() && !path.is_file() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::tempfile_in(folder).map(drop)
}

/// What is said at the end of a run.
struct Report<'a> {
    args: &'a Args,
    files: &'a Files,
    graph: &'a Graph,
    objects: &'a Objects,
    id: &'a str,
}

impl Report<'_> {
    fn end(&self, verdict: &Verdict, elapsed: Duration, spent: Money) -> Exit {
        if self.args.json {
            let mut end = json::verdict(verdict);
            end["event"] = json!("run_ended");
            end["at"] = json!(elapsed.secs_f64());
            end["cost"] = json!(spent.to_f64());
            end["run"] = json!(self.id);
            if let Verdict::Succeeded { value, .. } = verdict {
                end["result"] = self.result(value);
            }
            super::say(format_args!("{end}\n"));
        }
        let sum = format!("in {}, {spent} estimated cloud cost; run {}", words::brief(elapsed), self.id);
        match verdict {
            Verdict::Succeeded { value, marks } => {
                self.note(&format!("succeeded {sum}"));
                for mark in marks {
                    super::complain(format_args!("note: `{}` was cut short: {}", mark.scope, mark.message));
                }
                if let Some(out) = &self.args.out {
                    let text = format!("{:#}\n", self.result(value));
                    if let Err(error) = replace(out, text.as_bytes()) {
                        super::complain(format_args!(
                            "error: the result can't be written to `{}`: {error}",
                            out.display()
                        ));
                        return Exit::Failed;
                    }
                }
                if !self.args.json {
                    super::say(self.lines(value));
                }
                Exit::Ok
            }
            Verdict::Failed { step, span, failure } => {
                tell_failure(self.files, step, *span, failure);
                self.note(&format!("failed {sum}"));
                if failure.kind.is_limit() { Exit::LimitMissed } else { Exit::Failed }
            }
            Verdict::Cancelled => {
                super::complain(format_args!("cancelled {sum}"));
                Exit::Interrupted
            }
        }
    }

    fn note(&self, text: &str) {
        if !self.args.quiet && !self.args.json {
            super::complain(format_args!("{text}"));
        }
    }

    /// The result, with the path of each stored file.
    fn result(&self, value: &Value) -> Json {
        match value {
            Value::Artifact(artifact) => {
                let mut json = value.to_json();
                json["path"] = json!(self.path(artifact));
                json
            }
            Value::List(items) => items.iter().map(|item| self.result(item)).collect(),
            Value::Map(fields) | Value::Record(fields) => {
                fields.iter().map(|(name, value)| (name.to_string(), self.result(value))).collect()
            }
            value => value.to_json(),
        }
    }

    /// A stored file's path from the folder in which the program was started.
    fn path(&self, artifact: &Artifact) -> PathBuf {
        let path = self.objects.path(artifact);
        let inside = path.strip_prefix(self.files.project()).unwrap_or(&path);
        self.args.file.parent().unwrap_or(Path::new("")).join(inside)
    }

    fn lines(&self, value: &Value) -> String {
        let for_people = io::stdout().is_terminal();
        let shown = |value: &Value| match value {
            Value::Artifact(artifact) => self.path(artifact).display().to_string(),
            value if for_people => words::value(value),
            Value::String(text) => text.to_string(),
            Value::List(_) | Value::Map(_) | Value::Record(_) => self.result(value).to_string(),
            value => value.to_string(),
        };
        match value {
            Value::Record(fields) => {
                let width = fields.keys().map(|name| name.chars().count()).max().unwrap_or(0);
                fields.iter().map(|(name, value)| format!("{name:width$}  {}\n", shown(value))).collect()
            }
            Value::None if self.graph.output == crate::types::Type::None => String::new(),
            value => format!("{}\n", shown(value)),
        }
    }
}

/// Tells of the step that made a run fail.
pub fn tell_failure(files: &Files, step: &StepPath, span: Span, failure: &Failure) {
    let error = RunError {
        kind: failure.kind.name(),
        message: &failure.message,
        span,
        step: words::step(step),
        help: failure.help.as_deref(),
    };
    super::complain(format_args!("{}", error.render(&files.source(span.file), check::style())));
    if !failure.log.is_empty() {
        super::complain(format_args!("the last lines of its log:"));
        failure.log.iter().for_each(|line| super::complain(format_args!("    {line}")));
    }
}
