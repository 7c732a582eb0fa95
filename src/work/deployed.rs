//! A worker in the cloud: a state machine calls it for an entry of the workflow's book.

mod facts;
mod search;
mod team;

use super::{Control, Shared, Worker};
use crate::{
    expr::Var,
    seed::Seed,
    step::{self, Book, Entry, Lost, Step, Work},
    value::Value,
    wire::{
        Answer, Carried, Cause, Done, Failure, Inspect, Invocation, Job, Kind, Op, Outcome, Progress, Role, Secret,
        Secrets, key,
    },
};
use facts::Facts;
use std::{
    collections::BTreeMap,
    sync::mpsc::{RecvTimeoutError, channel},
    thread, time,
};

/// A training that has less time left than this stops at its next checkpoint, to go on in another call.
const MARGIN: time::Duration = time::Duration::from_secs(20);

/// A worker of one workflow, with what it has read.
pub struct Deployed {
    worker: Worker,
    book: Book,
    shared: Shared,
    /// The address of the store where the workers of a training meet.
    meeting: Secret,
}

/// A failure, and the step that it came of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its kind, which the state machine knows it by.
    pub kind: Kind,
    /// What is said of it.
    pub cause: Cause,
}

impl Failed {
    fn new(step: String, failure: Failure) -> Self {
        let Failure { kind, message, help, log } = failure;
        Self { kind, cause: Cause { step, message, help, log } }
    }
}

impl Deployed {
    /// A worker for a workflow with this book. Those who train together meet in the store at an address, or else in the
    /// place that all workers share.
    pub fn new(book: Book, shared: Shared, store: Option<Secret>) -> Self {
        let meeting = store.unwrap_or_else(|| Secret::new(shared.meeting()));
        Self { worker: Worker::default(), book, shared, meeting }
    }

    /// Does what an entry says, within the time that the cloud gives.
    ///
    /// # Errors
    /// When the step fails.
    pub fn answer(
        &mut self,
        invocation: &Invocation,
        time: time::Duration,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Answer, Failed> {
        let of_step = |failure| Failed::new(invocation.path.clone(), failure);
        let entry = self.book.entries.get(invocation.entry).cloned().ok_or_else(|| {
            let missing = Failure::new(Kind::TaskFailed, format!("the book has no entry {}", invocation.entry));
            of_step(missing.help("deploy the state machine and its functions together"))
        })?;
        let facts = Facts::of(invocation).map_err(of_step)?;
        match entry {
            Entry::Glue(lines) => {
                let caught = invocation.caught.as_ref().map(|caught| (&*invocation.path, caught));
                let values = step::compute(&lines, &facts, &invocation.args, caught);
                let values = values.map_err(|Lost { node, failure }| match node {
                    Some(node) => Failed::new(format!("{}/{node}", invocation.path), failure),
                    None => of_step(failure),
                })?;
                Ok(answer(values))
            }
            Entry::Step(step) => self.step(&step, invocation, &facts, &mut Call { time, report }).map_err(of_step),
            Entry::Search(searching) => self.search(&searching, invocation, &facts),
        }
    }

    /// The seed of what stands at a path.
    fn seed(&self, annotated: Option<u64>, invocation: &Invocation, facts: &Facts) -> Seed {
        annotated.map_or(facts.seed, Seed::new).child(&invocation.path)
    }

    fn step(
        &mut self,
        step: &Step,
        invocation: &Invocation,
        facts: &Facts,
        call: &mut Call,
    ) -> Result<Answer, Failure> {
        let op = match &step.work {
            Work::Inspect(data) => Op::Inspect(Box::new(Inspect { data: step::dataset(data, facts)? })),
            Work::Run(run) => step::command(run, facts)?,
            Work::Evaluate(evaluate) => step::evaluate(evaluate, facts)?,
            Work::Train(train) => {
                let seed = match &invocation.errand {
                    Some(errand) => facts::seed(&errand.seed)?,
                    None => step::seed(&train.seed, facts, self.seed(step.seed, invocation, facts))?,
                };
                let mut train = step::train(train, facts, seed, None)?;
                let rung = invocation.errand.as_ref().and_then(|errand| errand.rung.clone());
                rung.into_iter().for_each(|rung| train.climb(rung));
                Op::Train(Box::new(train))
            }
        };
        let job = self.job(step, invocation, facts, op);
        match (&invocation.relay, &invocation.place) {
            (Some(relay), _) => self.plan(step, job, relay, call),
            (None, Some(place)) => self.take_part(step, job, *place, call),
            (None, None) => self.alone(step, &job, call),
        }
    }

    fn job(&self, step: &Step, invocation: &Invocation, facts: &Facts, op: Op) -> Job {
        let run = self.shared.run(&invocation.run.id);
        let own = blake3::hash(invocation.path.as_bytes()).to_hex();
        Job {
            path: invocation.path.clone(),
            op,
            project: self.shared.project(),
            objects: self.shared.objects(),
            scratch: run.join("steps").join(own.as_str()),
            work: run.join("work"),
            run,
            log: None,
            time_left: facts.left(),
            money_left: None,
            threads: step.threads,
            attempt: invocation.tries + 1,
            role: Role::Alone,
            secrets: Secrets::new(),
        }
    }

    /// The key of what stands at the path, among others of the run.
    fn key(&self, invocation: &Invocation, among: &str) -> String {
        let own = blake3::hash(invocation.path.as_bytes()).to_hex();
        format!("runs/{}/{among}/{own}", invocation.run.id)
    }

    fn alone(&mut self, step: &Step, job: &Job, call: &mut Call) -> Result<Answer, Failure> {
        match self.perform(job, call) {
            (Ok(Outcome::Done(done)), _) => Ok(answered(step, done)),
            (Ok(Outcome::Left), _) => Err(Failure::new(Kind::TaskFailed, "who works alone has others to go on with")
                .help("this is a fault of smltc; please report it")),
            (Err(failure), true) if failure.kind == Kind::WorkerLost => Ok(unfinished(step)),
            (Err(failure), _) => Err(failure),
        }
    }

    /// Does a job, and tells whether it was stopped at a checkpoint because the call draws to its end.
    fn perform(&mut self, job: &Job, call: &mut Call) -> (Result<Outcome, Failure>, bool) {
        let leads = job.role.seat().is_none_or(|seat| seat.decides);
        let trains = matches!(job.op, Op::Train(_)) && leads;
        let control = Control::new();
        let (over, wait) = channel::<()>();
        let (worker, shared) = (&mut self.worker, &self.shared);
        let outcome = thread::scope(|scope| {
            let (control, time) = (&control, call.time.saturating_sub(MARGIN));
            scope.spawn(move || {
                if trains && wait.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                    control.drain();
                }
            });
            let outcome = shared.around(job, || worker.work(job, control, call.report));
            drop(over);
            outcome
        });
        (outcome, control.is_draining())
    }
}

/// What the cloud gives a call.
struct Call<'a> {
    /// The time that is left.
    time: time::Duration,
    /// Where it says how far it is.
    report: &'a mut dyn FnMut(Progress),
}

/// The answer of a step that is done.
fn answered(step: &Step, done: Done) -> Answer {
    Answer { trained: done.trained, ..answer([(step.var, done.output)].into()) }
}

/// The answer of a step that is not.
fn unfinished(step: &Step) -> Answer {
    Answer { more: true, vars: [(key(step.var), None)].into(), ..Answer::default() }
}

fn answer(values: BTreeMap<Var, Value>) -> Answer {
    let vars = values.into_iter().map(|(var, value)| (key(var), Some(Carried(value)))).collect();
    Answer { vars, ..Answer::default() }
}
