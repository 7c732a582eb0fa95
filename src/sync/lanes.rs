//! A few threads that do one job after another.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

type Job = Box<dyn FnOnce() + Send>;

/// Threads that take jobs in the order in which they come. When it is dropped, they do what they have been given and end.
pub(super) struct Lanes {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Lanes {
    pub fn open(count: usize) -> Self {
        let (jobs, taken) = channel::<Job>();
        let taken = Arc::new(Mutex::new(taken));
        let lane = |_| {
            let taken = Arc::clone(&taken);
            thread::spawn(move || {
                let next = || taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok(job) = next() {
                    job();
                }
            })
        };
        Self { jobs: Some(jobs), threads: (0..count).map(lane).collect() }
    }

    /// Does a job beside what the caller does next. What it comes to can be received.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
        let (give, done) = channel();
        // Who does not wait for the job does not mind that it is done; a lane that is gone shows in what is received.
        let job: Job = Box::new(move || _ = give.send(job()));
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
        done
    }

    /// Ends when all jobs are done.
    pub fn close(&mut self) {
        drop(self.jobs.take());
        for thread in self.threads.drain(..) {
            // A panic of it was told where it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.close();
    }
}
