use super::{
    Exit, foresee,
    foresee::{Known, Subject, ends, money, spread, time},
    history::unusable,
    page,
    plan_file::PlanFile,
    table::{Cell, Table},
    teams, words,
};
use crate::{
    disk::replace,
    seed::Seed,
    simulate::{Basis, Choice, Chosen, Outlook, Row, SURE, Staffing, Tried, Wish},
};
use console::Style;
use serde_json::{Value as Json, json};
use std::{ffi::OsString, ops::RangeInclusive, path::PathBuf};

/// Tell beforehand how long a workflow takes, what it costs, and whether its limits hold.
///
/// Runs are simulated with the scheduler that real ones have. What a step takes is known from earlier runs of the workflow;
/// where there are none it is reckoned from the layers of a model and the rows of the data, and from a few steps of a training
/// that are really made, or else guessed. Nothing is spent.
///
/// Of ranges of workers and memory it tells what serves the limits best, and why.
///
/// A parameter of the workflow is an option of its own name, as for `smltc run`. Ends with 3 when a deadline or a budget is
/// likely to be missed.
#[derive(clap::Args)]
#[command(override_usage = "smltc plan [OPTIONS] FILE [WORKFLOW] [--PARAMETER VALUE]...")]
pub struct Args {
    #[command(flatten)]
    of: foresee::Common,
    /// Write the plan into a file, for `smltc run --plan`
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write a page for the browser into a file, with when each step is done and what other numbers of workers would cost
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Simulated runs: of a workflow of many steps, and of one of few.
const RUNS: RangeInclusive<usize> = 5..=200;
/// Steps that are simulated in all, about.
const STEPS: usize = 50_000;

/// Runs `smltc plan` with the whole command line.
pub fn main(words: &[OsString]) -> Exit {
    tell(words).unwrap_or_else(|exit| exit)
}

fn tell(words: &[OsString]) -> Result<Exit, Exit> {
    let (args, subject) = foresee::parse(words, "plan", |args: &Args| &args.of)?;
    let simulated = || foresee::runs(&subject.prepared.graph, RUNS, STEPS);
    let runs = args.of.runs.map_or_else(simulated, |runs| runs as usize);
    let (known, seed) = (subject.known()?, Seed::new(args.of.seed));
    // All of it goes by the same rehearsals.
    let (outlook, wishes, frontier) = known.ask(&subject.args, &subject.options, |question| {
        let outlook = question.outlook(runs, seed);
        let wishes = question.wishes(&outlook, seed);
        (outlook, wishes, args.html.as_ref().map(|_| question.frontier(seed)))
    });
    match args.of.json {
        true => super::say(format_args!("{:#}\n", to_json(&known, &subject, &outlook, &wishes))),
        false => print(&args, &known, &outlook, &wishes),
    }
    if let Some((html, frontier)) = args.html.as_ref().zip(frontier) {
        replace(html, page::html(&known, &subject.options.prices, &outlook, &frontier).as_bytes())
            .map_err(|error| unusable(format_args!("`{}` can't be written: {error}", html.display())))?;
    }
    if let Some(out) = &args.out {
        PlanFile::new(&known, &subject.args, &subject.options, &outlook).write(out)?;
    }
    Ok(foresee::exit(outlook.ends, outlook.failure.as_ref(), outlook.is_guessed))
}

fn print(args: &Args, known: &Known, outlook: &Outlook, wishes: &[Wish]) {
    let graph = &known.prepared.graph;
    let as_far = if outlook.ends.failed == outlook.ends.runs() { ", as far as it can be foreseen" } else { "" };
    super::say(format_args!(
        "{} on {}{as_far}: {}, {}; in 9 of 10 runs at most {}, {}\n",
        graph.workflow,
        known.platform.name,
        time(outlook.seconds.median()),
        money(outlook.dollars.median()),
        time(outlook.seconds.quantile(0.9)),
        money(outlook.dollars.quantile(0.9)),
    ));
    super::say(format_args!(
        "{}\n\n",
        foresee::limits(graph, outlook.ends, outlook.blamed.first().map(|(path, _)| path.as_str()))
    ));
    let head = ["step", "times", "each takes", "9 of 10", "begins", "to spare", "in all", "by", "workers"];
    let chosen = outlook.rows.iter().any(|row| workers(row).is_some());
    let mut table = Table::new(head.into_iter().take(head.len() - usize::from(!chosen)));
    outlook.rows.iter().for_each(|row| table.push(line(row, outlook)));
    table.print();
    if !outlook.critical.is_empty() {
        let path: Vec<&str> = outlook.critical.iter().map(|path| words::inside(path)).collect();
        super::say(format_args!("\nwhat decides the time: {}\n", path.join(" → ")));
    }
    let teams = teams::told(outlook);
    if !teams.is_empty() {
        super::say(format_args!("\n{}\n", teams.join("\n")));
    }
    if let Some((step, failure)) = &outlook.failure {
        super::say(format_args!("\n{}\n", foresee::failed_step(step, failure, outlook.is_guessed)));
    }
    for wish in wishes {
        super::say(format_args!("help: {}\n", mend(wish, args)));
    }
    if let (true, Some((path, _))) = (wishes.is_empty(), outlook.blamed.first().filter(|_| outlook.ends.kept() < SURE))
    {
        let name = words::inside(path);
        super::say(format_args!(
            "help: wider limits of the whole are not enough: give `{name}` wider ones, or less to do\n"
        ));
    }
}

/// What would let the limits hold, in a sentence.
fn mend(wish: &Wish, args: &Args) -> String {
    match wish {
        Wish::Limits { deadline: Some(deadline), budget: Some(budget) } => {
            format!("with `@deadline({deadline})` and `@budget({budget})` all of it gets done")
        }
        Wish::Limits { deadline: Some(deadline), .. } => format!("with `@deadline({deadline})` all of it gets done"),
        Wish::Limits { budget: Some(budget), .. } => format!("with `@budget({budget})` all of it gets done"),
        Wish::Limits { .. } => "with wider limits all of it gets done".into(),
        Wish::Param { name, value, instead_of } => format!(
            "with `--{name} {value}` instead of {instead_of} all of it gets done within the limits: `smltc plan {}{} --{name} \
             {value}`",
            args.of.file.display(),
            args.of.workflow.as_ref().map_or_else(String::new, |workflow| format!(" {workflow}")),
        ),
    }
}

fn line(row: &Row, outlook: &Outlook) -> Vec<Cell> {
    let is_critical = outlook.critical.contains(&row.path);
    let style = if is_critical { Style::new().bold() } else { Style::new() };
    let name = format!("{}{}{}", "  ".repeat(row.depth), if is_critical { "* " } else { "" }, row.name);
    if row.count == 0.0 {
        return vec![Cell::styled(name, Style::new().dim()), "never".into()];
    }
    let basis = match row.basis {
        None => "",
        Some(Basis::Measured) => "earlier runs",
        Some(Basis::Reckoned) => "its work",
        Some(Basis::Guessed) => "a guess",
    };
    vec![
        Cell::styled(name, style),
        format!("{:.0}", row.count).into(),
        time(row.seconds.median()).into(),
        time(row.seconds.quantile(0.9)).into(),
        time(row.begins).into(),
        row.slack.map_or_else(String::new, |slack| if slack < 0.001 { "none".into() } else { time(slack) }).into(),
        money(row.dollars.median()).into(),
        basis.into(),
        workers(row).map_or_else(String::new, |workers| workers.to_string()).into(),
    ]
}

/// The workers of a training that has several, or may have.
pub fn workers(row: &Row) -> Option<u32> {
    row.team.filter(|team| team.staffing == Staffing::Chosen || team.workers > 1).map(|team| team.workers)
}

/// What was tried, as JSON.
fn tried<T>(chosen: &Chosen<T>, name: &str, value: impl Fn(&T) -> Json) -> Json {
    let tried = chosen.tried.iter().map(|Tried { with, seconds, dollars, kept, serves, .. }| {
        json!({ name: value(with), "seconds": seconds, "dollars": dollars, "kept": kept, "serves": serves })
    });
    tried.collect()
}

/// The amounts of memory that were tried.
fn memory_tried(choice: &Choice) -> Option<Json> {
    Some(tried(choice.memory.as_ref()?, "memory", |memory| json!(memory.to_string())))
}

/// The numbers of workers that were tried.
fn workers_tried(choice: &Choice) -> Option<Json> {
    Some(tried(choice.workers.as_ref()?, "workers", |workers| json!(workers)))
}

fn to_json(known: &Known, subject: &Subject, outlook: &Outlook, wishes: &[Wish]) -> Json {
    let graph = &known.prepared.graph;
    json!({
        "workflow": graph.workflow,
        "on": known.platform.name,
        "prices_as_of": subject.options.prices.as_of,
        "runs": outlook.ends.runs(),
        "ends": ends(outlook.ends),
        "seconds": spread(&outlook.seconds),
        "dollars": spread(&outlook.dollars),
        "critical_path": outlook.critical,
        "failure": outlook.failure.as_ref().map(|(step, failure)| {
            json!({ "step": step, "kind": failure.kind, "message": failure.message })
        }),
        "blamed": outlook.blamed.iter().map(|(path, runs)| json!({ "step": path, "runs": runs })).collect::<Vec<_>>(),
        "steps": outlook.rows.iter().map(|row| json!({
            "path": row.path,
            "kind": row.kind,
            "line": row.line,
            "times": row.count,
            "seconds": spread(&row.seconds),
            "dollars": spread(&row.dollars),
            "begins": row.begins,
            "slack": row.slack,
            "workers": row.team.map(|team| team.workers),
            "memory": row.team.map(|team| team.memory.to_string()),
            "exchange": row.team.filter(|team| team.workers > 1).map(|team| team.exchange.name()),
            "memory_tried": row.choice.as_ref().and_then(memory_tried),
            "workers_tried": row.choice.as_ref().and_then(workers_tried),
            "by": row.basis.map(|basis| match basis {
                Basis::Measured => "measured",
                Basis::Reckoned => "reckoned",
                Basis::Guessed => "guessed",
            }),
        })).collect::<Vec<_>>(),
        "would_do": wishes.iter().map(|wish| match wish {
            Wish::Limits { deadline, budget } => json!({
                "deadline": deadline.map(|deadline| deadline.to_string()),
                "budget": budget.map(|budget| budget.to_string()),
            }),
            Wish::Param { name, value, .. } => json!({ "parameter": name, "value": value }),
        }).collect::<Vec<_>>(),
    })
}
