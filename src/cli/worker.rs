use super::{Exit, STACK};
use crate::{
    processes,
    wire::Order,
    work::{self, Control, Ordered, memory},
};
use serde::Deserialize;
use std::{
    io,
    process::exit,
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
};

/// Do the jobs that come as lines of JSON: what a keeper starts.
pub fn main() -> Exit {
    // Where it can't, its keeper ends what its commands leave behind, later.
    let _ = processes::adopt_orphans();
    memory::keep();
    match orders().and_then(|jobs| work::serve(jobs, io::stdout().lock())) {
        Ok(()) => Exit::Ok,
        Err(_) => Exit::Failed,
    }
}

/// The jobs, heard on a thread of its own, so that the worker can be told something in the middle of one. When nobody can
/// tell it anything any more, it ends with all that it has started.
fn orders() -> io::Result<Receiver<Ordered>> {
    let (sender, jobs) = channel();
    thread::Builder::new().stack_size(STACK).spawn(move || {
        let mut control = Arc::new(Control::new());
        for line in io::stdin().lines().map_while(Result::ok) {
            let job = match read(&line) {
                Ok(Order::Stop) => {
                    control.stop();
                    continue;
                }
                Ok(Order::Drain) => {
                    control.drain();
                    continue;
                }
                Ok(Order::Job(job)) => Ok(job),
                Err(error) => Err(error),
            };
            control = Arc::new(Control::new());
            if sender.send((job, control.clone())).is_err() {
                break;
            }
        }
        let _nothing_more_starts = control.end();
        exit(0);
    })?;
    Ok(jobs)
}

/// A job's expressions may be nested deeper than JSON from strangers should be.
fn read(line: &str) -> serde_json::Result<Order> {
    let mut json = serde_json::Deserializer::from_str(line);
    json.disable_recursion_limit();
    Order::deserialize(&mut json)
}
