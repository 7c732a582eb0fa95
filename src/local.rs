//! Runs a workflow on this machine: the scheduler's driver, with worker processes that do the steps.

mod cached;
mod clock;
mod memory;
mod own_folder;
mod past;
mod pool;

pub use memory::of_machine as memory_of_machine;
pub use past::{Past, PastError};

use crate::{
    cache::Session,
    data::dealt,
    graph::Graph,
    processes,
    runs::{self, Recorder, RunsError, logs},
    schedule::{Action, Attempt, Event, Launch, Notice, Options, Scheduler, Time, Verdict},
    source::Name,
    units::{Duration, Money},
    value::Fields,
    wire::{Job, Op, Role, Secret, Secrets},
};
use cached::{Answer, Cached, Next};
use clock::Clock;
use memory::Allowance;
use pool::{Meeting, Pool, Report, What};
use rustix::process::Signal;
use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    pin::pin,
};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::sleep_until,
};

/// What workers have said and the scheduler has not heard yet; those with more to say wait.
const REPORTS: usize = 256;

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
    /// The address of the store where the workers of a training meet; within smltc when absent.
    pub store: Option<Secret>,
    /// Variables of the environment that are secrets, which workers and commands do not get with the others.
    pub hidden: BTreeSet<Name>,
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The system refused.
    #[error("{0}: {1}\nhelp: see that the disk of the project has space left and lets you write")]
    System(&'static str, io::Error),
    /// The log can't be written.
    #[error("the log of the run can't be written: {0}")]
    Log(#[from] RunsError),
}

/// Who is told of everything that happens in a run.
pub trait Watch {
    /// Hears what happened before the run was cut off.
    fn past(&mut self, at: Time, notice: &Notice);
    /// Hears what happens now.
    fn present(&mut self, at: Time, notice: &Notice);
}

/// Nobody listens.
impl Watch for () {
    fn past(&mut self, _: Time, _: &Notice) {}
    fn present(&mut self, _: Time, _: &Notice) {}
}

/// What is known before a run begins.
#[derive(Default)]
pub struct Known<'a> {
    /// What has happened in it already.
    pub past: Past,
    /// The results of other runs, which may serve.
    pub cache: Option<&'a mut Session>,
}

/// Runs a workflow to its end, from where its past ends, and tells `watch` of everything as it happens.
///
/// An interrupt lets it begin nothing more; a second one ends it at once, and so does a log that can't be written: what is
/// not in the log would be done again by who resumes the run. No process that it started outlives it.
///
/// # Errors
/// When the system refuses what a run needs, or its log can't be written.
pub fn run(
    graph: &Graph,
    args: Fields,
    options: Options,
    machine: Machine,
    recorder: Recorder,
    known: Known,
    watch: &mut dyn Watch,
) -> Result<(Verdict, Duration, Money), LocalError> {
    let Known { past, cache } = known;
    let system = |what| move |error| LocalError::System(what, error);
    fs::create_dir_all(&machine.folder).map_err(system("the run's folder can't be made"))?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system("the event loop can't be started"))?;
    let workers = File::options().create(true).append(true).open(machine.folder.join("workers.log"));
    let (begun, mut spent, mut steps, mut trials) = (past.end(), Money::ZERO, 0, HashSet::new());
    let first = if past.is_empty() { Event::Begin } else { Event::Resume };
    let scheduler = Scheduler::replay(graph, args, options, past.into_log(), &mut |at, notice| {
        match notice {
            Notice::Spent { total } => spent = *total,
            Notice::StepDone { .. } => steps += 1,
            Notice::Trial { search, trial, .. } => drop(trials.insert((search.clone(), *trial))),
            _ => {}
        }
        watch.past(at, notice);
    });
    if first == Event::Resume {
        let resumed = Notice::RunResumed { steps, trials: trials.len() as u64 };
        recorder.notice(begun, &resumed);
        watch.present(begun, &resumed);
    }
    let (reports, incoming) = mpsc::channel(REPORTS);
    let (answers, answered) = mpsc::unbounded_channel();
    let driver = Driver {
        scheduler,
        pool: Pool::new(
            workers.map_err(system("the workers' log can't be made"))?,
            machine.hidden.clone(),
            Meeting::new(machine.store.clone(), run_name(&machine.folder), dealt::folder(&machine.folder)),
            reports,
        ),
        cached: Cached::new(cache, answers),
        clock: Clock::from(begun),
        spent,
        machine,
        recorder: &recorder,
        watch,
    };
    let (verdict, elapsed, spent) = runtime.block_on(driver.drive(first, incoming, answered))?;
    recorder.end(Time(elapsed), spent, &verdict)?;
    Ok((verdict, elapsed, spent))
}

/// What a run is called where its workers meet.
fn run_name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

struct Driver<'a> {
    scheduler: Scheduler<'a>,
    pool: Pool,
    cached: Cached<'a>,
    clock: Clock,
    spent: Money,
    machine: Machine,
    recorder: &'a Recorder,
    watch: &'a mut dyn Watch,
}

/// What becomes known of attempts after they have begun.
type Answers = mpsc::UnboundedReceiver<(Attempt, Answer)>;

impl Driver<'_> {
    async fn drive(
        mut self,
        first: Event,
        mut incoming: mpsc::Receiver<Report>,
        mut answered: Answers,
    ) -> Result<(Verdict, Duration, Money), LocalError> {
        let verdict = self.follow(first, &mut incoming, &mut answered).await?;
        let (elapsed, spent) = (self.clock.now().0, self.spent);
        // Nobody waits for those any more who have something to say.
        drop(incoming);
        self.pool.end().await;
        // It's there when a command has run, and what of it can't go does no harm.
        let _ = fs::remove_dir_all(runs::work(&self.machine.folder));
        // Who resumes a run that was interrupted finds its samples where they were.
        if verdict != Verdict::Cancelled {
            let _ = fs::remove_dir_all(dealt::folder(&self.machine.folder));
        }
        Ok((verdict, elapsed, spent))
    }

    async fn follow(
        &mut self,
        first: Event,
        incoming: &mut mpsc::Receiver<Report>,
        answered: &mut Answers,
    ) -> Result<Verdict, LocalError> {
        let listen = |kind| signal(kind).map_err(|error| LocalError::System("signals can't be heard", error));
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        // Behind `nohup` a run goes on without its terminal.
        let mut hangup = (!processes::ignores(Signal::HUP)).then(|| listen(SignalKind::hangup())).transpose()?;
        let (mut wake, mut draining) = (None, false);
        let mut broken = pin!(self.recorder.broken());
        let mut event = first;
        loop {
            if let Some(verdict) = self.step(event, &mut wake) {
                return Ok(verdict);
            }
            let alarm = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            event = tokio::select! {
                Some((attempt, what)) = incoming.recv() => self.hear(attempt, what),
                Some((attempt, answer)) = answered.recv() => {
                    let next = self.cached.answer(attempt, answer);
                    self.go_on(self.clock.now(), next).unwrap_or(Event::Tick)
                }
                () = alarm => {
                    wake = None;
                    Event::Tick
                }
                Some(()) = async {
                    tokio::select! {
                        it = interrupt.recv() => it,
                        it = terminate.recv() => it,
                        Some(it) = async { hangup.as_mut()?.recv().await } => Some(it),
                    }
                } => {
                    if draining {
                        return Ok(Verdict::Cancelled);
                    }
                    draining = true;
                    self.pool.drain();
                    self.cached.drain();
                    Event::Cancel
                }
                // What comes of the steps under way could not be kept.
                () = &mut broken => return Ok(Verdict::Cancelled),
            };
        }
    }

    /// Tells the scheduler, and does what it wants; gives the verdict once there is one.
    fn step(&mut self, event: Event, wake: &mut Option<tokio::time::Instant>) -> Option<Verdict> {
        let now = self.clock.now();
        self.recorder.event(now, &event);
        let mut actions = self.scheduler.step(now, event).into_iter().peekable();
        let (mut verdict, mut begun) = (None, None);
        while let Some(action) = actions.next() {
            match action {
                Action::Start(launch) => self.start(now, *launch, begun.take()),
                Action::Stop(attempt) => {
                    if !self.cached.stop(&attempt) {
                        self.pool.stop(&attempt);
                    }
                }
                Action::WakeAt(at) => *wake = self.clock.moment(at).map(Into::into),
                Action::Note(notice) => {
                    if let Notice::Spent { total } = notice {
                        self.spent = total;
                    }
                    // What begins a step is told once it is known whether there is anything to be done.
                    match actions.peek() {
                        Some(Action::Start(_)) => begun = Some(notice),
                        _ => self.tell(now, &notice),
                    }
                }
                Action::Finish(end) => verdict = Some(end),
            }
        }
        verdict
    }

    fn tell(&mut self, at: Time, notice: &Notice) {
        self.recorder.notice(at, notice);
        self.watch.present(at, notice);
    }

    /// An attempt's report as the scheduler hears it.
    fn hear(&mut self, attempt: Attempt, what: What) -> Event {
        match what {
            What::Progress(progress) => Event::Progress(attempt, progress),
            What::Done(done) => {
                self.cached.done(&attempt, &done);
                Event::Done(attempt, done)
            }
            What::Failed(failure, worked) => {
                self.cached.failed(&attempt);
                Event::Failed(attempt, failure, worked)
            }
        }
    }

    /// Begins an attempt: with a result of the cache, or by work. `begun` is the notice that it begins.
    fn start(&mut self, at: Time, launch: Launch, begun: Option<Notice>) {
        let kind = match &begun {
            Some(Notice::StepStarted { kind, .. }) => kind.clone(),
            _ => Name::default(),
        };
        let next = self.cached.begin(launch, kind);
        if let Some(notice) = begun.filter(|_| !matches!(next, Next::Serve(_))) {
            self.tell(at, &notice);
        }
        self.go_on(at, next);
    }

    /// Does what is to be done about an attempt, and gives what the scheduler must hear.
    fn go_on(&mut self, at: Time, next: Next) -> Option<Event> {
        match next {
            Next::Work(launch) => self.work(launch),
            Next::Serve(notice) => self.tell(at, &notice),
            Next::Wait => {}
            Next::Hear(event) => return Some(event),
        }
        None
    }

    /// Lets a worker do an attempt.
    fn work(&mut self, launch: Launch) {
        let name = logs::step_name(&launch.attempt.step);
        let with_worker = !matches!(launch.op, Op::Command(_));
        let allowance = launch.memory_limit.map(|memory| Allowance { memory, with_worker });
        // A command that outlives its timeout is stopped, so that is the time it has; a training ends at a deadline by itself.
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
            run: self.machine.folder.clone(),
            scratch: self.machine.folder.join("steps").join(name),
            work: runs::work(&self.machine.folder),
            log: Some(logs::path(&self.machine.folder, &launch.attempt)),
            time_left,
            money_left: launch.money_left,
            threads: (self.machine.cores / self.scheduler.running().max(1)).max(launch.cpu as usize).max(1),
            attempt: launch.attempt.number,
            role: Role::Alone,
            secrets,
        };
        self.pool.start(launch.attempt, job, launch.timeout, allowance);
    }
}
