use super::UnitError;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

const UNITS: [(&str, i64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

/// A span of time in whole milliseconds, written `1h30min`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(i64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A duration of `ms` milliseconds.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// A duration of `secs` seconds, rounded to the millisecond and held within range.
    pub fn from_secs_f64(secs: f64) -> Self {
        Self((secs * 1000.0).round() as i64)
    }

    /// The whole milliseconds.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The duration in seconds.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The sum, or `None` past the largest duration.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` past the largest duration.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// This duration `factor` times, rounded to the millisecond, or `None` past the largest duration.
    pub fn checked_mul(self, factor: f64) -> Option<Self> {
        let ms = self.0 as f64 * factor;
        (ms.abs() < i64::MAX as f64).then(|| Self(ms.round() as i64))
    }
}

impl From<Duration> for std::time::Duration {
    /// A negative duration becomes zero.
    fn from(duration: Duration) -> Self {
        Self::from_millis(u64::try_from(duration.0).unwrap_or(0))
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Self(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut left = self.0.unsigned_abs();
        for (unit, ms) in UNITS {
            let ms = ms.unsigned_abs();
            if left >= ms {
                write!(f, "{}{unit}", left / ms)?;
                left %= ms;
            }
        }
        Ok(())
    }
}

impl FromStr for Duration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let malformed =
            || UnitError::Malformed { text: text.into(), expected: "a duration, such as `1h30min` or `250ms`" };
        let mut rest = text;
        let mut total = 0.0_f64;
        let mut previous = f64::INFINITY;
        if rest.is_empty() {
            return Err(malformed());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(malformed)?;
            let number: f64 = rest[..digits].replace('_', "").parse().map_err(|_| malformed())?;
            rest = &rest[digits..];
            let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let (_, ms) = UNITS.into_iter().find(|(unit, _)| *unit == &rest[..end]).ok_or_else(malformed)?;
            let ms = ms as f64;
            if ms >= previous || number < 0.0 {
                return Err(malformed());
            }
            previous = ms;
            total += number * ms;
            rest = &rest[end..];
        }
        if total >= i64::MAX as f64 {
            return Err(UnitError::TooLarge { text: text.into() });
        }
        Ok(Self(total.round() as i64))
    }
}
