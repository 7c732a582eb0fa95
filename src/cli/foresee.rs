//! What `smltc plan` and `smltc simulate` have in common: a workflow, where it is to run, and what is known of its steps.

use super::{
    Exit,
    history::{failed, unusable},
    params,
    prepared::{Prepared, Switches},
    run, words,
};
use crate::{
    data::{self, Data, Files},
    expr::Expr,
    forecast::{self, Platform},
    graph::{Graph, Training},
    layers::Shape,
    limits::{Amount, Memory},
    local::memory_of_machine,
    plan::{Capacity, Plan},
    prices::Prices,
    runs::{Home, Run, Runs},
    schedule::Options,
    seed::Seed,
    simulate::{Ends, Experience, Foresight, Outlook, Question, Rehearse, SURE, Slowdown, Sorted},
    store::Objects,
    units::{Duration, Money, Size},
    value::{Dataset, Fields, Value},
    wire::{Failure, Kind, Train},
    work::rehearse,
};
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use rust_decimal::{Decimal, prelude::FromPrimitive};
use serde_json::{Value as Json, json};
use std::{cell::RefCell, collections::BTreeMap, ffi::OsString, ops::RangeInclusive, path::PathBuf, rc::Rc};

/// The options of both.
#[derive(clap::Args)]
pub struct Common {
    /// The workflow file
    pub file: PathBuf,
    /// The workflow in it; may be left out when there is one only, or one called `main`
    pub workflow: Option<String>,
    /// Where it is to run
    #[arg(long, value_enum, default_value_t)]
    pub on: On,
    /// The processors that steps may use at the same time on this machine [default: all]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    jobs: Option<u32>,
    /// The memory that steps may use at the same time on this machine, such as 12GiB [default: all]
    #[arg(long, value_name = "SIZE", value_parser = run::memory_size)]
    memory: Option<Size>,
    /// The workers of each training, whatever the workflow says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: Option<u32>,
    /// The seed of everything random: the same seed gives the same figures, as far as nothing is rehearsed
    #[arg(long, value_name = "N", default_value_t)]
    pub seed: u64,
    /// Keep no deadline and no budget
    #[arg(long)]
    no_limits: bool,
    /// Reckon costs with the prices in this JSON file
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Simulate so many runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub runs: Option<u32>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Where a workflow is to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum On {
    /// On this machine, as `smltc run` does
    #[default]
    Here,
    /// On AWS, as `smltc deploy` and `smltc start` do
    Aws,
}

pub const SWITCHES: Switches = Switches {
    with_value: &[
        "--on",
        "--jobs",
        "-j",
        "--memory",
        "--workers",
        "--seed",
        "--prices",
        "--runs",
        "--out",
        "--html",
        "-o",
        "--slow-from",
        "--slow-by",
    ],
    without: &["--no-limits", "--json"],
};

/// The past runs of a workflow that are looked at.
const PAST: usize = 5;
/// Runs that are simulated as one begins: of a workflow of many steps, and of one of few.
const RUNS: RangeInclusive<usize> = 2..=20;
/// Steps that are simulated then in all, about.
const STEPS: usize = 10_000;
/// Where many calls may work at the same time: the functions that AWS lends an account unasked.
const FUNCTIONS: usize = 1000;

/// A workflow that is to be run, and how.
pub struct Subject {
    pub prepared: Prepared,
    pub args: Fields,
    pub options: Options,
    pub on: On,
}

/// What is known beforehand of a workflow's steps, and of where they run.
pub struct Known<'a> {
    pub prepared: &'a Prepared,
    pub platform: Platform,
    experience: Experience,
    objects: Objects,
    cores: Option<f64>,
    slowdown: Option<Slowdown>,
    /// The datasets that were read.
    read: RefCell<Vec<(Dataset, Rc<Data>)>>,
}

/// Seconds that a rehearsal of a training takes, about, and those of a step that is too long for one.
const REHEARSAL: f64 = 0.2;
const TOO_LONG: f64 = 1.0;

/// Reads the command line of `command`, whose options depend on the file that it names.
pub fn parse<A: FromArgMatches>(
    words: &[OsString],
    command: &'static str,
    common: fn(&A) -> &Common,
) -> Result<(A, Subject), Exit> {
    let prepared = match SWITCHES.file(words) {
        None => None,
        Some((file, workflow)) => Some(Prepared::new(file, workflow, words)?),
    };
    let mut line = super::Args::command();
    if let Some(prepared) = &prepared {
        line = line.mut_subcommand(command, |own| params::add(own, &prepared.graph));
    }
    let matches = line.try_get_matches_from(words).map_err(|error| super::usage(&error))?;
    let (Some((_, matches)), Some(prepared)) = (matches.subcommand(), prepared) else { return Err(Exit::Usage) };
    let args = A::from_arg_matches(matches).map_err(|error| super::usage(&error))?;
    let subject = Subject::new(common(&args), matches, command, prepared)?;
    Ok((args, subject))
}

impl Subject {
    fn new(args: &Common, matches: &ArgMatches, command: &str, prepared: Prepared) -> Result<Self, Exit> {
        let objects = Objects::open(Home::of(prepared.files.project()).objects());
        let line = super::Args::command();
        let own = line.find_subcommand(command).unwrap_or(&line);
        let values = params::read(matches, own, &prepared.graph, &objects).map_err(unusable)?;
        let prices = args.prices.as_deref().map_or_else(|| Ok(Prices::embedded()), Prices::read).map_err(unusable)?;
        let memory = args.memory.unwrap_or_else(memory_of_machine);
        let capacity = match args.on {
            On::Here => Capacity::new(args.jobs.map_or_else(run::processors, |jobs| jobs as usize), memory),
            On::Aws => functions(),
        };
        let options = Options {
            enforce: !args.no_limits,
            prices,
            workers: args.workers,
            ..options(capacity, Seed::new(args.seed))
        };
        Ok(Self { prepared, args: values, options, on: args.on })
    }

    /// What is known of it.
    pub fn known(&self) -> Result<Known<'_>, Exit> {
        Known::of(&self.prepared, self.on, &self.options)
    }
}

/// What AWS has room for.
pub fn functions() -> Capacity {
    Capacity::new(FUNCTIONS, Size::from_mib(1 << 40))
}

/// How a workflow is run where nothing else is said.
pub fn options(capacity: Capacity, seed: Seed) -> Options {
    Options {
        seed,
        enforce: true,
        prices: Prices::embedded(),
        run_id: "simulated".into(),
        capacity,
        workers: None,
        plan: Plan::default(),
    }
}

impl<'a> Known<'a> {
    /// What is known of a workflow that is to be run so.
    pub fn of(prepared: &'a Prepared, on: On, options: &Options) -> Result<Self, Exit> {
        let home = Home::of(prepared.files.project());
        let (platform, cores, experience) = match on {
            On::Here => {
                let cores = options.capacity.cpus.to_f64();
                (Platform::here(), Some(cores), experience(&home, prepared)?)
            }
            On::Aws => (Platform::lambda(), None, Experience::default()),
        };
        let objects = Objects::open(home.objects());
        Ok(Self { prepared, platform, experience, objects, cores, slowdown: None, read: RefCell::default() })
    }

    /// Asks about the workflow.
    pub fn ask<T>(&self, args: &Fields, options: &Options, ask: impl FnOnce(Question) -> T) -> T {
        let read = |dataset: &Dataset| self.data(dataset);
        let rehearse = |train: &Train, cpus: f64, step: f64| self.rehearse(train, cpus, step);
        let foresight = Foresight::new(&self.platform, self.cores, &self.experience, &read)
            .with_slowdown(self.slowdown)
            .with_rehearsals(self.cores.map(|_| &rehearse as &Rehearse));
        ask(Question { graph: &self.prepared.graph, args, options, foresight: &foresight })
    }

    /// The same where all becomes slower on the way.
    #[must_use]
    pub fn with_slowdown(self, slowdown: Option<Slowdown>) -> Self {
        Self { slowdown, ..self }
    }

    /// What is thought of a run as it begins.
    pub fn before(&self, args: &Fields, options: &Options) -> Outlook {
        let runs = runs(&self.prepared.graph, RUNS, STEPS);
        self.ask(args, options, |question| question.outlook(runs, options.seed))
    }

    /// The hash of what each dataset holds that the steps were seen to read, and that lies on this machine.
    pub fn hashes(&self) -> BTreeMap<String, String> {
        self.read.borrow().iter().map(|(dataset, data)| (dataset.name.to_string(), data.hash.to_string())).collect()
    }

    /// What is known of data that lies on this machine.
    fn data(&self, dataset: &Dataset) -> Option<forecast::Known> {
        let data = self.load(dataset)?;
        Some(forecast::Known { shape: Shape(data.train.shape.clone()), facts: data.facts.clone() })
    }

    /// Data that lies on this machine, read once.
    fn load(&self, dataset: &Dataset) -> Option<Rc<Data>> {
        let is_it = |known: &Dataset| Dataset { part: dataset.part, ..known.clone() } == *dataset;
        if let Some((_, data)) = self.read.borrow().iter().find(|(known, _)| is_it(known)) {
            return Some(data.clone());
        }
        let files = Files::find(dataset, self.prepared.files.project(), &self.objects).ok()?;
        let data = Rc::new(data::load(dataset, &files).ok()?);
        self.read.borrow_mut().push((dataset.clone(), data.clone()));
        Some(data)
    }

    /// Seconds of a step of a training, by a few of them; `step` is what one should take.
    fn rehearse(&self, train: &Train, cpus: f64, step: f64) -> Option<f64> {
        let data = (step < TOO_LONG).then(|| self.load(&train.data)).flatten()?;
        let folder = tempfile::tempdir().ok()?;
        let steps = (REHEARSAL / 4.0 / step.max(1e-9)).clamp(1.0, 32.0);
        rehearse(train, &data, cpus as usize, steps as usize, folder.path())
    }
}

/// What the last runs of a workflow tell.
fn experience(home: &Home, prepared: &Prepared) -> Result<Experience, Exit> {
    let mut experience = Experience::default();
    let Some(runs) = Runs::existing(home).map_err(failed)? else { return Ok(experience) };
    let file = prepared.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let own = |run: &Run| run.file == file && run.workflow == *prepared.graph.workflow;
    let past: Vec<_> = runs.list().map_err(failed)?.into_iter().filter(own).take(PAST).collect();
    for run in past.iter().rev() {
        experience.learn(runs.notices(&run.id).map_err(failed)?, runs.events(&run.id).map_err(failed)?);
    }
    Ok(experience)
}

/// How many runs of a workflow to simulate: more of one of few steps, so that it comes to so many steps in all, about.
pub fn runs(graph: &Graph, between: RangeInclusive<usize>, steps: usize) -> usize {
    (steps / graph.root.dag.node_count().max(1)).clamp(*between.start(), *between.end())
}

/// Whether what is thought of a run matters to it: it has limits, or its trainings leave a choice.
pub fn matters(graph: &Graph, options: &Options) -> bool {
    options.enforce && graph.limits.is_limited() || chooses(graph)
}

/// Whether a training may have several numbers of workers, or amounts of memory.
fn chooses(graph: &Graph) -> bool {
    let mut chooses = false;
    graph.clone().each_training(&mut |Training { memory, train, .. }| {
        let workers = train.team.workers.as_ref().map(Expr::as_const);
        let is_fixed = workers.is_none_or(|workers| matches!(workers, Some(Value::Int(_))));
        chooses |= !is_fixed || matches!(memory, Some(Memory::Within(..)));
    });
    chooses
}

/// Whether the limits hold.
pub fn limits(graph: &Graph, ends: Ends, blamed: Option<&str>) -> String {
    let mut named = Vec::new();
    if let Some(deadline) = &graph.limits.deadline {
        named.push(format!("deadline {}", deadline.after));
    }
    if let Some(budget) = &graph.limits.budget {
        named.push(match budget.amount {
            Amount::Money(money) => format!("budget {money}"),
            Amount::Share(share) => format!("budget {share}"),
        });
    }
    let Ends { whole, cut, late, poor, failed } = ends;
    let runs = format!("of {} simulated runs", ends.runs());
    let name = if named.is_empty() { "no limits of the whole".to_owned() } else { named.join(", ") };
    let mut ways = Vec::new();
    let mut way = |count: usize, what: &str| {
        if count > 0 {
            ways.push(format!("{count} {what}"));
        }
    };
    way(whole, "get all done");
    way(cut, "keep the best they have when time or money runs out");
    way(late, "miss the deadline");
    way(poor, "spend the budget and fail");
    way(failed, "could not be followed to the end");
    let blame = blamed.map_or_else(String::new, |path| format!("; most are cut short in `{}`", words::inside(path)));
    format!("{name}: {runs} {}{blame}", ways.join(", "))
}

/// What is told of a step that fails in simulated runs. Where nothing was made up, a real run fails as well.
pub fn failed_step(step: &str, failure: &Failure, is_guessed: bool) -> String {
    let name = words::inside(step);
    let Failure { message, help, .. } = failure;
    if is_certain(failure, is_guessed) {
        let help = help.as_ref().map_or_else(String::new, |help| format!("\nhelp: {help}"));
        let how = if failure.kind == Kind::OutOfMemory { "runs out of memory" } else { "fails" };
        return format!("`{name}` {how}: {message}{help}");
    }
    format!(
        "not foreseen further than `{name}`, which fails with what simulated steps give: {message}\n\
         help: run the workflow once; what its steps give is then known"
    )
}

fn is_certain(failure: &Failure, is_guessed: bool) -> bool {
    // An assertion may hold for what really comes.
    failure.kind == Kind::OutOfMemory || failure.kind == Kind::TaskFailed && !is_guessed
}

/// Whether the limits hold, and no step is bound to fail, as an exit code.
pub fn exit(ends: Ends, failure: Option<&(String, Failure)>, is_guessed: bool) -> Exit {
    match failure {
        Some((_, failure)) if is_certain(failure, is_guessed) => Exit::Failed,
        _ if ends.kept() >= SURE => Exit::Ok,
        _ => Exit::LimitMissed,
    }
}

/// The middle of some numbers, and what 9 of 10 are not above, as JSON.
pub fn spread(numbers: &Sorted) -> Json {
    json!({ "median": numbers.median(), "p90": numbers.quantile(0.9) })
}

/// How runs ended, as JSON.
pub fn ends(ends: Ends) -> Json {
    let Ends { whole, cut, late, poor, failed } = ends;
    json!({ "whole": whole, "cut_short": cut, "late": late, "over_budget": poor, "failed": failed })
}

/// A time as a glance takes it in.
pub fn time(seconds: f64) -> String {
    words::brief(Duration::from_secs_f64(seconds))
}

/// Dollars with two digits that count.
pub fn money(dollars: f64) -> String {
    let places = (1.0 - dollars.max(1e-9).log10().floor()).clamp(2.0, 10.0) as u32;
    Decimal::from_f64(dollars).map_or_else(String::new, |dollars| Money::new(dollars.round_dp(places)).to_string())
}
