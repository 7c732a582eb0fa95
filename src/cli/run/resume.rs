//! `smltc run --resume`: the same run, from where it stood when it was cut off.

use super::{Args, Entered, Prepared, Report, carry_out, failed, meeting, writable};
use crate::{
    cache::Tally,
    cli::{Args as Line, Exit, complain, history::History, secrets, usage},
    local::{Past, PastError},
    runs::{Home, Run, RunState, Runs},
    schedule::{Options, Verdict},
    store::Objects,
};
use clap::{
    ArgMatches, CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The options that say how a run is begun.
const OF_THE_BEGINNING: [(&str, &str); 7] = [
    ("plan", "--plan"),
    ("seed", "--seed"),
    ("jobs", "--jobs"),
    ("memory", "--memory"),
    ("workers", "--workers"),
    ("no_limits", "--no-limits"),
    ("prices", "--prices"),
];

/// Whether a command line of `smltc run` asks to go on with a run.
pub fn is_wanted(words: &[OsString]) -> bool {
    words.iter().any(|word| word == "--resume" || word.to_string_lossy().starts_with("--resume="))
}

/// Goes on with a run.
pub fn main(words: &[OsString]) -> Exit {
    let words = file_first(words);
    let matches = match Line::command().try_get_matches_from(&words) {
        Ok(matches) => matches,
        Err(error) => {
            return match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::String(option)) if error.kind() == ErrorKind::UnknownArgument => keeps(option),
                _ => usage(&error),
            };
        }
    };
    let Some((_, matches)) = matches.subcommand() else { return Exit::Usage };
    match Args::from_arg_matches(matches) {
        Ok(args) => go_on(&args, matches, &words),
        Err(error) => usage(&error),
    }
}

/// The words with a workflow file right behind `--resume` in front of it: what follows `--resume` is the name of a run.
fn file_first(words: &[OsString]) -> Vec<OsString> {
    let mut words = words.to_vec();
    if let Some(index) = words.iter().position(|word| word == "--resume")
        && words.get(index + 1).is_some_and(|word| Path::new(word).extension().is_some_and(|end| end == "smlt"))
    {
        words.swap(index, index + 1);
    }
    words
}

/// Refuses an option that would change what the run was begun with.
fn keeps(option: &str) -> Exit {
    complain(format_args!(
        "error: `{option}` can't be given with `--resume`: a run goes on as it was begun\nhelp: leave it out, or begin a \
         new run: `smltc run FILE {option} …`"
    ));
    Exit::Usage
}

fn go_on(args: &Args, matches: &ArgMatches, words: &[OsString]) -> Exit {
    for (id, option) in OF_THE_BEGINNING {
        if matches.value_source(id) == Some(ValueSource::CommandLine) {
            return keeps(option);
        }
    }
    if let Err(exit) = meeting::check(args.store.as_ref()) {
        return exit;
    }
    if let Some(out) = &args.out
        && let Err(error) = writable(out)
    {
        return failed(format_args!("`{}` can't be written: {error}", out.display()));
    }
    let folder = args.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let history = match History::at(place) {
        Ok(Some(history)) => history,
        Ok(None) => {
            return failed("there are no runs yet\nhelp: `smltc run FILE` makes one, in the folder of the file");
        }
        Err(exit) => return exit,
    };
    let run = match choose(args, &history) {
        Ok(run) => run,
        Err(exit) => return exit,
    };
    let mut runs = history.runs;
    match runs.holder(&run.id) {
        Ok(None) => {}
        Ok(Some(process)) => {
            return failed(format_args!(
                "run {} is under way in process {process}\nhelp: wait for its end, or stop it: `kill -INT {process}`",
                run.id
            ));
        }
        Err(error) => return failed(error),
    }
    let file = if folder.as_os_str().is_empty() { PathBuf::from(&run.file) } else { folder.join(&run.file) };
    let prepared = match Prepared::new(file, Some(run.workflow.clone()), words) {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    let home = Home::of(prepared.files.project());
    let objects = Objects::open(home.objects());
    if let RunState::Over(verdict) = &run.state
        && let Verdict::Succeeded { .. } = **verdict
    {
        let report = Report { args, prepared: &prepared, objects: &objects, id: &run.id, tally: Tally::default() };
        if !args.quiet && !args.json {
            complain(format_args!("run {} is over already; this is its result", run.id));
        }
        return report.end(verdict, run.elapsed.unwrap_or_default(), run.spent.unwrap_or_default());
    }
    let secrets = match secrets::read(&prepared.graph, args.secrets.as_deref()) {
        Ok(secrets) => secrets,
        Err(message) => {
            complain(format_args!("error: {message}"));
            return Exit::Usage;
        }
    };
    match taken_up(&mut runs, &run, &prepared, &objects) {
        Ok((options, past)) => {
            let recorder = runs.record(&run.id);
            let Run { id, args: values, .. } = run;
            carry_out(args, &prepared, Entered { id, values, options, secrets, recorder, past })
        }
        Err(message) => failed(message),
    }
}

/// The run that is meant.
fn choose(args: &Args, history: &History) -> Result<Run, Exit> {
    let file = args.file.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
    if let Some(name) = args.resume.iter().flatten().next() {
        let run = history.run(Some(name))?;
        return match &file {
            Some(file) if *file != *run.file => Err(failed(format_args!(
                "run {} is one of `{}`\nhelp: `smltc run --resume {}` goes on with it",
                run.id, run.file, run.id
            ))),
            _ => Ok(run),
        };
    }
    let mut fitting = history.runs.list().map_err(failed)?;
    fitting.retain(|run| {
        file.as_ref().is_none_or(|file| *file == *run.file)
            && args.workflow.as_ref().is_none_or(|workflow| *workflow == run.workflow)
    });
    let last = fitting.iter().position(can_go_on).unwrap_or(0);
    match fitting.is_empty() {
        false => Ok(fitting.swap_remove(last)),
        true => Err(failed("there is no run to resume\nhelp: `smltc runs` lists the runs of a project")),
    }
}

fn can_go_on(run: &Run) -> bool {
    match &run.state {
        RunState::Running => false,
        RunState::Interrupted => true,
        RunState::Over(verdict) => match &**verdict {
            Verdict::Succeeded { .. } => false,
            Verdict::Failed { failure, .. } => !failure.kind.is_limit(),
            Verdict::Cancelled => true,
        },
    }
}

/// Makes a run this process's own: how it is done, and what it goes on from.
fn taken_up(runs: &mut Runs, run: &Run, prepared: &Prepared, objects: &Objects) -> Result<(Options, Past), String> {
    let (id, file) = (&run.id, prepared.file.display());
    let recipe = runs.recipe(id).map_err(|error| error.to_string())?;
    if recipe.files != prepared.files.hash() {
        return Err(format!(
            "run {id} can't go on: `{file}`, a file that it imports, or smltc itself is not what it was when the run \
             began\nhelp: begin a new run: `smltc run {file}`; steps that are the same come from the cache"
        ));
    }
    let log = runs.events(id).map_err(|error| error.to_string())?;
    let events = log.len();
    let past = Past::of(&prepared.graph, &run.args, &recipe.options, objects, log).map_err(|error| {
        let help = match &error {
            PastError::Failed(failure) if failure.kind.is_limit() => {
                "give it more time or money in the file, or `--no-limits`, and begin a new run; steps that are the same \
                 come from the cache"
            }
            PastError::Failed(_) => {
                "mend what failed, and begin a new run; steps that are the same come from the cache"
            }
            PastError::Argument(_) => "begin a new run with the file",
            PastError::Store(_) => "allow reading and writing there",
        };
        format!("run {id} can't go on: {error}\nhelp: {help}")
    })?;
    runs.take_over(id, events, past.len()).map_err(|error| format!("run {id} can't go on: {error}"))?;
    Ok((recipe.options, past))
}
