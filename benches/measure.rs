//! What a program takes: time, and memory at its peak.

use std::{
    io,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// What the runs of a program took.
pub struct Cost {
    /// The median of the times on the clock.
    pub wall: Duration,
    /// The least time that processors worked for it. Other work on the machine adds little to this.
    pub cpu: Duration,
    /// The most memory that a process of it held, in bytes.
    pub memory: u64,
}

impl Cost {
    /// The cost of several runs.
    pub fn of(runs: &[Self]) -> Self {
        let mut walls: Vec<Duration> = runs.iter().map(|run| run.wall).collect();
        walls.sort();
        Self {
            wall: walls.get(walls.len() / 2).copied().unwrap_or_default(),
            cpu: runs.iter().map(|run| run.cpu).min().unwrap_or_default(),
            memory: runs.iter().map(|run| run.memory).max().unwrap_or_default(),
        }
    }
}

/// Runs a program, which is to say nothing.
///
/// # Errors
/// When it can't be started, or ends with another exit status than `status`.
pub fn run(command: &mut Command, status: i32) -> io::Result<Cost> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    once(command, status)
}

fn once(command: &mut Command, wanted: i32) -> io::Result<Cost> {
    let started = Instant::now();
    let id = command.spawn()?.id();
    let (status, usage) = wait(id)?;
    let wall = started.elapsed();
    if !libc::WIFEXITED(status) || libc::WEXITSTATUS(status) != wanted {
        return Err(io::Error::other(format!("{command:?} did not end with {wanted}")));
    }
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Ok(Cost { wall, cpu: time(usage.ru_utime) + time(usage.ru_stime), memory: usage.ru_maxrss as u64 * unit })
}

/// Waits for a child: how it ended, and what it used. The standard library tells the first alone.
fn wait(id: u32) -> io::Result<(i32, libc::rusage)> {
    let mut status = 0;
    // SAFETY: a `rusage` is plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live variables of this function. The child is waited for here alone: what stands for
    // it in the standard library was dropped, which neither waits nor kills.
    let waited = unsafe { libc::wait4(id as libc::pid_t, &raw mut status, 0, &raw mut usage) };
    if waited < 0 { Err(io::Error::last_os_error()) } else { Ok((status, usage)) }
}

/// A time as a table shows it.
pub fn shown(time: Duration) -> String {
    match time.as_secs_f64() * 1e3 {
        ms if ms < 100.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.2} s", ms / 1e3),
    }
}

/// Memory as a table shows it.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A goal, and whether it was met.
pub fn verdict(goal: &str, met: bool) -> String {
    format!("{goal}, {}", if met { "met" } else { "missed" })
}

/// Milliseconds.
pub const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
