//! Successive halving, asynchronous but repeatable.
//!
//! ASHA (Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020, algorithm 2) promotes a trial to the next
//! rung as soon as it is among the best `1/reduction` of those that finished the rung, and starts a new trial when nothing
//! can be promoted. Which results have arrived by then depends on chance. Here decision *k* reads the results of the
//! decisions up to *k − parallel* alone, in the order in which they were made, and waits for them if it must: the same
//! seed gives the same search, at the price of a worker that idles behind a slow trial now and then.

use super::{Decision, SearchError, better, settings::Settings};
use std::collections::BTreeMap;

/// The rungs of a search, or of one bracket of it, and how many trials climb them.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    pub(super) trials: u64,
    pub(super) reduction: u64,
    /// The epochs after which each rung ends; the last is the whole training.
    pub(super) rungs: Vec<u64>,
    pub(super) pace: Pace,
}

/// When a trial goes on to the next rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// As soon as it is among the best of those that have ended its rung.
    Eager,
    /// When all have ended the rung that ever will.
    Patient,
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
    pub(super) fn parse(settings: Settings) -> Result<Self, SearchError> {
        let (trials, reduction) = (settings.whole("trials", 1)?, settings.whole("reduction", 2)?);
        let last = settings.whole("max_epochs", 1)?;
        let first = settings.up_to("min_epochs", "max_epochs", last)?;
        let mut rungs: Vec<u64> = std::iter::successors(Some(first), |rung| rung.checked_mul(reduction))
            .take_while(|rung| *rung < last)
            .collect();
        rungs.push(last);
        Ok(Self { trials, reduction, rungs, pace: Pace::Eager })
    }

    /// The epochs after which a rung ends, and those of a whole training.
    pub(super) fn epochs(&self, rung: usize) -> Option<(u64, u64)> {
        Some((*self.rungs.get(rung)?, *self.rungs.last()?))
    }

    /// The epochs between the end of a rung and that of the one before.
    pub(super) fn ahead(&self, rung: usize) -> u64 {
        let before = rung.checked_sub(1).and_then(|before| self.rungs.get(before)).copied();
        self.rungs.get(rung).map_or(0, |until| until - before.unwrap_or(0))
    }

    /// The trial that goes on to its next rung, if one does by what came of this ladder's decisions.
    fn promotion(&self, decisions: &[Decision], seen: &[&Decision], larger: bool) -> Option<Next> {
        for rung in (0..self.rungs.len() - 1).rev() {
            if self.pace == Pace::Patient && !self.is_full(seen, rung) {
                continue;
            }
            let mut results: Vec<&Decision> = seen.iter().copied().filter(|decision| decision.rung == rung).collect();
            let places = self.places(rung, results.len());
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

    /// How many go on from a rung that some have ended.
    fn places(&self, rung: usize, ended: usize) -> usize {
        let ended = match self.pace {
            Pace::Eager => ended as u64,
            // As many as if nothing had failed on the way.
            Pace::Patient => (0..rung).fold(self.trials, |trials, _| trials / self.reduction),
        };
        usize::try_from(ended / self.reduction).unwrap_or(usize::MAX)
    }

    /// Whether all trials that will ever come to a rung have ended it.
    fn is_full(&self, seen: &[&Decision], rung: usize) -> bool {
        let ended = |rung: usize| seen.iter().filter(move |decision| decision.rung == rung);
        let Some(below) = rung.checked_sub(1) else { return ended(0).count() as u64 == self.trials };
        let known = ended(below).filter(|decision| decision.known().is_some()).count();
        self.is_full(seen, below) && ended(rung).count() == self.places(below, ended(below).count()).min(known)
    }
}

/// The ladder that a trial climbs.
pub(super) fn ladder_of(ladders: &[Ladder], trial: u64) -> Option<&Ladder> {
    let mut first = 0;
    ladders.iter().find(|ladder| {
        first += ladder.trials;
        trial < first
    })
}

/// What follows `decisions`, of which `begun` began a trial. Each ladder takes its trials behind those of the ladders before
/// it, and begins them while the others wait.
pub(super) fn next(ladders: &[Ladder], decisions: &[Decision], begun: u64, parallel: usize, larger: bool) -> Next {
    let total: u64 = ladders.iter().map(|ladder| ladder.trials).sum();
    let seen = (decisions.len() + 1).saturating_sub(parallel);
    // When nothing can be done by what should be seen, the results after it are looked at one by one, in order.
    for seen in seen..=decisions.len() {
        if decisions[..seen].iter().any(|decision| decision.value.is_none()) {
            return Next::Wait;
        }
        let mut first = 0;
        for ladder in ladders {
            let own = first..first + ladder.trials;
            first = own.end;
            let seen: Vec<&Decision> =
                decisions[..seen].iter().filter(|decision| own.contains(&decision.trial)).collect();
            if let Some(promotion) = ladder.promotion(decisions, &seen, larger) {
                return promotion;
            }
        }
        if begun < total {
            return Next::Begin;
        }
    }
    Next::Over
}

/// What follows once no trial begins any more: the leaders go on, the best of them first. There are as many as can be under way
/// at the same time.
pub(super) fn lead(ladders: &[Ladder], decisions: &[Decision], parallel: usize, larger: bool) -> Next {
    let known = decisions.iter().filter(|decision| decision.known().is_some());
    let latest: BTreeMap<u64, &Decision> = known.map(|decision| (decision.trial, decision)).collect();
    let mut leaders: Vec<&Decision> = latest.into_values().collect();
    leaders.sort_by(|a, b| better(a.known(), b.known(), larger).then(b.rung.cmp(&a.rung)));
    let is_busy = |trial: u64| decisions.iter().any(|decision| decision.trial == trial && decision.value.is_none());
    let has_more = |leader: &Decision| ladder_of(ladders, leader.trial).is_some_and(|of| of.ahead(leader.rung + 1) > 0);
    let next = leaders.iter().take(parallel).find(|leader| has_more(leader) && !is_busy(leader.trial));
    match next {
        Some(leader) => Next::Promote { trial: leader.trial, rung: leader.rung + 1 },
        None if decisions.iter().any(|decision| decision.value.is_none()) => Next::Wait,
        None => Next::Over,
    }
}
