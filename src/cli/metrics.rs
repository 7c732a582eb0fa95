use super::{
    Exit,
    history::{Project, failed},
    logs::{run_and_step, unpicked},
    plot::{self, Line},
    table::{self, Cell, Table},
    words,
};
use crate::{
    runs::{Run, metrics::Series, pick::pick},
    schedule::StepPath,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Print the metrics that trainings and commands reported, over epochs or steps.
#[derive(clap::Args)]
#[command(
    override_usage = "smltc metrics [OPTIONS] [RUN] [STEP]",
    after_help = "\
Examples:
  smltc metrics                 the metrics of the last run
  smltc metrics net --plot      those of the step `net`, drawn
  smltc metrics last~1 --csv    those of the run before, for other programs"
)]
pub struct Args {
    /// The run: how its name starts, `last`, or `last~1` for the one before; the last if left out
    #[arg(value_name = "RUN")]
    first: Option<String>,
    /// The step, or one end of its path; of a search, all its trials
    #[arg(value_name = "STEP")]
    second: Option<String>,
    #[command(flatten)]
    project: Project,
    /// Draw them
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    plot: bool,
    /// One JSON object a line for each value
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// The same as a table with commas
    #[arg(long)]
    csv: bool,
}

pub fn main(args: &Args) -> Exit {
    tell(args).unwrap_or_else(|exit| exit)
}

fn tell(args: &Args) -> Result<Exit, Exit> {
    let history = args.project.history()?;
    let (run, step) = run_and_step(args.first.as_deref(), args.second.as_deref());
    let run = history.run(run)?;
    let mut metrics = history.runs.metrics(&run.id).map_err(failed)?;
    if metrics.is_empty() {
        super::complain(format_args!("no step of {} has reported a metric", run.id));
        return Ok(Exit::Ok);
    }
    if let Some(word) = step {
        choose(word, &mut metrics, &run)?;
    }
    let steps: BTreeSet<&StepPath> = metrics.iter().map(|series| &series.step).collect();
    match steps.len() {
        _ if args.json => metrics.iter().for_each(print_json),
        _ if args.csv => super::say(csv(&metrics)),
        _ if args.plot => charts(&metrics).iter().for_each(|chart| chart.print()),
        1 => values(&metrics).print(),
        _ => summary(&metrics).print(),
    }
    Ok(Exit::Ok)
}

/// Keeps the metrics of a step and of all below it.
fn choose(word: &str, metrics: &mut Vec<Series>, run: &Run) -> Result<(), Exit> {
    let mut steps = BTreeSet::new();
    for series in &*metrics {
        let ends = series.step.0.match_indices('/').map(|(end, _)| end).chain([series.step.0.len()]);
        steps.extend(ends.map(|end| StepPath(series.step.0[..end].into())));
    }
    let step = pick(word, &steps).map_err(|error| unpicked(word, error, run))?;
    let below = format!("{step}/");
    metrics.retain(|series| series.step == *step || series.step.0.starts_with(&below));
    Ok(())
}

fn print_json(series: &Series) {
    for (at_step, point) in &series.points {
        let value = crate::value::Value::Float(point.value).to_json();
        super::say(format_args!(
            "{}\n",
            json!({
                "step": series.step,
                "metric": series.name,
                "at_step": at_step,
                "at": point.at.0.secs_f64(),
                "value": value,
            })
        ));
    }
}

fn csv(metrics: &[Series]) -> String {
    let quoted = |text: &str| match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let mut out = "step,metric,at_step,at,value\n".to_owned();
    for series in metrics {
        let (step, name) = (quoted(&series.step.0), quoted(&series.name));
        for (at_step, point) in &series.points {
            out += &format!("{step},{name},{at_step},{},{}\n", point.at.0.secs_f64(), point.value);
        }
    }
    out
}

/// The metrics of one step, a line for each of its epochs or steps.
fn values(metrics: &[Series]) -> Table {
    let head = if metrics.iter().any(is_training) { "epoch" } else { "step" };
    let mut table = Table::new([head].into_iter().chain(metrics.iter().map(|series| &*series.name)));
    let steps: BTreeSet<u64> = metrics.iter().flat_map(|series| series.points.keys().copied()).collect();
    for step in steps {
        let value = |series: &Series| series.points.get(&step).map(|point| words::number(point.value));
        let values = metrics.iter().map(|series| Cell::from(value(series).unwrap_or_default()));
        table.push([step.to_string().into()].into_iter().chain(values));
    }
    table
}

fn is_training(series: &Series) -> bool {
    part(&series.name).is_some()
}

/// The metrics of several steps, a line for each.
fn summary(metrics: &[Series]) -> Table {
    let mut table = Table::new(["step", "metric", "values", "first", "last", "least", "most"]);
    for series in metrics {
        let values: Vec<f64> = series.points.values().map(|point| point.value).collect();
        let [first, last] = [values.first(), values.last()].map(|value| value.map_or(f64::NAN, |value| *value));
        let least = values.iter().copied().fold(f64::NAN, f64::min);
        let most = values.iter().copied().fold(f64::NAN, f64::max);
        let numbers = [first, last, least, most].map(|number| words::number(number).into());
        let names = [words::step(&series.step).into(), (&*series.name).into(), values.len().to_string().into()];
        table.push(names.into_iter().chain(numbers));
    }
    table
}

/// A metric in its parts of the data, or in several steps.
struct Chart {
    title: String,
    lines: Vec<Line>,
}

/// A chart for each metric: of one step with a line for each part of the data, of several with a line for each step.
fn charts(metrics: &[Series]) -> Vec<Chart> {
    let steps: BTreeSet<&StepPath> = metrics.iter().map(|series| &series.step).collect();
    // What a command calls `loss` need not be what a training does.
    let mut groups: BTreeMap<(&str, bool), Vec<&Series>> = BTreeMap::new();
    for series in metrics {
        let name = part(&series.name).map_or(&*series.name, |(_, name)| name);
        groups.entry((name, is_training(series))).or_default().push(series);
    }
    let chart = |((name, _), mut group): ((&str, bool), Vec<&Series>)| {
        if steps.len() == 1 {
            let title = format!("{}  {name}", words::step(&group[0].step));
            let lines = group.into_iter().map(|series| line(part(&series.name).map_or(name, |(part, _)| part), series));
            return Chart { title, lines: lines.collect() };
        }
        // Of what each step has in two parts, that tells more which it was not trained on.
        let validated = group.iter().any(|series| series.name.starts_with("valid."));
        group.retain(|series| !validated || !series.name.starts_with("train."));
        let title = group.first().map_or(name, |series| &*series.name).to_owned();
        Chart { title, lines: group.into_iter().map(|series| line(words::step(&series.step), series)).collect() }
    };
    groups.into_iter().map(chart).collect()
}

fn line(name: &str, series: &Series) -> Line {
    let points = series.points.iter().map(|(step, point)| (*step as f64, point.value));
    Line { name: name.to_owned(), points: points.collect() }
}

/// The part of the data that a metric of a training is of, and its name there.
fn part(name: &str) -> Option<(&str, &str)> {
    name.split_once('.').filter(|(part, _)| ["train", "valid"].contains(part))
}

impl Chart {
    fn print(&self) {
        let chart = plot::draw(&self.lines, table::width(), console::colors_enabled());
        super::say(format_args!("{}\n{chart}", console::style(&self.title).bold()));
    }
}
