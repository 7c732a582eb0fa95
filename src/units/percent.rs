use super::UnitError;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A share in hundredths, exact, written `80%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(Decimal);

impl Percent {
    /// A share of `points` hundredths.
    pub const fn new(points: Decimal) -> Self {
        Self(points)
    }

    /// The number before the `%` sign.
    pub const fn points(self) -> Decimal {
        self.0
    }

    /// The share as a fraction: 0.8 for `80%`.
    pub fn fraction(self) -> Decimal {
        self.0 / Decimal::ONE_HUNDRED
    }

    /// The share as the nearest float.
    pub fn to_f64(self) -> f64 {
        self.fraction().to_f64().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0.normalize())
    }
}

impl FromStr for Percent {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let malformed = || UnitError::Malformed { text: text.into(), expected: "a percentage, such as `80%`" };
        let digits = text.strip_suffix('%').ok_or_else(malformed)?.replace('_', "");
        match Decimal::from_str_exact(&digits) {
            Ok(points) if !points.is_sign_negative() => Ok(Self(points)),
            Err(rust_decimal::Error::ExceedsMaximumPossibleValue) => Err(UnitError::TooLarge { text: text.into() }),
            _ => Err(malformed()),
        }
    }
}
