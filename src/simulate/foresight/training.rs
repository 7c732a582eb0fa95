//! What is thought to come of a training.

use super::{Chance, Course, Fleet, Foresight, Staffing, Team, done, failed};
use crate::{
    forecast::{Crew, Needs, Spread, Stretch, Task},
    schedule::{Launch, Time},
    simulate::sample,
    units::Duration,
    value::Artifact,
    wire::{Done, Failure, Horizon, Kind, Train, Trained, Workers},
};

/// Epochs after which a model has learned two thirds of what it can.
const LEARNING: f64 = 5.0;

impl Foresight<'_> {
    pub(super) fn training(
        &self,
        launch: Box<Launch>,
        now: Time,
        train: Box<Train>,
        threads: f64,
        mut chance: Chance,
        fleet: &mut Fleet,
    ) -> Course<'_> {
        let known = self.known(&train.data);
        let task = Task::of(&train, &known);
        let misfit = || Failure::new(Kind::TaskFailed, "the model does not fit the data");
        let task = task.ok_or_else(misfit).and_then(|task| match self.too_small(&launch, &train, &task) {
            Some(failure) => Err(failure),
            None => Ok(task),
        });
        let task = match task {
            Ok(task) => task,
            Err(failure) => {
                let start = chance.start(fleet.have(now, &launch.attempt, launch.memory, 1));
                return Course::Certain(failed(&launch, failure, Duration::from_secs_f64(start)));
            }
        };
        let crew = self.crew(&launch, &train, &task, threads);
        if train.team.adapt.is_none() {
            let Crew { workers, memory, exchange, .. } = crew;
            let is_staged = matches!(&train.team.workers, Workers::Staged(staged) if staged.next_change(0).is_some());
            let staffing = if is_staged { Staffing::Staged } else { Staffing::Fixed };
            self.trains(&launch, || Some(Team { workers, staffing, memory, exchange }));
        }
        let from = epochs_before(&train);
        let measured = self.experience.seconds(&launch.attempt.step.0, task.epochs - from);
        // A team that changes by plan did so in earlier runs, too.
        if train.team.adapt.is_some() || train.team.is_several() && measured.is_none() {
            return Course::Rounds(Box::new(self.rounds(launch, now, train, task, threads, chance)));
        }
        let start = fleet.have(now, &launch.attempt, launch.memory, crew.workers);
        let (begin, learning) = match measured {
            // What was measured began with a start, too.
            Some(measured) => (0.0, chance.measured(measured)),
            None => {
                let stretch = Stretch { from, to: task.epochs };
                let pace = self.pace(&launch, &train, &task, threads);
                let seconds = crew.stretch(&task, stretch, self.platform, pace);
                let begin = start.all() + crew.read(&task, from > 0.0, self.platform);
                (begin, chance.reckoned(Spread::new(seconds, pace.doubt)))
            }
        };
        let learning = self.slowed(now, begin + learning) - begin;
        if let Some(at) = self.lost(begin + learning, 1, &mut chance) {
            return Course::Certain(failed(&launch, Failure::new(Kind::WorkerLost, "its worker was lost"), at));
        }
        let left = launch.time_left.map_or(f64::INFINITY, Duration::secs_f64);
        let cut = begin + learning > left;
        let seconds = (begin + learning).min(left);
        let share = ((seconds - begin) / learning.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        let epochs = (from + (task.epochs - from) * share).max(1.0);
        Course::Certain(done(&launch, self.trained(&launch, &train, epochs, cut, seconds, &mut chance)))
    }

    /// Why a training does not fit its memory, if it does not: in a cloud that of its functions, elsewhere what it declares.
    fn too_small(&self, launch: &Launch, train: &Train, task: &Task) -> Option<Failure> {
        let memory = if self.cores.is_none() { launch.memory } else { launch.memory_limit? };
        let most = train.team.workers.fitting(task.shards).last().copied().unwrap_or(1);
        let needs = Needs::of(task, most, self.platform);
        let total = needs.total();
        let message = || format!("it has {memory}, and needs about {} MiB: {needs}", total.mib());
        (total > memory).then(|| {
            Failure::new(Kind::OutOfMemory, message())
                .help("give it more with `memory: …`, or more shards, a smaller batch or a smaller model")
        })
    }

    /// The moment at which one of so many workers is lost, if one is within so many seconds.
    pub(super) fn lost(&self, seconds: f64, workers: u32, chance: &mut Chance) -> Option<Duration> {
        let rate = self.platform.loss / 3600.0 * f64::from(workers);
        if rate <= 0.0 {
            return None;
        }
        // Losses come on their own, so that the time until the next is exponential.
        let at = -(1.0 - chance.own.unit()).ln() / rate;
        (at < seconds).then(|| Duration::from_secs_f64(at))
    }

    /// What comes of a training after so many epochs.
    pub(super) fn trained(
        &self,
        launch: &Launch,
        train: &Train,
        epochs: f64,
        cut: bool,
        seconds: f64,
        chance: &mut Chance,
    ) -> Done {
        let quality = (1.0 - (-epochs / LEARNING).exp()) * (sample::GOOD + 0.03 * chance.own.normal());
        let objective =
            if train.objective.as_ref().is_some_and(|(_, larger)| !larger) { 1.0 - quality } else { quality };
        let pauses = |pause_at| matches!(train.horizon, Horizon::Epochs(horizon) if pause_at < horizon);
        let paused = train.rung.as_ref().filter(|rung| !cut && pauses(rung.pause_at));
        let trained = Trained {
            objective: train.objective.as_ref().map(|_| objective),
            epochs: epochs as u64,
            checkpoint: paused.map(|rung| checkpoint(rung.pause_at)),
            cut,
        };
        // What an earlier run came to tells more than a made-up metric, but for a trial, which is another each time.
        let output = self.experience.output(&launch.attempt.step.0).filter(|_| train.objective.is_none());
        let output = output.cloned().unwrap_or_else(|| sample::trained(train, trained.epochs, quality));
        Done { output, trained: Some(trained), elapsed: Duration::from_secs_f64(seconds) }
    }

    /// Who trains.
    fn crew(&self, launch: &Launch, train: &Train, task: &Task, cpus: f64) -> Crew {
        let workers = train.team.workers.fitting(task.shards).last().copied().unwrap_or(1);
        let exchange = self.exchanges.of(train.team.exchange, workers, task.exchanged()).way;
        Crew { workers, memory: launch.memory, cpus, exchange }
    }
}

/// A checkpoint that nobody has written. Its length says after how many epochs.
fn checkpoint(epochs: u64) -> Artifact {
    Artifact { bytes: epochs, ..sample::artifact("checkpoint") }
}

/// The epochs after which a training goes on.
pub(super) fn epochs_before(train: &Train) -> f64 {
    train.rung.as_ref().and_then(|rung| rung.resume.as_ref()).map_or(0.0, |checkpoint| checkpoint.bytes as f64)
}
