//! The thread that writes a run's log, so that the run need not wait for the disk.

use super::{Notice, RunsError, Verdict, json};
use crate::{
    schedule::{Event, Time},
    units::Money,
    wire::Progress,
};
use rusqlite::{Connection, params};
use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};
use tokio::sync::Notify;

/// Writes the log of a run. What comes while a write is under way is written together with the next.
pub struct Recorder {
    lines: Sender<Line>,
    thread: JoinHandle<Result<(), RunsError>>,
    broken: Arc<Notify>,
}

enum Line {
    Event(Time, Box<Event>),
    Notice(Time, Box<Notice>),
    End { at: Time, spent: Money, verdict: Box<Verdict> },
}

impl Recorder {
    pub(super) fn new(database: Connection, run: String) -> Self {
        let (lines, receiver) = channel();
        let broken = Arc::new(Notify::new());
        let breaks = broken.clone();
        let thread = thread::spawn(move || {
            let written = write(database, &run, &receiver);
            if written.is_err() {
                breaks.notify_one();
            }
            written
        });
        Self { lines, thread, broken }
    }

    /// Waits until the log can't be written any more, which may never be.
    pub async fn broken(&self) {
        self.broken.notified().await;
    }

    /// Notes what the scheduler is told. Progress changes nothing for it, and is not noted.
    pub fn event(&self, at: Time, event: &Event) {
        let tells = |progress: &Progress| matches!(progress, Progress::Begun(_));
        if !matches!(event, Event::Progress(_, progress) if !tells(progress)) {
            self.send(Line::Event(at, Box::new(event.clone())));
        }
    }

    /// Notes what the user is told. Lines of a command's log are in the step's own file.
    pub fn notice(&self, at: Time, notice: &Notice) {
        if !matches!(notice, Notice::Progress { progress: Progress::Log(_), .. }) {
            self.send(Line::Notice(at, Box::new(notice.clone())));
        }
    }

    /// Ends the log, and waits until all of it is written.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn end(self, at: Time, spent: Money, verdict: &Verdict) -> Result<(), RunsError> {
        self.send(Line::End { at, spent, verdict: Box::new(verdict.clone()) });
        drop(self.lines);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The thread stops at its first error, and `end` tells it.
    fn send(&self, line: Line) {
        let _ = self.lines.send(line);
    }
}

fn write(mut database: Connection, run: &str, lines: &Receiver<Line>) -> Result<(), RunsError> {
    while let Ok(first) = lines.recv() {
        let batch = database.transaction()?;
        for line in std::iter::once(first).chain(lines.try_iter()) {
            match line {
                Line::Event(at, event) => {
                    let mut insert = batch.prepare_cached("insert into events values (?, ?, ?)")?;
                    insert.execute(params![run, at.0.millis(), json(&event)?])?;
                }
                Line::Notice(at, notice) => {
                    let mut insert = batch.prepare_cached("insert into notices values (?, ?, ?)")?;
                    insert.execute(params![run, at.0.millis(), json(&notice)?])?;
                }
                Line::End { at, spent, verdict } => {
                    batch.execute(
                        "update runs set ended = ?, spent = ?, verdict = ? where id = ?",
                        params![at.0.millis(), json(&spent)?, json(&verdict)?, run],
                    )?;
                }
            }
        }
        batch.commit()?;
    }
    Ok(())
}
