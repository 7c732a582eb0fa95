//! What is to be expected of a workflow: how long it takes and what it costs, step by step, whether its limits hold, and what
//! would let them.

use super::{
    Choice, Foresight, Staffing, Team,
    choice::Choices,
    simulate,
    slack::{Slack, critical},
    tally::{Ends, Sorted, Step, Tally},
};
use crate::{
    graph::{Graph, NodeKind, Region, Trial},
    limits::Amount,
    plan::{Plan, Planned, plain},
    schedule::Options,
    seed::Seed,
    source::Name,
    types::Type,
    units::{Duration, Money},
    value::{Fields, Value},
    wire::Failure,
};
use rust_decimal::{Decimal, prelude::FromPrimitive};
use std::collections::HashSet;

/// A workflow whose runs are to be foreseen.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The workflow.
    pub graph: &'a Graph,
    /// Its arguments.
    pub args: &'a Fields,
    /// How it is to be run.
    pub options: &'a Options,
    /// What is known of its steps.
    pub foresight: &'a Foresight<'a>,
}

/// What is to be expected of a workflow.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// How they ended.
    pub ends: Ends,
    /// Seconds of a run.
    pub seconds: Sorted,
    /// Dollars of a run.
    pub dollars: Sorted,
    /// The steps as they stand in the workflow.
    pub rows: Vec<Row>,
    /// The paths of the steps that decide how long it takes.
    pub critical: Vec<String>,
    /// The steps that missed limits cut short or ended, with how often each was.
    pub blamed: Vec<(String, usize)>,
    /// A failure that no limit brought about: the step, and why.
    pub failure: Option<(String, Failure)>,
    /// Whether a step took part of which nobody knows what comes of it.
    pub is_guessed: bool,
}

impl Outlook {
    /// What a run needs to know of it.
    pub fn plan(&self) -> Plan {
        let planned = |row: &Row| Planned {
            seconds: row.seconds.median(),
            dollars: row.dollars.median() / row.count.max(1.0),
            workers: row.team.filter(|team| team.staffing == Staffing::Chosen).map(|team| team.workers),
            memory: row.choice.as_ref().and_then(|choice| choice.memory.as_ref()?.best),
        };
        // A guess is no thought, and no better is what it stands in.
        let guessed = self.rows.iter().filter(|row| row.basis == Some(Basis::Guessed)).map(|row| &*row.path);
        let guessed: HashSet<&str> = guessed.flat_map(with_those_around).collect();
        let done = self.rows.iter().filter(|row| row.count > 0.0 && !guessed.contains(&*row.path));
        Plan(done.map(|row| (row.path.clone(), planned(row))).collect())
    }
}

/// A path and those of all that it stands in.
fn with_those_around(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end]).chain([path])
}

/// A step of an outlook.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its path, without numbers of items.
    pub path: String,
    /// Its name in the workflow.
    pub name: Name,
    /// Its kind.
    pub kind: Name,
    /// How many steps it stands in.
    pub depth: usize,
    /// The line it stands on.
    pub line: u32,
    /// How often it is done in a run; 0 where it never was.
    pub count: f64,
    /// Seconds each time.
    pub seconds: Sorted,
    /// Dollars in a run.
    pub dollars: Sorted,
    /// Seconds from the run's start until it first begins.
    pub begins: f64,
    /// Seconds by which it may take longer before the run does.
    pub slack: Option<f64>,
    /// Who trains, where it is a training.
    pub team: Option<Team>,
    /// What was chosen for it, and out of what.
    pub choice: Option<Choice>,
    /// Where its figures come from; none where they are those of the steps inside.
    pub basis: Option<Basis>,
}

/// Where the figures of a step come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Earlier runs.
    Measured,
    /// The work that there is to be done.
    Reckoned,
    /// Nothing.
    Guessed,
}

/// What would let a workflow keep its limits.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// Wider limits of the whole; those that are wide enough are absent.
    Limits {
        /// The deadline.
        deadline: Option<Duration>,
        /// The budget.
        budget: Option<Money>,
    },
    /// Less to do: another value of a parameter.
    Param {
        /// Its name.
        name: Name,
        /// The largest value with which they hold.
        value: i64,
        /// What it is now.
        instead_of: i64,
    },
}

/// What a number of workers takes and costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The workers of each training.
    pub workers: u32,
    /// Seconds of a run.
    pub seconds: f64,
    /// Dollars of a run.
    pub dollars: f64,
    /// Whether the limits of the whole are kept.
    pub kept: bool,
}

/// The most workers that are looked at.
const MOST_WORKERS: u32 = 256;
/// The share of runs with which limits count as kept.
pub const SURE: f64 = 0.95;
/// The share that will do for a limit by which so many of other runs would have been kept.
const NEARLY: f64 = 0.85;
/// Limits that are tried, in times of what nearly all runs without limits take: a search leaves a quarter of them to others.
const WIDER: [f64; 3] = [1.0, 1.5, 2.0];
/// The share of the runs, as a divisor, that tells what is thought of the steps.
const ROUGH: usize = 10;
/// Runs from which it is seen whether another argument would do.
const TRIES: usize = 40;

impl Question<'_> {
    /// Simulates so many runs.
    pub fn tally(&self, runs: usize, seed: Seed) -> Tally {
        self.foresight.begin();
        let mut tally = Tally::default();
        for run in 0..runs {
            tally.add(&simulate(self.graph, self.args, self.options, self.foresight, seed.child(run)));
        }
        tally
    }

    /// What is to be expected of it, by so many runs.
    pub fn outlook(&self, runs: usize, seed: Seed) -> Outlook {
        let is_limited = self.options.enforce && self.graph.limits.is_limited();
        if !is_limited || !self.foresight.is_here() {
            return self.chosen(runs, seed);
        }
        // How a run heeds its limits depends on what is thought of its steps.
        let plan = self.of_settled((runs / ROUGH).max(1), seed, &Choices::new()).plan();
        let options = Options { plan, ..self.options.clone() };
        Question { options: &options, ..*self }.chosen(runs, seed)
    }

    /// Asks about it as it is run by a plan.
    pub fn by<T>(&self, plan: Plan, ask: impl FnOnce(&Question) -> T) -> T {
        let mut graph = self.graph.clone();
        plan.settle(&mut graph);
        // Elsewhere it is not told what is thought of the steps.
        let plan = if self.foresight.is_here() { plan } else { Plan::default() };
        let options = Options { plan, ..self.options.clone() };
        ask(&Question { graph: &graph, options: &options, ..*self })
    }

    /// The same where nothing is left to choose.
    pub(super) fn of_settled(&self, runs: usize, seed: Seed, choices: &Choices) -> Outlook {
        let tally = self.tally(runs, seed);
        let slack = Slack::of(&self.graph.root, &tally);
        let mut rows = Vec::new();
        let known = Rows { tally: &tally, slack: &slack, foresight: self.foresight, choices };
        known.collect(&self.graph.root, 0, &mut rows);
        Outlook {
            ends: tally.ends(),
            seconds: tally.seconds(),
            dollars: tally.dollars(),
            rows,
            critical: critical(&self.graph.root, &slack, &tally).into_iter().map(str::to_owned).collect(),
            blamed: tally.blamed().into_iter().map(|(path, count)| (path.to_owned(), count)).collect(),
            failure: tally.failure().cloned(),
            is_guessed: self.foresight.has_guessed(),
        }
    }

    /// What other numbers of workers for all trainings would take and cost: the powers of two that all of them can have.
    pub fn frontier(&self, seed: Seed) -> Vec<Point> {
        let point = |workers: u32| {
            let options = Options { workers: Some(workers), enforce: false, ..self.options.clone() };
            let free = Question { options: &options, ..*self }.tally(TRIES, seed);
            let limits = &self.graph.limits;
            let (seconds, dollars) = (free.seconds(), free.dollars());
            let in_time =
                limits.deadline.as_ref().is_none_or(|deadline| seconds.within(deadline.after.secs_f64()) >= SURE);
            let affordable = match limits.budget.as_ref().map(|budget| budget.amount) {
                Some(Amount::Money(money)) => dollars.within(money.to_f64()) >= SURE,
                _ => true,
            };
            let (seconds, dollars) = (seconds.median(), dollars.median());
            (free.ends().failed == 0).then_some(Point { workers, seconds, dollars, kept: in_time && affordable })
        };
        (0..=MOST_WORKERS.ilog2()).map(|power| 1 << power).map_while(point).collect()
    }

    /// What would let its limits hold, where they often don't.
    pub fn wishes(&self, outlook: &Outlook, seed: Seed) -> Vec<Wish> {
        if outlook.ends.kept() >= SURE {
            return Vec::new();
        }
        self.by(outlook.plan(), |planned| planned.wishes_of_settled(seed))
    }

    fn wishes_of_settled(&self, seed: Seed) -> Vec<Wish> {
        let unlimited = Options { enforce: false, ..self.options.clone() };
        let free = Question { options: &unlimited, ..*self }.tally(TRIES, seed);
        let limits = &self.graph.limits;
        let (seconds, dollars) = (free.seconds().quantile(SURE), free.dollars().quantile(SURE));
        let deadline = limits.deadline.as_ref().filter(|deadline| deadline.after.secs_f64() < seconds);
        let budget = limits.budget.as_ref().and_then(|budget| match budget.amount {
            Amount::Money(money) => Some(money).filter(|money| money.to_f64() < dollars),
            Amount::Share(_) => None,
        });
        let wider = |factor: f64| Wish::Limits {
            deadline: deadline.map(|_| Duration::from_secs_f64(rounded_up(factor * seconds))),
            budget: budget.and_then(|_| Decimal::from_f64(rounded_up(factor * dollars))).map(Money::new),
        };
        let is_short = deadline.is_some() || budget.is_some();
        let wider = is_short.then(|| WIDER.into_iter().map(wider).find(|wish| self.would_do(wish, seed))).flatten();
        let fewer = self.graph.params.iter().filter(|param| param.ty == Type::Int);
        wider.into_iter().chain(fewer.filter_map(|param| self.lower(&param.name, seed))).collect()
    }

    /// Whether the limits hold with wider ones of the whole: others may stand inside.
    fn would_do(&self, wish: &Wish, seed: Seed) -> bool {
        let Wish::Limits { deadline: wider, budget: more } = wish else { return true };
        let mut graph = self.graph.clone();
        graph.limits.deadline.iter_mut().zip(wider).for_each(|(deadline, wider)| deadline.after = *wider);
        graph.limits.budget.iter_mut().zip(more).for_each(|(budget, more)| budget.amount = Amount::Money(*more));
        Question { graph: &graph, ..*self }.tally(TRIES, seed).ends().kept() >= NEARLY
    }

    /// The largest lower value of a parameter with which the limits hold.
    fn lower(&self, name: &Name, seed: Seed) -> Option<Wish> {
        let now = self.args.get(name)?.as_int()?;
        let holds = |value: i64| {
            let mut args = self.args.clone();
            args.insert(name.clone(), Value::Int(value));
            Question { args: &args, ..*self }.tally(TRIES, seed).ends().kept() >= SURE
        };
        let (mut holding, mut missing) = (1, now);
        if now <= 1 || !holds(holding) {
            return None;
        }
        while missing - holding > 1 {
            let middle = holding + (missing - holding) / 2;
            if holds(middle) { holding = middle } else { missing = middle }
        }
        Some(Wish::Param { name: name.clone(), value: holding, instead_of: now })
    }
}

/// A number of two digits that is not below.
fn rounded_up(number: f64) -> f64 {
    let unit = 10_f64.powf(number.max(1e-9).log10().floor() - 1.0);
    (number / unit).ceil() * unit
}

/// What the rows of an outlook are made of.
struct Rows<'a> {
    tally: &'a Tally,
    slack: &'a Slack,
    foresight: &'a Foresight<'a>,
    choices: &'a Choices,
}

impl Rows<'_> {
    fn collect(&self, region: &Region, depth: usize, rows: &mut Vec<Row>) {
        for node in region.dag.node_weights() {
            let path = plain(&node.path);
            let basis = match &node.kind {
                NodeKind::Value(_) | NodeKind::Assert { .. } | NodeKind::Fail(_) => continue,
                NodeKind::Run(_) => Some(Basis::Guessed),
                NodeKind::Inspect(_) | NodeKind::Train(_) | NodeKind::Evaluate(_) => Some(Basis::Reckoned),
                _ => None,
            };
            let basis = basis.map(|basis| if self.foresight.knows(&path) { Basis::Measured } else { basis });
            rows.push(Row {
                slack: self.slack.get(&path),
                ..self.row(path.clone(), node.name.clone(), depth, node.line, basis)
            });
            if let NodeKind::Search(search) = &node.kind
                && let Trial::Train(_) = search.trial
            {
                let (path, rung) = (format!("{path}/trial"), format!("{path}/trial/rung"));
                let known = self.foresight.knows(&path) || self.foresight.knows(&rung);
                let basis = if known { Basis::Measured } else { Basis::Reckoned };
                rows.push(self.row(path, "trial".into(), depth + 1, node.line, Some(basis)));
            }
            node.kind.regions().for_each(|region| self.collect(region, depth + 1, rows));
        }
    }

    fn row(&self, path: String, name: Name, depth: usize, line: u32, basis: Option<Basis>) -> Row {
        let never = Step::default();
        let step = self.tally.step(&path).unwrap_or(&never);
        Row {
            name,
            kind: step.kind.clone(),
            depth,
            line,
            count: step.count(),
            seconds: step.seconds(),
            dollars: step.dollars(),
            begins: step.begins(),
            slack: None,
            team: self.foresight.team(&path),
            choice: self.choices.get(&path).cloned(),
            basis,
            path,
        }
    }
}
