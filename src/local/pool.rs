//! Worker processes: started when needed, used again, and ended with all that they started.

mod worker;

use super::memory::{Allowance, Watch};
use crate::{
    processes::{self, Reaped},
    schedule::Attempt,
    source::Name,
    units::Duration,
    wire::{Done, Failure, GRACE, Job, Kind, Op, Order, Progress, Reply},
};
use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use worker::{Keepers, Said, Worker};

/// What an attempt has to say.
pub(super) type Report = (Attempt, What);

/// What an attempt has to say.
pub(super) enum What {
    Progress(Progress),
    Done(Box<Done>),
    Failed(Failure, Duration),
}

/// How long a worker may take to tell that its command has ended, beyond the grace that the command has.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// How often to look whether what was killed is gone.
const TICK: std::time::Duration = std::time::Duration::from_millis(1);

/// The worker processes of a run.
pub(super) struct Pool {
    idle: Arc<Mutex<Vec<Worker>>>,
    keepers: Keepers,
    /// Whether what is left behind where a worker was killed with its keeper comes to this process.
    adopts: bool,
    busy: HashMap<Attempt, UnboundedSender<Word>>,
    /// Each attends an attempt, or ends a worker.
    tasks: JoinSet<()>,
    memory: Arc<Watch>,
    log: File,
    /// Variables of the environment that a worker does not get.
    hidden: BTreeSet<Name>,
    reports: mpsc::Sender<Report>,
}

/// What those who attend an attempt are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// The run draws to an end.
    Drain,
    /// End the attempt in order.
    Stop,
    /// End it now.
    Kill,
}

/// A list is whole even if a thread that held it panicked: it is changed in one call.
fn lock<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Pool {
    pub fn new(log: File, hidden: BTreeSet<Name>, reports: mpsc::Sender<Report>) -> Self {
        Self {
            idle: Arc::default(),
            keepers: Arc::default(),
            // Children that were there before, as behind `exec`, and what they leave behind are not to be touched.
            adopts: processes::reap() == Reaped::NoneLeft && processes::adopt_orphans().is_ok(),
            busy: HashMap::new(),
            tasks: JoinSet::new(),
            memory: Arc::new(Watch::new()),
            log,
            hidden,
            reports,
        }
    }

    /// Lets a worker do a job, and reports how it goes. An attempt that takes longer than `timeout`, or more memory than it
    /// is allowed, is stopped.
    pub fn start(&mut self, attempt: Attempt, job: Job, timeout: Option<Duration>, allowance: Option<Allowance>) {
        while self.tasks.try_join_next().is_some() {}
        self.busy.retain(|_, words| !words.is_closed());
        let idle = lock(&self.idle).pop();
        let worker = idle.map_or_else(|| Worker::start(&self.log, &self.hidden, &self.keepers), Ok);
        let (sender, words) = mpsc::unbounded_channel();
        self.busy.insert(attempt.clone(), sender);
        let keepers = self.adopts.then(|| self.keepers.clone());
        let mut attended = Attended { attempt, words, reports: self.reports.clone(), keepers, began: Instant::now() };
        let (idle, memory) = (self.idle.clone(), self.memory.clone());
        self.tasks.spawn(async move {
            let what = match worker {
                Ok(worker) => {
                    let over = memory.over(worker.keeper(), allowance);
                    attended.attend(worker, job, timeout, over, &idle).await
                }
                Err(error) => {
                    attended.failed(Failure::new(Kind::WorkerLost, format!("no worker can be started: {error}")))
                }
            };
            // The run may be over already.
            let _ = attended.reports.send((attended.attempt, what)).await;
        });
    }

    /// Stops an attempt, which then reports that it failed.
    pub fn stop(&self, attempt: &Attempt) {
        if let Some(words) = self.busy.get(attempt) {
            tell(words, Word::Stop);
        }
    }

    /// Tells all that the run draws to an end.
    pub fn drain(&self) {
        self.busy.values().for_each(|words| tell(words, Word::Drain));
    }

    /// Ends every worker at once, and with it all that it started.
    pub async fn end(mut self) {
        self.busy.values().for_each(|words| tell(words, Word::Kill));
        loop {
            lock(&self.idle).drain(..).for_each(|worker| drop(self.tasks.spawn(worker.end())));
            if self.tasks.join_next().await.is_none() {
                return;
            }
        }
    }
}

/// Says a word to who attends an attempt, which may have ended meanwhile.
fn tell(words: &UnboundedSender<Word>, word: Word) {
    let _ = words.send(word);
}

/// An attempt, as seen by who attends it.
struct Attended {
    attempt: Attempt,
    words: UnboundedReceiver<Word>,
    reports: mpsc::Sender<Report>,
    /// Those whose children are not to be killed when another worker is lost; none where nothing could come of it.
    keepers: Option<Keepers>,
    began: Instant,
}

impl Attended {
    fn failed(&self, failure: Failure) -> What {
        What::Failed(failure, Duration::from(self.began.elapsed()))
    }

    /// Kills what has come to this process because a worker was killed with its keeper.
    async fn sweep(&self) {
        let Some(keepers) = &self.keepers else { return };
        let started = Instant::now();
        while processes::kill_children_but(&lock(keepers)) && started.elapsed() < PATIENCE {
            sleep(TICK).await;
        }
    }

    /// Lets a worker do the job, passes on what it says, and puts it back among the idle ones if it is still there.
    async fn attend(
        &mut self,
        mut worker: Worker,
        job: Job,
        timeout: Option<Duration>,
        over: impl Future<Output = Failure>,
        idle: &Mutex<Vec<Worker>>,
    ) -> What {
        // A training is left at once: nothing of it is to be kept that it has not stored already.
        let stops_in_order = matches!(job.op, Op::Command(_));
        worker.tell(&Order::Job(Box::new(job))).await;
        let mut limit = timeout.and_then(|timeout| self.began.checked_add(timeout.into()));
        // Why the attempt ends when it does not end by itself, and the same once its command was asked to stop.
        let mut why = Failure::new(Kind::WorkerLost, "it was stopped");
        let mut stopped: Option<Failure> = None;
        let mut over = pin!(over);
        loop {
            let alarm = async {
                match limit {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let word = tokio::select! {
                // Who has much to say is interrupted.
                biased;
                // A run that lets go of the attempt is over.
                word = self.words.recv() => word.unwrap_or(Word::Kill),
                () = alarm => match stopped {
                    Some(_) => Word::Kill,
                    None => {
                        why = late(timeout.unwrap_or_default());
                        Word::Stop
                    }
                },
                failure = &mut over => {
                    why = failure;
                    Word::Kill
                }
                said = worker.hear() => match said {
                    Said::Reply(Reply::Progress(progress)) => {
                        let _ = self.reports.send((self.attempt.clone(), What::Progress(progress))).await;
                        continue;
                    }
                    Said::Reply(Reply::Done(done)) => {
                        lock(idle).push(worker);
                        return What::Done(Box::new(done));
                    }
                    Said::Reply(Reply::Failed(failure)) => {
                        lock(idle).push(worker);
                        return self.failed(match stopped {
                            Some(stopped) => Failure { log: failure.log, ..stopped },
                            None => failure,
                        });
                    }
                    Said::Lost(failure) => {
                        worker.end().await;
                        self.sweep().await;
                        return self.failed(stopped.unwrap_or(failure));
                    }
                },
            };
            match word {
                Word::Drain => worker.tell(&Order::Drain).await,
                Word::Stop if stopped.is_some() => {}
                Word::Stop if stops_in_order => {
                    stopped = Some(why.clone());
                    limit = Some(Instant::now() + GRACE + PATIENCE);
                    worker.tell(&Order::Stop).await;
                }
                Word::Stop | Word::Kill => {
                    worker.end().await;
                    return self.failed(stopped.unwrap_or(why));
                }
            }
        }
    }
}

fn late(timeout: Duration) -> Failure {
    Failure::new(Kind::Timeout, format!("it took longer than its timeout of {timeout}"))
        .help("allow more with `@timeout`, or let it have less to do")
}
