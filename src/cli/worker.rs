use super::Exit;
use crate::work;
use rustix::process::{Signal, getpgrp, kill_process_group};
use std::{
    io,
    sync::mpsc::{Receiver, channel},
    thread,
};

/// Do the jobs that come as lines of JSON: what `smltc run` starts, as the leader of a process group.
pub fn main() -> Exit {
    match work::serve(jobs(), io::stdout().lock()) {
        Ok(()) => Exit::Ok,
        Err(_) => Exit::Failed,
    }
}

/// The jobs, heard on a thread of its own: when the run that the worker works for is gone, even in the middle of a job,
/// nothing that the worker has started may outlive it.
fn jobs() -> Receiver<String> {
    let (sender, jobs) = channel();
    thread::spawn(move || {
        io::stdin().lines().map_while(Result::ok).take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        // It takes this process along, so nobody is left to hear of an error.
        let _ = kill_process_group(getpgrp(), Signal::KILL);
    });
    jobs
}
