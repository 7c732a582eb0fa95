//! A worker in the cloud: a state machine calls it for an entry of the workflow's book.

mod facts;
mod ledger;
mod limits;
mod search;
mod team;
mod values;
mod watch;

use super::{Control, Shared, Worker};
use crate::{
    limits::OnMiss,
    seed::Seed,
    step::{self, Book, Entry, Lost, Step, Work},
    units::{Duration, Size},
    value::Value,
    wire::{
        Answer, Cause, Charge, Done, Failure, Inspect, Invocation, Job, Kind, Op, Outcome, Progress, Role, Secret,
        Secrets, key,
    },
};
use facts::Facts;
use ledger::Ledger;
use limits::Reached;
use std::{
    sync::{Arc, mpsc::channel},
    thread,
    time::{self, Instant, SystemTime},
};
use values::Recalled;
use watch::{Watch, spare};

/// The memory of calls that only compute values.
const SMALL: Size = Size::from_mib(1024);

/// A training that has less time left than this stops at its next checkpoint, to go on in another call.
const MARGIN: time::Duration = time::Duration::from_secs(20);

/// A worker of one workflow, with what it has read.
pub struct Deployed {
    worker: Worker,
    book: Book,
    shared: Arc<Shared>,
    /// The address of the store where the workers of a training meet.
    meeting: Secret,
    recalled: Recalled,
}

/// A failure, and the step that it came of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its kind, which the state machine knows it by.
    pub kind: Kind,
    /// What is said of it.
    pub cause: Box<Cause>,
}

impl Failed {
    fn new(step: String, failure: Failure) -> Self {
        let Failure { kind, message, help, log } = failure;
        Self { kind, cause: Box::new(Cause { step, message, help, log, limit: None }.fitted()) }
    }
}

impl Deployed {
    /// A worker for a workflow with this book. Those who train together meet in the store at an address, or else in the
    /// place that all workers share.
    pub fn new(book: Book, shared: Shared, store: Option<Secret>) -> Self {
        let meeting = store.unwrap_or_else(|| Secret::new(shared.meeting()));
        Self { worker: Worker::default(), book, shared: Arc::new(shared), meeting, recalled: Recalled::default() }
    }

    /// Does what an entry says, as far as the cloud lets it.
    ///
    /// # Errors
    /// When the step fails.
    pub fn answer(&mut self, invocation: &Invocation, call: &mut Call) -> Result<Answer, Failed> {
        let began = Instant::now();
        let path = &invocation.path;
        let of_step = |failure| Failed::new(path.clone(), failure);
        let entry = self.book.entries.get(invocation.entry).cloned().ok_or_else(|| {
            let missing = Failure::new(Kind::TaskFailed, format!("the book has no entry {}", invocation.entry));
            of_step(missing.help("deploy the state machine and its functions together"))
        })?;
        if let Entry::Store(_) = entry {
            return values::store(&invocation.vars, &self.shared).map_err(of_step);
        }
        let memory = if let Entry::Step(step) = &entry { step.memory } else { SMALL };
        let ledger = Ledger::new(self.shared.clone(), &invocation.run.id, call.id, memory);
        let facts =
            Facts::of(invocation, &self.book.scopes, ledger, &mut self.recalled, &self.shared).map_err(of_step)?;
        let result = enter(&entry, invocation, &facts, memory).map_err(of_step).and_then(|()| match &entry {
            Entry::Glue(lines) => {
                let caught = invocation.caught.as_ref().map(|caught| (&**path, caught));
                let values = step::compute(lines, &facts, &invocation.args, caught);
                let values = values.map_err(|Lost { node, failure }| match node {
                    Some(node) => Failed::new(format!("{path}/{node}"), failure),
                    None => of_step(failure),
                })?;
                values::answer(values, facts.run.inline, &self.shared).map_err(of_step)
            }
            // That was seen to before.
            Entry::Store(_) => Ok(Answer::default()),
            Entry::Step(step) => self.step(step, invocation, &facts, call).map_err(of_step),
            Entry::Search(searching) => self.search(searching, invocation, &facts),
        });
        let ended = result.as_ref().is_ok_and(|answer| !answer.more) && invocation.place.is_none();
        let kind = if ended { kind(&entry, invocation) } else { Charge::PART };
        let charged = facts.ledger.end(path, began.elapsed().into(), kind).map_err(of_step);
        let mut result = result.and_then(|answer| charged.map(|()| answer));
        if let Err(failed) = &mut result {
            failed.cause.limit = facts.missed().filter(|_| failed.kind.is_limit()).or(failed.cause.limit.take());
        }
        result
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
        let job = self.job(step, invocation, facts, op)?;
        match (&invocation.relay, &invocation.place) {
            (Some(relay), _) => self.plan(step, job, relay, invocation, facts, call),
            (None, Some(place)) => self.take_part(step, job, *place, facts, call),
            (None, None) => self.alone(step, &job, invocation, facts, call),
        }
    }

    fn job(&self, step: &Step, invocation: &Invocation, facts: &Facts, op: Op) -> Result<Job, Failure> {
        let run = self.shared.run(&invocation.run.id);
        let own = blake3::hash(invocation.path.as_bytes()).to_hex();
        let left = facts.nearest(None)?.map(|(left, _)| left);
        let margin = left.filter(|_| matches!(op, Op::Train(_))).map_or(time::Duration::ZERO, spare);
        Ok(Job {
            path: invocation.path.clone(),
            op,
            project: self.shared.project(),
            objects: self.shared.objects(),
            scratch: run.join("steps").join(own.as_str()),
            work: run.join("work"),
            run,
            log: None,
            time_left: left.map(|left| left.saturating_sub(margin).into()),
            money_left: facts.limits.money_left(&facts.ledger)?,
            threads: step.threads,
            attempt: invocation.tries + 1,
            role: Role::Alone,
            secrets: Secrets::new(),
        })
    }

    /// The key of what stands at the path, among others of the run.
    fn key(&self, invocation: &Invocation, among: &str) -> String {
        let own = blake3::hash(invocation.path.as_bytes()).to_hex();
        format!("runs/{}/{among}/{own}", invocation.run.id)
    }

    fn alone(
        &mut self,
        step: &Step,
        job: &Job,
        invocation: &Invocation,
        facts: &Facts,
        call: &mut Call,
    ) -> Result<Answer, Failure> {
        let Performed { outcome, drained, struck } = self.perform(job, facts, call);
        match (outcome, struck) {
            (Ok(Outcome::Done(done)), struck) if done.trained.is_some() => {
                self.trained(step, done, struck, invocation, facts)
            }
            (Ok(Outcome::Done(done)), None) => self.answered(step, done, facts),
            (Ok(Outcome::Left), _) => Err(Failure::new(Kind::TaskFailed, "who works alone has others to go on with")
                .help("this is a fault of smltc; please report it")),
            (Err(failure), _) if drained && failure.kind == Kind::WorkerLost => Ok(unfinished(step)),
            (Err(failure), Some(_)) if matches!(job.op, Op::Train(_)) => Err(failure),
            (_, Some(reached)) => Err(facts.miss(&reached, "it was over")),
            (Err(failure), None) => Err(failure),
        }
    }

    /// The answer of a step that is done.
    fn answered(&self, step: &Step, done: Done, facts: &Facts) -> Result<Answer, Failure> {
        let answer = values::answer([(step.var, done.output)].into(), facts.run.inline, &self.shared)?;
        Ok(Answer { trained: done.trained, ..answer })
    }

    /// What a training has come to, which may have been cut short to keep a limit.
    fn trained(
        &self,
        step: &Step,
        mut done: Done,
        struck: Option<Reached>,
        invocation: &Invocation,
        facts: &Facts,
    ) -> Result<Answer, Failure> {
        // A search sees for itself what was cut.
        if invocation.errand.is_some() {
            return self.answered(step, done, facts);
        }
        if done.trained.as_ref().is_some_and(|trained| trained.cut) {
            let nearest = match struck {
                Some(struck) => Some(struck),
                None => facts.nearest(None)?.map(|(_, reached)| reached),
            };
            if let Some(reached) = nearest.filter(|reached| reached.on_miss != OnMiss::KeepBest) {
                return Err(facts.miss(&reached, "its last epoch was over"));
            }
        }
        let spent = facts.ledger.spent_with_own(&invocation.path)?;
        if let Value::Record(fields) = &mut done.output {
            fields.insert("cost".into(), Value::Money(spent.money));
            let elapsed = spent.since.map_or(0, |since| (ledger::millis(SystemTime::now()) - since).max(0));
            fields.insert("elapsed".into(), Value::Duration(Duration::from_millis(elapsed)));
        }
        self.answered(step, done, facts)
    }

    /// Does a job within its limits.
    fn perform(&mut self, job: &Job, facts: &Facts, call: &mut Call) -> Performed {
        let leads = job.role.seat().is_none_or(|seat| seat.decides);
        let trains = matches!(job.op, Op::Train(_)) && leads;
        let control = Control::new();
        let watch = Watch {
            control: &control,
            trains,
            stops: leads,
            drains: trains.then(|| call.time.saturating_sub(MARGIN)),
            limits: &facts.limits,
            ledger: &facts.ledger,
        };
        let (over, wait) = channel::<()>();
        let (worker, shared) = (&mut self.worker, &self.shared);
        let (outcome, struck) = thread::scope(|scope| {
            let watcher = scope.spawn(move || watch.until(&wait));
            let outcome = shared.around(job, || worker.work(job, &control, call.report));
            drop(over);
            (outcome, watcher.join().unwrap_or_default())
        });
        Performed { outcome, drained: control.is_draining(), struck }
    }
}

/// What came of a job.
struct Performed {
    outcome: Result<Outcome, Failure>,
    /// Whether it was to stop at a checkpoint, because the call draws to its end.
    drained: bool,
    /// The limit that was reached meanwhile.
    struck: Option<Reached>,
}

/// What the cloud gives a call.
pub struct Call<'a> {
    /// Its name, which no other has.
    pub id: &'a str,
    /// The time that is left.
    pub time: time::Duration,
    /// Where it says how far it is.
    pub report: &'a mut dyn FnMut(Progress),
}

/// What an entry does, in the word of a step's kind.
fn kind(entry: &Entry, invocation: &Invocation) -> &'static str {
    match entry {
        Entry::Glue(_) | Entry::Store(_) => Charge::PART,
        Entry::Search(_) => "search",
        Entry::Step(_) if invocation.errand.is_some() => "trial",
        Entry::Step(step) => match step.work {
            Work::Inspect(_) => "inspect",
            Work::Run(_) => "run",
            Work::Train(_) => "train",
            Work::Evaluate(_) => "evaluate",
        },
    }
}

/// Lets a call begin, unless a limit around it is reached. What only looks at what has been done comes too late for none.
fn enter(entry: &Entry, invocation: &Invocation, facts: &Facts, memory: Size) -> Result<(), Failure> {
    let looks_back = matches!(entry, Entry::Search(_)) || invocation.relay.is_some();
    if let Some((left, reached)) = facts.nearest(Some(memory))?
        && left.is_zero()
        && !looks_back
        && (matches!(entry, Entry::Step(_)) || reached.on_miss != OnMiss::KeepBest)
    {
        return Err(facts.miss(&reached, "it could start"));
    }
    if facts.limits.have_budget() { facts.ledger.begin(&invocation.path) } else { Ok(()) }
}

/// The answer of a step that is not.
fn unfinished(step: &Step) -> Answer {
    Answer { more: true, vars: [(key(step.var), None)].into(), ..Answer::default() }
}
