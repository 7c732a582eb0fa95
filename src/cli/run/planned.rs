//! What is thought of a run before it begins.

use super::super::{
    Exit, complain,
    foresee::{self, Known, On},
    plan_file::PlanFile,
    prepared::Prepared,
};
use super::Args;
use crate::{
    expr::Expr,
    graph::{Graph, Training},
    limits::Memory,
    plan::Plan,
    schedule::Options,
    simulate::{Outlook, SURE},
    value::{Fields, Value},
};
use std::ops::RangeInclusive;

/// Simulated runs: of a workflow of many steps, and of one of few.
const RUNS: RangeInclusive<usize> = 2..=20;
/// Steps that are simulated in all, about.
const STEPS: usize = 10_000;

/// What is thought of the steps: what a file says, or what is found out now, where trainings choose their workers or their
/// memory by it. Limits that will hardly hold are warned of.
pub fn plan(args: &Args, prepared: &Prepared, values: &Fields, options: &Options) -> Result<Plan, Exit> {
    let graph = &prepared.graph;
    let is_limited = options.enforce && graph.limits.is_limited();
    if args.plan.is_none() && !is_limited && !chooses(graph) {
        return Ok(Plan::default());
    }
    let known = Known::of(prepared, On::Here, options)?;
    if let Some(path) = &args.plan {
        return PlanFile::accept(path, &known, values, options);
    }
    let runs = foresee::runs(graph, RUNS, STEPS);
    let outlook = known.ask(values, options, |question| question.outlook(runs, options.seed));
    if is_limited && !args.quiet {
        warn(prepared, &outlook);
    }
    Ok(outlook.plan())
}

/// Warns of limits that will hardly hold. Where a step is only guessed at, nobody knows.
fn warn(prepared: &Prepared, outlook: &Outlook) {
    if outlook.is_guessed || outlook.ends.kept() >= SURE {
        return;
    }
    let blamed = outlook.blamed.first().map(|(path, _)| path.as_str());
    complain(format_args!(
        "warning: {}\nhelp: `smltc plan {}` tells what takes so long, and what would do",
        foresee::limits(&prepared.graph, outlook.ends, blamed),
        prepared.file.display()
    ));
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
