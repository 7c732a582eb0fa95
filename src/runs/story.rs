//! What a run's log tells of its steps.

use super::{Run, RunState, Runs, RunsError};
use crate::{
    schedule::{Notice, StepPath, Time},
    source::Name,
    units::{Duration, Money},
    value::{Fields, Value},
    wire::{EpochMetrics, Failure},
};
use std::collections::BTreeMap;

/// What is known of a run from its log.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The steps that were begun.
    pub steps: BTreeMap<StepPath, Step>,
    /// Limits that were reached or came near, each with when, its scope, and what followed.
    pub limits: Vec<(Time, StepPath, String)>,
    /// When all must be over.
    pub deadline: Option<Duration>,
    /// What all may cost.
    pub budget: Option<Money>,
}

/// What is known of a step.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Its kind, such as `train` or `for`.
    pub kind: Name,
    /// When it began.
    pub started: Option<Time>,
    /// The attempts at it.
    pub attempts: u32,
    /// Why each attempt that others followed had failed.
    pub retried: Vec<Failure>,
    /// The earlier run whose result it has.
    pub served: Option<Name>,
    /// How it ended, and when.
    pub end: Option<(Time, End)>,
    /// The latest epoch, of a training.
    pub epoch: Option<EpochMetrics>,
    /// The trials by their numbers, of a search.
    pub trials: BTreeMap<u64, Trial>,
    /// The best trial.
    pub best: Option<u64>,
}

/// How a step ended.
#[derive(Clone, Debug)]
pub enum End {
    /// With a value.
    Done {
        /// The time that it took.
        elapsed: Duration,
        /// The estimated cloud cost of it and all below it.
        cost: Money,
        /// The value.
        value: Value,
    },
    /// Without one.
    Failed(Failure),
    /// Before it was over.
    Stopped,
}

/// What came of a trial, as far as it has got.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What it chose.
    pub params: Fields,
    /// The epochs that it has trained.
    pub epochs: Option<u64>,
    /// The objective.
    pub value: Option<f64>,
    /// Why it has no value.
    pub failure: Option<Failure>,
    /// When that was known.
    pub at: Time,
    /// The time that its trainings took.
    pub elapsed: Duration,
    /// What they cost.
    pub cost: Money,
}

impl Step {
    /// The best trial with its number, of a search.
    pub fn best_trial(&self) -> Option<(u64, &Trial)> {
        self.best.and_then(|best| Some((best, self.trials.get(&best)?)))
    }
}

impl Runs {
    /// What the log of a run tells.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn story(&self, run: &Run) -> Result<Story, RunsError> {
        let mut story = Story::default();
        self.each_notice(&run.id, &[], |at, notice| story.hear(at, notice))?;
        if let (RunState::Over(_), elapsed) = (&run.state, run.elapsed.unwrap_or_default()) {
            story.stop_below("", Time(elapsed));
        }
        Ok(story)
    }
}

impl Story {
    fn hear(&mut self, at: Time, notice: Notice) {
        match notice {
            Notice::RunStarted { deadline, budget, .. } => (self.deadline, self.budget) = (deadline, budget),
            Notice::StepStarted { step, kind, attempt } => {
                let step = self.step(step);
                step.kind = kind;
                step.started.get_or_insert(at);
                step.attempts = attempt;
                (step.served, step.end) = (None, None);
            }
            Notice::StepServed { step, kind, run } => {
                let step = self.step(step);
                step.kind = kind;
                step.started.get_or_insert(at);
                step.served = Some(run);
            }
            Notice::Epoch { step, metrics } => self.step(step).epoch = Some(metrics),
            Notice::Trial { search, trial: number, params, epochs, value, best, elapsed, cost, failure, .. } => {
                let trial = format!("{search}/trial[{number}]");
                self.end(StepPath(trial.as_str().into()), at, End::Stopped);
                self.stop_below(&format!("{trial}/"), at);
                let step = self.step(search);
                step.best = best.map(|(best, _)| best).or(step.best);
                let before = step.trials.get(&number).map(|rung| (rung.elapsed, rung.cost)).unwrap_or_default();
                let elapsed = before.0.checked_add(elapsed).unwrap_or(elapsed);
                let cost = before.1.checked_add(cost).unwrap_or(cost);
                step.trials.insert(number, Trial { params, epochs, value, failure, at, elapsed, cost });
            }
            Notice::StepDone { step, elapsed, cost, value } => {
                self.step(step).end = Some((at, End::Done { elapsed, cost, value }));
            }
            Notice::StepFailed { step, failure } => self.step(step).end = Some((at, End::Failed(failure))),
            Notice::StepCaught { step, .. } => self.stop_below(&format!("{step}/"), at),
            Notice::StepStopped { step } => self.end(step, at, End::Stopped),
            Notice::StepRetried { step, failure, .. } => self.step(step).retried.push(failure),
            Notice::Limit { scope, message } => self.limits.push((at, scope, message)),
            Notice::Progress { .. } | Notice::Spent { .. } | Notice::RunResumed { .. } | Notice::Stopping { .. } => {}
        }
    }

    fn step(&mut self, path: StepPath) -> &mut Step {
        self.steps.entry(path).or_default()
    }

    /// Ends a step, if it was begun and is not over.
    fn end(&mut self, path: StepPath, at: Time, end: End) {
        if let Some(step) = self.steps.get_mut(&path) {
            step.end.get_or_insert((at, end));
        }
    }

    /// What has not ended below a path never will.
    fn stop_below(&mut self, path: &str, at: Time) {
        let below = self.steps.range_mut(StepPath(path.into())..).take_while(|(step, _)| step.0.starts_with(path));
        for (_, step) in below {
            step.end.get_or_insert((at, End::Stopped));
        }
    }

    /// The steps as a tree: what is inside a step follows it, and what stands side by side is in the order of its beginning.
    pub fn in_order(&self) -> Vec<(&StepPath, &Step)> {
        let key = |path: &StepPath| {
            let ends = path.0.match_indices('/').map(|(end, _)| end).chain([path.0.len()]);
            let key = ends.map(|end| {
                // `best[7]` is an item of the step `best`.
                let path = &path.0[..end];
                let (step, item) = match path.strip_suffix(']').and_then(|path| path.rsplit_once('[')) {
                    Some((step, item)) => (step, item.parse::<u64>().ok()),
                    None => (path, None),
                };
                let step = StepPath(step.into());
                (self.steps.get(&step).and_then(|step| step.started), step, item)
            });
            key.collect::<Vec<_>>()
        };
        let mut steps: Vec<_> = self.steps.iter().collect();
        steps.sort_by_cached_key(|(path, _)| key(path));
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Kind;

    fn begun(step: &str, kind: &str, attempt: u32) -> Notice {
        Notice::StepStarted { step: StepPath(step.into()), kind: kind.into(), attempt }
    }

    fn story(notices: impl IntoIterator<Item = Notice>) -> Story {
        let mut story = Story::default();
        for (at, notice) in (0..).zip(notices) {
            story.hear(Time(Duration::from_millis(at)), notice);
        }
        story
    }

    #[test]
    fn steps_come_as_a_tree_in_the_order_of_their_beginning() {
        let steps = ["main/z", "main/a", "main/z[10]/x", "main/z[2]/x", "main/z[2]/b"];
        let story = story(steps.map(|step| begun(step, "run", 1)));
        let order: Vec<String> = story.in_order().into_iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(order, ["main/z", "main/z[2]/x", "main/z[2]/b", "main/z[10]/x", "main/a"]);
    }

    #[test]
    fn a_step_that_is_tried_again_keeps_why_it_had_failed() {
        let step = StepPath("main/a".into());
        let failure = Failure::new(Kind::TaskFailed, "no");
        let again =
            Notice::StepRetried { step, failure: failure.clone(), attempt: 2, after: Duration::ZERO, memory: None };
        let story = story([begun("main/a", "run", 1), again, begun("main/a", "run", 2)]);
        let step = &story.steps[&StepPath("main/a".into())];
        assert_eq!((step.attempts, &*step.retried, step.started), (2, &[failure][..], Some(Time::default())));
        assert!(step.end.is_none());
    }

    #[test]
    fn what_a_try_has_given_up_is_over() {
        let caught = Notice::StepCaught {
            step: StepPath("main/t".into()),
            failed: StepPath("main/t/a".into()),
            kind: Kind::TaskFailed,
        };
        let story = story([begun("main/t/a", "run", 1), begun("main/to", "run", 1), caught]);
        let is_over = |step: &str| story.steps[&StepPath(step.into())].end.is_some();
        assert!(is_over("main/t/a") && !is_over("main/to"));
    }
}
