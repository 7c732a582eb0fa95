//! Successive halving, asynchronous but repeatable.
//!
//! ASHA (Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020, algorithm 2) promotes a trial to the next
//! rung as soon as it is among the best `1/reduction` of those that finished the rung, and starts a new trial when nothing
//! can be promoted. Which results have arrived by then depends on chance. Here decision *k* reads the results of the
//! decisions up to *k − parallel* alone, in the order in which they were made, and waits for them if it must: the same
//! seed gives the same search, at the price of a worker that idles behind a slow trial now and then.

use super::{Decision, SearchError, better};
use crate::value::Call;

/// The rungs of a search, and how many trials climb them.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    trials: u64,
    reduction: usize,
    /// The epochs after which each rung ends; the last is the whole training.
    rungs: Vec<u64>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Begin a trial.
    Begin,
    /// Let a trial go on to a rung.
    Promote { trial: u64, rung: usize },
    /// It depends on a result that is not there yet.
    Wait,
    /// Nothing will ever be left to do.
    Over,
}

impl Ladder {
    pub(super) fn parse(call: &Call) -> Result<Self, SearchError> {
        let whole = |name: &str, least: i64| {
            let value = call.args.get(name).and_then(crate::value::Value::as_int).unwrap_or_default();
            if value < least {
                return Err(SearchError::Setting(format!("`{name}` of `asha` must be at least {least}, not {value}")));
            }
            Ok(value as u64)
        };
        let (trials, reduction) = (whole("trials", 1)?, whole("reduction", 2)?);
        let (first, last) = (whole("min_epochs", 1)?, whole("max_epochs", 1)?);
        if first > last {
            return Err(SearchError::Setting(format!(
                "`min_epochs` of `asha` can't be above `max_epochs`: {first} is above {last}"
            )));
        }
        let mut rungs: Vec<u64> = std::iter::successors(Some(first), |rung| rung.checked_mul(reduction))
            .take_while(|rung| *rung < last)
            .collect();
        rungs.push(last);
        Ok(Self { trials, reduction: usize::try_from(reduction).unwrap_or(usize::MAX), rungs })
    }

    pub(super) const fn trials(&self) -> u64 {
        self.trials
    }

    pub(super) fn rungs(&self) -> &[u64] {
        &self.rungs
    }

    /// What follows `decisions`, of which `begun` began a trial.
    pub(super) fn next(&self, decisions: &[Decision], begun: u64, parallel: usize, larger: bool) -> Next {
        let seen = (decisions.len() + 1).saturating_sub(parallel);
        // When nothing can be done by what should be seen, the results after it are looked at one by one, in order.
        for seen in seen..=decisions.len() {
            if decisions[..seen].iter().any(|decision| decision.value.is_none()) {
                return Next::Wait;
            }
            if let Some(promotion) = self.promotion(decisions, seen, larger) {
                return promotion;
            }
            if begun < self.trials {
                return Next::Begin;
            }
        }
        Next::Over
    }

    fn promotion(&self, decisions: &[Decision], seen: usize, larger: bool) -> Option<Next> {
        for rung in (0..self.rungs.len() - 1).rev() {
            let mut results: Vec<&Decision> =
                decisions[..seen].iter().filter(|decision| decision.rung == rung).collect();
            let places = results.len() / self.reduction;
            results.sort_by(|a, b| better(a.known(), b.known(), larger).then(a.trial.cmp(&b.trial)));
            let promoted =
                |trial: u64| decisions.iter().any(|decision| decision.trial == trial && decision.rung > rung);
            let next = results.iter().take(places).find(|best| best.known().is_some() && !promoted(best.trial));
            if let Some(next) = next {
                return Some(Next::Promote { trial: next.trial, rung: rung + 1 });
            }
        }
        None
    }
}
