//! Taking away what nobody refers to any more.

use super::Objects;
use crate::value::Hash;
use std::{
    collections::BTreeSet,
    fs::{self, DirEntry},
    io,
    path::Path,
    time::{Duration, SystemTime},
};

/// A younger file stays: another process may be about to refer to it.
const YOUTH: Duration = Duration::from_secs(60 * 60);

/// What a sweep took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many files.
    pub files: u64,
    /// Their lengths together.
    pub bytes: u64,
}

impl Objects {
    /// Takes away the stored files that are not among `keep`, and what writers left half-written, unless it is younger
    /// than an hour or than `older_than`. With `dry_run` it only says what it would take.
    ///
    /// # Errors
    /// When the folder can't be read, or a file in it can't be removed.
    pub fn sweep(&self, keep: &BTreeSet<Hash>, older_than: Duration, dry_run: bool) -> io::Result<Swept> {
        let mut sweep = Sweep { until: SystemTime::now() - older_than.max(YOUTH), dry_run, swept: Swept::default() };
        for entry in entries(&self.root)? {
            if !entry.file_type()?.is_dir() {
                sweep.remove(&entry)?;
                continue;
            }
            let start = entry.file_name();
            for file in entries(&entry.path())? {
                let name = format!("{}{}", start.to_string_lossy(), file.file_name().to_string_lossy());
                if !name.parse().is_ok_and(|hash| keep.contains(&hash)) {
                    sweep.remove(&file)?;
                }
            }
        }
        Ok(sweep.swept)
    }
}

struct Sweep {
    until: SystemTime,
    dry_run: bool,
    swept: Swept,
}

impl Sweep {
    fn remove(&mut self, file: &DirEntry) -> io::Result<()> {
        let about = match file.metadata() {
            // Another process sweeps, too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            about => about?,
        };
        if !about.is_file() || about.modified()? > self.until {
            return Ok(());
        }
        if !self.dry_run {
            gone(fs::remove_file(file.path()))?;
        }
        self.swept.files += 1;
        self.swept.bytes += about.len();
        Ok(())
    }
}

/// What a folder holds; nothing when it is not there.
fn entries(folder: &Path) -> io::Result<Vec<DirEntry>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}

/// That a file is gone already is as well.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests;
