//! Command tasks: any program, in any language. `docs/src/tasks.md` tells what a command sees and what it owes.

use super::{events::Events, mask::Mask, python};
use crate::{
    disk::open_plain,
    store::Objects,
    types::Type,
    units::Duration,
    value::{Fields, Value, float},
    wire::{Command, Done, Failure, Job, Kind, Program, Progress, Word},
};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde_json::{Value as Json, json};
use std::{
    collections::VecDeque,
    env,
    ffi::OsString,
    fs,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{self, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration as Time, Instant},
};

/// The lines of a log that a failure shows.
const TAIL: usize = 20;

/// Longer lines are cut into pieces, so that a program that never ends its line can't fill the memory.
const MAX_LINE: u64 = 64 << 10;

/// A result is kept in the log of the run and handed on in memory; what is larger belongs into a file.
const MAX_RESULT: u64 = 16 << 20;

/// Once a command is over, what it started may hold its output open; its log ends this long after the last line.
const LINGER: Time = Time::from_millis(100);

/// Runs a command.
pub fn run(command: &Command, job: &Job, objects: &Objects, report: &mut dyn FnMut(Progress)) -> Result<Done, Failure> {
    let started = Instant::now();
    fs::create_dir_all(&job.scratch).map_err(system("the step's folder can't be made"))?;
    let folder = tempfile::Builder::new()
        .prefix("try-")
        .tempdir_in(&job.scratch)
        .map_err(system("the working folder can't be made"))?;
    let checkpoint = job.scratch.join("checkpoint");
    fs::create_dir_all(&checkpoint).map_err(system("the checkpoint folder can't be made"))?;
    let (input, output) = (folder.path().join(".smlt-in.json"), folder.path().join(".smlt-out.json"));
    let inputs: serde_json::Map<String, Json> =
        command.inputs.iter().map(|(name, value)| (name.to_string(), input_json(value, objects))).collect();
    fs::write(&input, json!(inputs).to_string()).map_err(system("the inputs can't be written"))?;

    let events = Events::listen(&job.sockets).map_err(system("the socket for events can't be made"))?;
    let package = python::unpack(&job.objects).map_err(system("the Python package can't be unpacked"))?;
    let python_path = command.env.iter().rfind(|(name, _)| name == "PYTHONPATH").map(|(_, path)| OsString::from(path));
    let python_path = python_path.or_else(|| env::var_os("PYTHONPATH"));

    // One pipe for both streams keeps their lines in the order in which they were written.
    let (output_lines, written) = io::pipe().map_err(system("the command's output can't be read"))?;
    let mask = Mask::of(&job.secrets);
    let mut process = program(&command.program, &job.project, objects);
    process
        .current_dir(folder.path())
        .envs(command.inputs.iter().filter_map(|(name, value)| Some((&**name, scalar(value, objects)?))))
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .envs(secrets(command, job)?)
        .env("SMLT_IN", &input)
        .env("SMLT_OUT", &output)
        .env("SMLT_PROJECT", &job.project)
        .env("SMLT_CHECKPOINT", &checkpoint)
        .env("SMLT_EVENTS", events.path())
        .env("PYTHONPATH", python::search_path(python_path.as_deref(), &package))
        .stdin(Stdio::null())
        .stdout(written.try_clone().map_err(system("the command's output can't be read"))?)
        .stderr(written);
    if let Some(left) = job.time_left {
        process.env("SMLT_DEADLINE", left.secs_f64().to_string());
    }
    if let Some(left) = job.money_left {
        process.env("SMLT_BUDGET", left.to_f64().to_string());
    }
    // SAFETY: between fork and exec only this one system call is made, which allocates nothing and takes no lock.
    unsafe {
        process.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let mut child = process.spawn().map_err(|error| not_started(&process, &error))?;
    // The pipe ends when the last who can write to it is gone, so this process must not be one.
    drop(process);
    let mut log = Log { report, mask: &mask, tail: VecDeque::new() };
    let status = log.follow(output_lines, &events, &mut child).map_err(system("the command can't be followed"))?;
    if !status.success() {
        return Err(Failure { log: log.tail.into(), ..exited(status) });
    }
    let output = result(command, &output, folder.path(), objects, &mask)
        .map_err(|failure| Failure { log: log.tail.into(), ..failure })?;
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

fn program(program: &Program, project: &Path, objects: &Objects) -> process::Command {
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
            let mut command = process::Command::new(words.next().unwrap_or_default());
            command.args(words);
            command
        }
        Program::Shell(script) => {
            let mut command = process::Command::new("sh");
            command.args(["-eu", "-c", script]);
            command
        }
    }
}

fn not_started(process: &process::Command, error: &io::Error) -> Failure {
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

fn exited(status: ExitStatus) -> Failure {
    match (status.code(), status.signal()) {
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

/// A value as an environment variable, if it is a single one.
fn scalar(value: &Value, objects: &Objects) -> Option<String> {
    match input_json(value, objects) {
        Json::String(text) => Some(text),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(truth) => Some(truth.to_string()),
        _ => None,
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
            let artifact = objects.put_file(&name, &folder.join(&path)).map_err(|error| {
                Failure::new(
                    Kind::BadResult,
                    format!("the result names the file `{path}`, which can't be read: {error}"),
                )
                .help("paths in a result start at the command's working folder")
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

/// What a command writes, line by line.
struct Log<'a> {
    report: &'a mut dyn FnMut(Progress),
    mask: &'a Mask,
    tail: VecDeque<String>,
}

impl Log<'_> {
    fn follow(
        &mut self,
        output: impl Read + Send + 'static,
        events: &Events,
        child: &mut process::Child,
    ) -> io::Result<ExitStatus> {
        let (sender, lines) = channel();
        events.serve(child, sender.clone())?;
        thread::spawn(move || send_lines(output, &sender));
        self.drain(&lines, child)?;
        child.wait()
    }

    fn drain(&mut self, lines: &Receiver<String>, child: &mut process::Child) -> io::Result<()> {
        loop {
            match lines.recv_timeout(LINGER) {
                Ok(line) => self.line(line),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) if child.try_wait()?.is_some() => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn line(&mut self, line: String) {
        let event =
            line.starts_with('{').then(|| serde_json::from_str(&line).ok()).flatten().and_then(|json| event(&json));
        if let Some(event) = event {
            (self.report)(self.mask.hide_in(event));
            return;
        }
        let line = self.mask.hide(line);
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line.clone());
        (self.report)(Progress::Log(line));
    }
}

/// `{"metric": "loss", "step": 3, "value": 0.2}` and `{"progress": 0.5}`
fn event(json: &Json) -> Option<Progress> {
    if let Some(share) = json.get("progress").and_then(Json::as_f64) {
        return Some(Progress::Share(share.clamp(0.0, 1.0)));
    }
    let name = json.get("metric")?.as_str()?.to_owned();
    let step = json.get("step").and_then(Json::as_u64);
    Some(Progress::Metric { name, step, value: float::deserialize(json.get("value")?).ok()? })
}

/// Sends what is written line by line. An error ends it like an end of file: the command's exit tells the rest.
pub(super) fn send_lines(source: impl Read, sender: &Sender<String>) {
    let mut reader = BufReader::new(source);
    let mut line = Vec::new();
    while let Ok(1..) = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
        let text = String::from_utf8_lossy(&line);
        if sender.send(text.trim_end_matches(['\n', '\r']).to_owned()).is_err() {
            return;
        }
        line.clear();
    }
}
