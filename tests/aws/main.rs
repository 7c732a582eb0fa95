//! Workflows on this machine and in an emulated cloud come to the same: the state machines that `smltc build` writes run in
//! an interpreter of the States Language, and call the real worker as Lambda would.

mod account;
mod bucket;
mod cloud;
mod deploy;
mod differential;
mod faults;
mod generator;
mod large;
mod limits;
#[path = "../shared/s3_server.rs"]
mod s3_server;
mod split;
mod validity;
