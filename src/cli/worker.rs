use super::Exit;
use crate::work;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::io;

/// Do the jobs that come as lines of JSON: what `smltc run` starts.
pub fn main(parent: i32) -> Exit {
    // A worker must not outlive the run that it works for, not even one that was killed.
    let dies_with_parent = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    if !dies_with_parent || getppid() != Pid::from_raw(parent) {
        return Exit::Failed;
    }
    match work::serve(io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => Exit::Ok,
        Err(_) => Exit::Failed,
    }
}
