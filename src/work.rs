//! One function from a job to what came of it: what every worker does, on this machine or in the cloud.

pub mod aggregate;
mod command;
mod control;
#[cfg(feature = "s3")]
mod deployed;
pub mod memory;
mod pins;
mod rehearsal;
mod serve;
#[cfg(feature = "s3")]
mod shared;
mod training;

pub use control::Control;
#[cfg(feature = "s3")]
pub use deployed::{Call, Deployed, Failed};
pub use rehearsal::rehearse;
pub use serve::{Ordered, serve};
#[cfg(feature = "s3")]
pub use shared::Shared;

use crate::{
    data::{self, Data, Files, Print, dealt::Hand},
    ml::{self, Context},
    store::{Objects, ParameterStore},
    units::Duration,
    value::{Dataset, Part, Value},
    wire::{Done, Failure, Job, Op, Outcome, Progress, Secret},
};
use std::{sync::Arc, time::Instant};

/// The data sets that a worker keeps in memory, for jobs that read the same ones.
const KEPT: usize = 4;

/// A worker with the data that it has read.
#[derive(Default)]
pub struct Worker {
    /// Most recently used last.
    kept: Vec<(String, Arc<Data>)>,
    /// Samples of the last training that it had a seat in.
    hand: Option<Hand>,
    /// The store where the workers of the last training met: its address, and what the run's keys begin with.
    met: Option<(Secret, String, Arc<dyn ParameterStore>)>,
    /// Where the last command ran, if that is as new.
    kept_by_commands: command::Kept,
}

impl Worker {
    /// Does a job, and reports how far it is; `control` may end it early.
    ///
    /// # Errors
    /// With the failure that the scheduler and the user are to hear of.
    pub fn work(&mut self, job: &Job, control: &Control, report: &mut dyn FnMut(Progress)) -> Result<Outcome, Failure> {
        let started = Instant::now();
        let objects = Objects::open(&job.objects).by_way_of(&job.work);
        let mut context = Context {
            threads: job.threads.max(1),
            time_left: job.time_left,
            draining: &control.draining,
            cut: &control.cut,
            objects: &objects,
            scratch: &job.scratch,
            report,
        };
        match &job.op {
            Op::Inspect(inspect) => {
                let data = self.load(&inspect.data, job, &objects)?;
                let output = Value::from(data.facts.clone());
                Ok(Outcome::Done(Done { output, trained: None, elapsed: Duration::from(started.elapsed()) }))
            }
            Op::Train(train) => self.train(train, job, &objects, &mut context),
            Op::Evaluate(evaluate) => {
                let data = self.load(&evaluate.data, job, &objects)?;
                ml::evaluate(evaluate, &data, &mut context).map(Outcome::Done)
            }
            Op::Command(command) => {
                command::run(command, job, &objects, control, &mut self.kept_by_commands, report).map(Outcome::Done)
            }
        }
    }

    /// A data set's data. What was read before serves again while its files have not changed.
    fn load(&mut self, dataset: &Dataset, job: &Job, objects: &Objects) -> Result<Arc<Data>, Failure> {
        let files = Files::find(dataset, &job.project, objects)?;
        let whole = Dataset { part: Part::Whole, ..dataset.clone() };
        let key = format!("{:?}{whole:?}{}", job.run, files.stamp());
        let serves = |(kept, data): &(String, Arc<Data>)| *kept == key && data.prints.iter().all(Print::is_current);
        if let Some(index) = self.kept.iter().position(serves) {
            let kept = self.kept.remove(index);
            self.kept.push(kept.clone());
            return Ok(kept.1);
        }
        self.hand = None;
        let data = Arc::new(data::load(dataset, &files)?);
        pins::hold(job, &data.prints)?;
        if self.kept.len() >= KEPT {
            self.kept.remove(0);
        }
        self.kept.push((key, data.clone()));
        Ok(data)
    }
}
