//! What the files of a project hold. A file is read again only when something about it has changed.

use crate::value::Hash;
use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Two writes within this time may leave a file with one and the same time on it.
const TICK: i128 = 100_000_000;

/// The files and folders that are looked at in a folder; one that holds more is not looked through.
const MANY: usize = 20_000;

/// How often a file is read that changes meanwhile.
const TRIES: usize = 3;

/// What changes about a file when its content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// When it was last written, and when anything about it was changed, in nanoseconds since 1970.
    times: [i128; 2],
}

impl Stamp {
    fn of(about: &Metadata) -> Self {
        let nanos = |secs: i64, nanos: i64| i128::from(secs) * 1_000_000_000 + i128::from(nanos);
        Self {
            device: about.dev(),
            inode: about.ino(),
            bytes: about.len(),
            times: [nanos(about.mtime(), about.mtime_nsec()), nanos(about.ctime(), about.ctime_nsec())],
        }
    }

    /// Whether a later write would show in it.
    fn is_settled(&self, now: i128) -> bool {
        self.times.iter().all(|time| now - time > TICK)
    }
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing, or something without an end, such as a pipe.
    Nothing,
    /// A file of so many bytes.
    File(u64),
    /// A folder.
    Folder,
}

/// The contents of files, as far as they are known.
///
/// Within one *epoch* nothing is looked at twice. A new one begins whenever a step that may have written files is over.
#[derive(Debug, Default)]
pub struct Memo {
    epoch: AtomicU64,
    known: Mutex<HashMap<PathBuf, Arc<Mutex<Known>>>>,
}

#[derive(Debug, Default)]
struct Known {
    /// When it was last looked at.
    epoch: Option<u64>,
    place: Option<(Place, Stamp)>,
    /// The content, and the stamp that it had then, if that is one to rely on.
    content: Option<(Hash, Option<Stamp>)>,
}

impl Memo {
    /// Lets everything be looked at again.
    pub fn new_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// What stands at a path.
    pub fn place(&self, path: &Path) -> Place {
        let slot = self.slot(path);
        let mut known = lock(&slot);
        self.look(path, &mut known);
        known.place.map_or(Place::Nothing, |(place, _)| place)
    }

    /// The bytes that must be read before the content of what stands at a path is known; of a folder none can be told.
    pub fn unread(&self, path: &Path) -> Option<u64> {
        let slot = self.slot(path);
        let mut known = lock(&slot);
        self.look(path, &mut known);
        match known.place {
            _ if known.content.is_some() => Some(0),
            Some((Place::File(bytes), _)) => Some(bytes),
            Some((Place::Folder, _)) => None,
            _ => Some(0),
        }
    }

    /// The hash of a file's bytes; of a folder that of the names, lengths and times of what is in it.
    ///
    /// # Errors
    /// When it can't be read, does not stay the same while it is read, or is a folder that holds too much.
    pub fn content(&self, path: &Path) -> io::Result<Hash> {
        let slot = self.slot(path);
        let mut known = lock(&slot);
        self.look(path, &mut known);
        if let Some((hash, _)) = known.content {
            return Ok(hash);
        }
        let (hash, stamp) = match known.place {
            Some((Place::Folder, _)) => (listing(path)?, None),
            _ => read(path)?,
        };
        known.content = Some((hash, stamp));
        Ok(hash)
    }

    /// Whether what stands at a path still has this content, as far as can be seen now.
    pub fn still_has(&self, path: &Path, hash: Hash) -> bool {
        self.content(path).is_ok_and(|now| now == hash)
    }

    fn slot(&self, path: &Path) -> Arc<Mutex<Known>> {
        let mut known = lock(&self.known);
        match known.get(path) {
            Some(slot) => slot.clone(),
            None => known.entry(path.to_owned()).or_default().clone(),
        }
    }

    /// Looks at what stands at a path, once in each epoch; forgets a content that is not its own any more.
    fn look(&self, path: &Path, known: &mut Known) {
        let epoch = self.epoch.load(Ordering::Relaxed);
        if known.epoch == Some(epoch) {
            return;
        }
        known.epoch = Some(epoch);
        known.place = fs::metadata(path).ok().map(|about| {
            let place = match () {
                () if about.is_file() => Place::File(about.len()),
                () if about.is_dir() => Place::Folder,
                () => Place::Nothing,
            };
            (place, Stamp::of(&about))
        });
        let stamp = known.place.map(|(_, stamp)| stamp);
        if known.content.is_some_and(|(_, then)| then.is_none() || then != stamp) {
            known.content = None;
        }
    }
}

/// What is behind these locks is whole even if a thread that held one panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The hash of a file, with the stamp by which it can be known again, if it has one by now.
fn read(path: &Path) -> io::Result<(Hash, Option<Stamp>)> {
    for _ in 0..TRIES {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as i128);
        let mut file = File::open(path)?;
        let before = Stamp::of(&file.metadata()?);
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; usize::try_from(before.bytes).unwrap_or(usize::MAX).clamp(1, 1 << 20)];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            };
        }
        if Stamp::of(&file.metadata()?) == before {
            return Ok((hasher.finalize().into(), before.is_settled(now).then_some(before)));
        }
    }
    Err(io::Error::other("it changes while it is read"))
}

/// The hash of what a folder lists, hidden files left out.
fn listing(folder: &Path) -> io::Result<Hash> {
    let (mut lines, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if lines.len() == MANY {
                return Err(io::Error::other(format!("it holds more than {MANY} files")));
            }
            let (path, about) = (entry.path(), entry.metadata()?);
            lines.push(format!("{:?} {:?}", path.strip_prefix(folder).unwrap_or(&path), listed(&about)));
            if about.is_dir() {
                open.push(path);
            }
        }
    }
    lines.sort_unstable();
    Ok(Hash::of(lines.join("\n").as_bytes()))
}

/// What a listing tells of an entry; the time on a folder changes with hidden files in it, too.
fn listed(about: &Metadata) -> Option<(u64, [i128; 2])> {
    (!about.is_dir()).then(|| (about.len(), Stamp::of(about).times))
}

#[cfg(test)]
mod tests;
