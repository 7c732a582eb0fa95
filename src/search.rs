//! How a search chooses: samplers and early stopping, with no clock and no workers.
//!
//! A search *asks* what to try and *tells* what came of it. What it asks for depends on the seed and on what it was told,
//! never on when.

mod asha;
mod cube;
mod gp;
mod history;
mod hyperband;
mod settings;
mod space;
mod tpe;

pub use gp::Cholesky;
pub use space::{Dimension, Distribution, Space};

use crate::{
    expr::EvalError,
    seed::Seed,
    source::Name,
    value::{Call, Fields},
};
use asha::{Ladder, Next};
use history::History;
use settings::Settings;
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
    /// From so many decisions on no trial begins.
    narrow: Option<usize>,
}

#[derive(Clone, Debug)]
enum Strategy {
    Random {
        trials: u64,
    },
    Grid(Vec<Fields>),
    /// Successive halving.
    Halving(Vec<Ladder>),
    /// Draws far apart for `startup` trials, then what a model of the results proposes.
    Model {
        trials: u64,
        startup: u64,
        model: Model,
    },
}

#[derive(Clone, Copy, Debug)]
enum Model {
    Tpe { candidates: u64 },
    Gp,
}

/// The most draws among which a trial is chosen; with more, the choice would take longer than a training.
const MAX_CANDIDATES: u64 = 10_000;

impl Strategy {
    fn parse(call: &Call, space: &Space) -> Result<Self, SearchError> {
        let settings = Settings(call);
        Ok(match &*call.name {
            "random" => Self::Random { trials: settings.whole("trials", 1)? },
            "grid" => Self::Grid(space.grid(usize::try_from(settings.whole("points", 1)?).unwrap_or(usize::MAX))?),
            "asha" => Self::Halving(vec![Ladder::parse(settings)?]),
            "hyperband" => Self::Halving(hyperband::brackets(settings)?),
            "tpe" => {
                let candidates = settings.whole("candidates", 1)?;
                if candidates > MAX_CANDIDATES {
                    return Err(SearchError::Setting(format!(
                        "`candidates` of `tpe` can't be above {MAX_CANDIDATES}: it is {candidates}"
                    )));
                }
                Self::model(settings, Model::Tpe { candidates })?
            }
            "gp" => Self::model(settings, Model::Gp)?,
            other => return Err(SearchError::Setting(format!("`{other}` is not a strategy"))),
        })
    }

    fn model(settings: Settings, model: Model) -> Result<Self, SearchError> {
        let trials = settings.whole("trials", 1)?;
        Ok(Self::Model { trials, startup: settings.whole("startup", 1)?, model })
    }
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
        let strategy = Strategy::parse(strategy, &space)?;
        let parallel = parallel.max(1);
        Ok(Self { space, strategy, parallel, seed, larger, decisions: Vec::new(), trials: Vec::new(), narrow: None })
    }

    /// The trials that there will be.
    pub fn total(&self) -> u64 {
        match &self.strategy {
            Strategy::Random { trials } | Strategy::Model { trials, .. } => *trials,
            Strategy::Grid(points) => points.len() as u64,
            Strategy::Halving(ladders) => ladders.iter().map(|ladder| ladder.trials).sum(),
        }
    }

    /// The trials that may be under way at the same time.
    pub fn parallel(&self) -> usize {
        self.parallel
    }

    /// The decisions made so far: trials begun, and those that went on to a rung.
    pub fn decisions(&self) -> usize {
        self.decisions.len()
    }

    /// From so many decisions on no trial begins; those that lead go on instead, as far as their rungs reach. What is left of
    /// time or money then goes to the best there is (Liaw et al., "HyperSched", 2019).
    pub fn narrow(&mut self, decisions: usize) {
        self.narrow.get_or_insert(decisions);
    }

    /// Whether trials begin no more.
    pub fn is_narrow(&self) -> bool {
        self.narrow.is_some_and(|decisions| self.decisions.len() >= decisions)
    }

    /// The epochs of a whole training, where trials pause at rungs.
    pub fn epochs(&self) -> Option<u64> {
        match &self.strategy {
            Strategy::Halving(ladders) => {
                ladders.iter().filter_map(|ladder| ladder.epochs(0)).map(|(_, all)| all).max()
            }
            _ => None,
        }
    }

    /// The epochs of a rung, beyond those of the rung before; 1 where trials don't pause at rungs.
    pub fn epochs_of(&self, trial: u64, rung: usize) -> u64 {
        match &self.strategy {
            Strategy::Halving(ladders) => asha::ladder_of(ladders, trial).map_or(1, |ladder| ladder.ahead(rung)),
            _ => 1,
        }
    }

    /// The same for what is asked for next, if there is anything.
    pub fn epochs_ahead(&self) -> Option<u64> {
        match self.next() {
            Next::Begin => Some(self.epochs_of(self.trials.len() as u64, 0)),
            Next::Promote { trial, rung } => Some(self.epochs_of(trial, rung)),
            Next::Wait | Next::Over => None,
        }
    }

    fn busy(&self) -> usize {
        self.decisions.iter().filter(|decision| decision.value.is_none()).count()
    }

    fn next(&self) -> Next {
        let (busy, begun) = (self.busy(), self.trials.len() as u64);
        match &self.strategy {
            _ if busy >= self.parallel => Next::Wait,
            Strategy::Halving(ladders) if self.is_narrow() => {
                asha::lead(ladders, &self.decisions, self.parallel, self.larger)
            }
            Strategy::Halving(ladders) => asha::next(ladders, &self.decisions, begun, self.parallel, self.larger),
            _ if begun < self.total() && !self.is_narrow() => Next::Begin,
            _ if busy > 0 => Next::Wait,
            _ => Next::Over,
        }
    }

    /// What to train next.
    ///
    /// # Errors
    /// When a condition of the space has no value.
    pub fn ask(&mut self) -> Result<Ask, SearchError> {
        let begun = self.trials.len() as u64;
        let (trial, rung) = match self.next() {
            Next::Wait => return Ok(Ask::Wait),
            Next::Over => return Ok(Ask::Over),
            Next::Promote { trial, rung } => (trial, rung),
            Next::Begin => {
                let Some(params) = self.choose(begun)? else { return Ok(Ask::Wait) };
                self.trials.push(Trial { params, value: None });
                (begun, 0)
            }
        };
        self.decisions.push(Decision { trial, rung, value: None });
        Ok(Ask::Run(match &self.strategy {
            Strategy::Halving(ladders) => {
                Task { trial, rung: Some(rung), epochs: asha::ladder_of(ladders, trial).and_then(|l| l.epochs(rung)) }
            }
            _ => Task { trial, rung: None, epochs: None },
        }))
    }

    /// What a new trial tries; none while that depends on a result that is not there yet.
    fn choose(&self, trial: u64) -> Result<Option<Fields>, SearchError> {
        let seed = self.seed.child(trial);
        match &self.strategy {
            Strategy::Grid(points) => Ok(points.get(trial as usize).cloned()),
            Strategy::Model { startup, model, .. } if trial >= *startup => {
                // The decisions up to *k − parallel*, as in `asha`; all of them are trials here.
                let seen = (self.decisions.len() + 1).saturating_sub(self.parallel);
                let results: Option<Vec<Option<f64>>> =
                    self.decisions[..seen].iter().map(|decision| decision.value).collect();
                let Some(results) = results else { return Ok(None) };
                if results.iter().all(Option::is_none) {
                    return self.space.draw(seed).map(Some);
                }
                let history = History::new(&self.space, &self.trials, &results, self.larger);
                match model {
                    Model::Tpe { candidates } => tpe::propose(&self.space, &history, *candidates, seed),
                    Model::Gp => gp::propose(&self.space, &history, seed),
                }
                .map(Some)
            }
            Strategy::Model { trials, startup, .. } => {
                self.space.draw_apart(self.seed, trial, *startup.min(trials)).map(Some)
            }
            _ => self.space.draw(seed).map(Some),
        }
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

/// Whether the settings of a strategy make sense, whatever space it is for.
///
/// # Errors
/// Says which does not.
pub fn check_strategy(call: &Call) -> Result<(), SearchError> {
    Strategy::parse(call, &Space(Vec::new())).map(|_| ())
}

/// Whether a strategy trains in rungs, so that what it tries must have epochs.
pub fn has_rungs(strategy: &str) -> bool {
    matches!(strategy, "asha" | "hyperband")
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
