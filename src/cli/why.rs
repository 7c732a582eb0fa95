use super::{
    Exit,
    history::{Project, failed},
    words,
};
use crate::{
    cache::{Cache, CacheError, Change, Content, Finding, Parts, Subject},
    diagnostic::similar,
    runs::{Run, Runs},
    schedule::Notice,
    units::Duration,
};
use serde_json::json;

/// Tell why a step was run, or where its result came from.
///
/// It is compared with the latest earlier run of the workflow that has a step of this name.
#[derive(clap::Args)]
#[command(allow_missing_positional = true)]
pub struct Args {
    /// The run, or how its name starts; the latest if left out
    run: Option<String>,
    /// The step, as `smltc show` names it
    step: String,
    #[command(flatten)]
    project: Project,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> Exit {
    answer(args).unwrap_or_else(|exit| exit)
}

fn answer(args: &Args) -> Result<Exit, Exit> {
    let history = args.project.history()?;
    let (run, runs) = (history.run(args.run.as_deref())?, &history.runs);
    let told = |error: CacheError| failed(format_args!("{error}\nhelp: {}", error.help()));
    let cache = Cache::existing(&history.home.cache()).map_err(told)?;
    let findings = cache.as_ref().map(|cache| cache.findings(&run.id).map_err(told)).transpose()?.unwrap_or_default();
    let (step, finding) = find(runs, &run, &findings, &args.step).map_err(failed)?;
    let earlier = match (&cache, finding) {
        (Some(cache), Finding::Nothing) => earlier(runs, cache, &run, step).map_err(told)?,
        _ => None,
    };
    let parts = cache.as_ref().map(|cache| cache.parts(&run.id, step).map_err(told)).transpose()?.flatten();
    let changes = match (&earlier, &parts) {
        (Some((_, before)), Some(now)) => now.changes(before),
        _ => Vec::new(),
    };
    let earlier = earlier.map(|(run, _)| run);
    if args.json {
        super::say(format_args!("{}\n", to_json(&run, step, finding, earlier.as_deref(), &changes)));
    } else {
        super::say(format_args!("{step}: {}\n", text(&run, finding, earlier.as_deref(), &changes)));
    }
    Ok(Exit::Ok)
}

/// The step that is meant, and what was found when it began.
fn find<'f>(
    runs: &Runs,
    run: &Run,
    findings: &'f [(String, Finding)],
    name: &str,
) -> Result<(&'f str, &'f Finding), String> {
    let inside = |step: &str| step.split_once('/').map_or(step, |(_, inside)| inside).to_owned();
    let is = |step: &str| step == name || inside(step) == name;
    let ends = |step: &str| step.strip_suffix(name).is_some_and(|before| before.ends_with('/'));
    let whole: Vec<_> = findings.iter().filter(|(step, _)| is(step)).collect();
    let fitting = if whole.is_empty() { findings.iter().filter(|(step, _)| ends(step)).collect() } else { whole };
    match fitting.as_slice() {
        [(step, finding)] => return Ok((step, finding)),
        [] => {}
        several => {
            let names: Vec<String> = several.iter().take(8).map(|(step, _)| format!("`{}`", inside(step))).collect();
            let more = if several.len() > names.len() { ", …" } else { "" };
            return Err(format!("several steps are called so: {}{more}", names.join(", ")));
        }
    }
    let notices = runs.notices(&run.id).map_err(|error| error.to_string())?;
    let begun = notices.iter().find_map(|(_, notice)| match notice {
        Notice::StepStarted { step, kind, .. } if is(&step.0) || ends(&step.0) => Some((step, kind)),
        _ => None,
    });
    if let Some((step, kind)) = begun {
        let within = findings.iter().any(|(inner, _)| inner.starts_with(&*step.0));
        return Err(match within {
            true => format!(
                "`{name}` is a `{kind}`\nhelp: ask for one of the steps in it; `smltc show {}` tells them",
                run.id
            ),
            false => format!("run {} was without the cache, so nothing is known of its steps", run.id),
        });
    }
    let known: Vec<String> = findings.iter().map(|(step, _)| inside(step)).collect();
    let near = similar(name, known.iter().map(String::as_str));
    let help = near
        .map_or_else(|| format!("`smltc show {}` tells its steps", run.id), |near| format!("did you mean `{near}`?"));
    Err(format!("run {} has no step `{name}`\nhelp: {help}", run.id))
}

/// The latest run of the same workflow before `run` that knows what this step depended on.
fn earlier(runs: &Runs, cache: &Cache, run: &Run, step: &str) -> Result<Option<(String, Parts)>, CacheError> {
    let all = runs.list().unwrap_or_default();
    let before = all.iter().skip_while(|other| other.id != run.id).skip(1);
    for other in before.filter(|other| (&other.file, &other.workflow) == (&run.file, &run.workflow)) {
        if let Some(parts) = cache.parts(&other.id, step)? {
            return Ok(Some((other.id.clone(), parts)));
        }
    }
    Ok(None)
}

fn text(run: &Run, finding: &Finding, earlier: Option<&str>, changes: &[Change]) -> String {
    let ago = |made: i64| words::age(Duration::from_millis(run.started.saturating_sub(made)));
    match finding {
        Finding::Served { run, made } => format!("from the cache; run {run} made it {} before", ago(*made)),
        Finding::Nothing => match (earlier, changes) {
            (None, _) => "run, because there is no earlier run of it".into(),
            (Some(earlier), []) => {
                format!("run, though nothing has changed since run {earlier}: there is no result of it to take over")
            }
            (Some(earlier), [change]) => format!("run, because {} since run {earlier}", change_text(change)),
            (Some(earlier), changes) => {
                let lines: String = changes.iter().map(|change| format!("\n  {}", change_text(change))).collect();
                format!("run, because of these changes since run {earlier}:{lines}")
            }
        },
        Finding::Old { run, made } => {
            format!("run, because the result of run {run} was {} old, which is more than `@cache` allows", ago(*made))
        }
        Finding::Lost { run } => format!("run, because a file of the result of run {run} was gone or damaged"),
        Finding::Ignored => "run, because of `--no-cache`".into(),
        Finding::Off => "run, because of `@cache(off)`".into(),
        Finding::Effect => {
            "run, because it returns nothing: it is run for what it does, unless `@cache(on)` says otherwise".into()
        }
        Finding::Unknown(reason) => format!("run, because what it depends on could not be told: {reason}"),
    }
}

fn change_text(change: &Change) -> String {
    let subject = subject_text(&change.subject);
    let shown = |content: &Option<Content>| content.as_ref().map(|content| content.shown.clone());
    match (shown(&change.before), shown(&change.now)) {
        (Some(Some(before)), Some(Some(now))) if before != now => format!("{subject} changed from {before} to {now}"),
        (Some(_), Some(_)) => format!("{subject} changed"),
        (None, _) => format!("{subject} is new"),
        (_, None) => format!("{subject} is gone"),
    }
}

fn subject_text(subject: &Subject) -> String {
    match subject {
        Subject::Kind => "what smltc does in such a step".into(),
        Subject::Command => "its command".into(),
        Subject::Output => "its declared result".into(),
        Subject::Setting(name) => format!("`{name}`"),
        Subject::Env(name) => format!("the variable `{name}`"),
        Subject::Secret(name) => format!("the secret in `{name}`"),
        Subject::File(name) => format!("`{name}`"),
    }
}

fn to_json(run: &Run, step: &str, finding: &Finding, earlier: Option<&str>, changes: &[Change]) -> serde_json::Value {
    let shown = |content: &Option<Content>| content.as_ref().and_then(|content| content.shown.clone());
    let change = |change: &Change| {
        json!({
            "what": change.subject,
            "was": change.before.is_some(),
            "is": change.now.is_some(),
            "before": shown(&change.before),
            "now": shown(&change.now),
        })
    };
    json!({
        "run": run.id,
        "step": step,
        "finding": finding,
        "compared_with": earlier,
        "changes": changes.iter().map(change).collect::<Vec<_>>(),
    })
}
