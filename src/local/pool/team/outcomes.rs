//! What comes of a round's workers.

use super::super::{End, Word};
use crate::wire::{Failure, Kind};
use std::collections::BTreeSet;
use tokio::sync::mpsc::UnboundedSender;

/// A worker of a round, as its leader sees it.
pub(super) struct Member {
    pub rank: usize,
    pub words: UnboundedSender<Word>,
    pub part: Part,
}

/// What has become of a worker's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    UnderWay,
    Given,
    Lost,
}

/// What the end of a worker means for those that are still at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// They go on.
    Works,
    /// They can't go on without it.
    Fails,
    /// They are the slower doubles of those that have done it all.
    Idles,
}

/// How a round came to its end.
pub(super) enum RoundEnd {
    /// With it, the training.
    Over(End),
    /// Another is to follow.
    Next,
    /// A worker was lost.
    Lost(Failure),
}

/// What has come of a round's workers so far.
#[derive(Default)]
pub(super) struct Outcomes {
    done: Option<End>,
    failed: Option<Failure>,
    lost: Option<Failure>,
}

impl Outcomes {
    /// Takes note of a worker's end.
    pub fn end(&mut self, index: usize, end: End, members: &mut [Member]) -> Rest {
        members[index].part = Part::Given;
        match end {
            End::Done(_) => self.done = self.done.take().or(Some(end)),
            End::Left => {}
            End::Failed(failure) if failure.kind == Kind::WorkerLost => {
                members[index].part = Part::Lost;
                let rank = members[index].rank;
                if members.iter().all(|member| member.rank != rank || member.part == Part::Lost) {
                    self.lost.get_or_insert(failure);
                    return Rest::Fails;
                }
            }
            End::Failed(failure) => {
                self.fail(failure);
                return Rest::Fails;
            }
        }
        let mut open: BTreeSet<usize> = members.iter().map(|member| member.rank).collect();
        members.iter().filter(|member| member.part == Part::Given).for_each(|member| {
            open.remove(&member.rank);
        });
        if open.is_empty() { Rest::Idles } else { Rest::Works }
    }

    /// Takes note of why the training can't go on, whoever does it.
    pub fn fail(&mut self, failure: Failure) {
        self.failed.get_or_insert(failure);
    }

    /// What they come to, where the run may draw to an end.
    pub fn sum_up(self, ending: bool) -> RoundEnd {
        match self {
            Self { done: Some(done), .. } => RoundEnd::Over(done),
            Self { failed: Some(failure), .. } => RoundEnd::Over(End::Failed(failure)),
            Self { lost: Some(failure), .. } if ending => RoundEnd::Over(End::Failed(failure)),
            Self { lost: Some(failure), .. } => RoundEnd::Lost(failure),
            _ => RoundEnd::Next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;

    fn members(ranks: &[usize]) -> Vec<Member> {
        let member = |rank: &usize| Member { rank: *rank, words: unbounded_channel().0, part: Part::UnderWay };
        ranks.iter().map(member).collect()
    }

    fn lost() -> End {
        End::Failed(Failure::new(Kind::WorkerLost, "gone"))
    }

    #[test]
    fn a_round_goes_on_while_each_rank_has_somebody() {
        let (mut round, mut members) = (Outcomes::default(), members(&[0, 1, 1]));
        assert_eq!(round.end(1, lost(), &mut members), Rest::Works);
        assert_eq!(round.end(0, End::Left, &mut members), Rest::Works);
        assert_eq!(round.end(2, lost(), &mut members), Rest::Fails);
        assert!(matches!(round.sum_up(false), RoundEnd::Lost(_)));
    }

    #[test]
    fn nobody_waits_for_a_double_once_all_is_done() {
        let (mut round, mut members) = (Outcomes::default(), members(&[0, 1, 1]));
        assert_eq!(round.end(2, End::Left, &mut members), Rest::Works);
        assert_eq!(round.end(0, End::Left, &mut members), Rest::Idles);
        assert_eq!(round.end(1, lost(), &mut members), Rest::Idles);
        assert!(matches!(round.sum_up(false), RoundEnd::Next));
    }

    #[test]
    fn a_run_that_ends_begins_no_other_round_after_a_loss() {
        let (mut round, mut members) = (Outcomes::default(), members(&[0, 1]));
        assert_eq!(round.end(1, lost(), &mut members), Rest::Fails);
        assert!(matches!(round.sum_up(true), RoundEnd::Over(End::Failed(_))));
    }
}
