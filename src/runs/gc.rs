//! Taking away what nobody needs: folders that belong to no run, what programs left behind when they were killed, stored
//! files that neither a run nor a result of the cache refers to, and the room in the database that removed runs have left.

use super::{Home, RunState, Runs, RunsError, remove::remove_folder, work};
use crate::{
    cache::{Cache, CacheError},
    data::dealt,
    value::Hash,
};
use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// What is younger stays: a run may be about to refer to it.
const GRACE: Duration = Duration::from_secs(60 * 60);

/// How the names of files start that get another name once they are whole.
const UNFINISHED: &str = ".tmp";

/// Why not all could be taken away.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// The list of runs can't be read or written.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// The cache can't be read, so that it is not known what its results refer to.
    #[error("{0}\nhelp: {help}", help = .0.help())]
    Cache(#[from] CacheError),
    /// A file or folder can't be read or removed.
    #[error("`{0}` can't be removed: {1}")]
    File(PathBuf, io::Error),
}

/// What was taken away, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Folders that belong to no run.
    pub folders: Tally,
    /// Files and folders that a killed program left unfinished.
    pub unfinished: Tally,
    /// Stored files that nothing refers to.
    pub objects: Tally,
    /// The bytes by which the database became smaller.
    pub database: u64,
}

impl Freed {
    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.folders.bytes + self.unfinished.bytes + self.objects.bytes + self.database
    }
}

/// A number of things, and the bytes in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: usize,
    /// The bytes.
    pub bytes: u64,
}

/// Takes away what neither a run nor the cache needs, or only finds it where `dry` is set. Runs may be under way meanwhile.
///
/// # Errors
/// When something can't be read or removed.
pub fn collect(home: &Home, runs: &Runs, dry: bool) -> Result<Freed, GcError> {
    let sweep = Sweep { now: SystemTime::now(), dry };
    let mut freed = Freed::default();

    // Folders first: a run that begins meanwhile enters the list before it makes its folder.
    let folders = entries(&home.0.join("runs"))?;
    let listed = runs.list()?;
    let ids: BTreeSet<&str> = listed.iter().map(|run| &*run.id).collect();
    let is_listed =
        |folder: &Path| folder.file_name().and_then(|name| name.to_str()).is_some_and(|id| ids.contains(id));
    for folder in folders.iter().filter(|folder| !is_listed(folder)) {
        sweep.remove(folder, &mut freed.folders)?;
    }

    for run in listed.iter().filter(|run| run.state != RunState::Running) {
        for folder in [work(&home.run(&run.id)), dealt::folder(&home.run(&run.id))] {
            sweep.remove(&folder, &mut freed.unfinished)?;
        }
    }
    sweep.remove_unfinished(&home.0, &mut freed)?;
    sweep.store(home, || referred(home, Some(runs)), &mut freed)?;

    freed.database = if dry { runs.slack()? } else { runs.shrink(home)? };
    Ok(freed)
}

/// Takes away the stored files that nothing refers to, and unfinished ones, or only finds them where `dry` is set.
/// `referred` tells which must stay; it is asked once those that are there have been listed.
///
/// # Errors
/// When something can't be read or removed.
pub fn collect_stored(
    home: &Home,
    referred: impl FnOnce() -> Result<BTreeSet<Hash>, GcError>,
    dry: bool,
) -> Result<Freed, GcError> {
    let mut freed = Freed::default();
    Sweep { now: SystemTime::now(), dry }.store(home, referred, &mut freed)?;
    Ok(freed)
}

/// The stored files that a run or a result of the cache refers to.
///
/// # Errors
/// When the logs or the cache can't be read.
pub fn referred(home: &Home, runs: Option<&Runs>) -> Result<BTreeSet<Hash>, GcError> {
    // First those of the cache: what serves a run meanwhile is young by then.
    let mut referred =
        Cache::existing(&home.cache())?.map_or_else(|| Ok(BTreeSet::new()), |cache| cache.references())?;
    if let Some(runs) = runs {
        referred.extend(runs.references()?);
    }
    Ok(referred)
}

/// The stored files with their hashes.
fn stored(objects: &Path) -> Result<Vec<(PathBuf, Hash)>, GcError> {
    let mut stored = Vec::new();
    for folder in entries(objects)? {
        let Some(start) = folder.file_name().and_then(|name| name.to_str()) else { continue };
        for path in entries(&folder)? {
            let rest = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Ok(hash) = format!("{start}{rest}").parse() {
                stored.push((path, hash));
            }
        }
    }
    Ok(stored)
}

/// What is in a folder; nothing where it is no folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, GcError> {
    let failed = |error| GcError::File(folder.to_owned(), error);
    match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        found => found.map_err(failed)?.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect(),
    }
}

fn starts(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

struct Sweep {
    now: SystemTime,
    dry: bool,
}

impl Sweep {
    fn remove_unfinished(&self, folder: &Path, freed: &mut Freed) -> Result<(), GcError> {
        let all = entries(folder)?;
        all.iter().filter(|path| starts(path, UNFINISHED)).try_for_each(|path| self.remove(path, &mut freed.unfinished))
    }

    fn store(
        &self,
        home: &Home,
        referred: impl FnOnce() -> Result<BTreeSet<Hash>, GcError>,
        freed: &mut Freed,
    ) -> Result<(), GcError> {
        let objects = home.objects();
        self.remove_unfinished(&objects, freed)?;
        for folder in entries(&objects)? {
            self.remove_unfinished(&folder, freed)?;
        }
        // Objects before references: one that a run stores and names meanwhile is too young, or found among the references.
        let stored = stored(&objects)?;
        let referred = referred()?;
        stored
            .iter()
            .filter(|(_, hash)| !referred.contains(hash))
            .try_for_each(|(path, _)| self.remove(path, &mut freed.objects))
    }

    /// Removes a file or folder that nothing needs, unless it is young, and counts it.
    fn remove(&self, path: &Path, tally: &mut Tally) -> Result<(), GcError> {
        let failed = |error| GcError::File(path.to_owned(), error);
        let about = match fs::symlink_metadata(path) {
            // Someone else was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            about => about.map_err(failed)?,
        };
        if self.is_young(&about) {
            return Ok(());
        }
        let bytes = size(path, &about).map_err(failed)?;
        if !self.dry {
            match about.is_dir() {
                true => remove_folder(path),
                false => fs::remove_file(path),
            }
            .map_err(failed)?;
        }
        tally.count += 1;
        tally.bytes += bytes;
        Ok(())
    }

    /// A time that lies ahead, or is not known, is young.
    fn is_young(&self, about: &Metadata) -> bool {
        let age = about.modified().ok().and_then(|modified| self.now.duration_since(modified).ok());
        age.is_none_or(|age| age < GRACE)
    }
}

fn size(path: &Path, about: &Metadata) -> io::Result<u64> {
    if !about.is_dir() {
        return Ok(about.len());
    }
    let sizes = fs::read_dir(path)?.map(|entry| {
        let entry = entry?;
        size(&entry.path(), &entry.metadata()?)
    });
    sizes.sum()
}

impl Runs {
    /// The bytes in the database that hold nothing.
    fn slack(&self) -> Result<u64, RunsError> {
        let number = |pragma: &str| self.database.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        Ok((number("freelist_count")? * number("page_size")?).unsigned_abs())
    }

    /// Gives the room that holds nothing back to the system; says how many bytes that were.
    fn shrink(&self, home: &Home) -> Result<u64, RunsError> {
        let slack = self.slack()?;
        if slack > 0 {
            // Each row that it gives is a page given back.
            let mut pages = self.database.prepare("pragma incremental_vacuum")?;
            let mut pages = pages.query([])?;
            while pages.next()?.is_some() {}
        }
        // The file itself gets shorter once the changes have gone into it; a run under way does that later.
        let before = fs::metadata(home.database()).map_or(0, |about| about.len());
        self.database.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
        let after = fs::metadata(home.database()).map_or(0, |about| about.len());
        Ok(before.saturating_sub(after))
    }
}

#[cfg(test)]
mod tests;
