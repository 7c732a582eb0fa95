//! What happens when the user wants to stop, and when a run goes on: nothing more begins meanwhile, what is under way may
//! end, limits still hold, and what does not end then begins again later.

use super::{
    Notice, Scheduler,
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
        let steps = self.jobs.values().filter(|job| job.is_running() && job.owner != Owner::Nobody).count();
        if steps > 0 {
            self.note(Notice::Stopping { steps });
        }
    }

    /// Lets everything begin again that was under way: no process is left that would report of it.
    pub(super) fn resume(&mut self) {
        (self.draining, self.finished, self.wake) = (false, false, None);
        let running: Vec<JobId> = self.jobs.iter().filter(|(_, job)| job.is_running()).map(|(id, _)| *id).collect();
        // What began first is first in the queue again.
        for id in running.into_iter().rev() {
            if let Some(job) = self.end_attempt(id).filter(|job| job.owner != Owner::Nobody) {
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

    /// Puts a job back at the head of the queue; its last attempt counts as none.
    fn put_back(&mut self, id: JobId, mut job: Job) {
        job.put_back();
        self.jobs.insert(id, job);
        self.queue.push_front(id);
    }
}
