//! What crosses a process boundary: an [`Order`] with a [`Job`] in, [`Progress`] while it works, [`Done`] or [`Failure`]
//! out, a JSON line each.
//!
//! A local worker process and a Lambda worker differ only in who delivers the job.

mod carried;
mod charge;
mod elastic;
mod errand;
mod failure;
mod fence;
mod fit;
mod invocation;
mod job;
mod load;
mod needs;
mod progress;
mod relay;
mod round;
mod secret;
mod variable;

pub use carried::{Carried, Stored};
pub use charge::Charge;
pub use elastic::{Adapt, Averaging, Codec, Every, Exchange, Goal, MAX_SHARDS, Staged, Team, Workers, shards, spared};
pub use errand::{Errand, Returned};
pub use failure::{Failure, Kind};
pub use fence::Fence;
pub use fit::Measured;
pub use invocation::{Answer, CLOUD_ERRORS, Caught, Cause, Invocation, RunFacts, key};
pub use job::{Command, Evaluate, GRACE, Horizon, Inspect, Job, Op, Order, Program, Rung, Train, Word};
pub use load::{Cut, Link, Load, group};
pub use progress::{Done, EpochMetrics, Facts, Outcome, Progress, Reply, Trained};
pub use relay::{Part, Placement, Relay, Standing, Went};
pub use round::{Aggregated, Aggregation, Begun, Lap, Role, Round, RoundId, Seat};
pub use secret::{Secret, Secrets};
pub use variable::is_taken_variable;

/// Which build of smltc this is. Workers that train together are of one, since others may compute other bits.
pub const BUILD: &str =
    if cfg!(feature = "cuda") { concat!(env!("CARGO_PKG_VERSION"), "+cuda") } else { env!("CARGO_PKG_VERSION") };
