//! A command's process, and all that it starts, until nothing of it is left.

use super::{Control, events::Events, log::Log};
use crate::{
    processes::{self, Reaped},
    wire::GRACE,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::Errno,
    process::{Pid, Signal},
};
use std::{
    io::{self, PipeReader, Read},
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

/// How often to see whether a process has ended where nothing tells of it.
const TICK: Duration = Duration::from_millis(10);

/// How often to take leave of what a command's children have left behind, so that it does not pile up.
const SWEEP: Duration = Duration::from_secs(1);

/// What is no descendant of the command may hold its output open; the log ends this long after the last line.
const LINGER: Duration = Duration::from_millis(100);

/// How a command ended.
pub(super) struct Ended {
    pub status: ExitStatus,
    /// Whether it was asked to.
    pub stopped: bool,
}

/// Follows a command until it has ended, and lets nothing that it has started outlive it. When it is to stop, all of it
/// is asked to end, and may take [`GRACE`] to do so.
pub(super) fn follow(
    child: &Child,
    mut output: PipeReader,
    events: &mut Option<Events>,
    control: &Control,
    log: &mut Log,
) -> io::Result<Ended> {
    let child = Pid::from_child(child);
    let handle = processes::handle(child).ok();
    let (mut status, mut is_open, mut kill_at) = (None, true, None);
    let mut some_left = true;
    while some_left {
        let alone = status.is_none().then_some(()).and(handle.as_ref());
        let timeout = if kill_at.is_none() && alone.is_some() { SWEEP } else { TICK };
        let stop = control.stopped().filter(|_| kill_at.is_none());
        let ready = wait(is_open.then_some(&output), stop, alone, events.as_ref(), timeout)?;
        if ready.output {
            is_open = log_more(&mut output, log)?;
        }
        if let Some(events) = events.as_mut().filter(|_| ready.events) {
            events.hear(log);
        }
        if ready.stop {
            processes::signal_all(Signal::TERM);
            kill_at = Some(Instant::now() + GRACE);
        }
        if kill_at.is_some_and(|at| at <= Instant::now()) {
            processes::signal_all(Signal::KILL);
        }
        loop {
            match processes::reap() {
                Reaped::Ended(ended, how) if ended == child => status = Some(how),
                Reaped::Ended(..) => {}
                Reaped::Busy => break,
                Reaped::NoneLeft => {
                    some_left = false;
                    break;
                }
            }
        }
        if some_left && status.is_some() && kill_at.is_none() {
            processes::end_all();
            some_left = false;
        }
    }
    while is_open && wait(Some(&output), None, None, None, LINGER)?.output {
        is_open = log_more(&mut output, log)?;
    }
    let status = status.ok_or_else(|| io::Error::other("it was ended by its worker"))?;
    Ok(Ended { status, stopped: kill_at.is_some() })
}

/// Reads what the command has written; `false` when nothing can come any more.
fn log_more(output: &mut PipeReader, log: &mut Log) -> io::Result<bool> {
    let mut buffer = [0; 64 << 10];
    let count = output.read(&mut buffer)?;
    log.take(&buffer[..count]);
    log.flush();
    Ok(count > 0)
}

/// What can be gone on with.
struct Ready {
    output: bool,
    stop: bool,
    events: bool,
}

fn wait(
    output: Option<&PipeReader>,
    stop: Option<BorrowedFd>,
    process: Option<&OwnedFd>,
    events: Option<&Events>,
    timeout: Duration,
) -> io::Result<Ready> {
    let sources = [output.map(AsFd::as_fd), stop, process.map(AsFd::as_fd)];
    let all = sources.iter().flatten().copied().chain(events.into_iter().flat_map(Events::sources));
    let mut awaited: Vec<PollFd> = all.map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN)).collect();
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
    match poll(&mut awaited, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut ready = awaited.iter().map(|source| !source.revents().is_empty());
    let [output, stop, _] = sources.map(|source| source.is_some() && ready.next() == Some(true));
    Ok(Ready { output, stop, events: ready.any(|is_ready| is_ready) })
}
