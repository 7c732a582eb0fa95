use super::{
    Exit,
    history::{Filter, History, ago, failed, unusable},
    table::{Cell, Table},
    words,
};
use crate::{
    diagnostic::similar,
    runs::{Run, RunState, Standing, leaves},
    schedule::Verdict,
    units::{Duration, Money},
    value::Value,
};
use clap::ValueEnum;
use console::Style;
use serde_json::json;
use std::{
    cmp::Ordering,
    io::{self, IsTerminal},
    path::PathBuf,
};

/// The runs that are listed in a terminal where no number is asked for.
const SCREEN: usize = 30;

/// The numbers of a result that are shown where no columns are asked for.
const NUMBERS: usize = 3;

/// List the runs of a project, the latest first.
///
/// A run is called by the start of its name, or `last`, or `last~2` for the second before the last.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  smltc runs --state failed --since 7d               what failed in the last week
  smltc runs --file tune.smlt --param lr=0.1         the runs of a file with this argument
  smltc runs --sort accuracy --columns accuracy,lr   the best first, with these of its results and arguments
  smltc runs --sort cost -n 5                        the five that cost most")]
pub struct Args {
    /// The project's folder, or a workflow file in it
    #[arg(default_value = ".", value_name = "PATH")]
    project: PathBuf,
    #[command(flatten)]
    filter: Filter,
    /// Only runs that started so long ago at most, such as `12h` or `7d`
    #[arg(long, value_name = "TIME")]
    since: Option<Duration>,
    /// Sort by `started`, `elapsed`, `cost`, or a number of the result or the arguments; the latest or largest first
    #[arg(long, value_name = "KEY", default_value = "started")]
    sort: String,
    /// The other way round
    #[arg(long, short)]
    reverse: bool,
    /// Only the first N; in a terminal 30 if left out
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
    /// Show these of the results and arguments
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    elsewhere: super::elsewhere::Elsewhere,
}

/// What runs are sorted by.
#[derive(Clone, Copy, ValueEnum)]
enum Known {
    Started,
    Elapsed,
    Cost,
}

pub fn main(args: &Args) -> Exit {
    list(args).unwrap_or_else(|exit| exit)
}

fn list(args: &Args) -> Result<Exit, Exit> {
    #[cfg(feature = "aws")]
    if args.elsewhere.remote {
        return args.elsewhere.runs(args.limit, args.json);
    }
    let Some(history) = History::at(&args.project)? else {
        super::complain("no runs yet; `smltc run FILE` makes one");
        return Ok(Exit::Ok);
    };
    let mut query = args.filter.query();
    query.since = args.since.map(ago);
    let screen = io::stdout().is_terminal() && !args.json;
    let limit = args.limit.unwrap_or(if screen { SCREEN } else { usize::MAX });
    let known = Known::from_str(&args.sort, false).ok();
    // Only this order is the list's own, so that the rest need not be read.
    let is_own = matches!(known, Some(Known::Started)) && !args.reverse;
    let read = if is_own && !screen { limit } else { usize::MAX };
    let mut runs = history.runs.select(&query, read).map_err(failed)?;
    for name in args.columns.iter().chain(known.is_none().then_some(&args.sort)) {
        is_known(&runs, name)?;
    }
    match known {
        Some(Known::Started) => {}
        Some(Known::Elapsed) => runs.sort_by_key(|run| std::cmp::Reverse(run.elapsed)),
        Some(Known::Cost) => runs.sort_by_key(|run| std::cmp::Reverse(run.spent)),
        None => {
            let number = |run: &Run| value(run, &args.sort).and_then(amount);
            runs.sort_by(|a, b| larger(number(a), number(b)));
        }
    }
    if args.reverse {
        runs.reverse();
        // Those without a number come last in either order.
        if known.is_none() {
            runs.sort_by_key(|run| value(run, &args.sort).and_then(amount).is_none());
        }
    }
    let more = runs.len().saturating_sub(limit);
    runs.truncate(limit);
    if args.json {
        runs.iter().for_each(|run| super::say(format_args!("{}\n", to_json(run))));
        return Ok(Exit::Ok);
    }
    table(&runs, &args.columns).print();
    if args.limit.is_none() && more > 0 {
        super::complain(format_args!("and {}; `-n` tells how many to list", words::count(more, "further run")));
    }
    Ok(Exit::Ok)
}

/// Holds that at least one of the runs has a result or an argument of this name.
fn is_known(runs: &[Run], name: &str) -> Result<(), Exit> {
    if runs.is_empty() || runs.iter().any(|run| value(run, name).is_some()) {
        return Ok(());
    }
    let results = runs.iter().filter_map(|run| match run.result() {
        Some(Value::Record(fields)) => Some(fields),
        _ => None,
    });
    let names: Vec<String> =
        results.chain(runs.iter().map(|run| &run.args)).flat_map(leaves).map(|(name, _)| name).collect();
    let near = similar(name, names.iter().map(String::as_str));
    let help = near.map(|near| format!("\nhelp: did you mean `{near}`?")).unwrap_or_default();
    Err(unusable(format_args!("no run here has a result or an argument `{name}`{help}")))
}

/// A field of the result, or an argument.
fn value<'r>(run: &'r Run, name: &str) -> Option<&'r Value> {
    run.outcome(name).or_else(|| run.argument(name))
}

fn amount(value: &Value) -> Option<f64> {
    match value {
        Value::Duration(duration) => Some(duration.secs_f64()),
        Value::Money(money) => Some(money.to_f64()),
        Value::Size(size) => Some(size.bytes() as f64),
        Value::Percent(percent) => Some(percent.to_f64()),
        value => value.as_f64(),
    }
    .filter(|number| !number.is_nan())
}

/// The larger first, what is missing last.
fn larger(a: Option<f64>, b: Option<f64>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn table(runs: &[Run], columns: &[String]) -> Table {
    let head = ["run", "workflow", "state", "took", "cost"].into_iter().map(str::to_owned);
    let mut table = match columns {
        [] => Table::new(head.chain(["result".to_owned(), "arguments".to_owned()])),
        columns => Table::new(head.chain(columns.iter().cloned())),
    };
    for run in runs {
        let mut row: Vec<Cell> = vec![
            run.id.clone().into(),
            format!("{} {}", run.file, run.workflow).into(),
            Cell::styled(run.state.word(), style(run.state.standing())),
            run.elapsed.map(words::brief).unwrap_or_default().into(),
            run.spent.map(|spent| spent.to_string()).unwrap_or_default().into(),
        ];
        match columns {
            [] => row.extend([outcome(run).into(), words::fields(&run.args).into()]),
            columns => {
                row.extend(columns.iter().map(|name| value(run, name).map(words::value).unwrap_or_default().into()))
            }
        }
        table.push(row);
    }
    table
}

fn style(standing: Standing) -> Style {
    match standing {
        Standing::Succeeded => Style::new().green(),
        Standing::Running => Style::new().cyan(),
        Standing::CutShort | Standing::Interrupted | Standing::Cancelled => Style::new().yellow(),
        Standing::Failed | Standing::LimitMissed => Style::new().red(),
    }
}

/// What came of a run, as a glance takes it in: the first numbers of its result, or why it failed.
fn outcome(run: &Run) -> String {
    match &run.state {
        RunState::Over(verdict) => match &**verdict {
            Verdict::Succeeded { value: Value::Record(fields), .. } => {
                let mut numbers = leaves(fields);
                numbers.retain(|(_, value)| amount(value).is_some());
                let more = if numbers.len() > NUMBERS { ", …" } else { "" };
                let shown = numbers.iter().take(NUMBERS).map(|(name, value)| format!("{name} {}", words::value(value)));
                shown.collect::<Vec<_>>().join(", ") + more
            }
            Verdict::Succeeded { value, .. } if amount(value).is_some() => words::value(value),
            Verdict::Failed { step, failure, .. } => format!("{} in {}", failure.kind, words::step(step)),
            Verdict::Succeeded { .. } | Verdict::Cancelled => String::new(),
        },
        RunState::Running | RunState::Interrupted => String::new(),
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
        "elapsed": run.elapsed.map(Duration::secs_f64),
        "cost": run.spent.map(Money::to_f64),
    });
    if let RunState::Over(verdict) = &run.state {
        json["verdict"] = super::json::verdict(verdict);
    }
    json
}
