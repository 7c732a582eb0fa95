//! What is thought to come of an attempt at a step.

mod rounds;
mod training;

pub(super) use rounds::{Leg, Next, Rounds};

use super::{
    experience::Experience,
    fleet::{Fleet, Start},
    sample,
};
use crate::{
    forecast::{Crew, Exchanges, Known, Pace, Platform, Spread, Task, rows},
    layers,
    plan::plain,
    schedule::{Event, Launch, Time},
    seed::{Generator, Seed},
    units::{Duration, Size},
    value::{Dataset, Part, Value},
    wire::{Done, Exchange, Failure, Goal, Kind, Op, Train},
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

/// What is known beforehand, and where the steps run.
pub struct Foresight<'a> {
    platform: &'a Platform,
    /// The processors, which the steps under way share; none where each has its own.
    cores: Option<f64>,
    experience: &'a Experience,
    exchanges: Exchanges,
    /// Finds out what is known of data.
    read: &'a dyn Fn(&Dataset) -> Option<Known>,
    /// What was read so far.
    data: RefCell<Vec<(Dataset, Known)>>,
    slowdown: Option<Slowdown>,
    /// Finds out how trainings go on this machine.
    rehearse: Option<&'a Rehearse<'a>>,
    /// What was found out, by the path of a training without numbers, and the operations of its model where they matter.
    paces: RefCell<BTreeMap<(String, u64), Option<Pace>>>,
    /// Who was seen to train first, by the paths of trainings without numbers.
    teams: RefCell<BTreeMap<String, Team>>,
    /// What those make least of whose workers are chosen, and out of what numbers.
    ranges: RefCell<Ranges>,
    guessed: Cell<bool>,
}

/// What trainings make least of, and the numbers of workers that they may have, by their paths.
type Ranges = BTreeMap<String, (Goal, Vec<u32>)>;

/// How an attempt goes on.
pub(super) enum Course<'a> {
    /// Nothing else under way has to do with it: it tells this, each after a time.
    Certain(Vec<(Duration, Event)>),
    /// A training, whose rounds depend on what else uses the store.
    Rounds(Box<Rounds<'a>>),
}

/// Seconds that a step of a training by one worker takes that has so many processors; it should be about so many seconds.
pub type Rehearse<'a> = dyn Fn(&Train, f64, f64) -> Option<f64> + 'a;

/// Who says how many train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staffing {
    /// The workflow: always as many.
    Fixed,
    /// The workflow: others from some epochs on.
    Staged,
    /// They are chosen on the way, out of a range.
    Chosen,
}

/// Who trains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Team {
    /// How many begin, or are there at most where their number changes as the workflow says.
    pub workers: u32,
    /// Who says how many there are.
    pub staffing: Staffing,
    /// The memory of each.
    pub memory: Size,
    /// The way that their gradients take.
    pub exchange: Exchange,
}

/// All work takes so many times as long from some moment of the run on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slowdown {
    /// The moment.
    pub from: Time,
    /// How many times as long.
    pub factor: f64,
}

impl Slowdown {
    /// Seconds that work takes which begins at `at` and would take `seconds`.
    fn slowed(self, at: Time, seconds: f64) -> f64 {
        let before = self.from.since(at).secs_f64().clamp(0.0, seconds);
        before + (seconds - before) * self.factor
    }
}

/// A command of which nothing is known.
const COMMAND: Spread = Spread::new(2.0, 1.0);
/// How far the formulas are off for a step that was never done.
const DOUBT: f64 = 0.3;
/// How unlike the same steps are from one day to the next.
const DAY: f64 = 0.05;
/// Seconds of a step that does next to nothing.
const LEAST: f64 = 0.01;

impl<'a> Foresight<'a> {
    /// Foresight with what earlier runs and the data tell.
    pub fn new(
        platform: &'a Platform,
        cores: Option<f64>,
        experience: &'a Experience,
        read: &'a dyn Fn(&Dataset) -> Option<Known>,
    ) -> Self {
        Self {
            platform,
            cores,
            experience,
            exchanges: Exchanges::new(platform.link),
            read,
            data: RefCell::default(),
            slowdown: None,
            rehearse: None,
            paces: RefCell::default(),
            teams: RefCell::default(),
            ranges: RefCell::default(),
            guessed: Cell::default(),
        }
    }

    /// The same where all becomes slower on the way.
    #[must_use]
    pub fn with_slowdown(self, slowdown: Option<Slowdown>) -> Self {
        Self { slowdown, ..self }
    }

    /// The same with rehearsals of trainings that were never done.
    #[must_use]
    pub fn with_rehearsals(self, rehearse: Option<&'a Rehearse<'a>>) -> Self {
        Self { rehearse, ..self }
    }

    /// How a training compares with the formulas.
    fn pace(&self, launch: &Launch, train: &Train, task: &Task, cpus: f64) -> Pace {
        let step = |workers: u32, batch: f64| {
            let exchange = self.exchanges.of(train.team.exchange, workers, task.exchanged()).way;
            Crew { workers, memory: launch.memory, cpus, exchange }.step(task, batch, self.platform, Pace::UNKNOWN)
        };
        let path = plain_training(launch);
        // What earlier runs took is told of whatever they trained; a rehearsal tells of other models, too.
        let lived = || self.experience.pace(&path, |round| step(round.workers, round.batch).seconds());
        let lived = self.once(&path, task.work.operations.to_bits(), || {
            lived().map(|times| Pace { exchanging: times, ..Pace::rehearsed(times) })
        });
        let rehearsed = || {
            let alone = step(1, task.batch_after(0.0).min(task.samples.max(1.0))).computing;
            Some(Pace::rehearsed(self.rehearse?(train, cpus, alone)? / alone))
        };
        lived.or_else(|| self.once(&path, 0, rehearsed)).unwrap_or(Pace::UNKNOWN)
    }

    /// What is found out once.
    fn once(&self, path: &str, operations: u64, find: impl FnOnce() -> Option<Pace>) -> Option<Pace> {
        let key = (path.to_owned(), operations);
        if let Some(known) = self.paces.borrow().get(&key) {
            return *known;
        }
        let found = find();
        self.paces.borrow_mut().insert(key, found);
        found
    }

    /// Seconds of work that begins at `at`.
    fn slowed(&self, at: Time, seconds: f64) -> f64 {
        self.slowdown.map_or(seconds, |slowdown| slowdown.slowed(at, seconds))
    }

    /// Whether a command was foreseen that has never run.
    pub fn has_guessed(&self) -> bool {
        self.guessed.get()
    }

    /// Whether the steps run on this machine.
    pub(super) fn is_here(&self) -> bool {
        self.cores.is_some()
    }

    /// The most memory that a step can have, where it is not that of a machine.
    pub fn largest_memory(&self) -> Option<Size> {
        self.platform.most_memory
    }

    /// Forgets who trained before: other runs are to be foreseen.
    pub fn begin(&self) {
        self.teams.borrow_mut().clear();
        self.ranges.borrow_mut().clear();
    }

    /// The trainings seen so far whose workers are chosen.
    pub(super) fn ranges(&self) -> Ranges {
        self.ranges.borrow().clone()
    }

    /// Who was seen to train first.
    pub fn team(&self, path: &str) -> Option<Team> {
        self.teams.borrow().get(path).copied()
    }

    /// Takes note of who trains, and tells who did first.
    fn trains(&self, launch: &Launch, first: impl FnOnce() -> Option<Team>) -> Option<Team> {
        let path = plain_training(launch);
        if let Some(team) = self.team(&path) {
            return Some(team);
        }
        let team = first()?;
        self.teams.borrow_mut().insert(path, team);
        Some(team)
    }

    /// Takes note of a training whose workers are chosen.
    fn chooses(&self, launch: &Launch, goal: Goal, numbers: Vec<u32>) {
        self.ranges.borrow_mut().insert(plain_training(launch), (goal, numbers));
    }

    /// Whether earlier runs tell of a step.
    pub fn knows(&self, path: &str) -> bool {
        self.experience.seconds(path, 1.0).is_some()
    }

    /// The workers of a run in which none has begun.
    pub(super) fn fleet(&self) -> Fleet<'_> {
        Fleet::new(self.platform)
    }

    /// How an attempt will go on, with workers from the fleet. `busy` attempts are under way with it.
    pub(super) fn foresee(
        &self,
        launch: Box<Launch>,
        now: Time,
        busy: usize,
        seed: Seed,
        fleet: &mut Fleet,
    ) -> Course<'_> {
        let threads = self.threads(&launch, busy);
        if let Some(most) = self.platform.most_memory.filter(|most| launch.memory > *most) {
            let message =
                format!("{} has no more than {most} of memory for it, not {}", self.platform.name, launch.memory);
            let failure = Failure::new(Kind::OutOfMemory, message).help("let it ask for less");
            return Course::Certain(failed(&launch, failure, Duration::ZERO));
        }
        let path = &launch.attempt.step.0;
        let known = self.experience.seconds(path, 1.0);
        let lived = |otherwise: Value| self.experience.output(path).cloned().unwrap_or(otherwise);
        let mut chance = Chance::new(&launch, seed, self.platform.straggling);
        let (reckoned, output) = match &launch.op {
            Op::Inspect(inspect) => {
                let facts = self.known(&inspect.data).facts;
                let bytes = (facts.rows * facts.width * 4) as f64;
                (Spread::new(LEAST + bytes / self.platform.object_bytes, DOUBT), Value::from(facts))
            }
            Op::Command(command) => {
                self.guessed.set(self.guessed.get() || known.is_none());
                (COMMAND, lived(sample::value(&command.output)))
            }
            Op::Evaluate(evaluate) => {
                let Known { facts, shape } = self.known(&evaluate.data);
                // A model that does not fit is told of by the step itself.
                let work = layers::work(&evaluate.model.layers, &shape).unwrap_or_default();
                let operations = rows(&evaluate.data, &facts, Part::Test) * work.operations;
                let metrics = evaluate.metrics.iter().map(|metric| (metric.name.clone(), Value::Float(sample::GOOD)));
                let seconds = LEAST + operations / (self.platform.operations * threads);
                (Spread::new(seconds, DOUBT), lived(Value::Record(metrics.collect())))
            }
            Op::Train(train) => {
                let train = train.clone();
                return self.training(launch, now, train, threads, chance, fleet);
            }
        };
        let start = fleet.have(now, &launch.attempt, launch.memory, 1);
        let seconds = match known {
            // What was measured began with a start, too.
            Some(known) => chance.measured(known),
            None => chance.start(start) + chance.reckoned(reckoned),
        };
        Course::Certain(ended(&launch, self.slowed(now, seconds), output))
    }

    /// The processors that an attempt has.
    fn threads(&self, launch: &Launch, busy: usize) -> f64 {
        match self.cores {
            Some(cores) => (cores / busy.max(1) as f64).floor().max(launch.cpu.floor()).max(1.0),
            None => self.platform.cpus(launch.memory, launch.cpu),
        }
    }

    /// What is known of data, found out once.
    fn known(&self, data: &Dataset) -> Known {
        let is_it = |known: &Dataset| Dataset { part: data.part, ..known.clone() } == *data;
        if let Some((_, known)) = self.data.borrow().iter().find(|(known, _)| is_it(known)) {
            return known.clone();
        }
        let known = (self.read)(data).unwrap_or_else(|| sample::facts().into());
        self.data.borrow_mut().push((data.clone(), known.clone()));
        known
    }
}

/// The path of a training without numbers, for which all its rungs are one.
fn plain_training(launch: &Launch) -> String {
    let path = plain(&launch.attempt.step.0);
    path.strip_suffix("/rung").map_or(path.clone(), str::to_owned)
}

/// Where the chances of an attempt come from.
struct Chance {
    /// The same for a step each time that it is done in a run.
    common: Generator,
    /// Another each time.
    own: Generator,
    straggling: f64,
}

impl Chance {
    fn new(launch: &Launch, seed: Seed, straggling: f64) -> Self {
        let path = &launch.attempt.step.0;
        Self {
            common: seed.child(plain(path)).generator(),
            own: seed.child(path).child(launch.attempt.number).generator(),
            straggling,
        }
    }

    /// A draw from what was reckoned: where that is wrong, it is as wrong each time that the step is done.
    fn reckoned(&mut self, spread: Spread) -> f64 {
        let straggling = Spread::new(1.0, self.straggling.min(spread.deviation));
        spread.draw(&mut self.common) * self.own(straggling)
    }

    /// A draw from what was measured: it differs from one time to the next, and from day to day.
    fn measured(&mut self, spread: Spread) -> f64 {
        Spread::new(1.0, DAY).draw(&mut self.common) * self.own(spread)
    }

    /// Seconds until one worker has begun.
    fn start(&mut self, start: Start) -> f64 {
        start.wait + self.own(start.each)
    }

    /// A draw that has nothing to do with any other.
    fn own(&mut self, spread: Spread) -> f64 {
        spread.draw(&mut self.own)
    }
}

/// An attempt that succeeds after so many seconds.
fn ended(launch: &Launch, seconds: f64, output: Value) -> Vec<(Duration, Event)> {
    done(launch, Done { output, trained: None, elapsed: Duration::from_secs_f64(seconds) })
}

/// An attempt that succeeds, unless its timeout is shorter.
fn done(launch: &Launch, done: Done) -> Vec<(Duration, Event)> {
    match launch.timeout.filter(|timeout| *timeout < done.elapsed) {
        None => vec![(done.elapsed, Event::Done(launch.attempt.clone(), Box::new(done)))],
        Some(timeout) => failed(launch, late(timeout), timeout),
    }
}

/// An attempt that fails after a time.
fn failed(launch: &Launch, failure: Failure, after: Duration) -> Vec<(Duration, Event)> {
    vec![(after, Event::Failed(launch.attempt.clone(), failure, after))]
}

/// Why an attempt ends with its timeout.
fn late(timeout: Duration) -> Failure {
    Failure::new(Kind::Timeout, format!("it took longer than its timeout of {timeout}"))
}
