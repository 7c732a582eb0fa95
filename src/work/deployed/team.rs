//! Trainings by several workers: one call plans a round, others take part in it, and the next call hears what came of it.

use super::{Call, Deployed, Facts, ledger::PRICES, unfinished};
use crate::{
    elastic::{Next, Participant, replan},
    forecast::{Chosen, Exchanges, Limits, Stand},
    ml,
    step::{Step, Work},
    store::{self, Key, OpenError, Terms},
    units::{Duration, Money},
    value::Value,
    wire::{
        Adapt, Aggregation, Answer, Begun, Done, Exchange, Failure, Goal, Invocation, Job, Kind, Link, Op, Outcome,
        Part, Placement, Progress, Relay, Role, Seat, Standing, Team, Train, Workers, shards, spared,
    },
    work::aggregate,
};
use std::{collections::BTreeMap, sync::atomic::AtomicBool};

/// A worker that gives no sign of life for so long is lost.
const SILENCE: Duration = Duration::from_millis(10_000);

/// What a round came to.
enum Came {
    /// The training is over.
    Done(Box<Answer>),
    /// Another round is to follow.
    Next,
    /// A worker was lost.
    Lost(Failure),
}

impl Deployed {
    /// Plans the next round of a training, if another is to follow.
    pub(super) fn plan(
        &mut self,
        step: &Step,
        job: Job,
        relay: &Relay,
        invocation: &Invocation,
        facts: &Facts,
        call: &mut Call,
    ) -> Result<Answer, Failure> {
        let Op::Train(train) = &job.op else { return self.alone(step, &job, invocation, facts, call) };
        let mut standing = relay.standing.clone();
        let came = match heard(&relay.parts, &mut standing, &job.path) {
            Ok(came) => came,
            // It was asked to try again, from the last checkpoint.
            Err(_) if job.attempt > 1 => Came::Next,
            Err(failure) => return Err(failure),
        };
        match came {
            Came::Done(answer) => {
                self.shared.around(&job, || {
                    ml::remove_checkpoints(&job.scratch);
                    Ok(Outcome::Left)
                })?;
                // What can't be cleared goes after some time.
                let _ = self.clear(&job);
                let Answer { vars, trained, .. } = *answer;
                let output = vars.values().flatten().next().map(|carried| self.recalled.value(carried, &self.shared));
                let output = output.transpose()?.unwrap_or(Value::None);
                let done = Done { output, trained, elapsed: Duration::ZERO };
                return self.trained(step, done, None, invocation, facts);
            }
            Came::Next => standing.fruitless = 0,
            Came::Lost(failure) => {
                let mut steps = 0;
                self.shared.around(&job, || {
                    steps = ml::latest_steps(&job.scratch);
                    Ok(Outcome::Left)
                })?;
                if standing.lost(steps) {
                    return Err(failure);
                }
                (call.report)(Progress::RoundLost { number: standing.rounds, reason: failure.message });
            }
        }
        if standing.rounds == 0 {
            self.clear(&job)?;
        }
        standing.rounds += 1;
        // Its own time left may come from the money there is, which lasts longer for fewer.
        let seconds = facts.limits.time_left().map(|left| left.as_secs_f64());
        let limits =
            Limits { seconds: seconds.map(|left| left - spared(left)), dollars: job.money_left.map(Money::to_f64) };
        let next = next(train, step, limits, &standing, call);
        let places = places(&next, standing.rounds, train.team.exchange);
        standing.doubled = next.doubled;
        if next.workers > 1 {
            self.perform(&Job { role: Role::Dealer, ..job }, facts, call).outcome?;
        }
        Ok(Answer { standing: Some(standing), places, ..unfinished(step) })
    }

    /// Takes a worker's part in a round.
    pub(super) fn take_part(
        &mut self,
        step: &Step,
        job: Job,
        place: Placement,
        facts: &Facts,
        call: &mut Call,
    ) -> Result<Answer, Failure> {
        let Op::Train(train) = &job.op else { return Ok(Answer::default()) };
        let (store, run, name) = (self.meeting.clone(), run_of(&job), name_of(&job));
        let seat = match place {
            Placement::Sum { round, of } => {
                let codec = train.averaging.codec;
                let round = Aggregation { store, run, name, round, of, codec, silence: SILENCE };
                // Where it fails, the workers find out that nobody sums.
                let _ = aggregate::round(&round, &AtomicBool::new(false));
                return Ok(Answer::default());
            }
            Placement::Seat { round, rank, of, copy, until, decides } => {
                let exchange = train.team.exchange;
                Seat { store, run, name, round, rank, of, copy, exchange, until, decides, silence: SILENCE }
            }
        };
        // Rounds are counted through all attempts.
        let job = Job { role: Role::Seat(Box::new(seat)), attempt: 1, ..job };
        let mut round = None;
        let report = &mut *call.report;
        let mut hear = |progress: Progress| {
            if let Progress::Round(of) = &progress {
                round = Some(of.clone());
            }
            report(progress);
        };
        let performed = self.perform(&job, facts, &mut Call { id: call.id, time: call.time, report: &mut hear });
        let answer = match performed.outcome {
            Ok(Outcome::Done(done)) => self.answered(step, done, facts)?,
            Ok(Outcome::Left) => Answer::default(),
            Err(failure) if performed.drained && failure.kind == Kind::WorkerLost => unfinished(step),
            Err(failure) => return Err(failure),
        };
        Ok(Answer { round, ..answer })
    }

    /// Leaves nothing of the training in the store.
    fn clear(&self, job: &Job) -> Result<(), Failure> {
        let lasting = |error: crate::sync::SyncError| Failure { kind: Kind::TaskFailed, ..ml::failure_of(error) };
        let store = store::open(self.meeting.reveal(), Terms::new(Key::new(&[&run_of(job)])));
        let store = store.map_err(|error| match error {
            OpenError::Store(error) => lasting(error.into()),
            error => Failure::new(Kind::TaskFailed, error.to_string()).help("check the address in `SMLT_STORE`"),
        })?;
        store.clear(&Key::new(&[&name_of(job)])).map_err(|error| lasting(error.into()))
    }
}

/// What the keys of a run begin with in the store.
fn run_of(job: &Job) -> String {
    job.run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The name of a training among them.
fn name_of(job: &Job) -> String {
    blake3::hash(job.path.as_bytes()).to_hex()[..32].to_owned()
}

/// What came of a round's workers, of whom each has said something or was lost.
fn heard(parts: &[Part], standing: &mut Standing, path: &str) -> Result<Came, Failure> {
    let mut done = None;
    let mut lost: BTreeMap<usize, Failure> = BTreeMap::new();
    let mut given = Vec::new();
    let mut failed = None;
    for Part { place, answer, failed: caught } in parts {
        let Placement::Seat { rank, .. } = *place else { continue };
        if let Some(caught) = caught {
            let (_, failure) = caught.read(path);
            match failure.kind {
                Kind::WorkerLost | Kind::Throttled => drop(lost.insert(rank, failure)),
                _ => drop(failed.get_or_insert(failure)),
            }
        }
        let Some(answer) = answer else { continue };
        given.push(rank);
        if let Some(round) = &answer.round {
            standing.went(round);
        }
        if answer.vars.values().any(Option::is_some) {
            done = Some(Answer { round: None, ..answer.clone() });
        }
    }
    // A rank whose double has done its part is not lost.
    let lost = lost.into_iter().find(|(rank, _)| !given.contains(rank));
    match (done, failed, lost) {
        (Some(done), _, _) => Ok(Came::Done(Box::new(done))),
        (None, Some(failure), _) => Err(failure),
        (None, None, Some((_, failure))) => Ok(Came::Lost(failure)),
        (None, None, None) => Ok(Came::Next),
    }
}

/// Seconds until a round with other functions is under way.
const CHANGE: f64 = 2.0;

/// Who is in the next round. Of a range of workers those are chosen that keep the limits at the least cost, or in the least
/// time, where that changes no bit of the result; without limits and a goal, the most.
fn next(train: &Train, step: &Step, limits: Limits, standing: &Standing, call: &mut Call) -> Next {
    let planned = |team: &Team| replan(team, standing.epochs, standing.last.as_ref());
    let Workers::Within(..) = train.team.workers else { return planned(&train.team) };
    let goal = step.goal.or(limits.seconds.map(|_| Goal::MinCost)).or(limits.dollars.map(|_| Goal::MinTime));
    let chosen = goal.filter(|_| train.averaging.is_exact()).and_then(|goal| {
        let first = if let Work::Train(train) = &step.work { train.team.first } else { None };
        let adapt = Adapt { goal, rate: PRICES.rate(step.memory).to_f64(), first, reserve: 0.0, purse: None };
        Stand { train, adapt, standing, limits, exchanges: &Exchanges::new(Link::USUAL), change: CHANGE }.choose()
    });
    match chosen {
        None => {
            let most = train.team.workers.after(0, shards(&train.batch, train.shards), u32::MAX);
            planned(&train.team.clone().with_workers(most))
        }
        Some(Chosen { workers, until, why, .. }) => {
            (call.report)(Progress::Begun(Begun { number: standing.rounds, workers, why }));
            let next = planned(&train.team.clone().with_workers(workers));
            Next { until: Some(next.until.map_or(until, |other| other.min(until))), ..next }
        }
    }
}

/// The places of a round.
fn places(next: &Next, round: u32, exchange: Option<Exchange>) -> Vec<Placement> {
    let (of, until) = (next.workers, next.until);
    let seats = next.participants().map(|Participant { rank, copy, decides }| Placement::Seat {
        round,
        rank,
        of,
        copy,
        until,
        decides,
    });
    let sums = exchange == Some(Exchange::InStore) && of > 1;
    seats.chain(sums.then_some(Placement::Sum { round, of })).collect()
}
