//! What is thought to come of a training by several workers, round by round. Where the workers are chosen on the way, they
//! are chosen by what chooses them in a real run, which sees of the truth what real rounds would show.

use super::{Chance, Fleet, Foresight, Staffing, Team, late, training::epochs_before};
use crate::{
    forecast::{Belief, Chosen, Crew, Decision, Exchanging, Limits, Pace, Remaining, Spread, Stand, Task},
    schedule::{Attempt, Event, Launch, Time},
    simulate::share::Demand,
    units::Duration,
    wire::{Adapt, Begun, Lap, Progress, Round, Standing, Train, Workers},
};

/// A training of more rounds is not followed further.
const MAX_ROUNDS: u32 = 10_000;
/// What is learned since the last checkpoint is learned again where a worker is lost: seconds of it at most.
const CHECKPOINT: f64 = 60.0;

/// A training by several workers, which goes on round by round.
pub struct Rounds<'a> {
    foresight: &'a Foresight<'a>,
    launch: Box<Launch>,
    launched: Time,
    train: Box<Train>,
    task: Task,
    cpus: f64,
    /// How the formulas are wrong in this run.
    truth: Pace,
    chance: Chance,
    standing: Standing,
    /// Seconds since it began, and epochs passed.
    seconds: f64,
    epochs: f64,
    /// Dollars spent.
    dollars: f64,
    workers: u32,
    /// Whether it ran out of time or money.
    is_cut: bool,
}

/// What comes next of a training.
pub enum Next {
    /// A round, and what is told of it as it begins.
    Leg(Leg, Option<Event>),
    /// It is over.
    Over(Event),
}

/// A round as the world sees it.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    /// Seconds that pass before the work, whatever else is under way.
    pub idle: f64,
    /// Seconds of work, where nobody else uses the store.
    pub work: f64,
    /// Seconds of the training at which it ends at the latest.
    pub by: f64,
    /// What it uses of the store.
    pub demand: Demand,
    /// The epochs of the whole work.
    epochs: f64,
    /// Steps in an epoch.
    steps: f64,
    /// The share of the work that is exchange.
    exchanging: f64,
}

/// Who is in a round, and when it is over.
struct Plan {
    workers: u32,
    until: f64,
    within: f64,
}

impl Foresight<'_> {
    pub(super) fn rounds(
        &self,
        launch: Box<Launch>,
        launched: Time,
        train: Box<Train>,
        task: Task,
        cpus: f64,
        mut chance: Chance,
    ) -> Rounds<'_> {
        let pace = self.pace(&launch, &train, &task, cpus);
        let mut wrong = |pace: f64, doubt: f64| pace * Spread::new(1.0, doubt).draw(&mut chance.common);
        let computing = wrong(pace.computing, pace.doubt);
        let truth = Pace { computing, exchanging: wrong(pace.exchanging, Pace::UNKNOWN.doubt), doubt: 0.0 };
        let epochs = epochs_before(&train);
        Rounds {
            foresight: self,
            launch,
            launched,
            train,
            task,
            cpus,
            truth,
            chance,
            standing: Standing { epochs: epochs as u64, ..Standing::default() },
            seconds: 0.0,
            epochs,
            dollars: 0.0,
            workers: 0,
            is_cut: false,
        }
    }
}

impl Rounds<'_> {
    /// The attempt that trains.
    pub fn attempt(&self) -> &Attempt {
        &self.launch.attempt
    }

    /// Seconds since it began, at the end of the last round.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// What comes next, with workers from the fleet.
    pub fn next(&mut self, fleet: &mut Fleet) -> Next {
        let is_whole = self.epochs >= self.task.epochs - 1e-9;
        if is_whole || self.is_cut || self.standing.rounds >= MAX_ROUNDS {
            return Next::Over(self.over(!is_whole));
        }
        self.standing.rounds += 1;
        let (plan, event) = self.plan();
        Next::Leg(self.begin(plan, fleet), event)
    }

    fn over(&mut self, cut: bool) -> Event {
        let Self { launch, train, epochs, seconds, .. } = self;
        let attempt = launch.attempt.clone();
        match launch.timeout.filter(|timeout| cut && timeout.secs_f64() <= *seconds) {
            Some(timeout) => Event::Failed(attempt, late(timeout), timeout),
            None => {
                let done = self.foresight.trained(launch, train, epochs.max(1.0), cut, *seconds, &mut self.chance);
                Event::Done(attempt, Box::new(done))
            }
        }
    }

    /// The next round, and what is told where it was chosen.
    fn plan(&mut self) -> (Plan, Option<Event>) {
        let team = &self.train.team;
        let limits = Limits {
            seconds: self.launch.time_left.map(|left| left.secs_f64() - self.seconds),
            dollars: team.dollars(self.launch.money_left).map(|dollars| dollars - self.dollars),
        };
        let chosen = team.adapt.and_then(|adapt| {
            let (train, standing) = (&*self.train, &self.standing);
            let (exchanges, change) = (&self.foresight.exchanges, self.foresight.platform.change);
            let adapt = Adapt { first: self.first(adapt, limits), ..adapt };
            Stand { train, adapt, standing, limits, exchanges, change }.choose()
        });
        if let Some(Chosen { workers, until, within, why }) = chosen {
            let begun = Begun { number: self.standing.rounds, workers, why };
            let event = Event::Progress(self.launch.attempt.clone(), Progress::Begun(begun));
            return (Plan { workers, until: until as f64, within: within.secs_f64() }, Some(event));
        }
        let workers = match &team.workers {
            Workers::Staged(staged) => staged.after(self.epochs as u64),
            within => within.fitting(self.task.shards).last().copied().unwrap_or(1),
        };
        let change = match &team.workers {
            Workers::Staged(staged) => staged.next_change(self.epochs as u64),
            Workers::Within(..) => None,
        };
        let until = change.map_or(f64::INFINITY, |change| change as f64);
        (Plan { workers, until, within: f64::INFINITY }, None)
    }

    /// Seconds of the training at which a round of so many workers ends at the latest.
    fn ends_by(&self, workers: u32) -> f64 {
        let time = [self.launch.time_left, self.launch.timeout].into_iter().flatten().map(Duration::secs_f64);
        let lasts = self.train.team.adapt.and_then(|adapt| adapt.lasts(self.dollars, workers));
        time.chain(lasts.map(|lasts| self.seconds + lasts)).fold(f64::INFINITY, f64::min)
    }

    /// The workers to begin with: those of a plan, or else by the formulas alone.
    fn first(&self, adapt: Adapt, limits: Limits) -> Option<u32> {
        let team = || {
            let candidates = self.train.team.workers.fitting(self.task.shards);
            let workers = adapt.first.or_else(|| self.by_formulas(&candidates, adapt, limits))?;
            self.foresight.chooses(&self.launch, adapt.goal, candidates);
            let exchange = self.exchange(workers).way;
            Some(Team { workers, staffing: Staffing::Chosen, memory: self.launch.memory, exchange })
        };
        self.foresight.trains(&self.launch, team).map(|team| team.workers)
    }

    fn by_formulas(&self, candidates: &[u32], adapt: Adapt, limits: Limits) -> Option<u32> {
        let Self { task, train, .. } = self;
        let platform = self.foresight.platform;
        let batch = task.batch_after(0.0);
        let pace = self.foresight.pace(&self.launch, train, task, self.cpus);
        let alone = self.crew(1).step(task, batch, platform, pace).computing;
        let exchange = |workers: u32| self.exchange(workers).seconds;
        let belief = Belief::new(Some(alone / batch), &exchange, &[]);
        let remaining = Remaining {
            steps: (task.epochs - epochs_before(train)) * task.samples / batch,
            batch,
            now: None,
            change: platform.change,
            rate: adapt.rate,
            try_steps: 1.0,
            tries: 0,
        };
        let limits = Limits { seconds: limits.seconds.map(|seconds| seconds - adapt.reserve), ..limits };
        Decision::of(&belief, candidates, &remaining, limits, adapt.goal).map(|decision| decision.workers)
    }

    /// The exchange among so many.
    fn exchange(&self, workers: u32) -> Exchanging {
        self.foresight.exchanges.of(self.train.team.exchange, workers, self.task.exchanged())
    }

    fn crew(&self, workers: u32) -> Crew {
        Crew { workers, memory: self.launch.memory, cpus: self.cpus, exchange: self.exchange(workers).way }
    }

    /// A round begins.
    fn begin(&mut self, plan: Plan, fleet: &mut Fleet) -> Leg {
        let Plan { workers, until, within } = plan;
        let by = self.ends_by(workers);
        let (task, platform) = (&self.task, self.foresight.platform);
        let crew = self.crew(workers);
        let now = self.launched.after(Duration::from_secs_f64(self.seconds));
        let start = fleet.have(now, &self.launch.attempt, self.launch.memory, workers);
        let begins = match (self.standing.rounds, self.workers == workers) {
            (1, _) => start.all() + crew.read(task, false, platform),
            (_, true) => 0.0,
            (_, false) => start.wait + platform.change,
        };
        let batch = task.batch_after(self.epochs).min(task.samples.max(1.0));
        let step = crew.step(task, batch, platform, self.truth);
        let noise = Spread::new(1.0, platform.straggling / 4.0).draw(&mut self.chance.own);
        let steps = task.samples / batch;
        let judging = crew.judging(task, platform, self.truth);
        let epoch = ((steps * step.seconds() + judging) * noise).max(1e-9);
        // A batch that changes ends a stretch, too.
        let change = task.batch.next_change(self.epochs as u64).map_or(f64::INFINITY, |change| change as f64);
        let ahead = (until.min(change).min(task.epochs) - self.epochs).max(0.0);
        // Rounds are of whole steps, and at least one is made, or nothing would be seen.
        let whole = |epochs: f64| (epochs * steps).round().max(1.0) / steps;
        let quick = whole(within / epoch).min(ahead) * epoch;
        let at = now.after(Duration::from_secs_f64(begins));
        let work = self.foresight.slowed(at, quick);
        let most = work.min((by - self.seconds - begins).max(0.0));
        let calls = platform.call_limit.map_or(0.0, |limit| (most / limit.secs_f64()).floor());
        let again = calls * (fleet.again().median + crew.read(task, true, platform));
        let lost = self
            .foresight
            .lost(most, workers, &mut self.chance)
            .map_or(0.0, |at| platform.change + at.secs_f64().min(CHECKPOINT) * 0.5);
        let seconds = step.seconds().max(f64::MIN_POSITIVE);
        let store = self.exchange(workers).store / task.averaging.every.max(1) as f64;
        self.workers = workers;
        Leg {
            idle: begins + again + lost,
            work,
            by,
            demand: Demand { share: (store / seconds).min(1.0), workers },
            epochs: ahead.min(quick / epoch),
            steps,
            exchanging: step.exchanging / seconds,
        }
    }

    /// The round ended after so many seconds of the training, and after so many of its work.
    pub fn ended(&mut self, leg: Leg, seconds: f64, worked: f64) -> Event {
        let Leg { idle, work, by, epochs, steps, exchanging, .. } = leg;
        let before = [self.epochs, self.seconds];
        let gone = epochs * if work > 0.0 { worked / work } else { 1.0 };
        (self.seconds, self.epochs) = (seconds, self.epochs + gone);
        self.is_cut = seconds >= by;
        let elapsed = seconds - before[1];
        self.dollars += self.train.team.adapt.map_or(0.0, |adapt| adapt.rate) * f64::from(self.workers) * elapsed;
        // What others made longer is exchange.
        let working = (elapsed - idle).max(worked);
        let lap = Lap { waiting: Duration::from_secs_f64(working - worked * (1.0 - exchanging)), ..Lap::default() };
        let round = Round {
            number: self.standing.rounds,
            workers: self.workers as usize,
            doubled: Vec::new(),
            steps: [before[0], self.epochs].map(|epochs| (epochs * steps).round() as u64),
            ahead: ((self.task.epochs - self.epochs) * steps).round() as u64,
            epochs: [before[0] as u64, (self.epochs + 1e-9) as u64],
            samples: (gone * self.task.samples) as u64,
            elapsed: Duration::from_secs_f64(working),
            loss: 0.0,
            laps: vec![lap],
        };
        self.standing.went(&round);
        Event::Progress(self.launch.attempt.clone(), Progress::Round(round))
    }
}
