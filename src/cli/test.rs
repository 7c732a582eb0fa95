use super::{
    Exit, check,
    run::{self, VARIABLE},
    words, world,
};
use crate::{
    check::program::Test,
    graph,
    local::{self, Known, Machine, memory_of_machine},
    plan::{Capacity, Plan},
    prices::Prices,
    runs::{Home, Recipe, Run, RunState, Runs},
    schedule::{Options, Verdict},
    seed::Seed,
    source::Name,
    units::Duration,
    value::Fields,
    wire::Secrets,
};
use std::{
    collections::BTreeSet,
    error::Error,
    path::{Path, PathBuf},
    thread,
};
use world::Files;

/// Run the tests of workflow files.
///
/// A test is a block `test "what holds" { … }` beside the workflows. It runs like a workflow, with what `@stub(task, …)`
/// above it says in the place of tasks, and passes unless it fails; `assert` says what must hold. Nothing it makes is kept.
/// Ends with 1 when a test fails, or when there is none.
#[derive(clap::Args)]
pub struct Args {
    /// Files, or folders to search for `.smlt` files
    #[arg(default_value = ".", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Run only the tests whose names hold this text
    #[arg(long, short, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
    /// The steps that may run at the same time [default: the number of processors]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// The seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// How many tests passed and failed.
#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
}

pub fn main(args: &Args) -> Exit {
    let (mut count, mut exit) = (Count::default(), Exit::Ok);
    for path in &args.paths {
        let files = match world::workflow_files(path) {
            Ok(files) => files,
            Err(error) => {
                super::complain(format_args!("error: `{}` can't be read: {error}", path.display()));
                exit = Exit::Failed;
                continue;
            }
        };
        for file in files {
            match of_file(args, &file, &mut count) {
                Ok(Exit::Ok) => {}
                Ok(Exit::Interrupted) => return Exit::Interrupted,
                Ok(other) => exit = other,
                Err(error) => {
                    super::complain(format_args!("error: {error}"));
                    return Exit::Failed;
                }
            }
        }
    }
    let Count { passed, failed } = count;
    if passed + failed == 0 {
        if exit == Exit::Ok {
            let help = match args.filter.as_str() {
                "" => "write one beside a workflow: `test \"what holds\" { … }`".to_owned(),
                filter => format!("no test's name holds `{filter}`"),
            };
            super::complain(format_args!("error: there is no test to run\nhelp: {help}"));
        }
        return Exit::Failed;
    }
    super::say(format_args!("{passed} passed, {failed} failed\n"));
    if failed > 0 { Exit::Failed } else { exit }
}

/// Runs the tests of one file.
fn of_file(args: &Args, path: &Path, count: &mut Count) -> Result<Exit, Box<dyn Error>> {
    let path = path.strip_prefix(".").unwrap_or(path);
    let (files, program) = match check::program(path, false, true) {
        Ok(checked) => checked,
        Err(exit) => return Ok(exit),
    };
    let tests: Vec<&Test> = program.tests.iter().filter(|test| test.name.contains(&args.filter)).collect();
    if !tests.is_empty() {
        super::say(format_args!("{}\n", path.display()));
    }
    for test in tests {
        let graph = graph::build_test(test, &files);
        let (verdict, elapsed) = one(args, &files, &graph, &program.secrets)?;
        let sign = match verdict {
            Verdict::Succeeded { .. } => "✓",
            Verdict::Failed { .. } => "✗",
            Verdict::Cancelled => "cancelled:",
        };
        super::say(format_args!("  {sign} {} ({})\n", test.name, words::brief(elapsed)));
        match verdict {
            Verdict::Succeeded { .. } => count.passed += 1,
            Verdict::Cancelled => return Ok(Exit::Interrupted),
            Verdict::Failed { step, span, failure } => {
                count.failed += 1;
                run::tell_failure(&files, &step, span, &failure);
            }
        }
    }
    Ok(Exit::Ok)
}

/// Runs one test in a folder of its own, which is gone afterwards.
fn one(
    args: &Args,
    files: &Files,
    graph: &graph::Graph,
    hidden: &BTreeSet<Name>,
) -> Result<(Verdict, Duration), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let home = Home::of(folder.path());
    let run = Run {
        id: "test".into(),
        file: graph.file.clone(),
        workflow: graph.workflow.to_string(),
        args: Fields::new(),
        seed: args.seed,
        started: 0,
        state: RunState::Running,
        elapsed: None,
        spent: None,
    };
    let runs = Runs::open(&home)?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        seed: Seed::new(args.seed),
        enforce: true,
        prices: Prices::embedded(),
        run_id: run.id.as_str().into(),
        capacity: Capacity::new(args.jobs.map_or(cores, |jobs| jobs as usize), memory_of_machine()),
        workers: None,
        plan: Plan::default(),
    };
    runs.enter(&run, &Recipe { files: files.hash(), options: options.clone() })?;
    let machine = Machine {
        project: files.project().to_owned(),
        objects: home.objects(),
        folder: home.run(&run.id),
        cores,
        secrets: Secrets::new(),
        store: None,
        hidden: hidden.iter().cloned().chain([VARIABLE.into()]).collect(),
    };
    let (verdict, elapsed, _) =
        local::run(graph, Fields::new(), options, machine, runs.record(&run.id), Known::default(), &mut ())?;
    Ok((verdict, elapsed))
}
