//! What many runs have in common.

use super::Trace;
use crate::{
    plan::plain,
    schedule::{Notice, Time, Verdict},
    source::Name,
    units::{Duration, Money},
    wire::{Failure, Kind},
};
use std::collections::{BTreeMap, HashMap};

/// Numbers in order.
#[derive(Clone, Debug, Default)]
pub struct Sorted(Vec<f64>);

impl Sorted {
    fn new(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        Self(numbers)
    }

    /// The least number that a share of them is not above; 0 without any.
    pub fn quantile(&self, share: f64) -> f64 {
        let index = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(index.clamp(1, self.0.len().max(1)) - 1).copied().unwrap_or(0.0)
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The share of them that are not above `most`.
    pub fn within(&self, most: f64) -> f64 {
        self.0.partition_point(|number| *number <= most) as f64 / self.0.len().max(1) as f64
    }

    /// All of them.
    pub fn numbers(&self) -> &[f64] {
        &self.0
    }
}

/// How runs ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// With all that was asked for.
    pub whole: usize,
    /// With less, to keep a deadline or a budget.
    pub cut: usize,
    /// Because a deadline passed.
    pub late: usize,
    /// Because a budget was spent.
    pub poor: usize,
    /// In another failure, or not within the steps that are followed.
    pub failed: usize,
}

impl Ends {
    /// All runs.
    pub fn runs(self) -> usize {
        self.whole + self.cut + self.late + self.poor + self.failed
    }

    /// The share of runs that no limit cut short or ended.
    pub fn kept(self) -> f64 {
        (self.whole + self.failed) as f64 / self.runs().max(1) as f64
    }
}

/// What is known of a step over all runs.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Its kind.
    pub kind: Name,
    /// How often it was done in a run.
    pub count: Vec<f64>,
    /// Seconds each time.
    pub seconds: Vec<f64>,
    /// Dollars in a run.
    pub dollars: Vec<f64>,
    /// Seconds from the run's start until it first began.
    pub begins: Vec<f64>,
}

/// Seconds of one step are kept up to this number; more tell nothing new.
const KEPT: usize = 20_000;

/// What many runs have in common.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    ends: Ends,
    seconds: Vec<f64>,
    dollars: Vec<f64>,
    steps: BTreeMap<String, Step>,
    /// How often a step was the one that a missed limit cut short or ended.
    blamed: BTreeMap<String, usize>,
    failure: Option<(String, Failure)>,
}

/// A step in one run.
#[derive(Default)]
struct Once {
    count: u32,
    cost: Money,
    begins: Option<Time>,
}

impl Tally {
    /// Takes in a run.
    pub fn add(&mut self, trace: &Trace) {
        self.seconds.push(trace.elapsed.secs_f64());
        self.dollars.push(trace.spent.to_f64());
        let mut run: HashMap<String, Once> = HashMap::new();
        for (at, notice) in &trace.notices {
            match notice {
                Notice::StepStarted { step, kind, .. } if &**kind != "trial" => {
                    let path = plain(&step.0);
                    let known = self.steps.entry(path.clone()).or_default();
                    known.kind = kind.clone();
                    run.entry(path).or_default().begins.get_or_insert(*at);
                }
                Notice::StepStarted { step, .. } => {
                    let path = plain(&step.0);
                    let path = path.strip_suffix("/rung").unwrap_or(&path).to_owned();
                    run.entry(path).or_default().begins.get_or_insert(*at);
                }
                Notice::StepDone { step, elapsed, cost, .. } => {
                    self.ended(&mut run, plain(&step.0), *elapsed, *cost);
                }
                Notice::Trial { search, elapsed, cost, .. } => {
                    self.ended(&mut run, format!("{}/trial", plain(&search.0)), *elapsed, *cost);
                }
                _ => {}
            }
        }
        for (path, once) in run {
            let step = self.steps.entry(path).or_default();
            step.count.push(once.count.into());
            step.dollars.push(once.cost.to_f64());
            step.begins.extend(once.begins.map(|at| at.0.secs_f64()));
        }
        self.end(trace.verdict.as_ref());
    }

    fn ended(&mut self, run: &mut HashMap<String, Once>, path: String, elapsed: Duration, cost: Money) {
        let step = self.steps.entry(path.clone()).or_default();
        if step.seconds.len() < KEPT {
            step.seconds.push(elapsed.secs_f64());
        }
        let once = run.entry(path).or_default();
        once.count += 1;
        once.cost = once.cost.checked_add(cost).unwrap_or(once.cost);
    }

    fn end(&mut self, verdict: Option<&Verdict>) {
        let ends = &mut self.ends;
        let (count, blamed) = match verdict {
            Some(Verdict::Succeeded { marks, .. }) => match marks.first() {
                None => return ends.whole += 1,
                Some(mark) => (&mut ends.cut, Some(&mark.scope)),
            },
            Some(Verdict::Failed { step, failure, .. }) => match failure.kind {
                Kind::DeadlineExceeded => (&mut ends.late, Some(step)),
                Kind::BudgetExceeded => (&mut ends.poor, Some(step)),
                _ => {
                    self.failure.get_or_insert_with(|| (step.to_string(), failure.clone()));
                    (&mut ends.failed, None)
                }
            },
            Some(Verdict::Cancelled) | None => (&mut ends.failed, None),
        };
        *count += 1;
        if let Some(step) = blamed {
            *self.blamed.entry(plain(&step.0)).or_default() += 1;
        }
    }

    /// The runs taken in.
    pub fn runs(&self) -> usize {
        self.seconds.len()
    }

    /// How they ended.
    pub fn ends(&self) -> Ends {
        self.ends
    }

    /// Seconds of the runs.
    pub fn seconds(&self) -> Sorted {
        Sorted::new(self.seconds.clone())
    }

    /// Dollars of the runs.
    pub fn dollars(&self) -> Sorted {
        Sorted::new(self.dollars.clone())
    }

    /// What is known of a step, by its path without numbers.
    pub fn step(&self, path: &str) -> Option<&Step> {
        self.steps.get(path)
    }

    /// The steps that missed limits cut short or ended, those first that did most often, each with how often.
    pub fn blamed(&self) -> Vec<(&str, usize)> {
        let mut blamed: Vec<_> = self.blamed.iter().map(|(path, count)| (&**path, *count)).collect();
        blamed.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        blamed
    }

    /// The first other failure, if there was one: the step, and why.
    pub fn failure(&self) -> Option<&(String, Failure)> {
        self.failure.as_ref()
    }
}

impl Step {
    /// Seconds each time, in order.
    pub fn seconds(&self) -> Sorted {
        Sorted::new(self.seconds.clone())
    }

    /// Dollars in a run, in order.
    pub fn dollars(&self) -> Sorted {
        Sorted::new(self.dollars.clone())
    }

    /// How often it is done in the middle of the runs that come to it; 0 where none does.
    pub fn count(&self) -> f64 {
        Sorted::new(self.count.iter().copied().filter(|count| *count > 0.0).collect()).median()
    }

    /// Seconds from the run's start until it first begins, in the middle.
    pub fn begins(&self) -> f64 {
        Sorted::new(self.begins.clone()).median()
    }
}
