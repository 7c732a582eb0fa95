//! One function from a job to what came of it: what every worker does, on this machine or in the cloud.

pub mod aggregate;
mod command;
mod control;
pub mod memory;
mod pins;
mod serve;

pub use control::Control;
pub use serve::{Ordered, serve};

use crate::{
    data::{self, Data, Files, Print},
    ml::{self, Context, Lesson, Part as TrainingPart},
    store::{self, Key, Objects, OpenError, ParameterStore, Terms},
    sync::{Alone, Membership, Peers, SyncError},
    units::Duration,
    value::{Dataset, Part, Value},
    wire::{BUILD, Done, Exchange, Failure, Job, Kind, Link, Op, Outcome, Progress, RoundId, Seat, Secret, Train},
};
use std::{sync::Arc, time::Instant};

/// The data sets that a worker keeps in memory, for jobs that read the same ones.
const KEPT: usize = 4;

/// A worker with the data that it has read.
#[derive(Default)]
pub struct Worker {
    /// Most recently used last.
    kept: Vec<(String, Arc<Data>)>,
    /// The store where the workers of the last training met: its address, and what the run's keys begin with.
    met: Option<(Secret, String, Arc<dyn ParameterStore>)>,
    /// Where the last command ran, if that is as new.
    kept_by_commands: command::Kept,
}

impl Worker {
    /// Does a job, and reports how far it is; `control` may end it early.
    ///
    /// # Errors
    /// With the failure that the scheduler and the user are to hear of.
    pub fn work(&mut self, job: &Job, control: &Control, report: &mut dyn FnMut(Progress)) -> Result<Outcome, Failure> {
        let started = Instant::now();
        let objects = Objects::open(&job.objects).by_way_of(&job.work);
        let mut context = Context {
            threads: job.threads.max(1),
            time_left: job.time_left,
            draining: &control.draining,
            objects: &objects,
            scratch: &job.scratch,
            report,
        };
        match &job.op {
            Op::Inspect(inspect) => {
                let data = self.load(&inspect.data, job, &objects)?;
                let output = Value::from(data.facts.clone());
                Ok(Outcome::Done(Done { output, trained: None, elapsed: Duration::from(started.elapsed()) }))
            }
            Op::Train(train) => {
                let data = self.load(&train.data, job, &objects)?;
                let other = train.valid.as_ref().map(|valid| self.load(valid, job, &objects)).transpose()?;
                let table = data.part(train.data.part, Part::Train, &data.lens)?;
                let valid = match (&other, &train.valid) {
                    (Some(other), Some(valid)) => other.part(valid.part, Part::Valid, &data.lens)?,
                    _ => data.validation(&data.lens)?,
                };
                let lesson = Lesson {
                    train: &table,
                    valid: &valid,
                    lens: &data.lens,
                    hash: data.hash,
                    valid_hash: other.as_ref().map(|other| other.hash),
                };
                self.train(train, job, &lesson, &mut context)
            }
            Op::Evaluate(evaluate) => {
                let data = self.load(&evaluate.data, job, &objects)?;
                ml::evaluate(evaluate, &data, &mut context).map(Outcome::Done)
            }
            Op::Command(command) => {
                command::run(command, job, &objects, control, &mut self.kept_by_commands, report).map(Outcome::Done)
            }
        }
    }

    /// A worker's part in a training: all of it, or a seat among others.
    fn train(&mut self, train: &Train, job: &Job, lesson: &Lesson, context: &mut Context) -> Result<Outcome, Failure> {
        let number = job.seat.as_ref().map_or(0, |seat| seat.round);
        let round = RoundId { attempt: job.attempt, number };
        let Some(seat) = &job.seat else {
            let mut part = TrainingPart { group: &mut Alone::default(), round, until: None, replan: None };
            return ml::train(train, lesson, &mut part, context);
        };
        let exchange = match seat.exchange {
            Some(exchange) => exchange,
            None => Exchange::choose(seat.of as u64, ml::gradient_bytes(train, lesson)?, Link::USUAL),
        };
        let mut peers = match Peers::join(membership(seat, train, exchange), self.meet(seat)?) {
            Err(SyncError::Superseded) => return Ok(Outcome::Left),
            joined => joined.map_err(ml::failure_of)?,
        };
        let mut part = TrainingPart { group: &mut peers, round, until: seat.until, replan: train.team.replan };
        let outcome = ml::train(train, lesson, &mut part, context)?;
        // The work is done: who is lost on the way out is not needed any more.
        let _ = peers.leave();
        Ok(outcome)
    }

    /// The store where a training's workers meet; the connections to it serve again.
    fn meet(&mut self, seat: &Seat) -> Result<Arc<dyn ParameterStore>, Failure> {
        if let Some((address, run, store)) = &self.met
            && *address == seat.store
            && *run == seat.run
        {
            return Ok(store.clone());
        }
        let store = store::open(seat.store.reveal(), Terms::new(Key::new(&[&seat.run])));
        let store = store.map_err(|error| match error {
            OpenError::Store(error) => ml::failure_of(error.into()),
            error => Failure::new(Kind::TaskFailed, error.to_string()).help("check the address that `--store` names"),
        })?;
        self.met = Some((seat.store.clone(), seat.run.clone(), store.clone()));
        Ok(store)
    }

    /// A data set's data. What was read before serves again while its files have not changed.
    fn load(&mut self, dataset: &Dataset, job: &Job, objects: &Objects) -> Result<Arc<Data>, Failure> {
        let files = Files::find(dataset, &job.project, objects)?;
        let whole = Dataset { part: Part::Whole, ..dataset.clone() };
        let key = format!("{:?}{whole:?}{}", job.run, files.stamp());
        let serves = |(kept, data): &(String, Arc<Data>)| *kept == key && data.prints.iter().all(Print::is_current);
        if let Some(index) = self.kept.iter().position(serves) {
            let kept = self.kept.remove(index);
            self.kept.push(kept.clone());
            return Ok(kept.1);
        }
        let data = Arc::new(data::load(dataset, &files)?);
        pins::hold(job, &data.prints)?;
        if self.kept.len() >= KEPT {
            self.kept.remove(0);
        }
        self.kept.push((key, data.clone()));
        Ok(data)
    }
}

/// A worker's place among those that it trains with.
fn membership(seat: &Seat, train: &Train, exchange: Exchange) -> Membership {
    Membership {
        training: seat.name.clone(),
        round: seat.round.into(),
        rank: seat.rank,
        of: seat.of,
        copy: seat.copy,
        exchange,
        codec: train.averaging.codec,
        silence: seat.silence.into(),
        build: BUILD.to_owned(),
    }
}
