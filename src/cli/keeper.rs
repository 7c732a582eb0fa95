use super::{Exit, worker};
use crate::processes;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::Pid,
};
use std::{
    env, fs, io,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus},
};

/// How long a worker may take to end when the run is gone; one that hangs is killed.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Keep a worker: what `smltc run` starts for each. It does nothing but wait, so little can happen to it, and ends what
/// its worker leaves behind when that ends, or when the run is gone.
///
/// All that a worker starts has its keeper above it, and comes back to it whatever session it moved into. Only who kills
/// the run, the keeper and the worker at the same time gets a command to outlive them.
pub fn main() -> Exit {
    // Whoever kills `smltc` by its name is not to meet the one that cleans up. It's no matter where there is no such file.
    let _ = fs::write("/proc/self/comm", "smlt-keeper");
    if processes::adopt_orphans().is_err() {
        return worker::main();
    }
    match start().and_then(keep) {
        Ok(status) => processes::end_like(status),
        Err(error) => {
            super::complain(format_args!("error: a worker can't be kept: {error}"));
            processes::end_all();
            Exit::Failed
        }
    }
}

/// The worker reads the same input and writes to the same output.
fn start() -> io::Result<Child> {
    Command::new(env::current_exe()?).arg0("smltc").arg("worker").spawn()
}

/// Waits until the worker ends or nobody writes to its input any more, and ends what is left.
fn keep(mut worker: Child) -> io::Result<ExitStatus> {
    // Where the system has no such handles, the worker alone sees that the run is gone.
    if let Ok(handle) = processes::handle(Pid::from_child(&worker)) {
        let input = io::stdin();
        loop {
            // What can be read is for the worker; only the end of the input is told.
            let mut awaited = [PollFd::new(&input, PollFlags::empty()), PollFd::new(&handle, PollFlags::IN)];
            match poll(&mut awaited, None) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => break,
                Err(error) => return Err(error.into()),
            }
        }
        // When its input has ended, the worker ends what it has started, and itself. Were it killed at once, nobody would do
        // so if this process is killed as well.
        let mut awaited = [PollFd::new(&handle, PollFlags::IN)];
        let _ = poll(&mut awaited, Some(&PATIENCE));
        worker.kill()?;
    }
    let status = worker.wait()?;
    processes::end_all();
    Ok(status)
}
