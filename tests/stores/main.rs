//! The parameter stores: one list of checks for all of them, and what each can fail at.

mod blobs;
mod conformance;
mod memory;
mod redis;
mod served;
#[path = "../../benches/shaper.rs"]
mod shaper;
mod shaping;
