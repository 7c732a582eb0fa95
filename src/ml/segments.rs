//! The shards that one worker computes together, and the fixed binary tree in which what they come to is summed.

use std::ops::Range;

/// One turn of a sum along the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Sum what these samples, or rows of them, come to.
    Take(Range<usize>),
    /// Add the last sum to the one before it.
    Merge,
}

/// The samples of some consecutive shards in one batch, one shard's after another's.
#[derive(Clone, Debug)]
pub struct Segments {
    /// The samples of each shard.
    sizes: Vec<usize>,
    /// The tree from its leaves to its root: at the end one sum is left, if there are samples.
    turns: Vec<Turn>,
}

impl Segments {
    /// Those of shards with so many samples each.
    pub fn new(sizes: &[usize]) -> Self {
        let mut segments = Self { sizes: sizes.to_vec(), turns: Vec::new() };
        segments.grow(sizes, sizes.len().next_power_of_two(), &mut 0);
        segments
    }

    /// Adds a branch of the tree, of at most `width` shards whose samples begin at `start`, and tells whether it has any.
    fn grow(&mut self, sizes: &[usize], width: usize, start: &mut usize) -> bool {
        match sizes {
            [] | [0] => false,
            [size] => {
                self.turns.push(Turn::Take(*start..*start + size));
                *start += size;
                true
            }
            sizes => {
                let (left, right) = sizes.split_at(sizes.len().min(width / 2));
                let both = [left, right].map(|half| self.grow(half, width / 2, start));
                if both == [true, true] {
                    self.turns.push(Turn::Merge);
                }
                both.contains(&true)
            }
        }
    }

    /// The samples of all.
    pub fn samples(&self) -> usize {
        self.sizes.iter().sum()
    }

    /// The samples of each shard that has any.
    pub fn each(&self) -> impl Iterator<Item = Range<usize>> {
        self.turns.iter().filter_map(|turn| match turn {
            Turn::Take(samples) => Some(samples.clone()),
            Turn::Merge => None,
        })
    }

    /// The same tree over some of the samples, which come in their order.
    pub fn among(&self, samples: impl IntoIterator<Item = usize>) -> Self {
        let mut sizes = vec![0; self.sizes.len()];
        let (mut shard, mut end) = (0, self.sizes.first().copied().unwrap_or(0));
        for sample in samples {
            while sample >= end {
                shard += 1;
                end += self.sizes[shard];
            }
            sizes[shard] += 1;
        }
        Self::new(&sizes)
    }

    /// The turns of the sum of what stands in `length` rows, as many for each sample. No turn takes more than `most` of
    /// them: longer stretches are summed piece after piece.
    pub fn turns(&self, length: usize, most: usize) -> Vec<Turn> {
        let each = length / self.samples().max(1);
        let mut turns = Vec::with_capacity(self.turns.len());
        for turn in &self.turns {
            match turn {
                Turn::Take(samples) => {
                    let end = samples.end * each;
                    for start in (samples.start * each..end).step_by(most) {
                        turns.push(Turn::Take(start..end.min(start + most)));
                        if start > samples.start * each {
                            turns.push(Turn::Merge);
                        }
                    }
                }
                Turn::Merge => turns.push(Turn::Merge),
            }
        }
        turns
    }

    /// The sum of what each shard comes to: `take` adds it to zeros, for one shard after another.
    pub fn sum(&self, length: usize, mut take: impl FnMut(Range<usize>, &mut [f32])) -> Vec<f32> {
        let mut sums: Vec<Vec<f32>> = Vec::new();
        for turn in &self.turns {
            match turn {
                Turn::Take(samples) => {
                    let mut sum = vec![0.0; length];
                    take(samples.clone(), &mut sum);
                    sums.push(sum);
                }
                Turn::Merge => {
                    let last = sums.pop().unwrap_or_default();
                    if let Some(sum) = sums.last_mut() {
                        sum.iter_mut().zip(last).for_each(|(sum, last)| *sum += last);
                    }
                }
            }
        }
        sums.pop().unwrap_or_else(|| vec![0.0; length])
    }
}

/// The sum of what shards, or branches that begin with them, come to: neighbours first, then pairs of pairs; those that are
/// not there add nothing.
pub fn sum(mut rows: Vec<Option<Vec<f32>>>) -> Option<Vec<f32>> {
    while rows.len() > 1 {
        let mut next = Vec::with_capacity(rows.len().div_ceil(2));
        let mut pairs = rows.into_iter();
        while let Some(left) = pairs.next() {
            next.push(match (left, pairs.next().flatten()) {
                (Some(mut left), Some(right)) => {
                    left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
                    Some(left)
                }
                (left, right) => left.or(right),
            });
        }
        rows = next;
    }
    rows.pop().flatten()
}

/// The largest branches of the tree over `shards` shards that lie among some of them.
pub fn branches(among: Range<usize>, shards: usize) -> Vec<Range<usize>> {
    let mut branches = Vec::new();
    let mut start = among.start;
    while start < among.end {
        let mut width = 1;
        while start.is_multiple_of(2 * width) && width < shards && (start + 2 * width).min(shards) <= among.end {
            width *= 2;
        }
        branches.push(start..(start + width).min(shards));
        start += width;
    }
    branches
}

#[cfg(test)]
mod tests {
    use super::{Segments, Turn, branches, sum};
    use crate::seed::Seed;

    #[test]
    fn turns_go_from_the_leaves_to_the_root() {
        use Turn::{Merge, Take};
        assert_eq!(
            Segments::new(&[2, 0, 1, 3, 1]).turns,
            [Take(0..2), Take(2..3), Take(3..6), Merge, Merge, Take(6..7), Merge]
        );
        assert_eq!(Segments::new(&[0, 3]).turns(6, 4), [Take(0..4), Take(4..6), Merge]);
        assert_eq!((Segments::new(&[0, 0, 0]).turns, Segments::new(&[]).turns), (vec![], vec![]));
        assert_eq!(Segments::new(&[2, 0, 3, 1]).among([0, 0, 3, 5]).sizes, [2, 0, 1, 1]);
    }

    #[test]
    fn branches_are_the_largest_of_the_tree() {
        let ends = |among: std::ops::Range<usize>, shards| {
            branches(among, shards).iter().map(|branch| (branch.start, branch.end)).collect::<Vec<_>>()
        };
        assert_eq!(ends(0..8, 8), [(0, 8)]);
        assert_eq!(ends(0..5, 5), [(0, 5)]);
        assert_eq!(ends(3..6, 8), [(3, 4), (4, 6)]);
        assert_eq!(ends(4..6, 6), [(4, 6)]);
        assert_eq!(ends(0..3, 8), [(0, 2), (2, 3)]);
    }

    /// However shards are put together in branches, their sum is that of the tree over all.
    #[test]
    fn branches_sum_as_the_whole_tree() {
        let mut generator = Seed::new(1).generator();
        for _ in 0..200 {
            let sizes: Vec<usize> = (0..1 + generator.below(17)).map(|_| generator.below(3) as usize).collect();
            let values: Vec<f32> = (0..sizes.iter().sum()).map(|_| generator.normal() as f32).collect();
            let mut start = 0;
            let mut rows: Vec<Option<Vec<f32>>> = Vec::new();
            for size in &sizes {
                rows.push((*size > 0).then(|| vec![values[start..start + size].iter().sum()]));
                start += size;
            }
            let wanted = sum(rows);
            let cut = generator.below(sizes.len() as u64) as usize;
            let mut rows = vec![None; sizes.len()];
            for branch in branches(0..cut, sizes.len()).into_iter().chain(branches(cut..sizes.len(), sizes.len())) {
                let before: usize = sizes[..branch.start].iter().sum();
                let segments = Segments::new(&sizes[branch.clone()]);
                rows[branch.start] = (segments.samples() > 0).then(|| {
                    segments.sum(1, |samples, sum| {
                        sum[0] = values[before + samples.start..before + samples.end].iter().sum();
                    })
                });
            }
            assert_eq!(sum(rows), wanted, "{sizes:?}, cut at {cut}");
        }
    }
}
