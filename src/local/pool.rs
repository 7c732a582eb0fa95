//! Worker processes: started when needed, used again, killed with all that they started.

use crate::{
    schedule::Attempt,
    source::Name,
    units::Duration,
    wire::{Done, Failure, Job, Kind, Progress, Reply},
};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    collections::{BTreeSet, HashMap},
    env,
    fs::File,
    io,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{mpsc, oneshot},
};

/// What an attempt has to say.
pub(super) type Report = (Attempt, What);

/// What an attempt has to say.
pub(super) enum What {
    Progress(Progress),
    Done(Box<Done>),
    Failed(Failure, Duration),
}

/// The worker processes of a run.
pub(super) struct Pool {
    idle: Arc<Mutex<Vec<Worker>>>,
    busy: HashMap<Attempt, oneshot::Sender<()>>,
    /// The process groups that are alive.
    groups: Arc<Mutex<Vec<Pid>>>,
    log: File,
    /// Variables of the environment that a worker does not get.
    hidden: BTreeSet<Name>,
    reports: mpsc::UnboundedSender<Report>,
}

struct Worker {
    /// Held so that the process is reaped; it is killed when this goes.
    process: Child,
    group: Pid,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    groups: Arc<Mutex<Vec<Pid>>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The group may be gone by itself.
        let _ = kill_process_group(self.group, Signal::KILL);
        lock(&self.groups).retain(|group| *group != self.group);
    }
}

/// A list is whole even if a thread that held it panicked: it is changed in one call.
fn lock<T>(list: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    list.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Pool {
    pub fn new(log: File, hidden: BTreeSet<Name>, reports: mpsc::UnboundedSender<Report>) -> Self {
        Self { idle: Arc::default(), busy: HashMap::new(), groups: Arc::default(), log, hidden, reports }
    }

    /// Lets a worker do a job, and reports how it goes. An attempt that takes longer than `timeout` is killed.
    pub fn start(&mut self, attempt: Attempt, job: &Job, timeout: Option<Duration>) {
        let began = Instant::now();
        let failed = |failure| What::Failed(failure, Duration::from(began.elapsed()));
        let line = match serde_json::to_string(job) {
            Ok(line) => line + "\n",
            Err(error) => {
                let failure = Failure::new(Kind::TaskFailed, format!("the job can't be written: {error}"));
                return self.report(attempt, failed(failure));
            }
        };
        let idle = lock(&self.idle).pop();
        let worker = match idle.map_or_else(|| self.spawn(), Ok) {
            Ok(worker) => worker,
            Err(error) => {
                let failure = Failure::new(Kind::WorkerLost, format!("no worker can be started: {error}"));
                return self.report(attempt, failed(failure));
            }
        };
        let (stop, stopped) = oneshot::channel();
        self.busy.retain(|_, stop| !stop.is_closed());
        self.busy.insert(attempt.clone(), stop);
        let (reports, idle) = (self.reports.clone(), self.idle.clone());
        tokio::spawn(async move {
            let mut worker = worker;
            let limit = async {
                match timeout {
                    Some(timeout) => tokio::time::sleep(timeout.into()).await,
                    None => std::future::pending().await,
                }
            };
            let reply = tokio::select! {
                reply = converse(&mut worker, &line, &attempt, &reports) => reply,
                () = limit => Err(Failure::new(Kind::Timeout, format!("it took longer than its timeout of {}", timeout.unwrap_or_default()))
                    .help("allow more with `@timeout`, or let it have less to do")),
                _ = stopped => Err(Failure::new(Kind::WorkerLost, "it was stopped")),
            };
            let what = match reply {
                Ok(Reply::Done(done)) => What::Done(Box::new(done)),
                Ok(Reply::Failed(failure)) => What::Failed(failure, Duration::from(began.elapsed())),
                Ok(Reply::Progress(_)) | Err(_) => {
                    drop(worker);
                    let failure = reply.err().unwrap_or_else(|| Failure::new(Kind::WorkerLost, "it ended half-way"));
                    // The run may be over already.
                    let _ = reports.send((attempt, What::Failed(failure, Duration::from(began.elapsed()))));
                    return;
                }
            };
            lock(&idle).push(worker);
            let _ = reports.send((attempt, what));
        });
    }

    /// Kills the worker of an attempt, and all that it started; the attempt then reports that it failed.
    pub fn stop(&mut self, attempt: &Attempt) {
        if let Some(stop) = self.busy.remove(attempt) {
            // It may have ended meanwhile.
            let _ = stop.send(());
        }
    }

    /// Kills every worker at once.
    pub fn kill_all(&self) {
        for group in lock(&self.groups).iter() {
            let _ = kill_process_group(*group, Signal::KILL);
        }
    }

    fn report(&self, attempt: Attempt, what: What) {
        // The run may be over already.
        let _ = self.reports.send((attempt, what));
    }

    fn spawn(&self) -> io::Result<Worker> {
        let mut worker = Command::new(env::current_exe()?);
        for name in &self.hidden {
            worker.env_remove(&**name);
        }
        let mut worker = worker
            .arg("worker")
            .env("RAYON_NUM_THREADS", "1")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(self.log.try_clone()?)
            .kill_on_drop(true)
            .spawn()?;
        let gone = || io::Error::other("it ended as soon as it started");
        let group = worker.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or_else(gone)?;
        let (input, output) = worker.stdin.take().zip(worker.stdout.take()).ok_or_else(gone)?;
        lock(&self.groups).push(group);
        let output = BufReader::new(output).lines();
        Ok(Worker { process: worker, group, input, output, groups: self.groups.clone() })
    }
}

/// Gives a worker its job and passes on what it says, until it says that the job is over or falls silent for good.
async fn converse(
    worker: &mut Worker,
    job: &str,
    attempt: &Attempt,
    reports: &mpsc::UnboundedSender<Report>,
) -> Result<Reply, Failure> {
    let lost =
        |how: String| Failure::new(Kind::WorkerLost, how).help("`workers.log` in the run's folder may tell more");
    if worker.input.write_all(job.as_bytes()).await.is_err() || worker.input.flush().await.is_err() {
        return Err(lost(ended(worker).await));
    }
    loop {
        match worker.output.next_line().await {
            Ok(Some(line)) => match serde_json::from_str(&line) {
                Ok(Reply::Progress(progress)) => {
                    let _ = reports.send((attempt.clone(), What::Progress(progress)));
                }
                Ok(reply) => return Ok(reply),
                Err(error) => return Err(lost(format!("its worker wrote what can't be read: {error}"))),
            },
            Ok(None) => return Err(lost(ended(worker).await)),
            Err(error) => return Err(lost(format!("its worker can't be heard any more: {error}"))),
        }
    }
}

async fn ended(worker: &mut Worker) -> String {
    use std::os::unix::process::ExitStatusExt;
    match worker.process.wait().await {
        Ok(status) => match (status.signal(), status.code()) {
            (Some(signal), _) => format!("its worker was killed by signal {signal}"),
            (_, Some(code)) => format!("its worker ended with exit code {code}"),
            _ => "its worker is gone".into(),
        },
        Err(error) => format!("its worker is gone: {error}"),
    }
}
