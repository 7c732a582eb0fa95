use super::UnitError;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("B", 1),
];

/// A number of bytes, written `512MiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Size(u64);

impl Size {
    /// A size of `bytes` bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size of `mib` mebibytes.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// The bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in mebibytes, rounded up.
    pub const fn mib(self) -> u64 {
        self.0.div_ceil(1 << 20)
    }

    /// The sum, or `None` past the largest size.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// This size `factor` times, rounded to the byte, or `None` out of range.
    pub fn checked_mul(self, factor: f64) -> Option<Self> {
        let bytes = self.0 as f64 * factor;
        (0.0..u64::MAX as f64).contains(&bytes).then(|| Self(bytes.round() as u64))
    }
}

impl fmt::Display for Size {
    /// The largest unit that divides the size, so that what is printed can be written back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.into_iter().find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes));
        match exact {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => f.write_str("0KB"),
        }
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let malformed = || UnitError::Malformed { text: text.into(), expected: "a size, such as `512MiB` or `2GB`" };
        let digits = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(malformed)?;
        let (_, bytes) = UNITS.into_iter().find(|(unit, _)| *unit == &text[digits..]).ok_or_else(malformed)?;
        let number: f64 = text[..digits].replace('_', "").parse().map_err(|_| malformed())?;
        if number < 0.0 {
            return Err(malformed());
        }
        Self(bytes).checked_mul(number).ok_or_else(|| UnitError::TooLarge { text: text.into() })
    }
}
