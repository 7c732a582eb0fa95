//! Command tasks: any program, in any language. `docs/src/tasks.md` tells what a command sees and what it owes.

mod checkpoint;
mod environment;
mod events;
mod folder;
mod lines;
mod log;
mod mask;
mod process;
mod python;

use super::{Control, memory};
use crate::{
    disk::open_plain,
    store::Objects,
    types::Type,
    units::Duration,
    value::{Fields, Value},
    wire::{Command, Done, Failure, Job, Kind, Program, Progress, Word},
};
use events::Events;
use folder::Folder;
use log::Log;
use mask::Mask;
use serde_json::{Value as Json, json};
use std::{
    io::{self, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Instant,
};

/// A result is kept in the log of the run and handed on in memory; what is larger belongs into a file.
const MAX_RESULT: u64 = 16 << 20;

/// The exit code of a command that asks to be tried later: `EX_TEMPFAIL` of sysexits.h.
const TRY_LATER: i32 = 75;

/// What one command leaves for the next, as long as it is as if new.
#[derive(Default)]
pub(super) struct Kept {
    folder: Option<Folder>,
    events: Option<Events>,
    checkpoint: Option<checkpoint::Spare>,
}

/// Runs a command, with what was kept if it can be.
pub(super) fn run(
    command: &Command,
    job: &Job,
    objects: &Objects,
    control: &Control,
    kept: &mut Kept,
    report: &mut dyn FnMut(Progress),
) -> Result<Done, Failure> {
    checkpoint::take(&mut kept.checkpoint, &job.scratch).map_err(system("the checkpoint folder can't be made"))?;
    let folder = Folder::take(&mut kept.folder, &job.work).map_err(system("the working folder can't be made"))?;
    let done = run_in(&folder, command, job, objects, control, &mut kept.events, report);
    folder.put_back(&mut kept.folder);
    checkpoint::put_back(&mut kept.checkpoint, &job.scratch, &job.work);
    done
}

fn run_in(
    folder: &Folder,
    command: &Command,
    job: &Job,
    objects: &Objects,
    control: &Control,
    kept: &mut Option<Events>,
    report: &mut dyn FnMut(Progress),
) -> Result<Done, Failure> {
    let started = Instant::now();
    let (input, output) = (folder.input(), folder.output());
    let inputs: serde_json::Map<String, Json> =
        command.inputs.iter().map(|(name, value)| (name.to_string(), input_json(value, objects))).collect();

    // A file system without sockets must not stop the command: its output can tell of events, too.
    let mut events = Events::take(kept, &job.work).ok();
    let package = python::unpack(job).map_err(system("the Python package can't be unpacked"))?;
    let own_path = command.env.iter().rfind(|(name, _)| name == "PYTHONPATH");
    let mask = Mask::of(&job.secrets);

    // One pipe for both streams keeps their lines in the order in which they were written.
    let (written, stream) = io::pipe().map_err(system("the command's output can't be read"))?;
    let mut process = program(&command.program, &job.project, objects);
    process
        .current_dir(folder.path())
        .envs(environment::variables(&inputs))
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .envs(secrets(command, job)?)
        .env("SMLT_IN", &input)
        .env("SMLT_OUT", &output)
        .env("SMLT_PROJECT", &job.project)
        .env("SMLT_CHECKPOINT", &job.scratch)
        .env("PYTHONPATH", python::search_path(own_path.map(|(_, path)| &**path), &package))
        // A terminal's interrupt is for the run alone.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(stream.try_clone().map_err(system("the command's output can't be read"))?)
        .stderr(stream);
    match &events {
        Some(events) => process.env("SMLT_EVENTS", events.path()),
        // A run inside of a command has that of the command.
        None => process.env_remove("SMLT_EVENTS"),
    };
    if let Some(left) = job.time_left {
        process.env("SMLT_DEADLINE", left.secs_f64().to_string());
    }
    if let Some(left) = job.money_left {
        process.env("SMLT_BUDGET", left.to_f64().to_string());
    }
    folder.write_input(&Json::Object(inputs).to_string()).map_err(system("the inputs can't be written"))?;
    let kills = memory::kills();
    let child = {
        let _starting = control.starting();
        process.spawn().map_err(|error| not_started(&process, &error))?
    };
    // The pipe ends when the last who can write to it is gone, so this process must not be one.
    drop(process);
    let mut log = Log::new(job.log.clone(), &mask, report);
    let ended = process::follow(&child, written, &mut events, control, &mut log);
    *kept = events.and_then(|events| events.end(&mut log));
    let log = log.close();
    let ended = ended.map_err(system("the command can't be followed"))?;
    if ended.stopped {
        return Err(Failure { log, ..Failure::new(Kind::WorkerLost, "it was stopped") });
    }
    if !ended.status.success() {
        return Err(Failure { log, ..exited(ended.status, kills) });
    }
    let output =
        result(command, &output, folder.path(), objects, &mask).map_err(|failure| Failure { log, ..failure })?;
    Ok(Done { output, trained: None, elapsed: Duration::from(started.elapsed()) })
}

/// The variables that hold secrets.
fn secrets<'a>(command: &'a Command, job: &'a Job) -> Result<Vec<(&'a str, &'a str)>, Failure> {
    let value = |(variable, name): (&'a String, &'a String)| match job.secrets.get(name) {
        Some(secret) => Ok((&**variable, secret.reveal())),
        None => Err(Failure::new(Kind::TaskFailed, format!("the secret `{name}` is not known to the worker"))),
    };
    command.secrets.iter().map(value).collect()
}

/// What the system refused, as a failure of the step.
fn system(what: &'static str) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::new(Kind::TaskFailed, format!("{what}: {error}"))
}

fn program(program: &Program, project: &Path, objects: &Objects) -> std::process::Command {
    // The command runs in a folder of its own, so a file of the project is given by its whole path.
    let whole = |word: &Word| match word {
        Word::File(artifact) => objects.path(artifact),
        Word::Text(text) => {
            let file = project.join(text);
            if file.is_file() && Path::new(text).is_relative() { file } else { PathBuf::from(text) }
        }
    };
    match program {
        Program::Args(words) => {
            let mut words = words.iter().map(whole);
            let mut command = std::process::Command::new(words.next().unwrap_or_default());
            command.args(words);
            command
        }
        Program::Shell(script) => {
            let mut command = std::process::Command::new("sh");
            command.args(["-eu", "-c", script]);
            command
        }
    }
}

fn not_started(process: &std::process::Command, error: &io::Error) -> Failure {
    let program = process.get_program().to_string_lossy().into_owned();
    match error.kind() {
        _ if program.is_empty() => Failure::new(Kind::TaskFailed, "the command is empty")
            .help("name a program: `command: [\"python3\", \"clean.py\"]`"),
        io::ErrorKind::NotFound => Failure::new(Kind::TaskFailed, format!("there is no program `{program}`"))
            .help("install it, or check its name; a script of the project is named by its path from the workflow file"),
        io::ErrorKind::PermissionDenied => Failure::new(Kind::TaskFailed, format!("`{program}` may not be run")).help(
            format!("make it executable, `chmod +x`, or name its interpreter first: `[\"python3\", \"{program}\"]`"),
        ),
        _ => Failure::new(Kind::TaskFailed, format!("`{program}` can't be started: {error}")),
    }
}

fn exited(status: ExitStatus, kills: u64) -> Failure {
    match (status.code(), status.signal()) {
        (Some(TRY_LATER), _) => {
            Failure::new(Kind::Throttled, format!("the command asks to be tried later: exit code {TRY_LATER}"))
                .help("`@retry(max: 5, backoff: 10s, on: [Throttled])` tries it again")
        }
        _ if memory::was_killed(status, kills) => {
            Failure::new(Kind::OutOfMemory, "the system had no memory left and killed the command")
                .help("declare what it needs with `memory`, so that less runs beside it")
        }
        (Some(code), _) => Failure::new(Kind::TaskFailed, format!("the command ended with exit code {code}")),
        (None, Some(signal)) => Failure::new(Kind::TaskFailed, format!("the command was killed by signal {signal}")),
        (None, None) => Failure::new(Kind::TaskFailed, "the command ended without an exit code"),
    }
}

/// A value as the command reads it: stored files are paths.
fn input_json(value: &Value, objects: &Objects) -> Json {
    match value {
        Value::Artifact(artifact) => json!(objects.path(artifact)),
        Value::List(items) => items.iter().map(|item| input_json(item, objects)).collect(),
        Value::Record(fields) | Value::Map(fields) => {
            fields.iter().map(|(name, value)| (name.to_string(), input_json(value, objects))).collect()
        }
        Value::Model(model) => model.weights.as_ref().map_or(Json::Null, |weights| json!(objects.path(weights))),
        value => value.to_json(),
    }
}

fn read_result(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_plain(path)?.take(MAX_RESULT + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MAX_RESULT {
        true => {
            Err(io::Error::other(format!("it is larger than {} MiB; return large data as a file", MAX_RESULT >> 20)))
        }
        false => Ok(text),
    }
}

/// The result that the command wrote, with its files stored.
fn result(command: &Command, path: &Path, folder: &Path, objects: &Objects, mask: &Mask) -> Result<Value, Failure> {
    let wanted = &command.output;
    let bad = |message: String| Failure::new(Kind::BadResult, message);
    let help = || format!("write a JSON object of the type `{wanted}` to the file that $SMLT_OUT names");
    let text = match read_result(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if matches!(wanted, Type::Record(fields) if fields.is_empty()) {
                return Ok(Value::Record(Fields::new()));
            }
            return Err(bad("the command wrote no result".into()).help(help()));
        }
        Err(error) => return Err(bad(format!("the result can't be read: {error}")).help(help())),
    };
    let json: Json =
        serde_json::from_str(&text).map_err(|error| bad(format!("the result is not JSON: {error}")).help(help()))?;
    if mask.is_in(&json) {
        return Err(bad("the result holds a secret".into())
            .help("leave it out: a result is kept, shown and handed on, and a step that needs the secret names it"));
    }
    let json = stored(json, wanted, folder, objects)?;
    Value::from_json(&json, wanted).map_err(|error| bad(format!("the result has the wrong type: {error}")).help(help()))
}

/// Paths become stored files where the type asks for files.
fn stored(json: Json, wanted: &Type, folder: &Path, objects: &Objects) -> Result<Json, Failure> {
    Ok(match (wanted, json) {
        (Type::Artifact, Json::String(path)) => {
            let name =
                Path::new(&path).file_name().map_or_else(|| path.clone(), |name| name.to_string_lossy().into_owned());
            let artifact = objects.put_file(&name, &folder.join(&path)).map_err(|error| match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    Failure::new(Kind::TaskFailed, format!("the file `{path}` of the result can't be stored: {error}"))
                        .help("make space, then `smltc run --resume` goes on with the run")
                }
                _ => Failure::new(
                    Kind::BadResult,
                    format!("the result names the file `{path}`, which can't be read: {error}"),
                )
                .help("paths in a result start at the command's working folder"),
            })?;
            json!(artifact)
        }
        (Type::Optional(inner), json) => stored(json, inner, folder, objects)?,
        (Type::List(inner), Json::Array(items)) => {
            items.into_iter().map(|item| stored(item, inner, folder, objects)).collect::<Result<_, _>>()?
        }
        (Type::Record(types), Json::Object(fields)) => {
            let field = |(name, json): (String, Json)| {
                let json = match types.get(&*name) {
                    Some(ty) => stored(json, ty, folder, objects)?,
                    None => json,
                };
                Ok((name, json))
            };
            fields.into_iter().map(field).collect::<Result<serde_json::Map<_, _>, Failure>>()?.into()
        }
        (_, json) => json,
    })
}
