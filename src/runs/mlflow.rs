//! Runs for MLflow: a run, its trials and its steps with metrics, as experiments and nested runs in MLflow's file store.

mod keys;
mod store;

pub use store::MlflowError;

use super::{
    End, Home, Run, Runs, Standing, Step, Story, leaves,
    logs::Logs,
    metrics::{Point, Series},
};
use crate::{
    schedule::{StepPath, Time},
    store::Objects,
    units::{Duration, Money},
    value::{Artifact, Fields, Value},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use store::Store;

/// What to export.
#[derive(Clone, Copy)]
pub struct Export<'a> {
    /// The runs of the project.
    pub runs: &'a Runs,
    /// Where they are kept.
    pub home: &'a Home,
    /// The project's folder.
    pub project: &'a Path,
    /// The experiment that the run is to belong to.
    pub experiment: &'a str,
    /// Who ran it.
    pub user: &'a str,
}

/// A run as MLflow has it.
struct Entry {
    id: String,
    name: String,
    status: Status,
    start: i64,
    end: Option<i64>,
    params: BTreeMap<String, String>,
    metrics: BTreeMap<String, Vec<Sample>>,
    tags: BTreeMap<String, String>,
    /// Files to copy, by their places among the artifacts.
    files: BTreeMap<PathBuf, PathBuf>,
    /// Texts to write in the same way.
    texts: BTreeMap<PathBuf, String>,
}

/// A value of a metric: milliseconds since 1970, the value, its step.
struct Sample(i64, f64, u64);

/// MLflow's numbers for how a run stands.
#[derive(Clone, Copy)]
enum Status {
    Running = 1,
    Finished = 3,
    Failed = 4,
    Killed = 5,
}

impl From<Standing> for Status {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Running => Self::Running,
            Standing::Succeeded | Standing::CutShort => Self::Finished,
            Standing::Failed | Standing::LimitMissed => Self::Failed,
            Standing::Interrupted | Standing::Cancelled => Self::Killed,
        }
    }
}

/// Writes a run into the file store in `folder`, or updates it there; gives the number of nested runs.
///
/// # Errors
/// When the log can't be read or the folder can't be written.
pub fn export(what: &Export, run: &Run, folder: &Path) -> Result<usize, MlflowError> {
    let story = what.runs.story(run)?;
    let series = what.runs.metrics(&run.id)?;
    let store = Store::open(folder, what.experiment, run.started)?;
    let run = Exported { what, run, objects: Objects::open(what.home.objects()) };

    let mut nested: BTreeSet<StepPath> = series.iter().map(|series| series.step.clone()).collect();
    for (search, step) in &story.steps {
        nested.extend(step.trials.keys().map(|trial| StepPath(format!("{search}/trial[{trial}]").into())));
    }
    store.write(&run.whole(&story)?, what.user)?;
    for path in &nested {
        let own: Vec<&Series> = series.iter().filter(|series| series.step == *path).collect();
        let mut entry = run.nested(path, &story, &own);
        let around = ancestors(&path.0).find(|path| nested.contains(&StepPath((*path).into())));
        entry.tags.insert("mlflow.parentRunId".into(), run.id(around.unwrap_or_default()));
        store.write(&entry, what.user)?;
    }
    Ok(nested.len())
}

/// The paths around a path, the nearest first.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/'), |(around, _)| around.rsplit_once('/')).map(|(around, _)| around)
}

/// A step's name inside its workflow.
fn inside(path: &StepPath) -> &str {
    path.0.split_once('/').map_or(&*path.0, |(_, inside)| inside)
}

struct Exported<'a> {
    what: &'a Export<'a>,
    run: &'a Run,
    objects: Objects,
}

impl Exported<'_> {
    /// MLflow's name for the part of the run below a path: the same each time.
    fn id(&self, path: &str) -> String {
        let hash = blake3::hash(format!("{} {path}", self.run.id).as_bytes());
        hash.to_hex()[..32].to_owned()
    }

    fn when(&self, at: Time) -> i64 {
        self.run.started.saturating_add(at.0.millis())
    }

    fn entry(&self, path: &str, name: String, status: Status) -> Entry {
        let source = self.what.project.join(&self.run.file);
        let tags = [
            ("mlflow.runName", name.clone()),
            ("mlflow.source.name", source.display().to_string()),
            ("mlflow.source.type", "LOCAL".into()),
            ("mlflow.user", self.what.user.into()),
            ("smltc.run", self.run.id.clone()),
        ];
        Entry {
            id: self.id(path),
            name,
            status,
            start: self.run.started,
            end: None,
            params: BTreeMap::new(),
            metrics: BTreeMap::new(),
            tags: tags.map(|(name, text)| (name.to_owned(), text)).into(),
            files: BTreeMap::new(),
            texts: BTreeMap::new(),
        }
    }

    /// The run as a whole.
    fn whole(&self, story: &Story) -> Result<Entry, MlflowError> {
        let run = self.run;
        let mut entry = self.entry("", run.id.clone(), run.state.standing().into());
        entry.end = run.elapsed.map(|elapsed| self.when(Time(elapsed)));
        entry.params.insert("seed".into(), run.seed.to_string());
        entry.set_params(&run.args);
        entry.tags.insert("smltc.state".into(), run.state.word().into());
        entry.tags.insert("smltc.workflow".into(), run.workflow.clone());
        let end = entry.end.unwrap_or(entry.start);
        if let (Some(elapsed), Some(spent)) = (run.elapsed, run.spent) {
            entry.set_costs(end, elapsed, spent);
        }
        for (path, step) in story.steps.iter().filter(|(path, step)| &*step.kind == "evaluate" && !is_in_trial(path)) {
            if let Some((at, End::Done { value: Value::Record(fields), .. })) = &step.end {
                entry.set_numbers(&format!("{}.", inside(path)), fields, self.when(*at));
            }
        }
        if let Some(result) = run.result() {
            let fields = match result {
                Value::Record(fields) => fields.clone(),
                value => Fields::from([("result".into(), value.clone())]),
            };
            entry.set_numbers("", &fields, end);
            entry.set_files(&fields, &self.objects);
            entry.texts.insert("result.json".into(), format!("{:#}\n", result.to_json()));
        }
        let logs =
            Logs::of(self.what.home, &run.id).map_err(|error| MlflowError::File(self.what.home.run(&run.id), error))?;
        for path in logs.paths() {
            entry.files.extend(path.file_name().map(|name| (Path::new("logs").join(name), path.clone())));
        }
        Ok(entry)
    }

    /// A trial, or a step that reported metrics.
    fn nested(&self, path: &StepPath, story: &Story, series: &[&Series]) -> Entry {
        let step = story.steps.get(path);
        let mut entry = self.entry(&path.0, inside(path).into(), self.status(step));
        entry.tags.insert("smltc.step".into(), path.to_string());
        let below = story.steps.range(path.clone()..).take_while(|(step, _)| step.0.starts_with(&*path.0));
        let started = below.filter_map(|(_, step)| step.started).min();
        entry.start = self.when(started.unwrap_or_default());
        if let Some(step) = step {
            entry.tags.insert("smltc.kind".into(), step.kind.to_string());
            entry.end = step.end.as_ref().map(|(at, _)| self.when(*at));
            match &step.end {
                Some((at, End::Done { elapsed, cost, value })) => {
                    entry.set_costs(self.when(*at), *elapsed, *cost);
                    if let Value::Record(fields) = value {
                        entry.set_files(fields, &self.objects);
                    }
                }
                Some((_, End::Failed(failure))) => drop(entry.tags.insert("smltc.failure".into(), failure.to_string())),
                Some((_, End::Stopped)) | None => {}
            }
        }
        if let Some((search, number)) = trial(path)
            && let Some(step) = story.steps.get(&search)
            && let Some(trial) = step.trials.get(&number)
        {
            let end = self.when(trial.at);
            entry.end = Some(end);
            entry.status = if trial.failure.is_some() { Status::Failed } else { Status::Finished };
            entry.set_params(&trial.params);
            entry.set_costs(end, trial.elapsed, trial.cost);
            let value = trial.value.map(|value| vec![Sample(end, value, trial.epochs.unwrap_or(0))]);
            entry.metrics.extend(value.map(|value| ("objective".into(), value)));
            entry.tags.insert("smltc.search".into(), inside(&search).into());
            entry.tags.insert("smltc.best".into(), (step.best == Some(number)).to_string());
            entry.tags.extend(trial.failure.as_ref().map(|failure| ("smltc.failure".into(), failure.to_string())));
        }
        for series in series {
            let sample = |(step, point): (&u64, &Point)| Sample(self.when(point.at), point.value, *step);
            entry.metrics.insert(series.name.clone(), series.points.iter().map(sample).collect());
        }
        entry
    }

    fn status(&self, step: Option<&Step>) -> Status {
        match step.and_then(|step| step.end.as_ref()) {
            Some((_, End::Done { .. })) => Status::Finished,
            Some((_, End::Failed(_))) => Status::Failed,
            Some((_, End::Stopped)) => Status::Killed,
            None => match Status::from(self.run.state.standing()) {
                Status::Running => Status::Running,
                _ => Status::Killed,
            },
        }
    }
}

fn is_in_trial(path: &StepPath) -> bool {
    path.0.contains("/trial[")
}

/// The search and the number of a trial, if the path is one's.
fn trial(path: &StepPath) -> Option<(StepPath, u64)> {
    let (search, number) = path.0.strip_suffix(']')?.rsplit_once("/trial[")?;
    Some((StepPath(search.into()), number.parse().ok()?))
}

impl Entry {
    fn set_params(&mut self, args: &Fields) {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.params.extend(leaves(args).into_iter().map(|(name, value)| (name, text(value))));
    }

    fn set_costs(&mut self, at: i64, elapsed: Duration, cost: Money) {
        self.metrics.insert("smltc.seconds".into(), vec![Sample(at, elapsed.secs_f64(), 0)]);
        self.metrics.insert("smltc.cost_usd".into(), vec![Sample(at, cost.to_f64(), 0)]);
    }

    fn set_numbers(&mut self, prefix: &str, fields: &Fields, at: i64) {
        for (name, value) in leaves(fields) {
            let value = value.as_f64().map(|value| vec![Sample(at, value, 0)]);
            self.metrics.extend(value.map(|value| (format!("{prefix}{name}"), value)));
        }
    }

    /// Takes the stored files among values, each in a folder by the name of its field.
    fn set_files(&mut self, fields: &Fields, objects: &Objects) {
        for (name, value) in leaves(fields) {
            let folder = PathBuf::from(keys::escape(&name));
            match value {
                Value::Artifact(artifact) => self.set_file(&folder, artifact, objects),
                Value::List(items) => {
                    for (index, item) in items.iter().enumerate() {
                        if let Value::Artifact(artifact) = item {
                            self.set_file(&folder.join(index.to_string()), artifact, objects);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn set_file(&mut self, folder: &Path, artifact: &Artifact, objects: &Objects) {
        self.files.insert(folder.join(keys::escape(&artifact.name)), objects.path(artifact));
    }
}

#[cfg(test)]
mod tests;
