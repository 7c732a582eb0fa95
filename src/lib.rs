//! A compiler and executor for `.smlt`, a small language for machine-learning workflows with a deadline and a budget.
#![warn(missing_docs)]

// The parser that pest makes without its guard of the stack, which `syntax::brackets` makes needless, names it.
#[cfg(feature = "compile")]
extern crate alloc;

#[cfg(feature = "compile")]
pub mod asl;
#[cfg(feature = "local")]
pub mod cache;
#[cfg(feature = "compile")]
pub mod check;
#[cfg(feature = "compile")]
pub mod cli;
#[cfg(feature = "aws")]
pub mod cloud;
#[cfg(feature = "work")]
pub mod data;
#[cfg(feature = "local")]
pub mod database;
#[cfg(feature = "compile")]
pub mod diagnostic;
#[cfg(any(feature = "compile", feature = "work"))]
pub mod disk;
#[cfg(feature = "compile")]
pub mod doc;
#[cfg(any(feature = "compile", feature = "work"))]
pub mod elastic;
pub mod expr;
#[cfg(any(feature = "compile", feature = "work"))]
pub mod forecast;
#[cfg(feature = "compile")]
pub mod format;
#[cfg(feature = "compile")]
pub mod graph;
pub mod layers;
pub mod limits;
#[cfg(feature = "local")]
pub mod local;
#[cfg(feature = "work")]
pub mod ml;
#[cfg(any(feature = "compile", feature = "work"))]
pub mod normal;
#[cfg(feature = "compile")]
pub mod plan;
#[cfg(any(feature = "compile", feature = "work"))]
pub mod prices;
#[cfg(feature = "work")]
pub mod processes;
#[cfg(feature = "local")]
pub mod runs;
#[cfg(feature = "compile")]
pub mod schedule;
#[cfg(any(feature = "compile", feature = "work"))]
pub mod search;
pub mod seed;
#[cfg(feature = "compile")]
pub mod simulate;
pub mod source;
#[cfg(feature = "compile")]
pub mod stack;
#[cfg(feature = "compile")]
pub mod stdlib;
#[cfg(any(feature = "compile", feature = "work"))]
pub mod step;
#[cfg(feature = "work")]
pub mod store;
#[cfg(feature = "work")]
pub mod sync;
#[cfg(feature = "compile")]
pub mod syntax;
pub mod types;
pub mod units;
pub mod value;
pub mod wire;
#[cfg(feature = "work")]
pub mod work;
