//! The dealt samples of a run's trainings.

use crate::value::Hash;
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The samples that are kept of trainings that are over, for others that take the same ones, such as the next rung of a
/// trial.
const KEPT: usize = 4;

/// The dealt samples of a run's trainings, each in a folder of its own.
pub(super) struct Sets {
    folder: PathBuf,
    users: Mutex<Users>,
}

#[derive(Default)]
struct Users {
    /// How many trainings use them.
    under_way: BTreeMap<Hash, usize>,
    /// Those that no training uses, the last used last.
    idle: Vec<Hash>,
}

impl Sets {
    /// Those in a folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, users: Mutex::default() }
    }

    /// A training begins to use some.
    pub fn begin(&self, set: Hash) {
        let mut users = self.lock();
        users.idle.retain(|idle| *idle != set);
        *users.under_way.entry(set).or_default() += 1;
    }

    /// It does not any more.
    pub fn end(&self, set: Hash) {
        let mut users = self.lock();
        let left = users.under_way.remove(&set).unwrap_or(1) - 1;
        if left > 0 {
            users.under_way.insert(set, left);
            return;
        }
        users.idle.push(set);
        let old = users.idle.len().saturating_sub(KEPT);
        for set in users.idle.drain(..old) {
            // What can't be removed goes with the run.
            let _ = fs::remove_dir_all(self.folder.join(set.to_string()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Users> {
        // Each change of it is whole.
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_stay_and_those_that_are_used() {
        let folder = tempfile::tempdir().unwrap();
        let sets = Sets::new(folder.path().to_owned());
        let all: Vec<Hash> = (0..KEPT + 3).map(|set| Hash::of(&[set as u8])).collect();
        for set in &all {
            fs::create_dir(folder.path().join(set.to_string())).unwrap();
            sets.begin(*set);
        }
        // Another training uses the first.
        sets.begin(all[0]);
        all.iter().for_each(|set| sets.end(*set));
        let left = || all.iter().filter(|set| folder.path().join(set.to_string()).exists()).collect::<Vec<_>>();
        let last = &all[3..];
        assert_eq!(left(), std::iter::once(&all[0]).chain(last).collect::<Vec<_>>());
        sets.end(all[0]);
        assert_eq!(left(), std::iter::once(&all[0]).chain(&last[1..]).collect::<Vec<_>>());
    }
}
