//! `smlt-worker`: the bootstrap of a Lambda function. A state machine calls it for an entry of the workflow's book, which
//! lies beside it or where `SMLT_BOOK` says; `SMLT_SHARED` is the folder or the bucket that all workers share, and
//! `SMLT_STORE` the parameter store where those who train together meet, in the place of a part of it. Its answer is what the
//! entry's variables come to, and the type of its error is the failure's kind.
//!
//! `smlt-worker aggregate` sums beside a parameter store for workers that exchange gradients by `in_store`. It reads rounds,
//! a line of JSON each, and does one after the other:
//!
//! ```json
//! {"store": "redis://host", "run": "fox", "name": "main.net.1", "round": 1, "of": 4, "codec": "f32", "silence": 5000}
//! ```
//!
//! These are the fields of a worker's seat, with `codec` and, in milliseconds, `silence`. For each it writes a line,
//! `{"round":1,"failure":null}`, or why the round was lost. It ends when its input has ended and the last round is over,
//! whoever had left it, or when it is asked to by SIGTERM or SIGINT. Exit codes:
//!
//! - 0: the workers of the last round have left it in order, or it was asked to end
//! - 1: the last round was given up, or one of its workers did not come or was lost
//! - 2: it was told what makes no sense
//! - 3: the store can't be used

use lambda_runtime::{Diagnostic, LambdaEvent, run, service_fn};
use smlt::{
    wire::{Answer, Invocation, Secret},
    work::{Call, Deployed, Failed, Shared, aggregate, memory},
};
use std::{
    env, fs,
    io::{self, BufRead},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};
use tokio::{
    runtime::Builder,
    select,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::timeout,
};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// How long an aggregator that was asked to end may take to leave its round.
const PATIENCE: Duration = Duration::from_secs(1);

/// A failure as Lambda tells it: its kind is the error's type, which `Retry` and `Catch` of a state machine match.
#[derive(Debug)]
struct Told(Failed);

impl From<Told> for Diagnostic {
    fn from(Told(Failed { kind, cause }): Told) -> Self {
        // All keys are texts.
        Self { error_type: kind.name().to_owned(), error_message: serde_json::to_string(&cause).unwrap_or_default() }
    }
}

fn invoke(worker: &Mutex<Deployed>, event: &LambdaEvent<Invocation>) -> Result<Answer, Told> {
    let mut worker = worker.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let invocation = &event.payload;
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let run = &invocation.run.id;
    let mut report = |progress| {
        eprintln!("{}", serde_json::json!({ "run": run, "path": invocation.path, "progress": progress }));
    };
    let mut call = Call { id: &event.context.request_id, time: left, report: &mut report };
    worker.answer(invocation, &mut call).map_err(Told)
}

/// The worker of the workflow whose book lies beside it.
fn open() -> Result<Deployed, Error> {
    let beside = || env::var_os("LAMBDA_TASK_ROOT").map(|folder| Path::new(&folder).join("book.json"));
    let path = env::var_os("SMLT_BOOK").map(PathBuf::from).or_else(beside).unwrap_or_else(|| "book.json".into());
    let text = fs::read(&path).map_err(|error| format!("the book `{}` can't be read: {error}", path.display()))?;
    let book = serde_json::from_slice(&text).map_err(|error| format!("`{}` is no book: {error}", path.display()))?;
    let shared = env::var_os("SMLT_SHARED").unwrap_or_else(|| "/mnt/smlt".into());
    let store = env::var("SMLT_STORE").ok().map(Secret::new);
    Ok(Deployed::new(book, Shared::open(&shared)?, store))
}

fn main() -> Result<ExitCode, Error> {
    // SAFETY: this is the only thread. As for a local worker: a step has the threads of its job, and no others.
    unsafe { env::set_var("RAYON_NUM_THREADS", "1") };
    memory::keep();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    match env::args().nth(1).as_deref() {
        None => {
            let worker = Mutex::new(open()?);
            let calls = service_fn(async |event: LambdaEvent<Invocation>| invoke(&worker, &event));
            runtime.block_on(run(calls)).map(|()| ExitCode::SUCCESS)
        }
        Some("aggregate") => Ok(ExitCode::from(runtime.block_on(sum())?.code())),
        Some(other) => {
            eprintln!(
                "error: there is no `smlt-worker {other}`\nhelp: it is `smlt-worker aggregate`, or nothing behind it"
            );
            Ok(ExitCode::from(aggregate::End::Unreadable.code()))
        }
    }
}

/// Sums until there is nothing more to sum, or it is asked to end.
async fn sum() -> io::Result<aggregate::End> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, mut ended) = oneshot::channel();
    // It may still wait for a line when this process ends.
    thread::spawn({
        let stop = stop.clone();
        move || {
            let rounds = io::stdin().lock().lines().map_while(Result::ok).map(|line| serde_json::from_str(&line));
            sender.send(aggregate::rounds(rounds, &stop, io::stdout()))
        }
    });
    select! {
        end = &mut ended => return end.map_err(io::Error::other)?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.store(true, Ordering::SeqCst);
    // Who still waits for its workers to come has nothing to leave in order.
    let _ = timeout(PATIENCE, ended).await;
    Ok(aggregate::End::Over)
}
