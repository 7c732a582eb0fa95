//! What stores that lie elsewhere have in common: connections that are kept, tried again when they break off, and asked
//! until all is there.

use super::{Key, ParameterError};
use bytes::Bytes;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The longest that a store is asked to wait in one request, so that a connection which died without a word is noticed.
pub(super) const TURN: Duration = Duration::from_secs(5);

/// The longest that a connection may take to open, or stand still while bytes are due.
pub(super) const STANDSTILL: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may pass by itself: what the system or the store said.
    Passing(String),
    /// It won't.
    Lasting(ParameterError),
}

/// Connections to one place.
#[derive(Debug)]
pub(super) struct Pool<C> {
    /// The place, without a password.
    store: String,
    retry: Duration,
    idle: Mutex<Vec<C>>,
}

impl<C> Pool<C> {
    /// No connection so far; one that fails is tried again for `retry`.
    pub(super) fn new(store: String, retry: Duration) -> Self {
        Self { store, retry, idle: Mutex::default() }
    }

    /// The place, without a password.
    pub(super) fn store(&self) -> &str {
        &self.store
    }

    fn idle(&self) -> MutexGuard<'_, Vec<C>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` on a connection that nobody else has, again on another one for as long as its trouble may pass.
    pub(super) fn run<T>(
        &self,
        open: impl Fn() -> Result<C, Trouble>,
        mut work: impl FnMut(&mut C) -> Result<T, Trouble>,
    ) -> Result<T, ParameterError> {
        again(&self.store, self.retry, || {
            let idle = self.idle().pop();
            let mut connection = idle.map_or_else(&open, Ok)?;
            match work(&mut connection) {
                Ok(result) => {
                    self.idle().push(connection);
                    Ok(result)
                }
                Err(trouble) => {
                    // What broke one has most likely broken those that idle as well.
                    self.idle().clear();
                    Err(trouble)
                }
            }
        })
    }
}

/// Does `work` again, after growing pauses, for as long as its trouble may pass and `retry` has not.
pub(super) fn again<T>(
    store: &str,
    retry: Duration,
    mut work: impl FnMut() -> Result<T, Trouble>,
) -> Result<T, ParameterError> {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match work() {
            Ok(result) => return Ok(result),
            Err(Trouble::Lasting(error)) => return Err(error),
            Err(Trouble::Passing(reason)) if began.elapsed() + pause > retry => {
                return Err(ParameterError::Unreachable { store: store.to_owned(), reason });
            }
            Err(Trouble::Passing(_)) => thread::sleep(pause),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The blobs under `keys`, of which `ask` gets what comes within a time that it is given.
pub(super) fn gather(
    keys: &[Key],
    patience: Duration,
    mut ask: impl FnMut(&[Key], Duration) -> Result<Vec<Option<Bytes>>, ParameterError>,
) -> Result<Vec<Option<Bytes>>, ParameterError> {
    let began = Instant::now();
    let mut found = vec![None; keys.len()];
    loop {
        let missing: Vec<usize> = (0..keys.len()).filter(|place| found[*place].is_none()).collect();
        let left = patience.saturating_sub(began.elapsed());
        if missing.is_empty() {
            return Ok(found);
        }
        let wanted: Vec<Key> = missing.iter().map(|place| keys[*place].clone()).collect();
        for (place, blob) in missing.into_iter().zip(ask(&wanted, left.min(TURN))?) {
            found[place] = blob;
        }
        if left.is_zero() {
            return Ok(found);
        }
    }
}
