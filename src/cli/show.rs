use super::{Exit, json, runs, words};
use crate::{
    runs::{Run, RunState},
    schedule::{Notice, StepPath, Time, Verdict},
    units::{Duration, Money},
    value::{Fields, Value},
};
use std::{collections::BTreeMap, path::PathBuf};

/// The trials of a search that are shown.
const TRIALS: usize = 5;

/// Show a run: its steps with their times, costs and values, and its result.
#[derive(clap::Args)]
pub struct Args {
    /// The run, or how its name starts; the latest if left out
    run: Option<String>,
    /// The project's folder, or a workflow file in it
    #[arg(long, short, default_value = ".", value_name = "PATH")]
    project: PathBuf,
    /// One JSON object, with everything that happened
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> Exit {
    let failed = |message: &str| {
        super::complain(format_args!("error: {message}"));
        Exit::Failed
    };
    let runs = match runs::open(&args.project) {
        Ok(Some(runs)) => runs,
        Ok(None) => {
            return failed("there are no runs yet\nhelp: `smltc run FILE` makes one; `--project` names another folder");
        }
        Err(exit) => return exit,
    };
    let run = match runs.find(args.run.as_deref()) {
        Ok(Ok(run)) => run,
        Ok(Err(several)) if several.is_empty() => {
            let name = args.run.as_deref().unwrap_or_default();
            return failed(&format!("there is no run `{name}`\nhelp: `smltc runs` lists them"));
        }
        Ok(Err(several)) => return failed(&format!("several runs start so: {}", several.join(", "))),
        Err(error) => return failed(&error.to_string()),
    };
    let notices = match runs.notices(&run.id) {
        Ok(notices) => notices,
        Err(error) => return failed(&error.to_string()),
    };
    if args.json {
        let mut object = runs::to_json(&run);
        object["events"] = notices.iter().filter_map(|(at, notice)| json::notice(*at, notice)).collect();
        super::say(format_args!("{object}\n"));
    } else {
        super::say(text(&run, &notices));
    }
    Exit::Ok
}

/// What is known of a step from the log.
#[derive(Default)]
struct Step {
    kind: String,
    started: Option<Time>,
    attempts: u32,
    state: State,
    epoch: Option<String>,
    trials: Vec<Trial>,
}

#[derive(Default)]
enum State {
    #[default]
    Open,
    Done(Duration, Money, Value),
    Failed(String),
    Stopped,
}

struct Trial {
    number: u64,
    params: Fields,
    epochs: Option<u64>,
    value: Option<f64>,
    best: Option<u64>,
}

fn text(run: &Run, notices: &[(Time, Notice)]) -> String {
    let mut out = format!("{}  {}  {}\n", run.id, run.file, run.state.word());
    if !run.args.is_empty() {
        out += &format!("arguments  {}\n", words::fields(&run.args));
    }
    out += &format!("seed       {}\n", run.seed);
    if let (Some(elapsed), Some(spent)) = (run.elapsed, run.spent) {
        out += &format!("took       {}, {spent} estimated cloud cost\n", words::brief(elapsed));
    }
    out.push('\n');
    let mut steps = steps(notices);
    if let RunState::Over(_) = run.state {
        stop_below(&mut steps, "");
    }
    for (path, step) in in_order(steps) {
        out += &step_text(&path, &step);
    }
    match &run.state {
        RunState::Over(verdict) => match &**verdict {
            Verdict::Succeeded { value, marks } => {
                for mark in marks {
                    out += &format!("\nnote: `{}` was cut short: {}\n", mark.scope, mark.message);
                }
                let value = words::value(value);
                if !value.is_empty() {
                    out += &format!("\nresult  {value}\n");
                }
            }
            Verdict::Failed { step, failure, .. } => {
                out += &format!("\n`{step}` failed: {failure}\n");
                out += &failure.help.as_ref().map(|help| format!("help: {help}\n")).unwrap_or_default();
                failure.log.iter().for_each(|line| out += &format!("    {line}\n"));
            }
            Verdict::Cancelled => {}
        },
        RunState::Running | RunState::Interrupted => {}
    }
    out
}

fn steps(notices: &[(Time, Notice)]) -> BTreeMap<StepPath, Step> {
    let mut steps: BTreeMap<StepPath, Step> = BTreeMap::new();
    for (at, notice) in notices {
        match notice {
            Notice::StepStarted { kind, .. } if &**kind == "trial" => {}
            Notice::StepStarted { step, kind, attempt } => {
                let step = steps.entry(step.clone()).or_default();
                step.kind = kind.to_string();
                step.started.get_or_insert(*at);
                step.attempts = *attempt;
                step.state = State::Open;
            }
            Notice::Epoch { step, metrics } => {
                if let Some(step) = steps.get_mut(step) {
                    step.epoch = Some(format!("epoch {}/{}, {}", metrics.epoch, metrics.of, words::metrics(metrics)));
                }
            }
            Notice::Trial { search, trial, params, epochs, value, best, .. } => {
                let trials = &mut steps.entry(search.clone()).or_default().trials;
                trials.retain(|earlier| earlier.number != *trial);
                let best = best.map(|(best, _)| best);
                trials.push(Trial { number: *trial, params: params.clone(), epochs: *epochs, value: *value, best });
                stop_below(&mut steps, &format!("{search}/trial[{trial}]/"));
            }
            Notice::StepDone { step, elapsed, cost, value } => {
                steps.entry(step.clone()).or_default().state = State::Done(*elapsed, *cost, value.clone());
            }
            Notice::StepFailed { step, failure } => {
                steps.entry(step.clone()).or_default().state = State::Failed(failure.to_string());
            }
            Notice::StepCaught { step, .. } => stop_below(&mut steps, &format!("{step}/")),
            Notice::StepStopped { step } => {
                if let Some(step) = steps.get_mut(step) {
                    step.state = State::Stopped;
                }
            }
            _ => {}
        }
    }
    steps
}

/// What has not ended below a path never will.
fn stop_below(steps: &mut BTreeMap<StepPath, Step>, path: &str) {
    let open = |step: &Step| matches!(step.state, State::Open);
    let stopped = steps.iter_mut().filter(|(step, state)| step.0.starts_with(path) && open(state));
    stopped.for_each(|(_, step)| step.state = State::Stopped);
}

/// The steps as a tree: what is inside a step follows it, and what stands side by side is in the order of its beginning.
fn in_order(steps: BTreeMap<StepPath, Step>) -> Vec<(StepPath, Step)> {
    let key = |path: &StepPath| {
        let ends = path.0.match_indices('/').map(|(end, _)| end).chain([path.0.len()]);
        let key = ends.map(|end| {
            // `best[7]` is an item of the step `best`.
            let path = &path.0[..end];
            let (step, item) = match path.strip_suffix(']').and_then(|path| path.rsplit_once('[')) {
                Some((step, item)) => (step, item.parse::<u64>().ok()),
                None => (path, None),
            };
            let step = StepPath(step.into());
            (steps.get(&step).and_then(|step| step.started), step, item)
        });
        key.collect::<Vec<_>>()
    };
    let mut keyed: Vec<_> = steps.keys().map(|path| (key(path), path.clone())).collect();
    keyed.sort();
    let mut steps = steps;
    keyed.into_iter().filter_map(|(_, path)| steps.remove_entry(&path)).collect()
}

fn step_text(path: &StepPath, step: &Step) -> String {
    let inside = words::step(path);
    let indent = "  ".repeat(inside.matches('/').count());
    // A name alone does not tell one item, round or trial from another.
    let name = match inside.rsplit_once('/') {
        Some((around, _)) if around.ends_with(']') => &inside[around.rfind('/').map_or(0, |slash| slash + 1)..],
        Some((_, name)) => name,
        None => inside,
    };
    let again = if step.attempts > 1 { format!(" (attempt {})", step.attempts) } else { String::new() };
    let state = match &step.state {
        State::Open => step.epoch.clone().unwrap_or_else(|| "not over".into()),
        State::Stopped => "stopped".into(),
        State::Failed(why) => format!("failed: {why}"),
        State::Done(elapsed, cost, value) => {
            let value = words::value(value);
            format!("{}, {cost}{}{value}", words::brief(*elapsed), if value.is_empty() { "" } else { "  " })
        }
    };
    let mut out = format!("{indent}{name}  {}{again}  {state}\n", step.kind);
    let mut trials: Vec<&Trial> = step.trials.iter().collect();
    // The best is whichever the search last called so; the others follow by value, in the same direction.
    let best = step.trials.last().and_then(|trial| trial.best);
    let top = trials.iter().find(|trial| Some(trial.number) == best).and_then(|trial| trial.value);
    let distance = |trial: &Trial| match (trial.value, top) {
        (Some(value), Some(top)) => (value - top).abs(),
        _ => f64::INFINITY,
    };
    trials.sort_by(|a, b| distance(a).total_cmp(&distance(b)).then(a.number.cmp(&b.number)));
    for trial in trials.iter().take(TRIALS) {
        let value = trial.value.map_or_else(|| "no value".into(), words::number);
        let epochs = trial.epochs.map(|epochs| format!("{}, ", words::count(epochs as usize, "epoch")));
        let (epochs, params) = (epochs.unwrap_or_default(), words::fields(&trial.params));
        out += &format!("{indent}  trial[{}]  {value}  {epochs}{params}\n", trial.number);
    }
    if trials.len() > TRIALS {
        out += &format!("{indent}  and {}\n", words::count(trials.len() - TRIALS, "further trial"));
    }
    out
}
