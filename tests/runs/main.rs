//! Runs of the program itself, on real data and with real processes: results, repeatability, and what becomes of a run
//! when processes are killed.

mod cache;
mod data;
mod faults;
mod history;
mod limits;
mod processes;
mod project;
mod resources;
mod results;
mod resume;
