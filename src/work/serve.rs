use super::{Control, Worker};
use crate::wire::{Failure, Job, Kind, Outcome, Reply};
use std::{
    io::{self, Write},
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

/// A job, if it could be read, and what may be said of it while it is done.
pub type Ordered = (serde_json::Result<Box<Job>>, Arc<Control>);

/// Serves jobs until there are no more: the progress and the end of each go out, a line each.
///
/// # Errors
/// When the output is closed.
pub fn serve(jobs: impl IntoIterator<Item = Ordered>, mut output: impl Write) -> io::Result<()> {
    let mut worker = Worker::default();
    for (job, control) in jobs {
        let reply = match job {
            Ok(job) => attempt(&mut worker, &job, &control, &mut output),
            Err(error) => Reply::Failed(Failure::new(Kind::TaskFailed, format!("the job can't be read: {error}"))),
        };
        send(&mut output, &reply)?;
    }
    Ok(())
}

fn attempt(worker: &mut Worker, job: &Job, control: &Control, output: &mut impl Write) -> Reply {
    // A closed output shows again when the job's end is sent.
    let mut report = |progress| drop(send(output, &Reply::Progress(progress)));
    let done = panic::catch_unwind(AssertUnwindSafe(|| worker.work(job, control, &mut report)));
    match done {
        Ok(Ok(Outcome::Done(done))) => Reply::Done(done),
        Ok(Ok(Outcome::Left)) => Reply::Left,
        Ok(Err(failure)) => Reply::Failed(failure),
        Err(panic) => {
            // What the panic left of the worker's data is not to be trusted.
            *worker = Worker::default();
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            let message = format!("smltc itself failed: {}", text.unwrap_or("no reason given"));
            Reply::Failed(Failure::new(Kind::TaskFailed, message).help("please report it, with the workflow file"))
        }
    }
}

fn send(output: &mut impl Write, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}
