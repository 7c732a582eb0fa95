//! What is thought of a run before it begins.

use super::super::{
    Exit, complain,
    foresee::{self, Known, On},
    plan_file::PlanFile,
    prepared::Prepared,
};
use super::Args;
use crate::{
    plan::Plan,
    schedule::Options,
    simulate::{Outlook, SURE},
    value::Fields,
};

/// What is thought of the steps: what a file says, or what is found out now, where trainings choose their workers or their
/// memory by it. Limits that will hardly hold are warned of.
pub fn plan(args: &Args, prepared: &Prepared, values: &Fields, options: &Options) -> Result<Plan, Exit> {
    if args.plan.is_none() && !foresee::matters(&prepared.graph, options) {
        return Ok(Plan::default());
    }
    let known = Known::of(prepared, On::Here, options)?;
    if let Some(path) = &args.plan {
        return PlanFile::accept(path, &known, values, options);
    }
    let outlook = known.before(values, options);
    if options.enforce && prepared.graph.limits.is_limited() && !args.quiet {
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
