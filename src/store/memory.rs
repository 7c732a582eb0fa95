//! A parameter store in the memory of the process.

use super::{
    Key, ParameterError, ParameterStore, Traffic,
    parameters::{EXPIRY, Meter},
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A parameter store that threads of one process share.
#[derive(Debug)]
pub struct Memory {
    expiry: Duration,
    shelf: Mutex<Shelf>,
    /// Rung at every put.
    bell: Condvar,
    meter: Meter,
}

#[derive(Debug)]
struct Shelf {
    blobs: BTreeMap<Key, Blob>,
    swept: Instant,
}

#[derive(Debug)]
struct Blob {
    bytes: Bytes,
    used: Instant,
}

impl Memory {
    /// An empty store, whose blobs go when they were not used for so long.
    pub fn new(expiry: Duration) -> Self {
        let shelf = Shelf { blobs: BTreeMap::new(), swept: Instant::now() };
        Self { expiry, shelf: Mutex::new(shelf), bell: Condvar::new(), meter: Meter::default() }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Whoever panicked left the shelf whole: each change of it is a single call.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(EXPIRY)
    }
}

impl Shelf {
    /// Removes what was not used for too long. To look at all blobs at each put would make many blobs slow.
    fn sweep(&mut self, expiry: Duration, now: Instant) {
        if now.duration_since(self.swept) > expiry / 8 {
            self.blobs.retain(|_, blob| now.duration_since(blob.used) <= expiry);
            self.swept = now;
        }
    }

    fn has(&self, key: &Key, expiry: Duration, now: Instant) -> bool {
        self.blobs.get(key).is_some_and(|blob| now.duration_since(blob.used) <= expiry)
    }

    fn read(&mut self, key: &Key, expiry: Duration, now: Instant) -> Option<Bytes> {
        let blob = self.blobs.get_mut(key).filter(|blob| now.duration_since(blob.used) <= expiry)?;
        blob.used = now;
        Some(blob.bytes.clone())
    }
}

impl ParameterStore for Memory {
    fn put(&self, blobs: &[(Key, Bytes)]) -> Result<(), ParameterError> {
        let mut shelf = self.shelf();
        let now = Instant::now();
        shelf.sweep(self.expiry, now);
        for (key, bytes) in blobs {
            shelf.blobs.insert(key.clone(), Blob { bytes: bytes.clone(), used: now });
        }
        drop(shelf);
        self.bell.notify_all();
        self.meter.put(blobs);
        Ok(())
    }

    fn get(&self, keys: &[Key], patience: Duration) -> Result<Vec<Option<Bytes>>, ParameterError> {
        let lacks = |shelf: &mut Shelf| {
            let now = Instant::now();
            !keys.iter().all(|key| shelf.has(key, self.expiry, now))
        };
        let waited = self.bell.wait_timeout_while(self.shelf(), patience, lacks);
        let mut shelf = waited.unwrap_or_else(PoisonError::into_inner).0;
        let now = Instant::now();
        let found: Vec<_> = keys.iter().map(|key| shelf.read(key, self.expiry, now)).collect();
        drop(shelf);
        self.meter.got(&found);
        Ok(found)
    }

    fn remove(&self, keys: &[Key]) -> Result<(), ParameterError> {
        let mut shelf = self.shelf();
        for key in keys {
            shelf.blobs.remove(key);
        }
        Ok(())
    }

    fn clear(&self, prefix: &Key) -> Result<(), ParameterError> {
        self.shelf().blobs.retain(|key, _| !key.is_within(prefix));
        Ok(())
    }

    fn traffic(&self) -> Traffic {
        self.meter.read()
    }
}
