//! How a search chooses: samplers and early stopping, with no clock and no workers.
//!
//! A search *asks* what to try and *tells* what came of it. What it asks for depends on the seed and on what it was told,
//! never on when.

mod asha;
mod space;

pub use space::{Dimension, Distribution, Space};

use crate::{
    expr::EvalError,
    seed::Seed,
    source::Name,
    value::{Call, Fields, Value},
};
use asha::{Ladder, Next};
use std::cmp::Ordering;

/// Why a search can't begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// A distribution that nothing can be drawn from.
    #[error("nothing can be drawn for the dimension `{0}`: {1}")]
    Bounds(Name, String),
    /// A condition without a value.
    #[error("the condition of the dimension `{0}` has no value: {1}")]
    Condition(Name, EvalError),
    /// A grid over a distribution without ends.
    #[error("a grid can't be laid over `{0}`: a normal distribution has no ends")]
    Boundless(Name),
    /// A grid that nobody can walk.
    #[error("the grid has more than {0} points")]
    LargeGrid(usize),
    /// A setting of the strategy that makes no sense.
    #[error("{0}")]
    Setting(String),
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    space: Space,
    strategy: Strategy,
    parallel: usize,
    seed: Seed,
    larger: bool,
    decisions: Vec<Decision>,
    trials: Vec<Trial>,
}

#[derive(Clone, Debug)]
enum Strategy {
    Random { trials: u64 },
    Grid(Vec<Fields>),
    Asha(Ladder),
}

/// A trial, and a rung of it.
#[derive(Clone, Debug)]
struct Decision {
    trial: u64,
    rung: usize,
    /// What came of it; a trial that failed or diverged has no number.
    value: Option<Option<f64>>,
}

impl Decision {
    fn known(&self) -> Option<f64> {
        self.value.flatten()
    }
}

/// What a search tried, and what came of it so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// What it chose.
    pub params: Fields,
    /// The objective, as of its last rung; none when it failed or is not over.
    pub value: Option<f64>,
}

/// What a search wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Train this.
    Run(Task),
    /// Come back with a result.
    Wait,
    /// Nothing more.
    Over,
}

/// A trial, or a rung of one, to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The trial, from 0.
    pub trial: u64,
    /// The rung, from 0, where there are rungs.
    pub rung: Option<usize>,
    /// The epochs after which it pauses, and those of a whole training, where there are rungs.
    pub epochs: Option<(u64, u64)>,
}

impl Search {
    /// A search over `space`, with at most `parallel` trainings at a time; `larger` says whether larger is better.
    ///
    /// # Errors
    /// When the strategy's settings make no sense, or a grid has no ends or no end.
    pub fn new(space: Space, strategy: &Call, parallel: usize, seed: Seed, larger: bool) -> Result<Self, SearchError> {
        let whole = |name: &str| match strategy.args.get(name).and_then(Value::as_int) {
            Some(value) if value >= 1 => Ok(value as u64),
            value => Err(SearchError::Setting(format!(
                "`{name}` of `{}` must be at least 1, not {}",
                strategy.name,
                value.unwrap_or_default()
            ))),
        };
        let strategy = match &*strategy.name {
            "random" => Strategy::Random { trials: whole("trials")? },
            "grid" => Strategy::Grid(space.grid(usize::try_from(whole("points")?).unwrap_or(usize::MAX))?),
            "asha" => Strategy::Asha(Ladder::parse(strategy)?),
            other => return Err(SearchError::Setting(format!("`{other}` is not a strategy"))),
        };
        let parallel = parallel.max(1);
        Ok(Self { space, strategy, parallel, seed, larger, decisions: Vec::new(), trials: Vec::new() })
    }

    /// The trials that there will be.
    pub fn total(&self) -> u64 {
        match &self.strategy {
            Strategy::Random { trials } => *trials,
            Strategy::Grid(points) => points.len() as u64,
            Strategy::Asha(ladder) => ladder.trials(),
        }
    }

    /// What to train next.
    ///
    /// # Errors
    /// When a condition of the space has no value.
    pub fn ask(&mut self) -> Result<Ask, SearchError> {
        let busy = self.decisions.iter().filter(|decision| decision.value.is_none()).count();
        if busy >= self.parallel {
            return Ok(Ask::Wait);
        }
        let begun = self.trials.len() as u64;
        let next = match &self.strategy {
            Strategy::Asha(ladder) => ladder.next(&self.decisions, begun, self.parallel, self.larger),
            _ if begun < self.total() => Next::Begin,
            _ if busy > 0 => Next::Wait,
            _ => Next::Over,
        };
        let (trial, rung) = match next {
            Next::Wait => return Ok(Ask::Wait),
            Next::Over => return Ok(Ask::Over),
            Next::Promote { trial, rung } => (trial, rung),
            Next::Begin => {
                let params = match &self.strategy {
                    Strategy::Grid(points) => points[begun as usize].clone(),
                    _ => self.space.draw(self.seed.child(begun))?,
                };
                self.trials.push(Trial { params, value: None });
                (begun, 0)
            }
        };
        self.decisions.push(Decision { trial, rung, value: None });
        let (rung, epochs) = match &self.strategy {
            Strategy::Asha(ladder) => (Some(rung), ladder.rungs().last().map(|last| (ladder.rungs()[rung], *last))),
            _ => (None, None),
        };
        Ok(Ask::Run(Task { trial, rung, epochs }))
    }

    /// What came of a task; `None` when it failed. A value that is not a finite number counts as a failure.
    pub fn tell(&mut self, task: &Task, value: Option<f64>) {
        let value = value.filter(|value| value.is_finite());
        let rung = task.rung.unwrap_or(0);
        let decision = self.decisions.iter_mut().find(|decision| decision.trial == task.trial && decision.rung == rung);
        if let Some(decision) = decision {
            decision.value = Some(value);
            let trial = &mut self.trials[task.trial as usize];
            trial.value = value.or(trial.value);
        }
    }

    /// All trials begun, by number.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// The best trial so far and its value; of equals the first.
    pub fn best(&self) -> Option<(u64, f64)> {
        let values = self.trials.iter().zip(0_u64..).filter_map(|(trial, number)| Some((number, trial.value?)));
        values.min_by(|(_, a), (_, b)| better(Some(*a), Some(*b), self.larger))
    }
}

/// Whether a strategy trains in rungs, so that what it tries must have epochs.
pub fn has_rungs(strategy: &str) -> bool {
    strategy == "asha"
}

/// The better of two results comes first; one without a number last.
fn better(a: Option<f64>, b: Option<f64>, larger: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if larger => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

#[cfg(test)]
mod tests;
