//! The system's own answer to too little memory.

use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::{fs, process::ExitStatus};

/// How many processes the system has killed because its memory, or that of a control group, was used up: `oom_kill` in
/// proc_vmstat(5). It is 0 where the system does not tell.
pub fn kills() -> u64 {
    let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// Whether a process that began after so many `kills` ended by one.
pub fn was_killed(status: ExitStatus, before: u64) -> bool {
    status.signal() == Some(Signal::KILL.as_raw()) && kills() > before
}
