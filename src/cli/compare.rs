use super::{
    Exit,
    history::{Project, failed},
    table::{Cell, Table},
    words,
};
use crate::{
    runs::{
        Run,
        compare::{Row, Section, compare},
    },
    value::Value,
};
use console::Style;
use serde_json::{Value as Json, json};

/// Put runs side by side: arguments, results, best trials, metrics, time and cost.
///
/// What is not the same in all of them is marked with `≠`.
#[derive(clap::Args)]
pub struct Args {
    /// The runs: how their names start, `last`, or `last~1` for the one before
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<String>,
    #[command(flatten)]
    project: Project,
    /// Only what differs
    #[arg(long, short)]
    diff: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> Exit {
    tell(args).unwrap_or_else(|exit| exit)
}

fn tell(args: &Args) -> Result<Exit, Exit> {
    let history = args.project.history()?;
    let runs: Vec<Run> = args.runs.iter().map(|name| history.run(Some(name))).collect::<Result<_, _>>()?;
    let mut rows = compare(&history.runs, &runs).map_err(failed)?;
    if args.diff {
        rows.retain(Row::differs);
    }
    match args.json {
        true => super::say(format_args!("{}\n", to_json(&runs, &rows))),
        false => table(&runs, &rows).print(),
    }
    Ok(Exit::Ok)
}

fn to_json(runs: &[Run], rows: &[Row]) -> Json {
    let row = |row: &Row| {
        json!({
            "section": row.section.word(),
            "step": row.step,
            "name": row.name,
            "values": row.values.iter().map(|value| value.as_ref().map(Value::to_json)).collect::<Vec<_>>(),
            "differs": row.differs(),
        })
    };
    json!({
        "runs": runs.iter().map(|run| &run.id).collect::<Vec<_>>(),
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn table(runs: &[Run], rows: &[Row]) -> Table {
    let mut table = Table::new(["", "run"].into_iter().chain(runs.iter().map(|run| &*run.id)));
    let mut section = Section::Run;
    for row in rows {
        if row.section != section {
            section = row.section;
            table.push([Cell::default()]);
            table.push([Cell::default(), Cell::styled(title(section), Style::new().dim())]);
        }
        let differs = row.differs();
        let style = if differs { Style::new().bold() } else { Style::new() };
        let name = match &row.step {
            Some(step) => format!("{}.{}", words::step(step), row.name),
            None => row.name.clone(),
        };
        let values =
            row.values.iter().map(|value| Cell::styled(value.as_ref().map(shown).unwrap_or_default(), style.clone()));
        let mark = Cell::styled(if differs { "≠" } else { "" }, Style::new().yellow());
        table.push([mark, name.into()].into_iter().chain(values));
    }
    table
}

fn title(section: Section) -> &'static str {
    match section {
        Section::Run => "run",
        Section::Parameter => "arguments",
        Section::Result => "result",
        Section::Search => "best trials",
        Section::Metric => "last metrics",
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Duration(duration) => words::brief(*duration),
        Value::Artifact(artifact) => artifact.to_string(),
        value => words::value(value),
    }
}
