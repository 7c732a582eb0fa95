//! What a step is thought to take before it runs, in time, money and memory, and the team that serves a training best.
//!
//! A training has the time of its operations, spread over the processors of its workers, and that of their exchange, by the
//! formulas of [`Exchange::time`](crate::wire::Exchange::time). What was measured corrects both.

mod adapt;
mod belief;
mod decision;
mod exchanges;
mod needs;
mod platform;
mod spread;
mod task;
mod team;

pub use adapt::{Chosen, Stand};
pub use belief::{Belief, Seen};
pub use decision::{Decision, Limits, Remaining};
pub use exchanges::{Exchanges, Exchanging};
pub use needs::Needs;
pub use platform::{Platform, Warm};
pub use spread::Spread;
pub use task::{Known, Task, rows};
pub use team::{Crew, Pace, Step, Stretch};
