//! The processes below this one: found, asked to end, and ended with all that they start meanwhile.

use rustix::{
    fd::OwnedFd,
    io::Errno,
    process::{
        Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, pidfd_open, pidfd_send_signal, set_child_subreaper,
        wait, waitpid,
    },
};
use std::{
    fs, io,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    thread,
    time::{Duration, Instant},
};

/// How long a process that was killed may take to be gone. What hangs in the system longer can't be helped from here.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of the processes below this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// This one ended.
    Ended(Pid, ExitStatus),
    /// There are some, and none has ended.
    Busy,
    /// There is none.
    NoneLeft,
}

/// Lets what descendants of this process leave behind become its own children, whatever sessions they moved into, so
/// that it can end them.
///
/// # Errors
/// When the system can't do that.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Whether this process was started with a signal ignored, as `nohup` does.
pub fn ignores(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal.as_raw() - 1) & 1 == 1
}

/// A handle that becomes readable when a child of this process ends.
///
/// # Errors
/// When the system has no such handles.
pub fn handle(child: Pid) -> io::Result<OwnedFd> {
    Ok(pidfd_open(child, PidfdFlags::empty())?)
}

/// Takes leave of one child that has ended, if there is any.
pub fn reap() -> Reaped {
    match wait(WaitOptions::NOHANG) {
        Ok(Some((child, status))) => Reaped::Ended(child, ExitStatus::from_raw(status.as_raw())),
        Ok(None) | Err(Errno::INTR) => Reaped::Busy,
        Err(_) => Reaped::NoneLeft,
    }
}

/// Sends a signal to every process below this one.
pub fn signal_all(signal: Signal) {
    let me = getpid();
    let processes = processes();
    let mut parents = vec![me];
    while let Some(parent) = parents.pop() {
        for (child, _) in processes.iter().filter(|(_, of)| *of == parent) {
            // Its number may belong to another process by now, which has another parent. An orphan's is this process.
            let Ok(handle) = pidfd_open(*child, PidfdFlags::empty()) else { continue };
            if parent_of(*child).is_some_and(|now| now == parent || now == me) {
                let _ = pidfd_send_signal(&handle, signal);
                parents.push(*child);
            }
        }
    }
}

/// Kills every process below this one, and those that they start meanwhile, until none is left.
pub fn end_all() {
    let started = Instant::now();
    loop {
        match reap() {
            Reaped::NoneLeft => return,
            Reaped::Ended(..) => {}
            Reaped::Busy if started.elapsed() > PATIENCE => return,
            Reaped::Busy => {
                signal_all(Signal::KILL);
                thread::sleep(Duration::from_micros(200));
            }
        }
    }
}

/// Kills the children of this process but those to `keep`, and says whether there were any.
pub fn kill_children_but(keep: &[Pid]) -> bool {
    let me = getpid();
    let strays = processes().into_iter().filter(|(child, parent)| *parent == me && !keep.contains(child));
    let strays: Vec<Pid> = strays.map(|(child, _)| child).collect();
    for stray in &strays {
        // A child's number stays its own until this process takes leave of it.
        let _ = kill_process(*stray, Signal::KILL);
        let _ = waitpid(Some(*stray), WaitOptions::NOHANG);
    }
    !strays.is_empty()
}

/// Ends this process as another one ended, so that whoever waits for it learns the same.
pub fn end_like(status: ExitStatus) -> ! {
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        let _ = kill_process(getpid(), signal);
    }
    std::process::exit(status.code().unwrap_or(1))
}

/// Every process of the system with its parent.
fn processes() -> Vec<(Pid, Pid)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let number = |entry: fs::DirEntry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
    entries.flatten().filter_map(number).filter_map(|process| Some((process, parent_of(process)?))).collect()
}

fn parent_of(process: Pid) -> Option<Pid> {
    let stat = fs::read(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    // The name stands in parentheses and may hold anything; the state and the parent follow it.
    let after = stat.rsplit(|byte| *byte == b')').next()?;
    Pid::from_raw(str::from_utf8(after).ok()?.split_whitespace().nth(1)?.parse().ok()?)
}
