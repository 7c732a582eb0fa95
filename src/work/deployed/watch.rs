//! Who watches over a job: the time of its call, and the limits around it.

use super::{
    super::Control,
    ledger::Ledger,
    limits::{Limits, Reached},
};
use crate::wire::spared;
use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

/// How often to look at what others spend of the same money.
const PAUSE: Duration = Duration::from_secs(1);

/// What is watched.
pub(super) struct Watch<'a> {
    pub control: &'a Control,
    /// Whether it is a training, which ends by itself a little earlier, so as to keep what it has.
    pub trains: bool,
    /// Whether a limit stops it. Who trains with others leaves that to one of them.
    pub stops: bool,
    /// After how long it stops at a checkpoint, if it can.
    pub drains: Option<Duration>,
    pub limits: &'a Limits,
    pub ledger: &'a Ledger,
}

impl Watch<'_> {
    /// Watches until the job is over, and tells which limit was reached.
    pub fn until(&self, over: &Receiver<()>) -> Option<Reached> {
        let began = Instant::now();
        let mut margin = None;
        loop {
            // What can't be read now is read the next time.
            let nearest = self.limits.nearest(self.ledger, None).ok().flatten().filter(|_| self.stops);
            let strikes = nearest.as_ref().map(|(left, _)| {
                let margin = *margin.get_or_insert_with(|| if self.trains { spare(*left) } else { Duration::ZERO });
                left.saturating_sub(margin)
            });
            if strikes.is_some_and(|left| left.is_zero()) {
                if self.trains {
                    self.control.cut()
                } else {
                    self.control.stop()
                }
                return nearest.map(|(_, reached)| reached);
            }
            let drains = self.drains.map(|at| at.saturating_sub(began.elapsed()));
            if drains.is_some_and(|left| left.is_zero()) {
                self.control.drain();
                return None;
            }
            let looks = self.limits.have_budget().then_some(PAUSE);
            let wakes = [strikes, drains, looks].into_iter().flatten().min();
            let heard = match wakes {
                Some(after) => over.recv_timeout(after),
                None => over.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            if heard != Err(RecvTimeoutError::Timeout) {
                return None;
            }
        }
    }
}

/// What a training leaves of its time for writing its weights.
pub(super) fn spare(left: Duration) -> Duration {
    Duration::from_secs_f64(spared(left.as_secs_f64()))
}
