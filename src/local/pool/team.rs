//! A training by several workers: round after round, each from where the last one got, until it is over.

use super::{Allowance, Attended, End, Limit, PATIENCE, What, Word, tell};
use crate::{
    ml,
    plan::replan,
    runs::logs,
    store::{self, Key, Memory, ParameterStore, Server, Terms},
    sync::{self, Membership, Peers},
    units::Duration,
    wire::{Exchange, Failure, GRACE, Job, Kind, Op, Progress, Round, Seat, Secret, Train},
};
use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};
use tempfile::TempDir;
use tokio::{
    sync::mpsc::{self, UnboundedSender},
    task::{JoinHandle, JoinSet, spawn_blocking},
    time::{Instant, sleep_until},
};

/// A worker that gives no sign of life for so long is lost.
const SILENCE: Duration = Duration::from_millis(5000);

/// After so many rounds that got no further, one after the other, a training is given up.
const FRUITLESS: u32 = 3;

/// Where the workers of trainings meet.
pub(in crate::local) struct Meeting {
    /// The store that the user has named.
    named: Option<Secret>,
    own: OnceLock<Result<Own, String>>,
    /// What the run's keys begin with.
    run: String,
}

/// A store of this program's own.
struct Own {
    server: Server,
    /// The socket lies in it. Its own place may be too deep for the name of a socket.
    _folder: TempDir,
}

impl Own {
    fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("smlt-").tempdir()?;
        let server = store::serve(folder.path().join("store"), Arc::new(Memory::default()))?;
        Ok(Self { server, _folder: folder })
    }
}

impl Meeting {
    /// A store at an address, or else one of this program's own.
    pub fn new(named: Option<Secret>, run: String) -> Self {
        Self { named, own: OnceLock::new(), run }
    }

    fn own(&self) -> Result<&Own, Failure> {
        let own = self.own.get_or_init(|| Own::new().map_err(|error| error.to_string()));
        own.as_ref().map_err(|error| {
            Failure::new(Kind::TaskFailed, format!("the workers have no place to meet: {error}")).help(
                "check the space and the rights of the folder for temporary files, or name a store with `--store`",
            )
        })
    }

    /// Its address.
    fn address(&self) -> Result<Secret, Failure> {
        match &self.named {
            Some(address) => Ok(address.clone()),
            None => Ok(Secret::new(self.own()?.server.address())),
        }
    }

    /// The store itself.
    fn store(&self) -> Result<Arc<dyn ParameterStore>, Failure> {
        store::open(self.address()?.reveal(), Terms::new(Key::new(&[&self.run]))).map_err(|error| {
            Failure::new(Kind::TaskFailed, error.to_string()).help("check the address that `--store` names")
        })
    }
}

/// Lets workers train together.
pub(super) async fn train(
    attended: &mut Attended,
    meeting: &Arc<Meeting>,
    job: Job,
    limit: Limit,
    allowance: Option<Allowance>,
) -> End {
    let Op::Train(train) = &job.op else { return attended.attend(job, limit, allowance).await };
    let name = format!("{}.{}", logs::step_name(&attended.attempt.step), job.attempt);
    let mut leader = Leader {
        train: (**train).clone(),
        name,
        attended,
        meeting: meeting.clone(),
        job,
        limit,
        allowance,
        number: 0,
        epochs: 0,
        told: 0,
        last: None,
    };
    let end = leader.lead().await;
    leader.tidy().await;
    end
}

/// Who lets the rounds of a training follow each other.
struct Leader<'a> {
    attended: &'a mut Attended,
    meeting: Arc<Meeting>,
    job: Job,
    train: Train,
    /// What the workers meet under.
    name: String,
    limit: Limit,
    allowance: Option<Allowance>,
    /// The round under way, from 1.
    number: u32,
    /// The epochs that have passed, as far as is known.
    epochs: u64,
    /// The last epoch that was told of.
    told: u64,
    /// What the last round came to.
    last: Option<Round>,
}

/// How a round came to its end.
enum RoundEnd {
    /// With it, the training.
    Over(End),
    /// Another is to follow.
    Next,
    /// A worker was lost.
    Lost(Failure),
}

/// A worker of a round, as its leader sees it.
struct Member {
    rank: usize,
    copy: u32,
    words: UnboundedSender<Word>,
    /// Whether it can still give what its rank has to give, or has given it.
    counts: bool,
}

impl Leader<'_> {
    async fn lead(&mut self) -> End {
        let (mut furthest, mut fruitless) = (0, 0);
        loop {
            self.number += 1;
            match self.round().await {
                Err(failure) => return End::Failed(failure),
                Ok(RoundEnd::Over(end)) => return end,
                Ok(RoundEnd::Next) => fruitless = 0,
                Ok(RoundEnd::Lost(failure)) => {
                    let steps = ml::latest_steps(&self.job.scratch);
                    fruitless = if steps > furthest { 1 } else { fruitless + 1 };
                    furthest = furthest.max(steps);
                    if fruitless == FRUITLESS {
                        return End::Failed(failure);
                    }
                    self.report(Progress::RoundLost { number: self.number, reason: failure.message }).await;
                }
            }
        }
    }

    async fn report(&self, progress: Progress) {
        let _ = self.attended.reports.send((self.attended.attempt.clone(), What::Progress(progress))).await;
    }

    /// What is said by the worker that speaks for all, each thing once.
    async fn hear(&mut self, progress: Progress) {
        match &progress {
            Progress::Epoch(metrics) if metrics.epoch <= self.told => return,
            Progress::Epoch(metrics) => self.told = metrics.epoch,
            Progress::Round(round) if self.last.as_ref().is_some_and(|last| last.number == round.number) => return,
            Progress::Round(round) => {
                self.epochs = round.epochs[1];
                self.last = Some(round.clone());
            }
            _ => {}
        }
        self.report(progress).await;
    }

    /// The seats of the next round.
    fn seats(&self) -> Result<Vec<Seat>, Failure> {
        let plan = replan(&self.train.team, self.epochs, self.last.as_ref());
        let store = self.meeting.address()?;
        let seat = |(rank, copy): (usize, u32)| Seat {
            store: store.clone(),
            run: self.meeting.run.clone(),
            name: self.name.clone(),
            round: self.number,
            rank,
            of: plan.workers,
            copy,
            exchange: self.train.team.exchange,
            until: plan.until,
            silence: SILENCE,
        };
        let all = (0..plan.workers).map(|rank| (rank, 0));
        Ok(all.chain(plan.doubled.iter().map(|rank| (*rank, 1))).map(seat).collect())
    }

    /// One round of the training.
    async fn round(&mut self) -> Result<RoundEnd, Failure> {
        let seats = self.seats()?;
        let (reports, mut heard) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        let mut members = Vec::with_capacity(seats.len());
        let threads = (self.job.threads / seats.len()).max(1);
        for (index, seat) in seats.into_iter().enumerate() {
            let (sender, words) = mpsc::unbounded_channel();
            members.push(Member { rank: seat.rank, copy: seat.copy, words: sender, counts: true });
            let job = Job { seat: Some(seat), threads, ..self.job.clone() };
            let (attempt, hands) = (self.attended.attempt.clone(), self.attended.hands.clone());
            let mut member = Attended { attempt, words, reports: reports.clone(), hands };
            let (limit, allowance) = (self.limit, self.allowance);
            tasks.spawn(async move { (index, member.attend(job, limit, allowance).await) });
        }
        drop(reports);
        let aggregator = self.aggregator(members.iter().filter(|member| member.copy == 0).count());
        let mut round = Outcomes::default();
        let mut patience = None;
        loop {
            let alarm = async {
                match patience {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                word = self.attended.words.recv() => {
                    // A run that lets go of the attempt is over.
                    let word = word.unwrap_or(Word::Kill);
                    round.hear(word);
                    members.iter().for_each(|member| tell(&member.words, word));
                }
                Some((_, what)) = heard.recv() => {
                    if let What::Progress(progress) = what {
                        self.hear(progress).await;
                    }
                }
                () = alarm => {
                    patience = None;
                    members.iter().for_each(|member| tell(&member.words, Word::Kill));
                }
                Some(ended) = tasks.join_next() => {
                    // A task that panics counts as a lost worker.
                    let Ok((index, end)) = ended else { continue };
                    if round.end(index, end, &mut members) && patience.is_none() {
                        patience = Some(Instant::now() + GRACE + PATIENCE + SILENCE.into());
                        self.abandon().await;
                    }
                }
                else => break,
            }
            if tasks.is_empty() {
                while let Ok((_, what)) = heard.try_recv() {
                    if let What::Progress(progress) = what {
                        self.hear(progress).await;
                    }
                }
                break;
            }
        }
        if let Some((stop, aggregator)) = aggregator {
            stop.store(true, Ordering::Relaxed);
            let _ = aggregator.await;
        }
        Ok(round.sum_up())
    }

    /// Who sums beside the store, where gradients take that way: a thread of this program.
    fn aggregator(&self, of: usize) -> Option<(Arc<AtomicBool>, JoinHandle<()>)> {
        if self.train.team.exchange != Some(Exchange::InStore) {
            return None;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let membership = Membership {
            training: self.name.clone(),
            round: self.number.into(),
            rank: of,
            of,
            copy: 0,
            exchange: Exchange::InStore,
            codec: self.train.averaging.codec,
            silence: SILENCE.into(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let (meeting, stopped) = (self.meeting.clone(), stop.clone());
        let aggregator = spawn_blocking(move || {
            // Where it fails, the workers find out that nobody sums.
            let _ = meeting.store().map(|store| sync::aggregate(membership, store, &stopped));
        });
        Some((stop, aggregator))
    }

    /// Gives the round up, so that those who are left end it.
    async fn abandon(&self) {
        let (meeting, name, round) = (self.meeting.clone(), self.name.clone(), self.number.into());
        // Where it can't be said, they find out by themselves that somebody is silent.
        let _ = spawn_blocking(move || Some(Peers::abandon(&*meeting.store().ok()?, &name, round))).await;
    }

    /// Leaves nothing in the store.
    async fn tidy(&self) {
        let (meeting, name) = (self.meeting.clone(), self.name.clone());
        // What is left there goes after some time.
        let _ = spawn_blocking(move || Some(meeting.store().ok()?.clear(&Key::new(&[&name])))).await;
    }
}

/// What has come of a round's workers so far.
#[derive(Default)]
struct Outcomes {
    done: Option<End>,
    failed: Option<Failure>,
    lost: Option<Failure>,
    draining: bool,
    stopped: bool,
}

impl Outcomes {
    fn hear(&mut self, word: Word) {
        match word {
            Word::Drain => self.draining = true,
            Word::Stop | Word::Kill => self.stopped = true,
        }
    }

    /// Takes note of a worker's end; tells whether the others can't go on.
    fn end(&mut self, index: usize, end: End, members: &mut [Member]) -> bool {
        match end {
            End::Done(_) => self.done = self.done.take().or(Some(end)),
            End::Left => {}
            End::Failed(failure) if failure.kind == Kind::WorkerLost => {
                members[index].counts = false;
                let rank = members[index].rank;
                if members.iter().any(|member| member.rank == rank && member.counts) {
                    return false;
                }
                self.lost.get_or_insert(failure);
                return true;
            }
            End::Failed(failure) => {
                self.failed.get_or_insert(failure);
                return true;
            }
        }
        false
    }

    fn sum_up(self) -> RoundEnd {
        match self {
            Self { done: Some(done), .. } => RoundEnd::Over(done),
            Self { failed: Some(failure), .. } => RoundEnd::Over(End::Failed(failure)),
            Self { lost: Some(failure), draining, stopped, .. } if draining || stopped => {
                RoundEnd::Over(End::Failed(failure))
            }
            Self { lost: Some(failure), .. } => RoundEnd::Lost(failure),
            _ => RoundEnd::Next,
        }
    }
}
