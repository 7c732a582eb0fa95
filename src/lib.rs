//! A compiler and executor for `.smlt`, a small language for machine-learning workflows with a deadline and a budget.
#![warn(missing_docs)]

pub mod expr;
pub mod seed;
pub mod source;
pub mod types;
pub mod units;
pub mod value;
pub mod wire;
