//! The scheduler as a pure state machine: the time and an event in, actions out. It has no clock and does no I/O, so the
//! local driver, tests on virtual time and the replay of a log all drive the same one.

mod event;

pub use event::{Action, Attempt, Event, Launch, Mark, Notice, StepPath, Time, Verdict};
