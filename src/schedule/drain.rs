//! What happens when the user wants to stop: nothing more begins, what is under way may end, and limits still hold.

use super::{
    Notice, Scheduler, Verdict,
    attempts::{Job, JobId, Owner},
    tree::in_short,
};
use crate::{
    value::Value,
    wire::{Done, Failure, Kind},
};

impl Scheduler<'_> {
    /// Lets nothing more begin. What has not begun, or waits for another try, is given up.
    pub(super) fn drain(&mut self) {
        if self.verdict.is_some() {
            return;
        }
        self.draining = true;
        self.verdict = Some(Verdict::Cancelled);
        self.jobs.retain(|_, job| job.since().is_some());
        self.queue.clear();
        self.ready.clear();
        self.sources.clear();
        let steps = self.jobs.values().filter(|job| job.owner != Owner::Nobody).count();
        if steps > 0 {
            self.note(Notice::Stopping { steps });
        }
    }

    /// A step that was under way is over. The log holds what came of it; nothing follows from it in this run.
    pub(super) fn drained(&mut self, job: Job, result: Result<Done, Failure>) {
        let step = job.path;
        match result {
            _ if job.owner == Owner::Nobody => {}
            Ok(done) => {
                let node = match job.owner {
                    Owner::Step(site) => self.node(site),
                    Owner::Trial(_) | Owner::Nobody => None,
                };
                let value = node.map_or(Value::None, |node| in_short(&node.kind, &done.output));
                self.note(Notice::StepDone { step, elapsed: job.worked, cost: job.cost, value });
            }
            Err(failure) if failure.kind == Kind::WorkerLost => self.note(Notice::StepStopped { step }),
            Err(failure) => self.note(Notice::StepFailed { step, failure }),
        }
    }

    /// Stops the attempts in scopes whose limit is reached by now.
    pub(super) fn stop_what_misses_its_limit(&mut self) {
        for (scope, _) in self.scopes.reach(self.now, &self.meters()) {
            let jobs: Vec<JobId> = self.jobs_in(scope).into_iter().map(|(job, _)| job).collect();
            jobs.into_iter().for_each(|job| self.drop_job(job));
        }
    }
}
