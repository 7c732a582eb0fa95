//! The parameter stores: one list of checks for all of them, one of what exchanges through them move, and what each can fail
//! at.

mod addresses;
#[cfg(feature = "worker")]
mod aggregator;
mod blobs;
mod conformance;
mod exchange;
mod memory;
mod redis;
#[path = "../shared/redis_server.rs"]
mod redis_server;
#[path = "../shared/s3_server.rs"]
mod s3_server;
mod served;
#[path = "../../benches/shaper.rs"]
mod shaper;
mod shaping;
mod tls;
