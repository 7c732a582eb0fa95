//! A worker's place in a round: the names of blobs, and the wait for those of others.

use super::SyncError;
use crate::{
    store::{Key, ParameterStore},
    wire::{Codec, Exchange},
};
use bytes::Bytes;
use std::{
    fmt::Display,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

/// When all have waited for this many times the silence, what they wait for is lost.
const STALL: u32 = 10;

/// Who belongs to a round, and how they talk.
#[derive(Clone, Debug)]
pub struct Membership {
    /// What all keys of the training begin with.
    pub training: String,
    /// The round. What a worker of an earlier one still does is never seen in it.
    pub round: u64,
    /// The worker's place, from 0.
    pub rank: usize,
    /// How many workers there are.
    pub of: usize,
    /// Which of several workers that do the same it is; 0 when it is the only one.
    pub copy: u32,
    /// The way of gradients.
    pub exchange: Exchange,
    /// How gradients are written.
    pub codec: Codec,
    /// After how long without a sign of life a worker is lost.
    pub silence: Duration,
    /// The version of the program; it must be that of all others.
    pub build: String,
}

/// What the threads of a worker share.
pub(super) struct Member {
    pub own: Membership,
    pub store: Arc<dyn ParameterStore>,
    /// Whether all others have come.
    pub met: AtomicBool,
    /// How often it has waited for all others and gone on, which all do equally often.
    pub turn: AtomicU64,
    /// Whether it does nothing else now but wait for the others.
    pub waits: AtomicBool,
    /// Whether all others only wait as well.
    pub all_wait: AtomicBool,
    failure: Mutex<Option<SyncError>>,
}

impl Member {
    pub fn new(own: Membership, store: Arc<dyn ParameterStore>) -> Self {
        let [met, waits, all_wait] = [false; 3].map(AtomicBool::new);
        Self { own, store, met, turn: AtomicU64::new(0), waits, all_wait, failure: Mutex::new(None) }
    }

    /// A key of the round.
    pub fn key(&self, parts: &[&dyn Display]) -> Key {
        Key::new(&[&[&self.own.training as &dyn Display, &self.own.round], parts].concat())
    }

    /// How many take part: the workers and, where there is one, the aggregator.
    pub fn parties(&self) -> usize {
        self.own.exchange.parties(self.own.of as u64) as usize
    }

    /// Everyone but itself.
    pub fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let rank = self.own.rank;
        (0..self.parties()).filter(move |party| *party != rank)
    }

    /// How often it looks after the others while it waits: often enough to find a silent one in less than twice the silence.
    pub fn period(&self) -> Duration {
        self.own.silence / 6
    }

    /// Notes why it can't go on; the first reason stands.
    pub fn fail(&self, error: SyncError) {
        self.failure().get_or_insert(error);
    }

    /// Whether it can go on.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), SyncError> {
        self.failure().clone().map_or(Ok(()), Err)
    }

    fn failure(&self) -> MutexGuard<'_, Option<SyncError>> {
        // Nobody panics while holding it, and a whole value is written at once.
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for blobs, each with the rank that gives it.
    ///
    /// # Errors
    /// When the group can't go on together, as the pulse finds, or a blob is lost.
    pub fn wait(&self, wanted: &[(usize, Key)]) -> Result<Vec<Bytes>, SyncError> {
        let mut blobs = Wanted::new(wanted.iter().map(|(_, key)| key.clone()));
        let mut stalled = None;
        loop {
            self.check()?;
            let Some(missing) = blobs.look(&*self.store, self.period())? else { return Ok(blobs.found()) };
            if !self.all_wait.load(SeqCst) {
                stalled = None;
            } else if stalled.get_or_insert_with(Instant::now).elapsed() > self.own.silence * STALL {
                return Err(SyncError::Lost { rank: wanted[missing].0 + 1, of: self.own.of });
            }
        }
    }

    /// Waits for what all others say once, as they join and as they leave.
    ///
    /// # Errors
    /// As those of `wait`; and when one has said nothing for as long as makes a blob lost.
    pub fn wait_once(&self, wanted: &[(usize, Key)]) -> Result<Vec<Bytes>, SyncError> {
        let patience = self.own.silence * STALL;
        let mut blobs = Wanted::new(wanted.iter().map(|(_, key)| key.clone()));
        let since = Instant::now();
        loop {
            self.check()?;
            let Some(missing) = blobs.look(&*self.store, self.period())? else { return Ok(blobs.found()) };
            if since.elapsed() > patience {
                return Err(SyncError::Silent { rank: wanted[missing].0 + 1, of: self.own.of, silence: patience });
            }
        }
    }
}

/// Blobs that come one by one.
pub(super) struct Wanted {
    keys: Vec<Key>,
    found: Vec<Option<Bytes>>,
}

impl Wanted {
    pub fn new(keys: impl Iterator<Item = Key>) -> Self {
        let keys: Vec<Key> = keys.collect();
        Self { found: vec![None; keys.len()], keys }
    }

    /// Waits some time for those that are missing; which is the first that still is. None is got twice.
    pub fn look(&mut self, store: &dyn ParameterStore, patience: Duration) -> Result<Option<usize>, SyncError> {
        let missing: Vec<usize> = (0..self.keys.len()).filter(|index| self.found[*index].is_none()).collect();
        let keys: Vec<Key> = missing.iter().map(|index| self.keys[*index].clone()).collect();
        if !keys.is_empty() {
            for (index, blob) in missing.into_iter().zip(store.get(&keys, patience)?) {
                self.found[index] = blob;
            }
        }
        Ok(self.found.iter().position(Option::is_none))
    }

    /// Those that were found.
    pub fn found(self) -> Vec<Bytes> {
        self.found.into_iter().flatten().collect()
    }
}
