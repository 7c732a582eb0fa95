//! What happens when the user wants to stop, and when a run goes on: nothing more begins meanwhile, what is under way may
//! end, limits still hold, and what does not end then begins again later.

use super::{
    Attempt, Notice, Scheduler,
    attempts::{Job, JobId, Owner},
};
use crate::wire::{Failure, Kind};

impl Scheduler<'_> {
    /// Lets nothing more begin. What ends well meanwhile counts.
    pub(super) fn drain(&mut self) {
        if self.draining || self.verdict.is_some() {
            return;
        }
        self.draining = true;
        let steps = self.running.len() - self.dying.len();
        if steps > 0 {
            self.note(Notice::Stopping { steps });
        }
    }

    /// Lets everything begin again that was under way: no process is left that would report of it.
    pub(super) fn resume(&mut self) {
        (self.draining, self.finished, self.wake) = (false, false, None);
        let running: Vec<Attempt> = self.jobs.values().filter(|job| job.since().is_some()).map(Job::attempt).collect();
        for attempt in running {
            if let Some((id, job)) = self.close_attempt(&attempt).filter(|(_, job)| job.owner != Owner::Nobody) {
                self.put_back(id, job);
            }
        }
    }

    /// An attempt did not end well while nothing more was to begin: it is to be made again when the run goes on.
    pub(super) fn give_up(&mut self, id: JobId, job: Job, failure: Failure) {
        let step = job.path.clone();
        self.note(match failure.kind {
            Kind::WorkerLost => Notice::StepStopped { step },
            _ => Notice::StepFailed { step, failure },
        });
        self.put_back(id, job);
    }

    /// Puts a job back in line, where it stood; its last attempt counts as none.
    fn put_back(&mut self, id: JobId, mut job: Job) {
        job.put_back();
        self.jobs.insert(id, job);
        self.line_up(id);
    }
}
