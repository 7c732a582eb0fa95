//! What trials of a search usually take, by which it is known when new ones serve nothing any more.

use crate::units::{Duration, Money};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most that trials were seen to take, by the epochs that they were trained; a trial that does not pause at rungs counts as
/// one epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Usual(BTreeMap<u64, (Duration, Money)>);

impl Usual {
    /// A trial took this for so many epochs.
    pub fn see(&mut self, epochs: u64, time: Duration, price: Money) {
        let seen = self.0.entry(epochs.max(1)).or_default();
        *seen = (seen.0.max(time), seen.1.max(price));
    }

    /// What so many epochs take: as was seen of so many, or else by the most epochs that were seen at a time.
    pub fn of(&self, epochs: u64) -> Option<(Duration, Money)> {
        if let Some(seen) = self.0.get(&epochs) {
            return Some(*seen);
        }
        let (most, (time, price)) = self.0.last_key_value()?;
        let price = price.checked_mul(Decimal::from(epochs)).and_then(|price| price.checked_div(Decimal::from(*most)));
        let time = time.checked_mul(epochs as f64 / *most as f64);
        Some((time.unwrap_or(Duration::from_millis(i64::MAX)), price.unwrap_or(Money::new(Decimal::MAX))))
    }

    /// Without what time and money a trial does not begin so many epochs, beside so many others, as far as is known. Where the
    /// best go on alone, whose whole training takes `alone` epochs, what is cut short is still better than what it was before;
    /// but money that brings one of them to its end is not for several.
    pub fn needed(&self, epochs: u64, alone: Option<u64>, others: usize) -> Option<(Duration, Money)> {
        let Some(whole) = alone else { return self.of(epochs) };
        let price = self.of(if others == 0 { 1 } else { whole });
        self.of(1).zip(price).map(|((time, _), (_, price))| (time, price))
    }

    /// Whether the best there is should have all that is left of the time or the money that a search had: no new trial would
    /// come to its end with it, and a third of it is over, so that a search too short for a whole training still sees several.
    pub fn is_late(left: f64, all: f64, whole: f64) -> bool {
        left < whole.min(all * 2.0 / 3.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_goes_by_the_longest() {
        let mut usual = Usual::default();
        assert_eq!(usual.of(3), None);
        let cent = |cents: i64| Money::new(Decimal::new(cents, 2));
        usual.see(1, Duration::from_millis(300), cent(2));
        usual.see(1, Duration::from_millis(200), cent(1));
        assert_eq!(usual.of(1), Some((Duration::from_millis(300), cent(2))));
        assert_eq!(usual.of(9), Some((Duration::from_millis(2700), cent(18))));
        // The start counts less in a longer one.
        usual.see(3, Duration::from_millis(600), cent(3));
        assert_eq!(usual.of(9), Some((Duration::from_millis(1800), cent(9))));
        assert_eq!(usual.of(1), Some((Duration::from_millis(300), cent(2))));
    }
}
