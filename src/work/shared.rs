//! What all workers of a deployment share: the project's files, stored files, and what runs leave for their next steps. It
//! lies in a folder, or in a bucket of which each worker has a part at hand.

mod mirror;
mod room;
#[cfg(test)]
mod tests;

use crate::{
    store::{Objects, Remote, RemoteError},
    value::Artifact,
    wire::{Failure, Job, Kind, Op, Outcome},
};
use bytes::Bytes;
use mirror::{Mirror, Stamps};
use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

/// How long to try again what may pass by itself.
const RETRY: Duration = Duration::from_secs(20);

/// How often to look for what a step has left in its folder.
const PAUSE: Duration = Duration::from_secs(1);

/// What workers share.
pub struct Shared {
    address: String,
    remote: Remote,
    folder: PathBuf,
    /// What of a bucket is at hand; none where all of it is.
    mirror: Option<Mutex<Mirror>>,
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        Self::new(Kind::TaskFailed, format!("what workers share, {error}")).help(error.help)
    }
}

impl Shared {
    /// What is shared at an address: a folder's path, or `s3://BUCKET[/PREFIX][?endpoint=URL]`, of which a part will lie in
    /// the folder for temporary files.
    ///
    /// # Errors
    /// When the address is none, or it can't be used.
    pub fn open(address: &OsStr) -> Result<Self, Failure> {
        match address.to_str().and_then(|address| address.split_once("://")) {
            None => Self::in_folder(Path::new(address)),
            Some(("s3", place)) => {
                let folder = env::temp_dir().join("smlt");
                let shared = Self::mirrored(Remote::at(place, RETRY)?, folder, room::most(&env::temp_dir()))?;
                Ok(Self { address: format!("s3://{place}"), ..shared })
            }
            Some((scheme, _)) => {
                let message = format!("workers can't share what lies at an address that begins with `{scheme}://`");
                Err(Failure::new(Kind::TaskFailed, message)
                    .help("name a folder, or `s3://BUCKET[/PREFIX][?endpoint=URL]`"))
            }
        }
    }

    /// What is shared in a folder, which all workers have.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn in_folder(folder: &Path) -> Result<Self, Failure> {
        let address = folder.display().to_string();
        Ok(Self { address, remote: Remote::in_folder(folder)?, folder: folder.to_owned(), mirror: None })
    }

    /// What is shared elsewhere, of which up to `most` bytes lie in a folder that is this worker's alone.
    fn mirrored(remote: Remote, folder: PathBuf, most: u64) -> Result<Self, Failure> {
        let mirror = Mutex::new(Mirror::new(&folder, most)?);
        Ok(Self { address: remote.address().to_owned(), remote, folder, mirror: Some(mirror) })
    }

    /// The address of a parameter store in it, where the workers of a training may meet.
    pub fn meeting(&self) -> String {
        let (place, query) = self.address.split_once('?').unwrap_or((&self.address, ""));
        let scheme = if place.contains("://") { "" } else { "file://" };
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{scheme}{}/exchange{mark}{query}", place.trim_end_matches('/'))
    }

    /// Where the project's files lie.
    pub fn project(&self) -> PathBuf {
        self.folder.join(mirror::PROJECT)
    }

    /// Where stored files lie.
    pub fn objects(&self) -> PathBuf {
        self.folder.join(mirror::OBJECTS)
    }

    /// Where a run has its own.
    pub fn run(&self, id: &str) -> PathBuf {
        self.folder.join(mirror::RUNS).join(id)
    }

    /// Puts bytes under a key, such as `runs/fox/events/1`.
    ///
    /// # Errors
    /// When they can't be put.
    pub fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        Ok(self.remote.put(key, bytes.into())?)
    }

    /// What is under a key, if anything is.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn get(&self, key: &str) -> Result<Option<Bytes>, Failure> {
        Ok(self.remote.get(key)?)
    }

    /// The keys below another, in order.
    ///
    /// # Errors
    /// When they can't be listed.
    pub fn list(&self, below: &str) -> Result<Vec<String>, Failure> {
        Ok(self.remote.list(below)?.into_iter().map(|entry| entry.key).collect())
    }

    /// Stores bytes that are to be found under their hash.
    ///
    /// # Errors
    /// When they can't be stored.
    pub fn keep(&self, artifact: &Artifact, bytes: &[u8]) -> Result<(), Failure> {
        Objects::open(self.objects()).put_bytes(&artifact.name, bytes).map_err(|error| {
            Failure::new(Kind::TaskFailed, format!("a value can't be stored: {error}")).help("make room on the disk")
        })?;
        match &self.mirror {
            Some(mirror) => lock(mirror).send(&self.remote, artifact),
            None => Ok(()),
        }
    }

    /// Bytes that were stored.
    ///
    /// # Errors
    /// When they can't be had.
    pub fn recall(&self, artifact: &Artifact) -> Result<Vec<u8>, Failure> {
        if let Some(mirror) = &self.mirror {
            lock(mirror).bring_object(&self.remote, artifact)?;
        }
        Objects::open(self.objects()).read(artifact).map_err(|error| {
            Failure::new(Kind::TaskFailed, error.to_string()).help("start the run again, with what it has stored")
        })
    }

    /// Does a job whose folders are these, with all at hand that it reads; what it has made is there for others before this
    /// returns.
    ///
    /// # Errors
    /// When the job fails, or what it needs or makes can't be moved.
    pub fn around(&self, job: &Job, work: impl FnOnce() -> Result<Outcome, Failure>) -> Result<Outcome, Failure> {
        let Some(mirror) = &self.mirror else { return work() };
        lock(mirror).bring(&self.remote, job)?;
        let outcome = thread::scope(|scope| {
            let (over, wait) = channel::<()>();
            scope.spawn(move || self.carry(mirror, job, &wait));
            let outcome = work();
            drop(over);
            outcome
        });
        let put = lock(mirror).put_out(&self.remote, job, &outcome);
        match (outcome, put) {
            // A training that says so has left a checkpoint, which another worker must find.
            (Err(failure), Err(not_put)) if failure.kind == Kind::WorkerLost => Err(not_put),
            (Err(failure), _) | (Ok(_), Err(failure)) => Err(failure),
            (outcome, Ok(())) => outcome,
        }
    }

    /// Puts out what a step leaves in its folder while it works, so that it is there when the worker is lost.
    fn carry(&self, mirror: &Mutex<Mirror>, job: &Job, over: &Receiver<()>) {
        let mut before = Stamps::new();
        while over.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            let now = mirror::stamps(&job.scratch);
            // A training's files are whole from the first; what a command still writes is left for later.
            let is_whole = |file: &PathBuf, stamp| matches!(job.op, Op::Train(_)) || before.get(file) == Some(stamp);
            let whole = now.iter().filter(|(file, stamp)| is_whole(file, stamp));
            let whole = whole.map(|(file, stamp)| (file.clone(), *stamp)).collect();
            // What can't be put now is tried again, at the latest when the step is over, which then tells.
            let _ = lock(mirror).put_files(&self.remote, &job.scratch, &whole, &now);
            before = now;
        }
    }
}

fn lock(mirror: &Mutex<Mirror>) -> MutexGuard<'_, Mirror> {
    // What a panic left undone is seen as not there.
    mirror.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
