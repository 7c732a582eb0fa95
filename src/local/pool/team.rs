//! A training by several workers: round after round, each from where the last one got, until it is over.

mod dealer;
mod meeting;
mod outcomes;
mod sets;

use super::{Allowance, Attended, End, Limit, Sat, What, Word, tell};
use crate::{
    data::dealt,
    elastic::{Next, Participant, replan},
    forecast::{Chosen, Exchanges, Limits, Stand},
    ml,
    runs::logs,
    units::Duration,
    wire::{
        Aggregation, Begun, Every, Exchange, Failure, Job, Kind, Link, Op, Progress, Role, Seat, Standing, Team, Train,
    },
    work::aggregate,
};
pub(super) use dealer::seat;
pub(in crate::local) use meeting::Meeting;
use outcomes::{Member, Outcomes, Part, Rest, RoundEnd};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle, JoinSet, spawn_blocking},
    time::{Instant, sleep_until},
};

/// A worker that gives no sign of life for so long is lost.
const SILENCE: Duration = Duration::from_millis(5000);

/// Seconds until a round with other workers is under way: most of them wait already.
const CHANGE: f64 = 0.1;

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
        began: Instant::now(),
        standing: Standing::default(),
        workers: 0,
        spent: 0.0,
        told: 0,
        is_dealt: false,
        ending: false,
    };
    // A store that can't be used is found before any worker is started, and what an attempt that was cut off has left in it
    // is taken for nobody's gradient.
    if let Err(failure) = leader.clear().await {
        return End::Failed(failure);
    }
    let samples = dealt::key(&leader.train);
    meeting.sets().begin(samples);
    let end = leader.lead().await;
    meeting.sets().end(samples);
    if let End::Done(_) = &end {
        // A double may have written after the training was over.
        ml::remove_checkpoints(&leader.job.scratch);
    }
    // What can't be cleared goes after some time.
    let _ = leader.clear().await;
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
    began: Instant,
    /// With the round under way.
    standing: Standing,
    /// The workers of the round under way, and what rounds before it have cost, where workers are chosen.
    workers: u32,
    spent: f64,
    /// The last epoch that was told of.
    told: u64,
    /// Whether the samples lie where the workers fetch them, as far as is known.
    is_dealt: bool,
    /// Whether the run draws to an end, or the attempt does.
    ending: bool,
}

impl Leader<'_> {
    async fn lead(&mut self) -> End {
        loop {
            while let Ok(_word) = self.attended.words.try_recv() {
                self.ending = true;
            }
            if self.ending {
                return End::Failed(Failure::new(Kind::WorkerLost, "it was stopped between two rounds"));
            }
            self.standing.rounds += 1;
            let began = Instant::now();
            let end = self.round().await;
            self.spent += self.rate() * began.elapsed().as_secs_f64();
            match end {
                Err(failure) => return End::Failed(failure),
                Ok(RoundEnd::Over(end)) => return end,
                Ok(RoundEnd::Next) => self.standing.fruitless = 0,
                Ok(RoundEnd::Lost(failure)) => {
                    // They may be what was lost.
                    self.is_dealt = false;
                    if self.standing.lost(ml::latest_steps(&self.job.scratch)) {
                        return End::Failed(failure);
                    }
                    self.report(Progress::RoundLost { number: self.standing.rounds, reason: failure.message }).await;
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
            Progress::Round(round) if self.standing.last.as_ref().is_some_and(|last| last.number == round.number) => {
                return;
            }
            Progress::Round(round) => {
                self.standing.went(round);
                if let Some(round) = self.standing.last.clone() {
                    self.report(Progress::Round(round)).await;
                }
                return;
            }
            _ => {}
        }
        self.report(progress).await;
    }

    /// Who is in the next round, and after which time it ends if it only tries.
    fn next(&self) -> (Next, Option<Begun>, Option<Duration>) {
        let planned = |team: &Team| replan(team, self.standing.epochs, self.standing.last.as_ref());
        let limits = Limits {
            seconds: self.time_left().map(Duration::secs_f64),
            dollars: self.train.team.dollars(self.job.money_left).map(|dollars| dollars - self.spent),
        };
        let chosen = self.train.team.adapt.and_then(|adapt| {
            let (train, standing) = (&self.train, &self.standing);
            Stand { train, adapt, standing, limits, exchanges: &Exchanges::new(Link::LOCAL), change: CHANGE }.choose()
        });
        let Some(Chosen { workers, until, within, why }) = chosen else {
            return (planned(&self.train.team), None, None);
        };
        let next = planned(&self.train.team.clone().with_workers(workers));
        let until = next.until.map_or(until, |other| other.min(until));
        (Next { until: Some(until), ..next }, Some(Begun { number: self.standing.rounds, workers, why }), Some(within))
    }

    /// Dollars a second of the workers of the round under way.
    fn rate(&self) -> f64 {
        let adapt = self.train.team.adapt;
        adapt.map_or(0.0, |adapt| adapt.rate * f64::from(self.workers))
    }

    /// What is left of the time that the training has.
    fn time_left(&self) -> Option<Duration> {
        let passed = Duration::from(self.began.elapsed());
        self.job.time_left.map(|left| left.checked_sub(passed).unwrap_or_default())
    }

    /// The time that the round has: what is left, and what there is money for with so many workers.
    fn round_left(&self) -> Option<Duration> {
        let lasts = self.train.team.adapt.and_then(|adapt| adapt.lasts(self.spent, self.workers));
        self.time_left().into_iter().chain(lasts.map(Duration::from_secs_f64)).min()
    }

    /// The seats of the next round.
    async fn seats(&mut self) -> Result<Vec<Seat>, Failure> {
        let (next, begun, within) = self.next();
        self.workers = next.workers as u32;
        if let Some(begun) = begun {
            self.report(Progress::Begun(begun)).await;
        }
        if let (Op::Train(train), None) = (&mut self.job.op, self.train.team.replan) {
            train.team.replan = within.map(Every::Time);
        }
        let store = self.meeting.address()?;
        self.standing.doubled.clone_from(&next.doubled);
        let seat = |Participant { rank, copy, decides }| Seat {
            store: store.clone(),
            run: self.meeting.run().to_owned(),
            name: self.name.clone(),
            round: self.standing.rounds,
            rank,
            of: next.workers,
            copy,
            exchange: self.train.team.exchange,
            until: next.until,
            decides,
            silence: SILENCE,
        };
        Ok(next.participants().map(seat).collect())
    }

    /// One round of the training.
    async fn round(&mut self) -> Result<RoundEnd, Failure> {
        let seats = self.seats().await?;
        if seats.len() > 1 && !self.is_dealt {
            match self.deal().await {
                End::Left => self.is_dealt = true,
                End::Failed(failure) if failure.kind == Kind::WorkerLost && !self.ending => {
                    return Ok(RoundEnd::Lost(failure));
                }
                end => return Ok(RoundEnd::Over(end)),
            }
            if self.ending {
                return Ok(RoundEnd::Next);
            }
        }
        // Earlier rounds have had their share of it.
        let time_left = self.round_left();
        let (reports, mut heard) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        let (mut members, mut of) = (Vec::with_capacity(seats.len()), 0);
        let threads = (self.job.threads / seats.len()).max(1);
        for (index, seat) in seats.into_iter().enumerate() {
            let (sender, words) = mpsc::unbounded_channel();
            members.push(Member { rank: seat.rank, words: sender, part: Part::UnderWay });
            of = of.max(seat.of);
            let job = Job { role: Role::Seat(Box::new(seat)), threads, time_left, ..self.job.clone() };
            let (attempt, hands) = (self.attended.attempt.clone(), self.attended.hands.clone());
            let mut member = Attended { attempt, words, reports: reports.clone(), hands };
            let (limit, allowance) = (self.limit, self.allowance);
            tasks.spawn(async move { (index, member.attend(job, limit, allowance).await) });
        }
        drop(reports);
        let aggregator = self.aggregator(of);
        let mut round = Outcomes::default();
        let (mut patience, mut abandoning) = (None, None);
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
                    self.ending = true;
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
                    let rest = match ended {
                        Ok((index, end)) => round.end(index, end, &mut members),
                        Err(panic) => {
                            round.fail(Failure::new(Kind::WorkerLost, format!("nobody attends a worker any more: {panic}")));
                            Rest::Fails
                        }
                    };
                    if rest != Rest::Works && patience.is_none() {
                        patience = Some(Instant::now() + SILENCE.into());
                        abandoning = Some(self.abandon());
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
        // A store that can't be used is why workers were lost, and would lose others.
        if let Some(Ok(Err(failure))) = self.unless_ending(abandoning).await {
            round.fail(failure);
        }
        if let Some((stop, aggregator)) = aggregator {
            stop.store(true, Ordering::Relaxed);
            let _ = aggregator.await;
        }
        Ok(round.sum_up(self.ending))
    }

    /// Who sums beside the store, where gradients take that way: a thread of this program, in which the store of a run that
    /// names none is as well. A process of its own would be one more that can be lost, and save nothing.
    fn aggregator(&self, of: usize) -> Option<(Arc<AtomicBool>, JoinHandle<()>)> {
        if self.train.team.exchange != Some(Exchange::InStore) || of < 2 {
            return None;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let round = Aggregation {
            store: self.meeting.address().ok()?,
            run: self.meeting.run().to_owned(),
            name: self.name.clone(),
            round: self.standing.rounds,
            of,
            codec: self.train.averaging.codec,
            silence: SILENCE,
        };
        let stopped = stop.clone();
        // Where it fails, the workers find out that nobody sums.
        let aggregator = spawn_blocking(move || drop(aggregate::round(&round, &stopped)));
        Some((stop, aggregator))
    }

    /// What comes of something that nobody waits for any more once the run draws to an end.
    async fn unless_ending<T>(&mut self, awaited: Option<JoinHandle<T>>) -> Option<Result<T, JoinError>> {
        let mut awaited = awaited.filter(|_| !self.ending)?;
        tokio::select! {
            result = &mut awaited => Some(result),
            _ = self.attended.words.recv() => {
                self.ending = true;
                None
            }
        }
    }

    /// Gives the round up, so that those who are left end it.
    fn abandon(&self) -> JoinHandle<Result<(), Failure>> {
        let (meeting, name, round) = (self.meeting.clone(), self.name.clone(), self.standing.rounds.into());
        spawn_blocking(move || meeting.abandon(&name, round))
    }

    /// Leaves nothing of the training in the store.
    async fn clear(&self) -> Result<(), Failure> {
        let (meeting, name) = (self.meeting.clone(), self.name.clone());
        let cleared = spawn_blocking(move || meeting.clear(&name)).await;
        cleared.unwrap_or_else(|error| Err(Failure::new(Kind::TaskFailed, error.to_string())))
    }
}
