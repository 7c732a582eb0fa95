//! Runs a workflow on this machine: the scheduler's driver, with worker processes that do the steps.

mod pool;

use crate::{
    graph::Graph,
    runs::{Recorder, RunsError},
    schedule::{Action, Attempt, Event, Launch, Notice, Options, Scheduler, StepPath, Time, Verdict},
    seed::Seed,
    source::Name,
    units::{Duration, Money},
    value::Fields,
    wire::{Job, Op, Progress, Secrets},
};
use pool::{Pool, Report};
use std::{
    collections::{BTreeSet, HashMap},
    env,
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    time::Instant,
};
use tempfile::TempDir;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::sleep_until,
};

/// What a run needs to know of this machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The folder of the workflow file.
    pub project: PathBuf,
    /// Where stored files lie.
    pub objects: PathBuf,
    /// The run's own folder.
    pub folder: PathBuf,
    /// The processors.
    pub cores: usize,
    /// What the run's secrets are.
    pub secrets: Secrets,
    /// Variables of the environment that are secrets, which workers and commands do not get with the others.
    pub hidden: BTreeSet<Name>,
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The system refused.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    /// The log can't be written.
    #[error(transparent)]
    Runs(#[from] RunsError),
}

/// Runs a workflow to its end, and tells `watch` of everything as it happens.
///
/// An interrupt stops it in order; a second one at once.
///
/// # Errors
/// When the system refuses what a run needs, or its log can't be written.
pub fn run(
    graph: &Graph,
    args: Fields,
    options: Options,
    machine: Machine,
    recorder: Recorder,
    watch: &mut dyn FnMut(Time, &Notice),
) -> Result<(Verdict, Duration, Money), LocalError> {
    let system = |what| move |error| LocalError::System(what, error);
    fs::create_dir_all(&machine.folder).map_err(system("the run's folder can't be made"))?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system("the event loop can't be started"))?;
    let sockets = sockets().map_err(system("a folder for sockets can't be made"))?;
    let workers = File::options().create(true).append(true).open(machine.folder.join("workers.log"));
    let (reports, incoming) = mpsc::unbounded_channel();
    let driver = Driver {
        scheduler: Scheduler::new(graph, args, options),
        pool: Pool::new(workers.map_err(system("the workers' log can't be made"))?, machine.hidden.clone(), reports),
        logs: HashMap::new(),
        sockets: &sockets,
        started: Instant::now(),
        spent: Money::ZERO,
        machine,
        recorder: &recorder,
        watch,
    };
    let (verdict, elapsed, spent) = runtime.block_on(driver.drive(incoming))?;
    recorder.end(Time(elapsed), spent, &verdict)?;
    Ok((verdict, elapsed, spent))
}

struct Driver<'a> {
    scheduler: Scheduler<'a>,
    pool: Pool,
    /// The log files of commands, open while they run.
    logs: HashMap<Attempt, File>,
    sockets: &'a TempDir,
    started: Instant,
    spent: Money,
    machine: Machine,
    recorder: &'a Recorder,
    watch: &'a mut dyn FnMut(Time, &Notice),
}

impl Driver<'_> {
    async fn drive(
        mut self,
        mut incoming: mpsc::UnboundedReceiver<Report>,
    ) -> Result<(Verdict, Duration, Money), LocalError> {
        let listen = |kind| signal(kind).map_err(|error| LocalError::System("signals can't be heard", error));
        let mut interrupt = listen(SignalKind::interrupt())?;
        let (mut terminate, mut hangup) = (listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
        let (mut wake, mut stopping) = (None, false);
        let mut event = Event::Begin;
        loop {
            if let Some(verdict) = self.step(event, &mut wake) {
                return Ok((verdict, self.now().0, self.spent));
            }
            let alarm = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            event = tokio::select! {
                Some((attempt, what)) = incoming.recv() => self.hear(attempt, what),
                () = alarm => {
                    wake = None;
                    Event::Tick
                }
                Some(()) = async {
                    tokio::select! {
                        it = interrupt.recv() => it,
                        it = terminate.recv() => it,
                        it = hangup.recv() => it,
                    }
                } => {
                    if stopping {
                        self.pool.kill_all();
                        return Ok((Verdict::Cancelled, self.now().0, self.spent));
                    }
                    stopping = true;
                    Event::Cancel
                }
            };
        }
    }

    fn now(&self) -> Time {
        Time(self.started.elapsed().into())
    }

    /// Tells the scheduler, and does what it wants; gives the verdict once there is one.
    fn step(&mut self, event: Event, wake: &mut Option<tokio::time::Instant>) -> Option<Verdict> {
        let now = self.now();
        self.recorder.event(now, &event);
        let actions = self.scheduler.step(now, event);
        let mut verdict = None;
        for action in actions {
            match action {
                Action::Start(launch) => self.start(*launch),
                Action::Stop(attempt) => self.pool.stop(&attempt),
                Action::WakeAt(at) => {
                    let at = std::time::Duration::from(at.0);
                    // A time too far for the clock never comes.
                    *wake = self.started.checked_add(at).map(Into::into);
                }
                Action::Note(notice) => {
                    if let Notice::Spent { total } = notice {
                        self.spent = total;
                    }
                    self.recorder.notice(now, &notice);
                    (self.watch)(now, &notice);
                }
                Action::Finish(end) => verdict = Some(end),
            }
        }
        verdict
    }

    fn start(&mut self, launch: Launch) {
        let name = file_name(&launch.attempt.step);
        // A command that outlives its timeout is killed, so that is the time it has; a training ends at a deadline by itself.
        let time_left = match (&launch.op, launch.time_left, launch.timeout) {
            (Op::Command(_), Some(left), Some(timeout)) => Some(left.min(timeout)),
            (Op::Command(_), None, timeout) => timeout,
            (_, left, _) => left,
        };
        let secrets = match &launch.op {
            Op::Command(command) => {
                let secret = |name: &String| Some((name.clone(), self.machine.secrets.get(name)?.clone()));
                command.secrets.values().filter_map(secret).collect()
            }
            _ => Secrets::new(),
        };
        let job = Job {
            path: launch.attempt.step.to_string(),
            op: launch.op,
            project: self.machine.project.clone(),
            objects: self.machine.objects.clone(),
            scratch: self.machine.folder.join("steps").join(name),
            sockets: self.sockets.path().to_owned(),
            time_left,
            money_left: launch.money_left,
            secrets,
            threads: (self.machine.cores / self.scheduler.running().max(1)).max(1),
        };
        self.pool.start(launch.attempt, &job, launch.timeout);
    }

    /// An attempt's report as the scheduler hears it; lines of a command's log go into a file on the way.
    fn hear(&mut self, attempt: Attempt, what: pool::What) -> Event {
        match what {
            pool::What::Progress(progress) => {
                if let Progress::Log(line) = &progress {
                    // A log that can't be written must not stop the step; its last lines are kept with a failure anyway.
                    let _ = self.log(&attempt, line);
                }
                Event::Progress(attempt, progress)
            }
            pool::What::Done(done) => {
                self.logs.remove(&attempt);
                Event::Done(attempt, done)
            }
            pool::What::Failed(failure, worked) => {
                self.logs.remove(&attempt);
                Event::Failed(attempt, failure, worked)
            }
        }
    }

    fn log(&mut self, attempt: &Attempt, line: &str) -> io::Result<()> {
        if !self.logs.contains_key(attempt) {
            let folder = self.machine.folder.join("logs");
            fs::create_dir_all(&folder)?;
            let name = format!("{}.{}.log", file_name(&attempt.step), attempt.number);
            self.logs.insert(attempt.clone(), File::create(folder.join(name))?);
        }
        match self.logs.get_mut(attempt) {
            Some(file) => writeln!(file, "{line}"),
            None => Ok(()),
        }
    }
}

/// A folder for sockets, which is gone after the run: a socket's path may have 108 bytes, which that of a project may exceed.
fn sockets() -> io::Result<TempDir> {
    let usual = env::temp_dir();
    let folder = if usual.as_os_str().len() <= 64 { usual } else { "/tmp".into() };
    tempfile::Builder::new().prefix("smlt-").tempdir_in(folder)
}

/// A step's path as the name of a file, which a system lets be 255 bytes long.
fn file_name(step: &StepPath) -> String {
    let name = step.0.replace('/', ".");
    if name.len() <= 200 {
        return name;
    }
    let hash = Seed::new(0).child(&name).get();
    format!("{}~{hash:016x}", &name[..name.floor_char_boundary(180)])
}
