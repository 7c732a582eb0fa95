//! A folder among the temporary files that a process has to itself.

use crate::disk::open_plain;
use std::{
    env,
    fs::{self, File},
    io,
    path::Path,
};
use tempfile::{NamedTempFile, TempDir};

/// What the names of these folders begin with.
const PREFIX: &str = "smlt-";

/// The file in it that its owner holds locked for as long as it lives: the system lets go of it, however it ends.
const LOCK: &str = "owner";

/// A folder that goes when this is dropped. That of a process that was killed goes when another makes one.
#[derive(Debug)]
pub(super) struct OwnFolder {
    folder: TempDir,
    _lock: File,
}

impl OwnFolder {
    /// A new one.
    pub fn new() -> io::Result<Self> {
        Self::within(&env::temp_dir())
    }

    fn within(temporary: &Path) -> io::Result<Self> {
        sweep(temporary);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(temporary)?;
        // It gets its name once it is locked, so that nobody who sweeps finds one that is not.
        let lock = NamedTempFile::new_in(&folder)?;
        lock.as_file().try_lock()?;
        let lock = lock.persist(folder.path().join(LOCK))?;
        Ok(Self { folder, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders whose owners are gone.
fn sweep(temporary: &Path) {
    for entry in fs::read_dir(temporary).into_iter().flatten().flatten() {
        let is_one = entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
        let is_left = || open_plain(&entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if is_one && is_left() {
            // What another user has left is not ours to remove.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_owner_has_left_goes_and_nothing_else() {
        let temporary = tempfile::tempdir().unwrap();
        let (living, foreign) = (OwnFolder::within(temporary.path()).unwrap(), temporary.path().join("smlt-foreign"));
        let left = temporary.path().join("smlt-left");
        for folder in [&foreign, &left] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("store"), "").unwrap();
        }
        fs::write(left.join(LOCK), "").unwrap();
        let other = OwnFolder::within(temporary.path()).unwrap();
        assert!(!left.exists());
        assert!(foreign.exists() && living.path().exists() && other.path().exists());
        let path = other.path().to_owned();
        drop(other);
        assert!(!path.exists());
    }
}
