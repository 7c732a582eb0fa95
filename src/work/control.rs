use crate::processes;
use rustix::{
    event::{EventfdFlags, eventfd},
    fd::{AsFd, BorrowedFd, OwnedFd},
    io,
};
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

/// What those who gave a worker its job may say while it does it.
#[derive(Debug, Default)]
pub struct Control {
    /// Whether the run draws to an end: a training then stops at its next checkpoint.
    pub draining: AtomicBool,
    /// Whether a limit is reached: a training then ends with the best it has.
    pub cut: AtomicBool,
    /// Readable once the command is to stop; none where nobody can say so.
    stop: Option<OwnedFd>,
    /// Held while a process is started.
    starting: Mutex<()>,
}

impl Control {
    /// For a job that can be stopped.
    pub fn new() -> Self {
        // Without it a command can't be stopped in order, and is killed with its worker.
        Self { stop: eventfd(0, EventfdFlags::CLOEXEC).ok(), ..Self::default() }
    }

    /// Asks for the command to stop.
    pub fn stop(&self) {
        if let Some(stop) = &self.stop {
            let _ = io::write(stop, &1_u64.to_ne_bytes());
        }
    }

    /// Says that a limit is reached.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Says that the run draws to an end.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether somebody said so.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Kills all that the worker has started; it can start nothing after that.
    pub fn end(&self) -> MutexGuard<'_, ()> {
        let starting = self.starting();
        processes::end_all();
        starting
    }

    /// What becomes readable once the command is to stop.
    pub(super) fn stopped(&self) -> Option<BorrowedFd<'_>> {
        self.stop.as_ref().map(AsFd::as_fd)
    }

    /// Must be held while a process is started.
    pub(super) fn starting(&self) -> MutexGuard<'_, ()> {
        // It guards no data that a panic could leave half-changed.
        self.starting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
