//! The parameter stores: one list of checks for all of them, and what each can fail at.

mod addresses;
mod blobs;
mod conformance;
mod memory;
mod redis;
#[path = "../shared/redis_server.rs"]
mod redis_server;
mod served;
#[path = "../../benches/shaper.rs"]
mod shaper;
mod shaping;
mod tls;
