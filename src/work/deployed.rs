//! A worker in the cloud: a state machine calls it for an entry of the workflow's book.

use super::{Control, Worker};
use crate::{
    expr::{Context, Env, Scope, Var},
    seed::Seed,
    step::{self, Book, Entry, Lost, Step, Work},
    units::Duration,
    value::Value,
    wire::{
        Answer, Carried, Cause, Failure, Inspect, Invocation, Job, Kind, Op, Outcome, Progress, Role, RunFacts,
        Secrets, key,
    },
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{self, SystemTime, UNIX_EPOCH},
};

/// A training that has less time left than this stops at its next checkpoint, to go on in another call.
const MARGIN: time::Duration = time::Duration::from_secs(20);

/// A worker of one workflow, with what it has read.
pub struct Deployed {
    worker: Worker,
    book: Book,
    /// The folder that all workers share: the project's files, stored objects, and what runs leave for their next steps.
    shared: PathBuf,
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
    /// A worker for a workflow with this book.
    pub fn new(book: Book, shared: PathBuf) -> Self {
        Self { worker: Worker::default(), book, shared }
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
            Entry::Step(step) => self.step(&step, invocation, &facts, time, report).map_err(of_step),
        }
    }

    fn step(
        &mut self,
        step: &Step,
        invocation: &Invocation,
        facts: &Facts,
        time: time::Duration,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Answer, Failure> {
        let seed = step.seed.map_or(facts.seed, Seed::new).child(&invocation.path);
        let op = match &step.work {
            Work::Inspect(data) => Op::Inspect(Box::new(Inspect { data: step::dataset(data, facts)? })),
            Work::Run(run) => step::command(run, facts)?,
            Work::Evaluate(evaluate) => step::evaluate(evaluate, facts)?,
            Work::Train(train) => {
                let seed = step::seed(&train.seed, facts, seed)?;
                Op::Train(Box::new(step::train(train, facts, seed, None)?))
            }
        };
        let run = self.shared.join("runs").join(&invocation.run.id);
        let own = blake3::hash(invocation.path.as_bytes()).to_hex();
        let job = Job {
            path: invocation.path.clone(),
            op,
            project: self.shared.join("project"),
            objects: self.shared.join("objects"),
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
        };
        let trains = matches!(job.op, Op::Train(_));
        let control = Control::new();
        let (over, wait) = channel::<()>();
        let worker = &mut self.worker;
        let outcome = thread::scope(|scope| {
            let (control, time) = (&control, time.saturating_sub(MARGIN));
            scope.spawn(move || {
                if trains && wait.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                    control.drain();
                }
            });
            let outcome = worker.work(&job, control, report);
            drop(over);
            outcome
        });
        match outcome {
            Ok(Outcome::Done(done)) => Ok(answer([(step.var, done.output)].into())),
            Ok(Outcome::Left) => Err(Failure::new(Kind::TaskFailed, "who works alone has others to go on with")
                .help("this is a fault of smltc; please report it")),
            // It has stopped at a checkpoint.
            Err(failure) if failure.kind == Kind::WorkerLost && control.is_draining() => {
                Ok(Answer { more: true, vars: [(key(step.var), None)].into() })
            }
            Err(failure) => Err(failure),
        }
    }
}

fn answer(values: BTreeMap<Var, Value>) -> Answer {
    Answer { more: false, vars: values.into_iter().map(|(var, value)| (key(var), Some(Carried(value)))).collect() }
}

/// What the expressions of an entry may read.
struct Facts<'a> {
    vars: Scope,
    run: &'a RunFacts,
    seed: Seed,
    started: SystemTime,
}

impl<'a> Facts<'a> {
    fn of(invocation: &'a Invocation) -> Result<Self, Failure> {
        let run = &invocation.run;
        let wrong = |what: &str| Failure::new(Kind::TaskFailed, format!("the state machine sends {what}"));
        let seed =
            run.seed.parse().map_err(|_| wrong(&format!("the seed `{}`, which is no whole number", run.seed)))?;
        let started: jiff::Timestamp =
            run.started.parse().map_err(|_| wrong(&format!("the time `{}`, which is none", run.started)))?;
        let age = time::Duration::from_millis(started.as_millisecond().try_into().unwrap_or(0));
        let mut vars = Scope::default();
        for (name, Carried(value)) in &invocation.vars {
            let number = name.strip_prefix('v').and_then(|number| number.parse().ok());
            vars.set(Var(number.ok_or_else(|| wrong(&format!("`{name}`, which is no variable")))?), value.clone());
        }
        Ok(Self { vars, run, seed: Seed::new(seed), started: UNIX_EPOCH + age })
    }

    fn elapsed(&self) -> Duration {
        SystemTime::now().duration_since(self.started).unwrap_or_default().into()
    }

    /// The time until the run's deadline.
    fn left(&self) -> Option<Duration> {
        let left = self.run.deadline?.secs_f64() - self.elapsed().secs_f64();
        Some(Duration::from_secs_f64(left.max(0.0)))
    }
}

impl Env for Facts<'_> {
    fn var(&self, var: Var) -> Option<&Value> {
        self.vars.var(var)
    }

    fn context(&self, context: Context) -> Option<Value> {
        match context {
            Context::Elapsed => Some(Value::Duration(self.elapsed())),
            Context::Remaining => self.left().map(Value::Duration),
            Context::RunId => Some(Value::String(self.run.id.as_str().into())),
            Context::Spent => None,
        }
    }
}
