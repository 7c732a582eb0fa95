//! Durations, money, sizes and percentages: how they are written, printed and combined.
//!
//! Units are types. Nothing here converts between them: adding `$5` to `2h` is the checker's error to report.

mod duration;
mod money;
mod percent;
mod size;

pub use duration::Duration;
pub use money::Money;
pub use percent::Percent;
pub use size::Size;

/// A literal that looks like a unit but is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text is not a number followed by a unit of this kind.
    #[error("`{text}` is not {expected}")]
    Malformed {
        /// What was written.
        text: String,
        /// What would have been right, with an example.
        expected: &'static str,
    },
    /// The value does not fit the type that holds it.
    #[error("`{text}` is too large")]
    TooLarge {
        /// What was written.
        text: String,
    },
}
