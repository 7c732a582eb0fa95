//! `smlt-worker`: the bootstrap of a Lambda function. Each invocation is a job; its answer is what came of it.

use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use smlt::{
    wire::{Failure, Job, Outcome},
    work::{Control, Worker},
};
use std::sync::Mutex;

/// The failure's kind is the error's type, which `Retry` and `Catch` of a state machine match.
#[derive(Debug)]
struct Failed(Failure);

impl From<Failed> for Diagnostic {
    fn from(Failed(failure): Failed) -> Self {
        Self { error_type: failure.kind.name().to_owned(), error_message: failure.message }
    }
}

fn invoke(worker: &Mutex<Worker>, job: &Job) -> Result<Outcome, Failed> {
    let mut worker = worker.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    worker
        .work(job, &Control::default(), &mut |progress| {
            eprintln!("{}", serde_json::json!({ "path": job.path, "progress": progress }));
        })
        .map_err(Failed)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let worker = Mutex::new(Worker::default());
    run(service_fn(async |event: LambdaEvent<Job>| invoke(&worker, &event.payload))).await
}
