//! Where every random number comes from: a generator seeded by what it is for, never by time, thread or order.

use rand_core::{Rng as _, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

/// A seed. A child seed depends on its parent and its label alone, so work may be done in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(u64);

impl Seed {
    /// The seed a user wrote.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The seed of the part of the work called `label`.
    pub fn child(self, label: impl std::fmt::Display) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0.to_le_bytes());
        hasher.update(label.to_string().as_bytes());
        let mut word = [0; 8];
        hasher.finalize_xof().fill(&mut word);
        Self(u64::from_le_bytes(word))
    }

    /// A generator that starts at this seed.
    pub fn generator(self) -> Generator {
        Generator(Xoshiro256PlusPlus::seed_from_u64(self.0))
    }
}

/// A stream of random numbers: xoshiro256++, the same on every machine.
#[derive(Clone, Debug)]
pub struct Generator(Xoshiro256PlusPlus);

impl Generator {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A float in `[0, 1)` with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// An integer in `0..bound`, unbiased (Lemire, "Fast random integer generation in an interval", 2019). `bound` is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            let low = product as u64;
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// A draw from the standard normal distribution (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
