//! The thread that writes what a run brings to the cache, so that the run need not wait for the disk.

use super::{CacheError, Finding, files, memo::Memo, now, parts::Parts};
use crate::{value::Hash, wire::Done};
use rusqlite::{Connection, Transaction, params};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

/// Writes to the cache. What comes while a write is under way is written together with the next.
pub struct Writer {
    lines: Sender<Line>,
    thread: JoinHandle<Result<(), CacheError>>,
}

/// What is to be written.
pub enum Line {
    /// What was found when a step began.
    Step {
        step: String,
        key: Option<Hash>,
        /// What the key was made from, where the cache has no result that tells it already.
        parts: Option<Parts>,
        finding: Finding,
    },
    /// What a step came to.
    Result(Box<Made>),
    /// A result that served.
    Used(Hash),
}

/// What a step came to.
pub struct Made {
    pub key: Hash,
    pub kind: &'static str,
    pub step: String,
    pub done: Done,
    /// The files that the key was made from.
    pub read: Vec<(PathBuf, Hash)>,
}

impl Writer {
    /// Writes what the run `run` brings.
    pub fn new(database: Connection, run: String, memo: Arc<Memo>) -> Self {
        let (lines, receiver) = channel();
        let thread = thread::spawn(move || write(database, &run, &memo, &receiver));
        Self { lines, thread }
    }

    /// The thread stops at its first error, and `end` tells it.
    pub fn send(&self, line: Line) {
        let _ = self.lines.send(line);
    }

    /// Waits until all is written.
    pub fn end(self) -> Result<(), CacheError> {
        drop(self.lines);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn write(mut database: Connection, run: &str, memo: &Memo, lines: &Receiver<Line>) -> Result<(), CacheError> {
    let mut used = Vec::new();
    while let Ok(first) = lines.recv() {
        let batch = database.transaction()?;
        for line in std::iter::once(first).chain(lines.try_iter()) {
            match line {
                Line::Step { step, key, parts, finding } => {
                    let key = key.as_ref().map(Hash::as_bytes);
                    batch.prepare_cached("insert or replace into steps values (?, ?, ?, ?)")?.execute(params![
                        run,
                        step,
                        key,
                        serde_json::to_string(&finding)?
                    ])?;
                    if let Some(parts) = parts {
                        batch
                            .prepare_cached("insert or ignore into parts values (?, ?)")?
                            .execute(params![key, serde_json::to_string(&parts)?])?;
                    }
                }
                Line::Result(made) => insert(&batch, run, memo, &made)?,
                Line::Used(key) => used.push(key),
            }
        }
        batch.commit()?;
    }
    let batch = database.transaction()?;
    for key in used {
        batch.prepare_cached("update entries set used = ? where key = ?")?.execute(params![now(), key.as_bytes()])?;
    }
    batch.commit()?;
    Ok(())
}

/// Keeps a result, unless a file that the step read has changed since its key was made: it may come from either content.
fn insert(batch: &Transaction, run: &str, memo: &Memo, made: &Made) -> Result<(), CacheError> {
    if !made.read.iter().all(|(path, hash)| memo.still_has(path, *hash)) {
        return Ok(());
    }
    let done = serde_json::to_string(&made.done)?;
    let bytes: u64 = files(&made.done).iter().map(|file| file.bytes).sum();
    let (key, bytes, now) = (made.key.as_bytes(), i64::try_from(bytes).unwrap_or(i64::MAX), now());
    batch
        .prepare_cached("insert or replace into entries values (?, ?, ?, ?, ?, ?, ?, ?)")?
        .execute(params![key, made.kind, done, bytes, run, made.step, now, now])?;
    Ok(())
}
