use super::{
    Exit,
    history::{Project, failed},
    json, runs, words,
};
use crate::{
    runs::{End, Run, RunState, Step, Story, Trial, logs::Logs},
    schedule::{StepPath, Verdict},
};
use std::{collections::BTreeSet, fmt::Write};

/// The trials of a search that are shown.
const TRIALS: usize = 5;

/// The items of a `for` and the rounds of a `repeat` that are shown where there are many.
const ITEMS: u64 = 20;

/// Show a run: its steps with their times, costs and values, and its result.
#[derive(clap::Args)]
pub struct Args {
    /// The run: how its name starts, `last`, or `last~1` for the one before; the last if left out
    run: Option<String>,
    #[command(flatten)]
    project: Project,
    /// Show all trials and items, however many there are
    #[arg(long, short)]
    all: bool,
    /// One JSON object, with everything that happened
    #[arg(long, conflicts_with = "all")]
    json: bool,
}

pub fn main(args: &Args) -> Exit {
    show(args).unwrap_or_else(|exit| exit)
}

fn show(args: &Args) -> Result<Exit, Exit> {
    let history = args.project.history()?;
    let run = history.run(args.run.as_deref())?;
    if args.json {
        // A log may be larger than memory, so that the object is written bit by bit, its events last.
        let object = runs::to_json(&run).to_string();
        super::say(format_args!("{},\"events\":[", object.strip_suffix('}').unwrap_or(&object)));
        let mut comma = "";
        let each = history.runs.each_notice(&run.id, &[], |at, notice| {
            if let Some(notice) = json::notice(at, &notice) {
                super::say(format_args!("{comma}{notice}"));
                comma = ",";
            }
        });
        super::say("]}\n");
        return each.map_err(failed).map(|()| Exit::Ok);
    }
    let story = history.runs.story(&run).map_err(failed)?;
    let logs =
        Logs::of(&history.home, &run.id).map_err(|error| failed(format_args!("the logs can't be read: {error}")))?;
    super::say(head(&run, &story, &logs));
    let few = Most { items: ITEMS, trials: TRIALS };
    tree(&story, if args.all { Most { items: u64::MAX, trials: usize::MAX } } else { few });
    super::say(tail(&run));
    Ok(Exit::Ok)
}

/// What is known of the run as a whole.
fn head(run: &Run, story: &Story, logs: &Logs) -> String {
    let mut out = format!("{}  {}  {}\n", run.id, run.file, run.state.word());
    let mut line = |name: &str, text: String| out += &format!("{name:9}  {text}\n");
    if !run.args.is_empty() {
        line("arguments", words::fields(&run.args));
    }
    line("seed", run.seed.to_string());
    if let Some(started) = words::moment(run.started) {
        line("started", started);
    }
    if let (Some(elapsed), Some(spent)) = (run.elapsed, run.spent) {
        line("took", format!("{}, {spent} estimated cloud cost", words::brief(elapsed)));
    }
    let deadline = story.deadline.map(|deadline| format!("deadline {deadline}"));
    let limits: Vec<String> =
        deadline.into_iter().chain(story.budget.map(|budget| format!("budget {budget}"))).collect();
    if !limits.is_empty() {
        line("limits", limits.join(", "));
    }
    if !logs.is_empty() {
        line("logs", format!("`smltc logs {}`", run.id));
    }
    for (at, scope, message) in &story.limits {
        // Nothing can fail that is written into a text.
        let _ = write!(out, "\nat {}  {scope}: {message}", words::brief(at.0));
    }
    out + if story.limits.is_empty() { "\n" } else { "\n\n" }
}

/// What came of it.
fn tail(run: &Run) -> String {
    let RunState::Over(verdict) = &run.state else { return String::new() };
    let mut out = String::new();
    match &**verdict {
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
    }
    out
}

/// Tells of the steps, of many items of a step only those first and those that failed.
fn tree(story: &Story, most: Most) {
    let mut hidden: Option<Hidden> = None;
    for (path, step) in story.in_order() {
        if hidden.as_ref().is_some_and(|hidden| !path.0.starts_with(&*hidden.start)) {
            hidden.take().into_iter().for_each(Hidden::tell);
        }
        if &*step.kind == "trial" {
            continue;
        }
        match far_item(&path.0, most.items) {
            Some((start, item)) if !matches!(step.end, Some((_, End::Failed(_)))) => {
                let hidden = hidden.get_or_insert_with(|| Hidden { start: start.into(), items: BTreeSet::new() });
                hidden.items.insert(item);
            }
            _ => super::say(step_text(path, step, most.trials)),
        }
    }
    hidden.into_iter().for_each(Hidden::tell);
}

/// How much of what there may be many of is shown.
#[derive(Clone, Copy)]
struct Most {
    items: u64,
    trials: usize,
}

/// Items of a step that are not shown.
struct Hidden {
    /// How their paths start.
    start: String,
    items: BTreeSet<u64>,
}

impl Hidden {
    fn tell(self) {
        let indent = "  ".repeat(self.start.matches('/').count());
        let items = words::count(self.items.len(), "further item");
        super::say(format_args!("{indent}and {items}; `--all` shows them\n"));
    }
}

/// The first item in a path that is too far back to be shown, and how the paths of all items beside it start.
fn far_item(path: &str, most: u64) -> Option<(&str, u64)> {
    path.match_indices('[').find_map(|(open, _)| {
        let (number, _) = path[open + 1..].split_once(']')?;
        number.parse().ok().filter(|item| *item >= most).map(|item| (&path[..=open], item))
    })
}

fn step_text(path: &StepPath, step: &Step, most: usize) -> String {
    let inside = words::step(path);
    let indent = "  ".repeat(inside.matches('/').count());
    // A name alone does not tell one item, round or trial from another.
    let name = match inside.rsplit_once('/') {
        Some((around, _)) if around.ends_with(']') => &inside[around.rfind('/').map_or(0, |slash| slash + 1)..],
        Some((_, name)) => name,
        None => inside,
    };
    let again = if step.attempts > 1 { format!(" (attempt {})", step.attempts) } else { String::new() };
    let state = match &step.end {
        None => step.epoch.as_ref().map_or_else(
            || "not over".into(),
            |epoch| format!("epoch {}/{}, {}", epoch.epoch, epoch.of, words::metrics(epoch)),
        ),
        Some((_, End::Stopped)) => "stopped".into(),
        Some((_, End::Failed(failure))) => format!("failed: {failure}"),
        Some((_, End::Done { elapsed, cost, value })) => {
            let value = words::value(value);
            let whence = match &step.served {
                Some(run) => format!("from the cache (run {run})"),
                None => format!("{}, {cost}", words::brief(*elapsed)),
            };
            format!("{whence}{}{value}", if value.is_empty() { "" } else { "  " })
        }
    };
    let mut out = format!("{indent}{name}  {}{again}  {state}\n", step.kind);
    for (attempt, failure) in (1..).zip(&step.retried) {
        out += &format!("{indent}  attempt {attempt}  failed: {failure}\n");
    }
    let mut trials: Vec<(u64, &Trial)> = step.trials.iter().map(|(number, trial)| (*number, trial)).collect();
    // The best is whichever the search last called so; the others follow by value, in the same direction.
    let top = step.best_trial().and_then(|(_, trial)| trial.value);
    let distance = |trial: &Trial| match (trial.value, top) {
        (Some(value), Some(top)) => (value - top).abs(),
        _ => f64::INFINITY,
    };
    trials.sort_by(|(a, one), (b, other)| distance(one).total_cmp(&distance(other)).then(a.cmp(b)));
    for (number, trial) in trials.iter().take(most) {
        let value = trial.value.map_or_else(|| "no value".into(), words::number);
        let epochs = trial.epochs.map(|epochs| format!("{}, ", words::count(epochs as usize, "epoch")));
        let (epochs, params) = (epochs.unwrap_or_default(), words::fields(&trial.params));
        out += &format!("{indent}  trial[{number}]  {value}  {epochs}{params}\n");
    }
    if trials.len() > most {
        out += &format!("{indent}  and {}\n", words::count(trials.len() - most, "further trial"));
    }
    out
}
