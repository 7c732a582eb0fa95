//! What is decided between the rounds of a training.

use crate::wire::{Round, Team, Workers};

/// A round to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// How many workers it has.
    pub workers: usize,
    /// It ends once so many epochs have passed, if not before.
    pub until: Option<u64>,
    /// The ranks that have a double.
    pub doubled: Vec<usize>,
}

/// A worker of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Its rank, from 0.
    pub rank: usize,
    /// 0, or the number of the double that it is.
    pub copy: u32,
    /// Whether it decides for all.
    pub decides: bool,
}

impl Next {
    /// The workers, and the doubles after them. One decides whose rank has no double.
    pub fn participants(&self) -> impl Iterator<Item = Participant> + '_ {
        // There are fewer doubles than workers.
        let decider = (0..self.workers).find(|rank| !self.doubled.contains(rank)).unwrap_or(0);
        let own = (0..self.workers).map(move |rank| Participant { rank, copy: 0, decides: rank == decider });
        own.chain(self.doubled.iter().map(|rank| Participant { rank: *rank, copy: 1, decides: false }))
    }
}

/// The next round of a training, once `epochs` have passed and `last` has been: the workers are those that the workflow
/// names, and its slowest ones have the doubles.
pub fn replan(team: &Team, epochs: u64, last: Option<&Round>) -> Next {
    let (workers, change) = match &team.workers {
        Workers::Staged(staged) => (staged.after(epochs), staged.next_change(epochs)),
        Workers::Within(fewest, _) => (*fewest, None),
    };
    let workers = workers.max(1) as usize;
    let slowest = last.filter(|last| last.workers == workers).map(slowest).unwrap_or_default();
    // A worker that is alone has no double.
    let backups = (team.backups as usize).min(workers - 1);
    // Who is slow shows in a round.
    let first = (backups > 0 && slowest.is_empty()).then_some(epochs + 1);
    Next { workers, until: change.into_iter().chain(first).min(), doubled: slowest.into_iter().take(backups).collect() }
}

/// The ranks of a round, the slowest first.
fn slowest(round: &Round) -> Vec<usize> {
    let mut ranks: Vec<usize> = (0..round.laps.len()).collect();
    ranks.sort_by_key(|rank| std::cmp::Reverse(round.laps[*rank].computing));
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        units::Duration,
        wire::{Lap, Staged},
    };

    fn team(backups: u32) -> Team {
        let workers = Workers::Staged(Staged { first: 2, later: vec![(3, 4), (6, 1)] });
        Team { workers, backups, ..Team::default() }
    }

    fn round(computing: &[i64]) -> Round {
        let lap = |ms: &i64| Lap { computing: Duration::from_millis(*ms), ..Lap::default() };
        Round {
            number: 1,
            workers: computing.len(),
            doubled: Vec::new(),
            steps: [0, 10],
            epochs: [0, 1],
            ahead: 0,
            samples: 100,
            elapsed: Duration::from_millis(100),
            loss: 1.0,
            laps: computing.iter().map(lap).collect(),
        }
    }

    #[test]
    fn workers_change_when_the_workflow_says_so() {
        let at = |epochs| replan(&team(0), epochs, None);
        assert_eq!(at(0), Next { workers: 2, until: Some(3), doubled: Vec::new() });
        assert_eq!(at(3), Next { workers: 4, until: Some(6), doubled: Vec::new() });
        assert_eq!(at(7), Next { workers: 1, until: None, doubled: Vec::new() });
    }

    #[test]
    fn the_slowest_have_doubles_once_they_are_known() {
        assert_eq!(replan(&team(1), 0, None), Next { workers: 2, until: Some(1), doubled: Vec::new() });
        let next = replan(&team(1), 1, Some(&round(&[20, 30])));
        assert_eq!(next, Next { workers: 2, until: Some(3), doubled: vec![1] });
        // One that is alone has none.
        assert_eq!(replan(&team(1), 7, Some(&round(&[20]))), Next { workers: 1, until: None, doubled: Vec::new() });
        // Of other workers nothing is known.
        assert_eq!(replan(&team(1), 3, Some(&round(&[20, 30]))).doubled, Vec::<usize>::new());
    }
}
