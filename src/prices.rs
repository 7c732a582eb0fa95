//! What it costs to do a step in the cloud.

use crate::units::{Duration, Money, Size};
use rust_decimal::{Decimal, prelude::FromPrimitive};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A price list, in dollars. A run on this machine is charged as if it ran in the cloud, so that a budget means the same
/// everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The day on which the prices held.
    pub as_of: String,
    /// The cloud region whose prices they are.
    pub region: String,
    /// A function's GiB of memory for a second; AWS Lambda bills by the millisecond begun.
    pub lambda_gib_second: Decimal,
    /// A function's invocation.
    pub lambda_request: Decimal,
    /// A transition of a state machine.
    pub state_transition: Decimal,
    /// Writing an object.
    pub object_write: Decimal,
    /// Reading an object.
    pub object_read: Decimal,
}

/// Why a price list can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    /// It is not there.
    #[error("the price list `{path}` can't be read: {error}", path = .0.display(), error = .1)]
    Unreadable(PathBuf, io::Error),
    /// It is not a price list, or a price is missing.
    #[error("the price list `{path}` is not as expected: {error}", path = .0.display(), error = .1)]
    Malformed(PathBuf, serde_json::Error),
    /// A price below zero.
    #[error("`{name}` is below zero in the price list `{path}`", path = .0.display(), name = .1)]
    Negative(PathBuf, &'static str),
}

impl Prices {
    /// The prices that come with the program: `src/prices.json`.
    pub fn embedded() -> Self {
        serde_json::from_str(include_str!("prices.json")).expect("a test reads the embedded prices")
    }

    /// Other prices, in the form of the embedded ones.
    ///
    /// # Errors
    /// When the file can't be read, is of another form, or has a price below zero.
    pub fn read(path: &Path) -> Result<Self, PriceError> {
        let text = fs::read_to_string(path).map_err(|error| PriceError::Unreadable(path.into(), error))?;
        let prices: Self = serde_json::from_str(&text).map_err(|error| PriceError::Malformed(path.into(), error))?;
        match prices.below_zero() {
            Some(name) => Err(PriceError::Negative(path.into(), name)),
            None => Ok(prices),
        }
    }

    fn below_zero(&self) -> Option<&'static str> {
        let all = [
            ("lambda_gib_second", self.lambda_gib_second),
            ("lambda_request", self.lambda_request),
            ("state_transition", self.state_transition),
            ("object_write", self.object_write),
            ("object_read", self.object_read),
        ];
        all.into_iter().find(|(_, price)| price.is_sign_negative()).map(|(name, _)| name)
    }

    /// What an attempt costs from the start: one invocation, one transition, one object read and one written.
    pub fn start(&self) -> Money {
        Money::new(self.lambda_request + self.state_transition + self.object_write + self.object_read)
    }

    /// What an attempt costs when it has held `memory` for `elapsed`; out-of-range amounts stop at the largest.
    pub fn attempt(&self, memory: Size, elapsed: Duration) -> Money {
        self.held(memory, elapsed).checked_add(self.start()).unwrap_or(Money::new(Decimal::MAX))
    }

    /// What it costs to hold `memory` for `elapsed`.
    pub fn held(&self, memory: Size, elapsed: Duration) -> Money {
        let seconds = Decimal::new(elapsed.millis().max(0), 3);
        let used = gib(memory).checked_mul(seconds).and_then(|used| used.checked_mul(self.lambda_gib_second));
        Money::new(used.unwrap_or(Decimal::MAX))
    }

    /// What so many attempts cost together when they have held memory for so many MiB · ms.
    pub fn metered(&self, attempts: u32, held: i128) -> Money {
        let seconds = Decimal::try_from_i128_with_scale(held.max(0), 3).ok();
        let used = seconds.and_then(|used| (used / Decimal::from(1024)).checked_mul(self.lambda_gib_second));
        let starts = self.start().dollars().checked_mul(attempts.into());
        let total = used.zip(starts).and_then(|(used, starts)| used.checked_add(starts));
        Money::new(total.unwrap_or(Decimal::MAX))
    }

    /// What holding `memory` costs in a second.
    pub fn rate(&self, memory: Size) -> Money {
        self.rate_of_mib(memory.mib().into())
    }

    /// What holding so many MiB costs in a second.
    pub fn rate_of_mib(&self, mib: i128) -> Money {
        let gib = Decimal::try_from_i128_with_scale(mib, 0).map_or(Decimal::MAX, |mib| mib / Decimal::from(1024));
        Money::new(gib.checked_mul(self.lambda_gib_second).unwrap_or(Decimal::MAX))
    }
}

fn gib(memory: Size) -> Decimal {
    Decimal::from_u64(memory.mib()).unwrap_or(Decimal::MAX) / Decimal::from(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_two_gib() {
        let prices = Prices::embedded();
        let cost = prices.attempt(Size::from_mib(2048), Duration::from_millis(1000));
        let expected = Decimal::from_str_exact("0.0000333334").unwrap() + prices.start().dollars();
        assert_eq!(cost, Money::new(expected));
    }

    #[test]
    fn attempts_cost_together_what_they_cost_alone() {
        let prices = Prices::embedded();
        let (small, large) = ((1024, 1500), (3072, 20));
        let alone = [small, large].map(|(mib, ms)| prices.attempt(Size::from_mib(mib), Duration::from_millis(ms)));
        let held = [small, large].map(|(mib, ms)| i128::from(mib) * i128::from(ms)).iter().sum();
        assert_eq!(prices.metered(2, held), alone.into_iter().sum());
    }

    #[test]
    fn nothing_overflows() {
        let prices = Prices::embedded();
        let cost = prices.attempt(Size::from_bytes(u64::MAX), Duration::from_millis(i64::MAX));
        assert!(cost > Money::ZERO);
        assert!(prices.metered(u32::MAX, i128::MAX) > Money::ZERO);
    }
}
