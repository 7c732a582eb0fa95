//! What is thought to come of a training by several workers, round by round. Where the workers are chosen on the way, they
//! are chosen by what chooses them in a real run, which sees of the truth what real rounds would show.

use super::{Chance, Foresight, Staffing, Team, done, training::epochs_before};
use crate::{
    forecast::{Belief, Chosen, Crew, Decision, Limits, Pace, Remaining, Spread, Stand, Task},
    schedule::{Event, Launch, Time},
    units::{Duration, Money},
    wire::{Adapt, Begun, Exchange, Lap, Progress, Round, Standing, Train, Workers},
};

/// A training of more rounds is not followed further.
const MAX_ROUNDS: u32 = 10_000;
/// What is learned since the last checkpoint is learned again where a worker is lost: seconds of it at most.
const CHECKPOINT: f64 = 60.0;

/// A training under way.
struct UnderWay<'a> {
    foresight: &'a Foresight<'a>,
    launch: &'a Launch,
    now: Time,
    train: &'a Train,
    task: &'a Task,
    cpus: f64,
    /// How the formulas are wrong in this run.
    truth: Pace,
    standing: Standing,
    /// Seconds since it began, and epochs passed.
    seconds: f64,
    epochs: f64,
    /// Dollars spent.
    dollars: f64,
    workers: u32,
    told: Vec<(Duration, Event)>,
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
        launch: &Launch,
        now: Time,
        train: &Train,
        task: &Task,
        cpus: f64,
        chance: &mut Chance,
    ) -> Vec<(Duration, Event)> {
        let pace = self.pace(launch, train, task, cpus);
        let mut wrong = |pace: f64, doubt: f64| pace * Spread::new(1.0, doubt).draw(&mut chance.common);
        let computing = wrong(pace.computing, pace.doubt);
        let truth = Pace { computing, exchanging: wrong(pace.exchanging, Pace::UNKNOWN.doubt), doubt: 0.0 };
        let epochs = epochs_before(train);
        let mut training = UnderWay {
            foresight: self,
            launch,
            now,
            train,
            task,
            cpus,
            truth,
            standing: Standing { epochs: epochs as u64, ..Standing::default() },
            seconds: 0.0,
            epochs,
            dollars: 0.0,
            workers: 0,
            told: Vec::new(),
        };
        let left = launch.time_left.map_or(f64::INFINITY, Duration::secs_f64);
        let is_over = |training: &UnderWay| training.epochs >= task.epochs - 1e-9 || training.seconds >= left;
        while !is_over(&training) && training.standing.rounds < MAX_ROUNDS {
            training.round(left, chance);
        }
        let cut = training.epochs < task.epochs - 1e-9;
        let UnderWay { seconds, epochs, told, .. } = training;
        let end = done(launch, self.trained(launch, train, epochs.max(1.0), cut, seconds, chance));
        told.into_iter().chain(end).collect()
    }
}

impl UnderWay<'_> {
    fn plan(&mut self) -> Plan {
        let team = &self.train.team;
        let limits = Limits {
            seconds: self.launch.time_left.map(|left| left.secs_f64() - self.seconds),
            dollars: self.launch.money_left.map(|left| Money::to_f64(left) - self.dollars),
        };
        let chosen = team.adapt.and_then(|adapt| {
            let (train, standing) = (self.train, &self.standing);
            let (exchanges, change) = (&self.foresight.exchanges, self.foresight.platform.change);
            let adapt = Adapt { first: self.first(adapt, limits), ..adapt };
            Stand { train, adapt, standing, limits, exchanges, change }.choose()
        });
        if let Some(Chosen { workers, until, within, why }) = chosen {
            let begun = Begun { number: self.standing.rounds, workers, why };
            let event = Event::Progress(self.launch.attempt.clone(), Progress::Begun(begun));
            self.told.push((Duration::from_secs_f64(self.seconds), event));
            return Plan { workers, until: until as f64, within: within.secs_f64() };
        }
        let workers = match &team.workers {
            Workers::Staged(staged) => staged.after(self.epochs as u64),
            within => within.fitting(self.task.shards).last().copied().unwrap_or(1),
        };
        let change = match &team.workers {
            Workers::Staged(staged) => staged.next_change(self.epochs as u64),
            Workers::Within(..) => None,
        };
        Plan { workers, until: change.map_or(f64::INFINITY, |change| change as f64), within: f64::INFINITY }
    }

    /// The workers to begin with: those of a plan, or else by the formulas alone.
    fn first(&self, adapt: Adapt, limits: Limits) -> Option<u32> {
        let team = || {
            let workers = adapt.first.or_else(|| self.by_formulas(adapt, limits))?;
            let (exchange, _) = self.exchange(workers);
            Some(Team { workers, staffing: Staffing::Chosen, memory: self.launch.memory, exchange })
        };
        self.foresight.trains(self.launch, team).map(|team| team.workers)
    }

    fn by_formulas(&self, adapt: Adapt, limits: Limits) -> Option<u32> {
        let Self { task, train, .. } = self;
        let platform = self.foresight.platform;
        let batch = task.batch_after(0.0);
        let pace = self.foresight.pace(self.launch, train, task, self.cpus);
        let alone = self.crew(1).step(task, batch, platform, pace).computing;
        let exchange = |workers: u32| self.exchange(workers).1;
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
        let candidates = train.team.workers.fitting(task.shards);
        Decision::of(&belief, &candidates, &remaining, limits, adapt.goal).map(|decision| decision.workers)
    }

    /// The way that gradients take among so many, and its seconds.
    fn exchange(&self, workers: u32) -> (Exchange, f64) {
        self.foresight.exchanges.of(self.train.team.exchange, workers, self.task.exchanged())
    }

    fn crew(&self, workers: u32) -> Crew {
        Crew { workers, memory: self.launch.memory, cpus: self.cpus, exchange: self.exchange(workers).0 }
    }

    /// A round, which ends at `left` seconds of the training at the latest.
    fn round(&mut self, left: f64, chance: &mut Chance) {
        self.standing.rounds += 1;
        let Plan { workers, until, within } = self.plan();
        let (task, platform) = (self.task, self.foresight.platform);
        let crew = self.crew(workers);
        let begins = match (self.standing.rounds, self.workers == workers) {
            (1, _) => crew.begin(task, false, platform),
            (_, true) => 0.0,
            (_, false) => platform.change,
        };
        let batch = task.batch_after(self.epochs).min(task.samples.max(1.0));
        let step = crew.step(task, batch, platform, self.truth);
        let noise = Spread::new(1.0, platform.straggling / 4.0).draw(&mut chance.own);
        let steps = task.samples / batch;
        let judging = crew.judging(task, platform, self.truth);
        let epoch = ((steps * step.seconds() + judging) * noise).max(1e-9);
        // A batch that changes ends a stretch, too.
        let change = task.batch.next_change(self.epochs as u64).map_or(f64::INFINITY, |change| change as f64);
        let ahead = (until.min(change).min(task.epochs) - self.epochs).max(0.0);
        // Rounds are of whole steps, and at least one is made, or nothing would be seen.
        let whole = |epochs: f64| (epochs * steps).round().max(1.0) / steps;
        let quick = whole(within / epoch).min(ahead) * epoch;
        let at = self.now.after(Duration::from_secs_f64(self.seconds + begins));
        let slow = self.foresight.slowed(at, quick);
        let most = (left - self.seconds - begins).max(0.0);
        let worked = slow.min(most);
        let gone = ahead.min(quick / epoch) * if slow > 0.0 { worked / slow } else { 1.0 };
        let calls = platform.call_limit.map_or(0.0, |limit| (worked / limit.secs_f64()).floor());
        let again = calls * crew.begin(task, true, platform);
        let lost = self
            .foresight
            .lost(worked, workers, chance)
            .map_or(0.0, |at| platform.change + at.secs_f64().min(CHECKPOINT) * 0.5);
        let before = [self.epochs, self.seconds];
        self.seconds = (self.seconds + begins + worked + again + lost).min(left);
        self.epochs += gone;
        self.workers = workers;
        let elapsed = self.seconds - before[1];
        self.dollars += self.train.team.adapt.map_or(0.0, |adapt| adapt.rate) * f64::from(workers) * elapsed;
        let share = step.exchanging / step.seconds().max(f64::MIN_POSITIVE);
        let lap = Lap { waiting: Duration::from_secs_f64(worked * share), ..Lap::default() };
        let round = Round {
            number: self.standing.rounds,
            workers: workers as usize,
            doubled: Vec::new(),
            steps: [before[0], self.epochs].map(|epochs| (epochs * steps).round() as u64),
            ahead: ((task.epochs - self.epochs) * steps).round() as u64,
            epochs: [before[0] as u64, (self.epochs + 1e-9) as u64],
            samples: (gone * task.samples) as u64,
            elapsed: Duration::from_secs_f64(worked),
            loss: 0.0,
            laps: vec![lap],
        };
        self.standing.went(&round);
        let event = Event::Progress(self.launch.attempt.clone(), Progress::Round(round));
        self.told.push((Duration::from_secs_f64(self.seconds), event));
    }
}
