//! Runs of the program itself, on real data and with real processes: results, repeatability, and what becomes of a run
//! when processes are killed.

mod cache;
mod chaos;
mod commands;
mod data;
mod elastic;
mod faults;
mod history;
mod limits;
mod processes;
mod project;
mod python;
#[path = "../shared/redis_server.rs"]
mod redis_server;
mod resources;
mod results;
mod resume;
mod secrets;
