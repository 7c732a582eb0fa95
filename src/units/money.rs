use super::{Percent, UnitError};
use rust_decimal::{
    Decimal,
    prelude::{FromPrimitive, ToPrimitive},
};
use serde::{Deserialize, Serialize};
use std::{fmt, iter::Sum, str::FromStr};

/// An amount of US dollars, exact to the last decimal, written `$12.50`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(Decimal);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// An amount of dollars.
    pub const fn new(dollars: Decimal) -> Self {
        Self(dollars)
    }

    /// The amount in dollars.
    pub const fn dollars(self) -> Decimal {
        self.0
    }

    /// The amount in dollars, as the nearest float: for display and statistics only.
    pub fn to_f64(self) -> f64 {
        self.0.to_f64().unwrap_or(f64::NAN)
    }

    /// The sum, or `None` when it is out of range.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` when it is out of range.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// This amount `factor` times, or `None` when it is out of range.
    pub fn checked_mul(self, factor: Decimal) -> Option<Self> {
        self.0.checked_mul(factor).map(Self)
    }

    /// This amount divided by `divisor`, or `None` when it is zero or the result is out of range.
    pub fn checked_div(self, divisor: Decimal) -> Option<Self> {
        self.0.checked_div(divisor).map(Self)
    }

    /// This amount without so many dollars; the whole where that is out of range.
    #[must_use]
    pub fn less(self, dollars: f64) -> Self {
        Decimal::from_f64(dollars).and_then(|dollars| self.checked_sub(Self(dollars))).unwrap_or(self)
    }

    /// `share` of this amount.
    pub fn share(self, share: Percent) -> Option<Self> {
        self.checked_mul(share.fraction())
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.map(|amount| amount.0).sum())
    }
}

impl fmt::Display for Money {
    /// At least cents; smaller amounts keep three significant digits, so that `$0.0000042` does not read as nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.0.normalize();
        let sign = if amount.is_sign_negative() { "-" } else { "" };
        let amount = amount.abs();
        let cents = amount.round_dp(2);
        let shown = if cents == amount {
            cents
        } else if amount >= Decimal::ONE {
            amount.round_dp(2)
        } else {
            amount.round_sf(3).unwrap_or(amount).normalize()
        };
        write!(f, "{sign}${shown:.prec$}", prec = shown.scale().max(2) as usize)
    }
}

impl FromStr for Money {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let malformed = || UnitError::Malformed { text: text.into(), expected: "an amount of money, such as `$12.50`" };
        let digits = text.strip_prefix('$').ok_or_else(malformed)?.replace('_', "");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(malformed());
        }
        match Decimal::from_str_exact(&digits) {
            Ok(dollars) => Ok(Self(dollars)),
            Err(rust_decimal::Error::ExceedsMaximumPossibleValue) => Err(UnitError::TooLarge { text: text.into() }),
            Err(_) => Err(malformed()),
        }
    }
}
