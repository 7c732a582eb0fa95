//! Worker processes: started when needed, used again, and ended with all that they started.

mod team;
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
pub(super) use team::Meeting;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use worker::{Keepers, Said, Sat, Worker, best};

/// What an attempt has to say.
pub(super) type Report = (Attempt, What);

/// What an attempt has to say.
pub(super) enum What {
    Progress(Progress),
    Done(Box<Done>),
    Failed(Failure, Duration),
}

/// How a job came to its end.
enum End {
    Done(Box<Done>),
    /// A worker has done its part of a training's round.
    Left,
    Failed(Failure),
}

/// How long a worker may take to tell that its command has ended, beyond the grace that the command has.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// How often to look whether what was killed is gone.
const TICK: std::time::Duration = std::time::Duration::from_millis(1);

/// The worker processes of a run.
pub(super) struct Pool {
    hands: Arc<Hands>,
    meeting: Arc<Meeting>,
    busy: HashMap<Attempt, UnboundedSender<Word>>,
    /// Each attends an attempt, or ends a worker.
    tasks: JoinSet<()>,
    reports: mpsc::Sender<Report>,
}

/// Where workers come from, and where they wait for more to do.
struct Hands {
    idle: Mutex<Vec<Worker>>,
    keepers: Keepers,
    /// Whether what is left behind where a worker was killed with its keeper comes to this process.
    adopts: bool,
    memory: Watch,
    log: File,
    /// Variables of the environment that a worker does not get.
    hidden: BTreeSet<Name>,
}

impl Hands {
    /// A worker that waits and suits the seat, or else a new one.
    fn hire(&self, seat: Option<Sat>) -> Result<Worker, Failure> {
        let mut idle = lock(&self.idle);
        let seats: Vec<Option<Sat>> = idle.iter().map(|worker| worker.seat).collect();
        let found = best(&seats, seat).map(|index| idle.remove(index));
        drop(idle);
        let worker = found.map_or_else(|| Worker::start(&self.log, &self.hidden, &self.keepers), Ok);
        let mut worker =
            worker.map_err(|error| Failure::new(Kind::WorkerLost, format!("no worker can be started: {error}")))?;
        worker.seat = seat;
        Ok(worker)
    }

    /// Kills what has come to this process because a worker was killed with its keeper.
    async fn sweep(&self) {
        let started = Instant::now();
        while self.adopts && processes::kill_children_but(&lock(&self.keepers)) && started.elapsed() < PATIENCE {
            sleep(TICK).await;
        }
    }
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
    pub fn new(log: File, hidden: BTreeSet<Name>, meeting: Meeting, reports: mpsc::Sender<Report>) -> Self {
        let hands = Hands {
            idle: Mutex::default(),
            keepers: Arc::default(),
            // Children that were there before, as behind `exec`, and what they leave behind are not to be touched.
            adopts: processes::reap() == Reaped::NoneLeft && processes::adopt_orphans().is_ok(),
            memory: Watch::new(),
            log,
            hidden,
        };
        Self {
            hands: Arc::new(hands),
            meeting: Arc::new(meeting),
            busy: HashMap::new(),
            tasks: JoinSet::new(),
            reports,
        }
    }

    /// Lets workers do a job, and reports how it goes. An attempt that takes longer than `timeout`, or more memory than it is
    /// allowed, is stopped.
    pub fn start(&mut self, attempt: Attempt, job: Job, timeout: Option<Duration>, allowance: Option<Allowance>) {
        while self.tasks.try_join_next().is_some() {}
        self.busy.retain(|_, words| !words.is_closed());
        let (sender, words) = mpsc::unbounded_channel();
        self.busy.insert(attempt.clone(), sender);
        let (hands, meeting, reports) = (self.hands.clone(), self.meeting.clone(), self.reports.clone());
        let limit = timeout.and_then(|timeout| Some((Instant::now().checked_add(timeout.into())?, timeout)));
        self.tasks.spawn(async move {
            let began = Instant::now();
            let mut attended = Attended { attempt: attempt.clone(), words, reports: reports.clone(), hands };
            let end = match &job.op {
                Op::Train(train) if train.team.is_several() => {
                    team::train(&mut attended, &meeting, job, limit, allowance).await
                }
                _ => attended.attend(job, limit, allowance).await,
            };
            let what = match end {
                End::Done(done) => What::Done(done),
                End::Failed(failure) => What::Failed(failure, Duration::from(began.elapsed())),
                End::Left => {
                    let failure = Failure::new(Kind::WorkerLost, "its worker left it");
                    What::Failed(failure, Duration::from(began.elapsed()))
                }
            };
            // The run may be over already.
            let _ = reports.send((attempt, what)).await;
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
            lock(&self.hands.idle).drain(..).for_each(|worker| drop(self.tasks.spawn(worker.end())));
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

/// When an attempt is to be over, and the time that it then has had.
type Limit = Option<(Instant, Duration)>;

/// An attempt, as seen by who attends it.
struct Attended {
    attempt: Attempt,
    words: UnboundedReceiver<Word>,
    reports: mpsc::Sender<Report>,
    hands: Arc<Hands>,
}

impl Attended {
    /// Lets a worker do the job, passes on what it says, and puts it back among the idle ones if it is still there.
    async fn attend(&mut self, job: Job, limit: Limit, allowance: Option<Allowance>) -> End {
        let mut worker = match self.hands.hire(team::seat(&job)) {
            Ok(worker) => worker,
            Err(failure) => return End::Failed(failure),
        };
        let over = self.hands.memory.over(worker.keeper(), allowance);
        // A training is left at once: nothing of it is to be kept that it has not stored already.
        let stops_in_order = matches!(job.op, Op::Command(_));
        worker.tell(&Order::Job(Box::new(job))).await;
        let mut alarm_at = limit.map(|(at, _)| at);
        // Why the attempt ends when it does not end by itself, and the same once its command was asked to stop.
        let mut why = Failure::new(Kind::WorkerLost, "it was stopped");
        let mut stopped: Option<Failure> = None;
        let mut over = pin!(over);
        loop {
            let alarm = async {
                match alarm_at {
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
                        why = late(limit);
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
                        lock(&self.hands.idle).push(worker);
                        return End::Done(Box::new(done));
                    }
                    Said::Reply(Reply::Left) => {
                        lock(&self.hands.idle).push(worker);
                        return End::Left;
                    }
                    Said::Reply(Reply::Failed(failure)) => {
                        lock(&self.hands.idle).push(worker);
                        return End::Failed(match stopped {
                            Some(stopped) => Failure { log: failure.log, ..stopped },
                            None => failure,
                        });
                    }
                    Said::Lost(failure) => {
                        worker.end().await;
                        self.hands.sweep().await;
                        return End::Failed(stopped.unwrap_or(failure));
                    }
                },
            };
            match word {
                Word::Drain => worker.tell(&Order::Drain).await,
                Word::Stop if stopped.is_some() => {}
                Word::Stop if stops_in_order => {
                    stopped = Some(why.clone());
                    alarm_at = Some(Instant::now() + GRACE + PATIENCE);
                    worker.tell(&Order::Stop).await;
                }
                Word::Stop | Word::Kill => {
                    worker.end().await;
                    return End::Failed(stopped.unwrap_or(why));
                }
            }
        }
    }
}

fn late(limit: Limit) -> Failure {
    let timeout = limit.map(|(_, timeout)| timeout).unwrap_or_default();
    Failure::new(Kind::Timeout, format!("it took longer than its timeout of {timeout}"))
        .help("allow more with `@timeout`, or let it have less to do")
}
