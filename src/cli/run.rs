mod meeting;
mod planned;
mod report;
mod resume;

pub use meeting::VARIABLE;
pub use report::{lines, tell_failure};

use super::{
    Exit,
    history::failed,
    params,
    prepared::{Prepared, Switches},
    progress::{Live, Plain, View},
    secrets,
};
use crate::{
    cache::{CacheError, Session, Tally},
    local::{self, LocalError, Machine, Past, memory_of_machine},
    plan::{Capacity, Plan, too_large},
    prices::Prices,
    runs::{Home, Recipe, Recorder, Run, RunState, Runs, RunsError, new_id},
    schedule::{Options, StepPath, Verdict},
    seed::Seed,
    store::Objects,
    units::{Size, UnitError},
    value::Fields,
    wire::{Secret, Secrets},
};
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use report::Report;
use std::{
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
///
/// `smltc run --resume` goes on with the last run that was cut off or cancelled, or has failed, as it was begun.
#[derive(clap::Args)]
#[command(override_usage = "smltc run [OPTIONS] FILE [WORKFLOW] [--PARAMETER VALUE]...\n       \
                            smltc run [FILE [WORKFLOW]] --resume [RUN]")]
pub struct Args {
    /// The workflow file
    #[arg(required_unless_present = "resume")]
    file: Option<PathBuf>,
    /// The workflow in it; may be left out when there is one only, or one called `main`
    workflow: Option<String>,
    /// Write the result into a file, as JSON
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write everything that happens to the output, one JSON object a line, the result last
    #[arg(long)]
    json: bool,
    /// The processors that steps may use at the same time; a step uses one unless it asks for more or less [default: all]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    jobs: Option<u32>,
    /// The memory that steps may use at the same time, such as 12GiB [default: all]
    #[arg(long, value_name = "SIZE", value_parser = memory_size)]
    memory: Option<Size>,
    /// The workers of each training, whatever the workflow says; their number changes no result, unless `sync` says so
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: Option<u32>,
    /// Where the workers of a training meet: redis://…, rediss://…, s3://… or file:///… [default: within smltc]
    #[arg(long, value_name = "ADDRESS", value_parser = meeting::address, env = VARIABLE, hide_env_values = true)]
    store: Option<Secret>,
    /// The seed of everything random: the same seed gives the same result
    #[arg(long, value_name = "N", default_value_t)]
    seed: u64,
    /// Do what this plan says, or refuse where it is for something else; `smltc plan -o` makes one
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Keep no deadline and no budget
    #[arg(long)]
    no_limits: bool,
    /// Run every step, whatever earlier runs made; results are kept for later runs all the same
    #[arg(long)]
    no_cache: bool,
    /// Reckon costs with the prices in this JSON file
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Read secrets from this file of lines `NAME=value`, and from the environment what it does not have
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// Go on with a run that was cut off or cancelled, or has failed: the last one, or the one whose name starts so
    #[arg(long, value_name = "RUN", num_args = 0..=1)]
    resume: Option<Option<String>>,
    /// Show nothing but the result and errors
    #[arg(long, short)]
    quiet: bool,
}

/// The options of `run`, for finding the file before its parameters are known.
const SWITCHES: Switches = Switches {
    with_value: &[
        "--out",
        "-o",
        "--jobs",
        "-j",
        "--memory",
        "--workers",
        "--store",
        "--seed",
        "--prices",
        "--plan",
        "--secrets",
    ],
    without: &["--quiet", "-q", "--json", "--no-limits", "--no-cache"],
};

/// Runs `smltc run` with the whole command line: its options depend on the file that it names.
pub fn main(words: &[OsString]) -> Exit {
    if resume::is_wanted(words) {
        return resume::main(words);
    }
    let prepared = match SWITCHES.file(words) {
        None => None,
        Some((file, workflow)) => match Prepared::new(file, workflow, words) {
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
                    prepared.file.display()
                ));
                Exit::Usage
            }
            _ => start(&args, matches, &prepared),
        },
        Err(error) => super::usage(&error),
    }
}

fn start(args: &Args, matches: &ArgMatches, prepared: &Prepared) -> Exit {
    let Prepared { file, files, graph, .. } = prepared;
    if let Err(exit) = meeting::check(args.store.as_ref()) {
        return exit;
    }
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
            return wrong(format!("{message}\nhelp: `smltc run {} --help` tells of all parameters", file.display()));
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
    let jobs = args.jobs.map_or_else(processors, |jobs| jobs as usize);
    let capacity = Capacity::new(jobs, args.memory.unwrap_or_else(memory_of_machine));
    if let Some((node, failure)) = too_large(graph, &capacity) {
        tell_failure(files, &StepPath(node.path.as_str().into()), node.span, &failure);
        return Exit::Failed;
    }
    let now = jiff::ZonedDateTime::now();
    let run = Run {
        id: new_id(&graph.workflow, &now),
        file: file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        workflow: graph.workflow.to_string(),
        args: values.clone(),
        seed: args.seed,
        started: now.timestamp().as_millisecond(),
        state: RunState::Running,
        elapsed: None,
        spent: None,
    };
    let options = Options {
        seed: Seed::new(args.seed),
        enforce: !args.no_limits,
        prices,
        run_id: run.id.as_str().into(),
        capacity,
        workers: args.workers,
        plan: Plan::default(),
    };
    let plan = match planned::plan(args, prepared, &values, &options) {
        Ok(plan) => plan,
        Err(exit) => return exit,
    };
    let options = Options { plan, ..options };
    let recipe = Recipe { files: files.hash(), options: options.clone() };
    let enter = |runs: Runs| {
        if io::stderr().is_terminal() && !args.quiet && !args.json {
            tell_of_cut_off(&runs, &run.file);
        }
        runs.enter(&run, &recipe)?;
        Ok::<_, RunsError>(runs.record(&run.id))
    };
    match Runs::open(&home).and_then(enter) {
        Ok(recorder) => {
            let Run { id, args: values, .. } = run;
            carry_out(args, prepared, Entered { id, values, options, secrets, recorder, past: Past::default() })
        }
        Err(error) => failed(&error),
    }
}

/// Tells of the last run of a file when it could be resumed.
fn tell_of_cut_off(runs: &Runs, file: &str) {
    // A list that can't be read is told of by who needs it.
    let last = runs.list().ok().and_then(|runs| runs.into_iter().find(|run| run.file == file));
    let Some(Run { id, state, .. }) = last else { return };
    let how = match state {
        RunState::Interrupted => "cut off",
        RunState::Over(verdict) if *verdict == Verdict::Cancelled => "cancelled",
        _ => return,
    };
    super::complain(format_args!("note: the last run was {how}; `smltc run --resume {id}` goes on with it"));
}

/// A run that is in the list of runs, and under way.
struct Entered {
    id: String,
    values: Fields,
    options: Options,
    secrets: Secrets,
    recorder: Recorder,
    past: Past,
}

/// Runs what was prepared from where its past ends, and tells how it went.
fn carry_out(args: &Args, prepared: &Prepared, run: Entered) -> Exit {
    let Entered { id, values, options, secrets, recorder, past } = run;
    let home = Home::of(prepared.files.project());
    let machine = Machine {
        project: prepared.files.project().to_owned(),
        objects: home.objects(),
        folder: home.run(&id),
        cores: processors().min(options.capacity.cpus.to_f64() as usize),
        secrets,
        store: args.store.clone().filter(meeting::is_given),
        hidden: prepared.hidden.iter().cloned().chain([VARIABLE.into()]).collect(),
    };
    let objects = Objects::open(home.objects());
    let mut cache = Session::open(&home.cache(), &id, &machine.project, objects.clone(), !args.no_cache)
        .inspect_err(without_cache)
        .ok();
    let mut view = match (args.quiet, args.json) {
        (_, true) => View::Json,
        (true, _) => View::Quiet,
        _ if io::stderr().is_terminal() => View::Live(Box::new(Live::new())),
        _ => View::Plain(Plain::default()),
    };
    let known = local::Known { past, cache: cache.as_mut() };
    let mut graph = prepared.graph.clone();
    options.plan.settle(&mut graph);
    let end = local::run(&graph, values, options, machine, recorder, known, &mut view);
    view.close();
    let tally = cache.map_or_else(Tally::default, |cache| {
        let (tally, kept) = cache.close();
        // The result stands, with or without the cache.
        let _ = kept.inspect_err(without_cache);
        tally
    });
    match end {
        Ok((verdict, elapsed, spent)) => {
            let report = Report { args, prepared, objects: &objects, id: &id, tally };
            report.end(&verdict, elapsed, spent)
        }
        Err(error) => {
            let exit = failed(&error);
            if matches!(error, LocalError::Log(_)) {
                super::complain(format_args!("help: after that, `smltc run --resume {id}` goes on with the run"));
            }
            exit
        }
    }
}

/// The processors of this machine.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A size above nothing.
pub fn memory_size(text: &str) -> Result<Size, String> {
    let size: Size = text.parse().map_err(|error: UnitError| error.to_string())?;
    if size == Size::default() { Err("a run needs some memory".into()) } else { Ok(size) }
}

/// Says that a run does without the cache.
fn without_cache(error: &CacheError) {
    super::complain(format_args!("note: the run goes without the cache: {error}\nhelp: {}", error.help()));
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
