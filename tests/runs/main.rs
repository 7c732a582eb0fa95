//! Runs of the program itself, on real data and with real processes: results, repeatability, and what becomes of a run
//! when processes are killed.

mod commands;
mod faults;
mod limits;
mod project;
mod python;
mod results;
mod secrets;
