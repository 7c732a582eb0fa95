//! A worker's part in a training: all of it, dealing the samples out for others, or a seat among them.

use super::Worker;
use crate::{
    data::{
        Data, DataError, Table,
        dealt::{self, About, Deal, Hand, Outline},
    },
    ml::{self, Context, Lesson, Part as TrainingPart, Whole},
    store::{self, Key, Objects, OpenError, ParameterStore, Terms},
    sync::{Alone, Membership, Peers, SyncError},
    value::Part,
    wire::{BUILD, Exchange, Failure, Job, Kind, Link, Outcome, Progress, Role, RoundId, Seat, Train},
};
use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The data that a training reads.
struct Loaded {
    data: Arc<Data>,
    other: Option<Arc<Data>>,
}

/// The same as the model sees it.
struct Seen<'d> {
    about: About,
    train: Cow<'d, Table>,
    valid: Cow<'d, Table>,
}

impl Loaded {
    fn seen(&self, train: &Train) -> Result<Seen<'_>, DataError> {
        let lens = &self.data.lens;
        let table = self.data.part(train.data.part, Part::Train, lens)?;
        let valid = match (&self.other, &train.valid) {
            (Some(other), Some(valid)) => other.part(valid.part, Part::Valid, lens)?,
            _ => self.data.validation(lens)?,
        };
        let about = About {
            train: Outline::of(&table),
            valid: Outline::of(&valid),
            lens: lens.clone(),
            hash: self.data.hash,
            valid_hash: self.other.as_ref().map(|other| other.hash),
        };
        Ok(Seen { about, train: table, valid })
    }
}

impl Seen<'_> {
    fn whole(&self) -> Whole<'_> {
        Whole { about: &self.about, train: &self.train, valid: &self.valid }
    }
}

/// Where the samples of the trainings of a run lie.
pub(super) fn folder(job: &Job, train: &Train) -> PathBuf {
    dealt::folder(&job.run).join(dealt::key(train).to_string())
}

impl Worker {
    pub(super) fn train(
        &mut self,
        train: &Train,
        job: &Job,
        objects: &Objects,
        context: &mut Context,
    ) -> Result<Outcome, Failure> {
        match &job.role {
            Role::Alone => {
                let loaded = self.read(train, job, objects)?;
                let round = RoundId { attempt: job.attempt, number: 0 };
                let mut part =
                    TrainingPart { group: &mut Alone::default(), round, until: None, replan: None, decides: true };
                ml::train(train, &Lesson::Whole(loaded.seen(train)?.whole()), &mut part, context)
            }
            Role::Dealer => self.deal(train, job, objects, context),
            Role::Seat(seat) if seat.of == 1 => {
                let loaded = self.read(train, job, objects)?;
                self.sit(seat, train, job, &Lesson::Whole(loaded.seen(train)?.whole()), context)
            }
            Role::Seat(seat) => {
                // A worker among others has room for its own share.
                self.kept.clear();
                let hand = self.hand(&folder(job, train))?;
                let outcome = self.sit(seat, train, job, &Lesson::Dealt(&hand), context);
                self.hand = Some(hand);
                outcome
            }
        }
    }

    fn read(&mut self, train: &Train, job: &Job, objects: &Objects) -> Result<Loaded, Failure> {
        let data = self.load(&train.data, job, objects)?;
        let other = train.valid.as_ref().map(|valid| self.load(valid, job, objects)).transpose()?;
        Ok(Loaded { data, other })
    }

    /// Deals a training's samples out, unless that was done before.
    fn deal(&mut self, train: &Train, job: &Job, objects: &Objects, context: &mut Context) -> Result<Outcome, Failure> {
        let folder = folder(job, train);
        if Deal::read(&folder).is_ok_and(|deal| deal.is_whole(&folder)) {
            return Ok(Outcome::Left);
        }
        let loaded = self.read(train, job, objects)?;
        let prints = loaded.data.prints.iter().chain(loaded.other.iter().flat_map(|other| &other.prints));
        let deal = ml::deal(train, &loaded.seen(train)?.whole(), prints.cloned().collect(), &folder, &job.work)?;
        (context.report)(Progress::Dealt { shards: deal.shards(), bytes: deal.bytes() });
        Ok(Outcome::Left)
    }

    /// What this worker holds of the samples in a folder: what it had, or nothing yet.
    fn hand(&mut self, folder: &Path) -> Result<Hand, Failure> {
        let serves = |hand: &Hand| hand.folder() == folder && hand.deal().check().is_ok();
        match self.hand.take().filter(serves) {
            Some(hand) => Ok(hand),
            None => Ok(Hand::open(folder)?),
        }
    }

    /// A round of a training, among others.
    fn sit(
        &mut self,
        seat: &Seat,
        train: &Train,
        job: &Job,
        lesson: &Lesson,
        context: &mut Context,
    ) -> Result<Outcome, Failure> {
        let round = RoundId { attempt: job.attempt, number: seat.round };
        let exchange = match seat.exchange {
            Some(exchange) => exchange,
            None => Exchange::choose(seat.of as u64, ml::gradient_bytes(train, lesson)?, Link::USUAL),
        };
        let mut peers = match Peers::join(membership(seat, train, exchange), self.meet(seat)?) {
            Err(SyncError::Superseded) => return Ok(Outcome::Left),
            joined => joined.map_err(ml::failure_of)?,
        };
        let Seat { until, decides, .. } = *seat;
        let mut part = TrainingPart { group: &mut peers, round, until, replan: train.team.replan, decides };
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
