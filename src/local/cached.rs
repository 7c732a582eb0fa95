//! What the driver asks the cache before a step is worked at: a result that is there already serves at once, or once it is
//! known what the step's files hold.

use crate::{
    cache::{Begin, Keyed, Served, Session},
    schedule::{Attempt, Event, Launch, Notice},
    source::Name,
    units::Duration,
    wire::{Done, Failure, Kind},
};
use std::{collections::HashMap, thread, time::Instant};
use tokio::sync::mpsc::UnboundedSender;

/// The cache as the driver uses it.
pub(super) struct Cached<'a> {
    /// None where a run goes without it.
    session: Option<&'a mut Session>,
    /// Attempts that begin once it is known what their files hold.
    reading: HashMap<Attempt, Reading>,
    answers: UnboundedSender<(Attempt, Answer)>,
}

struct Reading {
    launch: Launch,
    kind: Name,
    since: Instant,
}

/// What becomes known of an attempt after it has begun.
pub(super) enum Answer {
    /// Here is its result.
    Served(Box<Done>),
    /// This is what it depends on.
    Keyed(Result<Keyed, String>),
    /// It was stopped, after this time, before that was known.
    Stopped(Duration),
}

/// What is to be done about an attempt.
pub(super) enum Next {
    /// A worker must do it.
    Work(Launch),
    /// There is nothing to do: this is to be told, and an answer follows.
    Serve(Notice),
    /// An answer follows.
    Wait,
    /// The scheduler must hear of it.
    Hear(Event),
}

impl<'a> Cached<'a> {
    pub fn new(session: Option<&'a mut Session>, answers: UnboundedSender<(Attempt, Answer)>) -> Self {
        Self { session, reading: HashMap::new(), answers }
    }

    /// Begins an attempt at a step of a kind.
    pub fn begin(&mut self, launch: Launch, kind: Name) -> Next {
        match self.session.as_mut().map_or(Begin::Run, |session| session.begin(&launch)) {
            Begin::Run => Next::Work(launch),
            Begin::Served(served) => self.serve(launch.attempt, kind, served),
            Begin::Read(draft) => {
                let (attempt, answers) = (launch.attempt.clone(), self.answers.clone());
                self.reading.insert(attempt.clone(), Reading { launch, kind, since: Instant::now() });
                thread::spawn(move || answers.send((attempt, Answer::Keyed(draft.finish()))));
                Next::Wait
            }
        }
    }

    /// Goes on with an attempt of which something is known now.
    pub fn answer(&mut self, attempt: Attempt, answer: Answer) -> Next {
        let keyed = match answer {
            Answer::Served(done) => return Next::Hear(Event::Served(attempt, done)),
            Answer::Stopped(waited) => {
                let failure = Failure::new(Kind::WorkerLost, "it was stopped");
                return Next::Hear(Event::Failed(attempt, failure, waited));
            }
            Answer::Keyed(keyed) => keyed,
        };
        // What was stopped meanwhile is over.
        let Some(Reading { mut launch, kind, since }) = self.reading.remove(&attempt) else { return Next::Wait };
        match self.session.as_mut().and_then(|session| session.found(&launch, keyed)) {
            Some(served) => self.serve(attempt, kind, served),
            None => {
                launch.time_left = launch.time_left.and_then(|left| left.checked_sub(since.elapsed().into()));
                Next::Work(launch)
            }
        }
    }

    fn serve(&self, attempt: Attempt, kind: Name, Served { done, run }: Served) -> Next {
        let step = attempt.step.clone();
        self.send(attempt, Answer::Served(done));
        Next::Serve(Notice::StepServed { step, kind, run: run.into() })
    }

    fn send(&self, attempt: Attempt, answer: Answer) {
        // The run may be over already.
        let _ = self.answers.send((attempt, answer));
    }

    /// Stops an attempt if it is not known yet what its files hold; says whether that was so.
    pub fn stop(&mut self, attempt: &Attempt) -> bool {
        let Some(Reading { since, .. }) = self.reading.remove(attempt) else { return false };
        self.send(attempt.clone(), Answer::Stopped(since.elapsed().into()));
        true
    }

    /// Stops all attempts of which it is not known yet what their files hold.
    pub fn drain(&mut self) {
        let reading: Vec<Attempt> = self.reading.keys().cloned().collect();
        for attempt in &reading {
            self.stop(attempt);
        }
    }

    /// A worker has done an attempt.
    pub fn done(&mut self, attempt: &Attempt, done: &Done) {
        self.session.iter_mut().for_each(|session| session.done(attempt, done));
    }

    /// What a worker did came to nothing.
    pub fn failed(&mut self, attempt: &Attempt) {
        self.session.iter_mut().for_each(|session| session.failed(attempt));
    }
}

#[cfg(test)]
mod tests;
