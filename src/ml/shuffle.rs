//! Which samples each virtual shard learns from, and in which order.

use crate::seed::Seed;
use std::ops::Range;

/// The samples of a training dealt out to its virtual shards, once and for all: so that a worker needs to see those of its
/// own shards only.
pub struct Shuffle {
    /// All samples; each shard has a run of them.
    dealt: Vec<usize>,
    shards: usize,
    seed: Seed,
}

impl Shuffle {
    /// Deals `rows` samples out.
    pub fn new(rows: usize, shards: usize, seed: Seed) -> Self {
        let mut dealt: Vec<usize> = (0..rows).collect();
        seed.child("deal").generator().shuffle(&mut dealt);
        Self { dealt, shards, seed }
    }

    fn run(&self, shard: usize) -> Range<usize> {
        let at = |shard: usize| self.dealt.len() * shard / self.shards;
        at(shard)..at(shard + 1)
    }

    /// The samples of a shard in their order in an epoch, from 1, each by its place in what was dealt to the shard.
    pub fn epoch(&self, shard: usize, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.run(shard).len()).collect();
        self.seed.child("order").child(epoch).child(shard).generator().shuffle(&mut order);
        order
    }

    /// For each place in what was dealt to a shard, its place in the order of the first epoch.
    pub fn first(&self, shard: usize) -> Vec<usize> {
        let order = self.epoch(shard, 1);
        let mut first = vec![0; order.len()];
        order.into_iter().enumerate().for_each(|(at, place)| first[place] = at);
        first
    }

    /// The numbers of some samples of a shard among all samples.
    pub fn numbers(&self, shard: usize, places: &[usize]) -> Vec<usize> {
        let start = self.run(shard).start;
        places.iter().map(|place| self.dealt[start + place]).collect()
    }

    /// The optimizer steps of an epoch where each takes `batch` samples, as many from each shard. In the last one some
    /// shards may have one sample less than others, or none.
    pub fn steps(&self, batch: u64) -> u64 {
        let most = self.dealt.len().div_ceil(self.shards) as u64;
        most.div_ceil(batch / self.shards as u64).max(1)
    }

    /// The place of a shard's samples for one step, from 0, in its order of the epoch.
    pub fn micro_batch(&self, shard: usize, batch: u64, step: u64) -> Range<usize> {
        let (size, all) = (batch as usize / self.shards, self.run(shard).len());
        let at = |step: u64| (step as usize).saturating_mul(size).min(all);
        at(step)..at(step + 1)
    }

    /// How many shards there are.
    pub const fn all_shards(&self) -> usize {
        self.shards
    }

    /// How many shards take samples in one step.
    pub fn shards(&self, batch: u64, step: u64) -> usize {
        (0..self.shards).filter(|shard| !self.micro_batch(*shard, batch, step).is_empty()).count()
    }

    /// The samples that all shards together take in one step.
    pub fn samples(&self, batch: u64, step: u64) -> usize {
        (0..self.shards).map(|shard| self.micro_batch(shard, batch, step).len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_seen_once_in_each_epoch() {
        for (rows, shards, batch) in [(1000, 8, 256), (1003, 8, 64), (7, 8, 8), (0, 4, 4), (10, 1, 3), (100, 4, 4096)] {
            let shuffle = Shuffle::new(rows, shards, Seed::new(3));
            for epoch in [1, 2] {
                let order = |shard| shuffle.numbers(shard, &shuffle.epoch(shard, epoch));
                let orders: Vec<Vec<usize>> = (0..shards).map(order).collect();
                let mut seen = Vec::new();
                for step in 0..shuffle.steps(batch) {
                    let before = seen.len();
                    for (shard, order) in orders.iter().enumerate() {
                        seen.extend_from_slice(&order[shuffle.micro_batch(shard, batch, step)]);
                    }
                    assert_eq!(seen.len() - before, shuffle.samples(batch, step));
                    assert!(rows == 0 || seen.len() > before, "step {step} of {rows} rows has no sample");
                }
                seen.sort_unstable();
                assert_eq!(seen, (0..rows).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_same_shard_has_the_same_samples_in_another_order() {
        let shuffle = Shuffle::new(100, 4, Seed::new(3));
        let (first, second) = (shuffle.epoch(2, 1), shuffle.epoch(2, 2));
        let sorted = |mut order: Vec<usize>| {
            order.sort_unstable();
            order
        };
        assert_ne!(first, second);
        assert_eq!(sorted(first.clone()), sorted(second));
        let places: Vec<usize> = first.iter().map(|place| shuffle.first(2)[*place]).collect();
        assert_eq!(places, (0..25).collect::<Vec<_>>());
    }
}
