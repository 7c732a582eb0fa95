//! What earlier runs tell of the steps of a workflow.

use crate::{
    forecast::Spread,
    plan::plain,
    schedule::{Attempt, Event, Notice, StepPath, Time},
    value::Value,
    wire::{Progress, Round},
};
use std::collections::HashMap;

/// What is known of steps by their paths without the numbers of items, trials and rungs: all of them are alike.
#[derive(Clone, Debug, Default)]
pub struct Experience {
    steps: HashMap<String, Lived>,
    /// What came of each item, trial and round last, by its whole path.
    outputs: HashMap<String, Value>,
}

/// What is known of a step.
#[derive(Clone, Debug, Default)]
struct Lived {
    /// Each time that it was done.
    took: Vec<Took>,
    /// What came of it last.
    output: Option<Value>,
    /// The workers of each round of a training, its samples a step, and its seconds a step.
    rounds: Vec<Stepped>,
}

/// What a step took once.
#[derive(Clone, Copy, Debug)]
struct Took {
    seconds: f64,
    /// The epochs of a training, and 1 for all else.
    epochs: f64,
}

/// What a round of a training took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stepped {
    /// Its workers.
    pub workers: u32,
    /// The samples of a step.
    pub batch: f64,
    /// The seconds of one.
    pub seconds: f64,
}

/// How far one measurement alone may be off.
const DOUBT: f64 = 0.1;
/// The latest measurements are kept, so many of them.
const KEPT: usize = 500;

impl Experience {
    /// Takes in the log of a run: what its user was told, and what the scheduler was.
    pub fn learn(
        &mut self,
        notices: impl IntoIterator<Item = (Time, Notice)>,
        log: impl IntoIterator<Item = (Time, Event)>,
    ) {
        let (mut begun, mut epochs): (HashMap<Attempt, Time>, HashMap<StepPath, u64>) = Default::default();
        for (at, notice) in notices {
            match notice {
                Notice::StepStarted { step, attempt, .. } => {
                    // What an attempt has not got through counts for none.
                    epochs.remove(&step);
                    begun.insert(Attempt { step, number: attempt }, at);
                }
                Notice::Epoch { step, .. } => *epochs.entry(step).or_default() += 1,
                Notice::Progress { step, progress: Progress::Round(round) } => {
                    let lived = self.steps.entry(plain(&step.0)).or_default();
                    lived.rounds.extend(Stepped::of(&round));
                }
                _ => {}
            }
        }
        for (at, event) in log {
            let (attempt, done, since) = match event {
                Event::Done(attempt, done) => {
                    let since = begun.get(&attempt);
                    (attempt, done, since)
                }
                // It took no time, for another run had done it.
                Event::Served(attempt, done) => (attempt, done, None),
                _ => continue,
            };
            let lived = self.steps.entry(plain(&attempt.step.0)).or_default();
            // Of a training it is told by the epoch.
            let times = match &done.trained {
                Some(_) => epochs.get(&attempt.step).copied().unwrap_or(0),
                None => 1,
            };
            if let Some(since) = since.filter(|_| times > 0) {
                lived.took.push(Took { seconds: at.since(*since).secs_f64().max(0.001), epochs: times as f64 });
            }
            lived.output = Some(done.output.clone());
            self.outputs.insert(attempt.step.to_string(), done.output);
        }
    }

    /// Seconds of a step, of a training for so many epochs.
    pub fn seconds(&self, path: &str, epochs: f64) -> Option<Spread> {
        let took = &self.steps.get(&plain(path))?.took;
        let took = &took[took.len().saturating_sub(KEPT)..];
        let [start, each] = line(took).unwrap_or([0.0, 1.0]);
        let said = |epochs: f64| start + each * epochs;
        let times: Vec<f64> = took.iter().map(|took| took.seconds / said(took.epochs)).collect();
        Some(Spread::of(&times, DOUBT)?.times(said(epochs)))
    }

    /// How many times what is said of each round those of earlier runs took, in the middle.
    pub fn pace(&self, path: &str, said: impl Fn(&Stepped) -> f64) -> Option<f64> {
        let rounds = &self.steps.get(&plain(path))?.rounds;
        let latest = &rounds[rounds.len().saturating_sub(KEPT)..];
        let mut times: Vec<f64> = latest.iter().map(|round| round.seconds / said(round)).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    }

    /// What came of a step last: of this very item or round, or else of any.
    pub fn output(&self, path: &str) -> Option<&Value> {
        self.outputs.get(path).or_else(|| self.steps.get(&plain(path))?.output.as_ref())
    }
}

/// What it takes to begin, and what each epoch does, by the least squares; none where that makes no sense, as where all have as
/// many epochs.
fn line(took: &[Took]) -> Option<[f64; 2]> {
    let mean = |of: &dyn Fn(&Took) -> f64| took.iter().map(of).sum::<f64>() / took.len() as f64;
    let (epochs, seconds) = (mean(&|took| took.epochs), mean(&|took| took.seconds));
    let both = mean(&|took| (took.epochs - epochs) * (took.seconds - seconds));
    let each = both / mean(&|took| (took.epochs - epochs).powi(2));
    let start = seconds - each * epochs;
    (each > 0.0 && start >= 0.0).then_some([start, each])
}

impl Stepped {
    /// That of a round which made some steps.
    fn of(round: &Round) -> Option<Self> {
        let steps = round.steps[1].checked_sub(round.steps[0]).filter(|steps| *steps > 0)? as f64;
        let (batch, seconds) = (round.samples as f64 / steps, round.elapsed.secs_f64() / steps);
        Some(Self { workers: round.workers as u32, batch, seconds: seconds.max(1e-9) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(took: &[(f64, f64)], epochs: f64) -> f64 {
        let took = took.iter().map(|(epochs, seconds)| Took { epochs: *epochs, seconds: *seconds }).collect();
        let steps = HashMap::from([("main/net".to_owned(), Lived { took, ..Lived::default() })]);
        Experience { steps, ..Experience::default() }.seconds("main/net", epochs).unwrap().median
    }

    #[test]
    fn what_it_takes_to_begin_is_told_from_the_epochs() {
        let took = [(1.0, 0.06), (3.0, 0.08), (9.0, 0.14), (1.0, 0.06)];
        assert!((seconds(&took, 27.0) / 0.32 - 1.0).abs() < 1e-9, "{}", seconds(&took, 27.0));
        // Nothing tells them apart where all are alike, or the longer were quicker.
        assert!((seconds(&[(4.0, 0.8), (4.0, 0.8)], 2.0) / 0.4 - 1.0).abs() < 1e-9);
        assert!(seconds(&[(1.0, 0.8), (4.0, 0.4)], 2.0) > 0.0);
    }
}
