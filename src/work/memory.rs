//! A worker's memory: how it keeps it, and the system's own answer to too little of it.

use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::{
    fs,
    process::ExitStatus,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Pieces of up to so many bytes come from what the process has; glibc takes no larger number.
#[cfg(target_env = "gnu")]
const PIECE: i32 = 32 << 20;

/// The process keeps so many bytes that are free.
#[cfg(target_env = "gnu")]
const KEPT: i32 = 256 << 20;

/// Lets this process keep what each step of a training frees, for the next step. glibc would give it back to the system and
/// take new pages each time, which costs as much as computing does.
pub fn keep() {
    #[cfg(target_env = "gnu")]
    for (limit, bytes) in [(libc::M_MMAP_THRESHOLD, PIECE), (libc::M_TRIM_THRESHOLD, KEPT)] {
        // SAFETY: it sets a number of the allocator, and touches no memory that is in use.
        unsafe { libc::mallopt(limit, bytes) };
    }
}

/// How many processes the system had killed a moment ago because its memory, or that of a control group, was used up:
/// `oom_kill` in proc_vmstat(5), which is 0 where the system does not tell. It is read once a second at most, since that
/// takes as long as a tenth of starting a process.
pub fn kills() -> u64 {
    static LAST: Mutex<Option<(Instant, u64)>> = Mutex::new(None);
    // What it guards is changed in one go.
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match *last {
        Some((at, kills)) if at.elapsed() < Duration::from_secs(1) => kills,
        _ => {
            let kills = kills_now();
            *last = Some((Instant::now(), kills));
            kills
        }
    }
}

fn kills_now() -> u64 {
    let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// Whether a process that began after so many `kills` ended by one.
pub fn was_killed(status: ExitStatus, before: u64) -> bool {
    status.signal() == Some(Signal::KILL.as_raw()) && kills_now() > before
}
