//! How much of what workers share may be at hand: what was not used for longest goes first.

use crate::{
    units::Size,
    wire::{Failure, Kind},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Files by key, with the bytes of each.
pub type Sizes = BTreeMap<String, u64>;

/// The files that are at hand.
pub struct Room {
    most: u64,
    held: BTreeMap<String, Held>,
    clock: u64,
}

struct Held {
    bytes: u64,
    used: u64,
}

/// Three quarters of what is free in a folder's file system: the rest is for what steps make.
pub fn most(folder: &Path) -> u64 {
    // Where it can't be told nothing is refused.
    rustix::fs::statvfs(folder).map_or(u64::MAX, |about| about.f_bavail.saturating_mul(about.f_frsize) / 4 * 3)
}

impl Room {
    /// For so many bytes.
    pub const fn new(most: u64) -> Self {
        Self { most, held: BTreeMap::new(), clock: 0 }
    }

    /// Whether a file is at hand.
    pub fn holds(&self, key: &str) -> bool {
        self.held.contains_key(key)
    }

    /// Forgets a file.
    pub fn forget(&mut self, key: &str) {
        self.held.remove(key);
    }

    /// Makes room for files that are used together, which count as at hand from now on: the files that must go for it.
    ///
    /// # Errors
    /// When they are too large together.
    pub fn take(&mut self, wanted: &Sizes, place: &Path) -> Result<Vec<String>, Failure> {
        let needed: u64 = wanted.values().sum();
        if needed > self.most {
            let (needed, most) = (Size::from_bytes(needed), Size::from_bytes(self.most));
            let message = format!(
                "the step reads files of {needed} together, and `{}` has room for {most} of them",
                place.display()
            );
            let help = "give the functions more ephemeral storage, up to 10 GiB, or let workers share a file system";
            return Err(Failure::new(Kind::TaskFailed, message).help(help));
        }
        self.clock += 1;
        for (key, bytes) in wanted {
            self.held.insert(key.clone(), Held { bytes: *bytes, used: self.clock });
        }
        let mut total: u64 = self.held.values().map(|held| held.bytes).sum();
        let oldest: BTreeSet<(u64, String)> = self.held.iter().map(|(key, held)| (held.used, key.clone())).collect();
        let mut gone = Vec::new();
        for (_, key) in oldest {
            if total <= self.most {
                break;
            }
            total -= self.held.remove(&key).map_or(0, |held| held.bytes);
            gone.push(key);
        }
        Ok(gone)
    }
}
