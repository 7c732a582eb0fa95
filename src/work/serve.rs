use super::Worker;
use crate::wire::{Failure, Job, Kind, Reply};
use serde::Deserialize;
use std::{
    io::{self, Write},
    panic::{self, AssertUnwindSafe},
};

/// Serves jobs until there are no more: a line comes in for each, its progress and its end go out, a line each.
///
/// # Errors
/// When the output is closed.
pub fn serve(jobs: impl IntoIterator<Item = String>, mut output: impl Write) -> io::Result<()> {
    let mut worker = Worker::default();
    for line in jobs {
        let reply = match read(&line) {
            Ok(job) => attempt(&mut worker, &job, &mut output),
            Err(error) => Reply::Failed(Failure::new(Kind::TaskFailed, format!("the job can't be read: {error}"))),
        };
        send(&mut output, &reply)?;
    }
    Ok(())
}

/// A job's expressions may be nested deeper than JSON from strangers should be.
fn read(line: &str) -> serde_json::Result<Job> {
    let mut json = serde_json::Deserializer::from_str(line);
    json.disable_recursion_limit();
    Job::deserialize(&mut json)
}

fn attempt(worker: &mut Worker, job: &Job, output: &mut impl Write) -> Reply {
    // A closed output shows again when the job's end is sent.
    let mut report = |progress| drop(send(output, &Reply::Progress(progress)));
    let done = panic::catch_unwind(AssertUnwindSafe(|| worker.work(job, &mut report)));
    match done {
        Ok(Ok(done)) => Reply::Done(done),
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
