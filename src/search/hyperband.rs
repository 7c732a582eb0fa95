//! Hyperband: successive halving from several starts.
//!
//! How many epochs tell a good trial from a bad one is not known beforehand. Li et al., "Hyperband: A Novel Bandit-Based
//! Approach to Hyperparameter Optimization", 2018, algorithm 1, therefore halves in brackets that cost about the same: from
//! many trials that start with few epochs to a few that are trained to the end at once.

use super::{
    SearchError,
    asha::{Ladder, Pace},
    settings::Settings,
};

/// More trials than this fit into no life.
const MAX_TRIALS: u64 = 100_000;

/// The brackets, from the one with most trials to the one with fewest. With *R* the most epochs, *η* the reduction and
/// *S* the whole part of log *R* to the base *η*, bracket *s* from *S* down to 0 has ⌈(*S* + 1) *ηˢ* / (*s* + 1)⌉ trials,
/// whose first rung ends after *R* / *ηˢ* epochs.
pub(super) fn brackets(settings: Settings) -> Result<Vec<Ladder>, SearchError> {
    let (most, reduction) = (settings.whole("max_epochs", 1)?, settings.whole("reduction", 2)?);
    // The whole training, then rung by rung towards its start.
    let rungs: Vec<u64> =
        std::iter::successors(Some(most), |rung| Some(rung / reduction)).take_while(|rung| *rung >= 1).collect();
    let count = rungs.len() as u64;
    let ladders: Vec<Ladder> = (0..rungs.len())
        .rev()
        .zip((0..count).rev())
        .map(|(last, start)| {
            // At most R, so nothing overflows before it is compared with what is allowed.
            let power = u128::from(reduction).pow(start as u32);
            let trials = (u128::from(count) * power).div_ceil(u128::from(start) + 1);
            Ladder {
                trials: u64::try_from(trials).unwrap_or(u64::MAX),
                reduction,
                rungs: rungs[..=last].iter().rev().copied().collect(),
                pace: Pace::Patient,
            }
        })
        .collect();
    let total = ladders.iter().map(|ladder| ladder.trials).fold(0, u64::saturating_add);
    if total > MAX_TRIALS {
        return Err(SearchError::Setting(format!(
            "`hyperband` from 1 to {most} epochs has more than {MAX_TRIALS} trials; a larger `reduction` has fewer"
        )));
    }
    Ok(ladders)
}
