//! Several runs side by side: what went in, what came out, what it took.

use super::{Run, Runs, RunsError, leaves};
use crate::{
    schedule::StepPath,
    value::{Fields, Value},
};
use std::collections::HashMap;

/// What a row tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// The run as such.
    Run,
    /// An argument.
    Parameter,
    /// A field of the result.
    Result,
    /// The best trial of a search.
    Search,
    /// The latest value of a metric.
    Metric,
}

impl Section {
    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Parameter => "parameter",
            Self::Result => "result",
            Self::Search => "search",
            Self::Metric => "metric",
        }
    }
}

/// One thing that is known of at least one of the runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it tells of.
    pub section: Section,
    /// The step that it belongs to, if it is one's.
    pub step: Option<StepPath>,
    /// Its name, as a workflow would write it behind that of the step.
    pub name: String,
    /// Its value in each of the runs.
    pub values: Vec<Option<Value>>,
}

impl Row {
    /// Whether it is not the same in all runs.
    pub fn differs(&self) -> bool {
        self.values.windows(2).any(|pair| pair[0] != pair[1])
    }
}

/// Puts runs side by side. Rows come by section, and in each in the order of the first run that has them.
///
/// # Errors
/// When a log can't be read.
pub fn compare(runs: &Runs, compared: &[Run]) -> Result<Vec<Row>, RunsError> {
    let mut rows = Rows { count: compared.len(), rows: Vec::new(), places: HashMap::new() };
    for (column, run) in compared.iter().enumerate() {
        let mut set =
            |section, step: Option<&StepPath>, name: &str, value| rows.set(column, section, step, name, value);
        set(Section::Run, None, "file", text(&run.file));
        set(Section::Run, None, "workflow", text(&run.workflow));
        set(Section::Run, None, "state", text(run.state.word()));
        let seed = i64::try_from(run.seed).map_or_else(|_| text(&run.seed.to_string()), Value::Int);
        set(Section::Run, None, "seed", seed);
        run.elapsed.into_iter().for_each(|elapsed| set(Section::Run, None, "took", Value::Duration(elapsed)));
        run.spent.into_iter().for_each(|spent| set(Section::Run, None, "cost", Value::Money(spent)));
        for (name, value) in leaves(&run.args) {
            set(Section::Parameter, None, &name, value.clone());
        }
        if let Some(value) = run.result() {
            let fields = match value {
                Value::Record(fields) => fields.clone(),
                value => Fields::from([("result".into(), value.clone())]),
            };
            for (name, value) in leaves(&fields) {
                set(Section::Result, None, &name, value.clone());
            }
        }
        let story = runs.story(run)?;
        for (path, step) in story.in_order() {
            let Some((_, best)) = step.best_trial() else { continue };
            set(Section::Search, Some(path), "trials", Value::Int(step.trials.len() as i64));
            best.value.into_iter().for_each(|value| set(Section::Search, Some(path), "value", Value::Float(value)));
            for (name, value) in leaves(&best.params) {
                set(Section::Search, Some(path), &format!("params.{name}"), value.clone());
            }
        }
        // Which trials there are depends on what came of others, so that those of two runs are not alike.
        for series in runs.metrics(&run.id)?.iter().filter(|series| !series.step.0.contains("/trial[")) {
            if let Some(value) = series.last() {
                set(Section::Metric, Some(&series.step), &series.name, Value::Float(value));
            }
        }
    }
    rows.rows.sort_by_key(|row| row.section);
    Ok(rows.rows)
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

struct Rows {
    count: usize,
    rows: Vec<Row>,
    places: HashMap<(Section, Option<StepPath>, String), usize>,
}

impl Rows {
    fn set(&mut self, column: usize, section: Section, step: Option<&StepPath>, name: &str, value: Value) {
        let place = *self.places.entry((section, step.cloned(), name.to_owned())).or_insert_with(|| {
            let values = vec![None; self.count];
            self.rows.push(Row { section, step: step.cloned(), name: name.to_owned(), values });
            self.rows.len() - 1
        });
        self.rows[place].values[column] = Some(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        runs::{Home, Recorder, tests::project},
        schedule::{Notice, Time, Verdict},
        units::{Duration, Money},
    };

    /// Writes the log of a run with a search of one trial.
    fn log(recorder: Recorder, value: f64) {
        let lr = Fields::from([("lr".into(), Value::Float(value))]);
        let trial = Notice::Trial {
            search: StepPath("main/best".into()),
            trial: 0,
            of: None,
            params: lr.clone(),
            epochs: None,
            value: Some(7.0),
            best: Some((0, 7.0)),
            elapsed: Duration::ZERO,
            cost: Money::ZERO,
            failure: None,
        };
        recorder.notice(Time::default(), &trial);
        let result = Fields::from([("best".into(), Value::Record(lr))]);
        let verdict = Verdict::Succeeded { value: Value::Record(result), marks: Vec::new() };
        recorder.end(Time::default(), Money::ZERO, &verdict).unwrap();
    }

    #[test]
    fn what_differs_is_found_in_arguments_results_and_best_trials() {
        let folder = tempfile::tempdir().unwrap();
        for (id, value) in [("a", 0.1), ("b", 0.2)] {
            log(project(folder.path(), &[id]).record(id), value);
        }
        let runs = Runs::existing(&Home::of(folder.path())).unwrap().unwrap();
        let rows = compare(&runs, &runs.list().unwrap()).unwrap();
        let row = |section, name: &str| rows.iter().find(|row| row.section == section && row.name == name).unwrap();
        assert!(!row(Section::Parameter, "trials").differs());
        assert!(row(Section::Result, "best.lr").differs());
        assert_eq!(row(Section::Search, "params.lr").values, [Some(Value::Float(0.2)), Some(Value::Float(0.1))]);
        assert_eq!(row(Section::Search, "value").step, Some(StepPath("main/best".into())));
        assert!(rows.is_sorted_by_key(|row| row.section));
        assert!(compare(&runs, &runs.list().unwrap()[..1]).unwrap().iter().all(|row| !row.differs()));
    }
}
