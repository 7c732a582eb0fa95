//! What one worker has at hand of a bucket: the same files at the same paths, as far as its steps read or make them.

use super::{
    super::{pins, training},
    room::{Room, Sizes},
};
use crate::{
    data::Files,
    store::{Entry, Objects, Remote},
    value::{Artifact, Dataset, Location},
    wire::{Failure, Job, Kind, Op, Outcome, Role},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

pub const PROJECT: &str = "project";
pub const OBJECTS: &str = "objects";
pub const RUNS: &str = "runs";

/// What changes when a file does: its length and its time.
type Stamp = (u64, SystemTime);

/// The files in a folder.
pub type Stamps = BTreeMap<PathBuf, Stamp>;

/// A folder of this worker alone.
pub struct Mirror {
    folder: PathBuf,
    /// Held for as long as the folder is used.
    _lock: File,
    room: Room,
    /// The run of the last step.
    run: Option<PathBuf>,
    /// The project's files as that run found them.
    listed: BTreeMap<String, Entry>,
    /// The stamps of those that are here.
    here: BTreeMap<String, String>,
    /// The files of the run that are the same here and there.
    same: Stamps,
}

impl Mirror {
    /// In a folder, which is emptied.
    pub fn new(folder: &Path, most: u64) -> Result<Self, Failure> {
        let refused = |error: io::Error| {
            Failure::new(Kind::TaskFailed, format!("the worker can't use the folder `{}`: {error}", folder.display()))
                .help("see that `TMPDIR` names a folder that can be written")
        };
        fs::create_dir_all(folder).map_err(refused)?;
        let lock = File::create(folder.join("lock")).map_err(refused)?;
        if lock.try_lock().is_err() {
            let message = format!("another worker uses the folder `{}`", folder.display());
            return Err(
                Failure::new(Kind::TaskFailed, message).help("give each worker on this machine a `TMPDIR` of its own")
            );
        }
        for part in [PROJECT, OBJECTS, RUNS] {
            empty(&folder.join(part)).map_err(refused)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
            room: Room::new(most),
            run: None,
            listed: BTreeMap::new(),
            here: BTreeMap::new(),
            same: Stamps::new(),
        })
    }

    /// Brings in what a job reads.
    pub fn bring(&mut self, remote: &Remote, job: &Job) -> Result<(), Failure> {
        let is_new = self.run.as_ref() != Some(&job.run);
        if is_new {
            empty(&self.folder.join(RUNS)).map_err(|error| self.disk(&error))?;
            self.same.clear();
            self.list(remote)?;
            self.run = Some(job.run.clone());
        }
        let mut wanted = Sizes::new();
        if let Op::Command(_) = job.op {
            wanted.extend(self.listed.iter().map(|(name, entry)| (format!("{PROJECT}/{name}"), entry.bytes)));
        }
        let mut listed = is_new;
        for dataset in job.op.datasets() {
            for location in dataset.files.iter().chain(&dataset.test_files) {
                if let Location::Path(pattern) = location {
                    self.find(remote, pattern, &mut listed, &mut wanted)?;
                }
            }
        }
        let mut artifacts = BTreeMap::new();
        job.op.stored_files(&mut |artifact| drop(artifacts.insert(self.key(artifact), artifact.clone())));
        wanted.extend(artifacts.iter().map(|(key, artifact)| (key.clone(), artifact.bytes)));
        let mut fetched = self.fetch(remote, &wanted)?;
        let labels = wanted.len();
        for dataset in job.op.datasets() {
            for name in labels_of(dataset, job)? {
                self.find(remote, &name, &mut listed, &mut wanted)?;
            }
        }
        if wanted.len() > labels {
            fetched.extend(self.fetch(remote, &wanted)?);
        }
        let objects = Objects::open(&job.objects);
        for (key, artifact) in artifacts.iter().filter(|(key, _)| fetched.contains(*key)) {
            if !objects.check(artifact).map_err(|error| self.disk(&error))? {
                self.room.forget(key);
                let message = format!("`{}` has other bytes in {} than were stored", artifact.name, remote.address());
                return Err(Failure::new(Kind::TaskFailed, message).help("start the run again"));
            }
        }
        if job.op.datasets().next().is_some() {
            self.bring_files(remote, &pins::folder(&job.run), job)?;
        }
        if matches!(job.op, Op::Train(_)) || job.attempt > 1 {
            self.bring_files(remote, &job.scratch, job)?;
        }
        if let (Op::Train(train), Role::Seat(seat)) = (&job.op, &job.role)
            && seat.of > 1
        {
            self.bring_files(remote, &training::folder(job, train), job)?;
        }
        Ok(())
    }

    /// Brings in a stored file.
    pub fn bring_object(&mut self, remote: &Remote, artifact: &Artifact) -> Result<(), Failure> {
        self.fetch(remote, &Sizes::from([(self.key(artifact), artifact.bytes)])).map(drop)
    }

    /// Puts out a stored file, unless it is there.
    pub fn send(&mut self, remote: &Remote, artifact: &Artifact) -> Result<(), Failure> {
        let key = self.key(artifact);
        // What is at hand has come from there, or was sent before.
        if self.room.holds(&key) {
            return Ok(());
        }
        if !remote.send(&key, &self.folder.join(&key))? {
            return Err(Failure::new(Kind::TaskFailed, format!("the stored file `{}` is gone", artifact.name))
                .help("start the run again"));
        }
        // What is too large to be kept has served its purpose.
        self.make_room(&Sizes::from([(key.clone(), artifact.bytes)])).or_else(|_| self.drop_files(vec![key]))
    }

    /// Puts out what a job has made.
    pub fn put_out(&mut self, remote: &Remote, job: &Job, outcome: &Result<Outcome, Failure>) -> Result<(), Failure> {
        if let Ok(outcome) = outcome {
            let mut made = Vec::new();
            outcome.stored_files(&mut |artifact| made.push(artifact.clone()));
            for artifact in &made {
                self.send(remote, artifact)?;
            }
        }
        self.put_pins(remote, job)?;
        if matches!(job.op, Op::Train(_)) || outcome.is_err() {
            let now = stamps(&job.scratch);
            self.put_files(remote, &job.scratch, &now, &now)?;
        }
        if let (Op::Train(train), Role::Dealer) = (&job.op, &job.role) {
            let dealt = training::folder(job, train);
            let now = stamps(&dealt);
            self.put_files(remote, &dealt, &now, &now)?;
        }
        Ok(())
    }

    /// Puts out some of the files in a folder of the run, and removes there what is no longer among all that are here.
    pub fn put_files(&mut self, remote: &Remote, folder: &Path, some: &Stamps, all: &Stamps) -> Result<(), Failure> {
        let mut some: Vec<_> = some.iter().collect();
        // The latest of them stays longest.
        some.sort_by_key(|(_, (_, time))| Reverse(*time));
        for (file, stamp) in some {
            if self.same.get(file) != Some(stamp) && remote.send(&self.key_of(file), file)? {
                self.same.insert(file.clone(), *stamp);
            }
        }
        let gone: Vec<PathBuf> =
            self.same.keys().filter(|file| file.starts_with(folder) && !all.contains_key(*file)).cloned().collect();
        if !gone.is_empty() {
            remote.remove(&gone.iter().map(|file| self.key_of(file)).collect::<Vec<_>>())?;
            self.same.retain(|file, _| !gone.contains(file));
        }
        Ok(())
    }

    /// Makes a folder of the run what it is there.
    fn bring_files(&mut self, remote: &Remote, folder: &Path, job: &Job) -> Result<(), Failure> {
        let entries = remote.list(&self.key_of(folder))?;
        let here = stamps(folder);
        let mut there = BTreeSet::new();
        let mut wanted = Vec::new();
        for entry in entries {
            let file = self.folder.join(&entry.key);
            if !here.contains_key(&file) || here.get(&file) != self.same.get(&file) {
                wanted.push((entry.key, file.clone()));
            }
            there.insert(file);
        }
        for file in here.keys().filter(|file| !there.contains(*file)) {
            fs::remove_file(file).map_err(|error| self.disk(&error))?;
            self.same.remove(file);
        }
        remote.fetch(&wanted, &job.work)?;
        let now = stamps(folder);
        self.same.extend(there.into_iter().filter_map(|file| Some((file.clone(), *now.get(&file)?))));
        Ok(())
    }

    /// Puts out what the run has first found in files, and holds it to what others have found meanwhile.
    fn put_pins(&mut self, remote: &Remote, job: &Job) -> Result<(), Failure> {
        for (file, stamp) in stamps(&pins::folder(&job.run)) {
            if self.same.contains_key(&file) {
                continue;
            }
            let (own, key) = (fs::read(&file).map_err(|error| self.disk(&error))?, self.key_of(&file));
            if !remote.put_new(&key, own.clone().into())? {
                pins::compare(&own, &remote.get(&key)?.unwrap_or_default())?;
            }
            self.same.insert(file, stamp);
        }
        Ok(())
    }

    /// Takes note of the project's files. Those that have changed, or are gone, are gone here too.
    fn list(&mut self, remote: &Remote) -> Result<(), Failure> {
        let own = |entry: Entry| Some((entry.key.strip_prefix(PROJECT)?.strip_prefix('/')?.to_owned(), entry));
        self.listed = remote.list(PROJECT)?.into_iter().filter_map(own).collect();
        let is_old =
            |(name, stamp): &(&String, &String)| self.listed.get(*name).is_none_or(|entry| entry.stamp != **stamp);
        let old: Vec<String> = self.here.iter().filter(is_old).map(|(name, _)| format!("{PROJECT}/{name}")).collect();
        self.drop_files(old)
    }

    /// The files of the project that a path or a pattern means.
    fn find(&mut self, remote: &Remote, pattern: &str, listed: &mut bool, wanted: &mut Sizes) -> Result<(), Failure> {
        // These lie elsewhere.
        if pattern.contains("://") || Path::new(pattern).is_absolute() {
            return Ok(());
        }
        loop {
            let before = wanted.len();
            let found = matching(&self.listed, pattern);
            wanted.extend(found.iter().map(|entry| (entry.key.clone(), entry.bytes)));
            if !found.is_empty() || wanted.len() > before {
                return Ok(());
            }
            if *listed {
                let place = format!("{}/{PROJECT}", remote.address().trim_end_matches('/'));
                return Err(Failure::new(Kind::TaskFailed, format!("`{pattern}` is not in `{place}`"))
                    .help(format!("put the workflow's files there: `aws s3 sync FOLDER {place}`")));
            }
            self.list(remote)?;
            *listed = true;
        }
    }

    /// Brings in what is not at hand of some files: their keys.
    fn fetch(&mut self, remote: &Remote, wanted: &Sizes) -> Result<BTreeSet<String>, Failure> {
        let missing: Vec<(String, PathBuf)> = wanted
            .keys()
            .filter(|key| !self.room.holds(key) || !self.folder.join(key).exists())
            .map(|key| (key.clone(), self.folder.join(key)))
            .collect();
        self.make_room(wanted)?;
        if let Err(error) = remote.fetch(&missing, &self.folder.join(OBJECTS)) {
            missing.iter().for_each(|(key, _)| self.room.forget(key));
            return Err(error.into());
        }
        for (key, file) in &missing {
            let name = key.strip_prefix(PROJECT).and_then(|name| name.strip_prefix('/'));
            if let Some((name, entry)) = name.and_then(|name| self.listed.get_key_value(name)) {
                self.here.insert(name.clone(), entry.stamp.clone());
                // A bucket does not know which files are programs.
                allow(file).map_err(|error| self.disk(&error))?;
            }
        }
        Ok(missing.into_iter().map(|(key, _)| key).collect())
    }

    fn make_room(&mut self, wanted: &Sizes) -> Result<(), Failure> {
        let gone = self.room.take(wanted, &self.folder)?;
        self.drop_files(gone)
    }

    fn drop_files(&mut self, keys: Vec<String>) -> Result<(), Failure> {
        for key in keys {
            self.room.forget(&key);
            if let Some(name) = key.strip_prefix(PROJECT).and_then(|name| name.strip_prefix('/')) {
                self.here.remove(name);
            }
            match fs::remove_file(self.folder.join(&key)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.disk(&error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The key of a stored file.
    fn key(&self, artifact: &Artifact) -> String {
        self.key_of(&Objects::open(self.folder.join(OBJECTS)).path(artifact))
    }

    /// The key of a file in this folder.
    fn key_of(&self, file: &Path) -> String {
        file.strip_prefix(&self.folder).unwrap_or(file).to_string_lossy().into_owned()
    }

    fn disk(&self, error: &io::Error) -> Failure {
        Failure::new(Kind::TaskFailed, format!("the worker can't use its folder `{}`: {error}", self.folder.display()))
            .help("give the functions more ephemeral storage, up to 10 GiB")
    }
}

/// The files of a project that a path or a pattern means, as a search on disk would find them.
fn matching<'l>(listed: &'l BTreeMap<String, Entry>, pattern: &str) -> Vec<&'l Entry> {
    let plain = plain(pattern);
    if !pattern.contains(['*', '?', '[']) {
        return listed.get(&plain).into_iter().collect();
    }
    // One that is none is told of where it is read.
    let Ok(pattern) = glob::Pattern::new(&plain) else { return Vec::new() };
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
    listed.iter().filter(|(name, _)| pattern.matches_with(name, options)).map(|(_, entry)| entry).collect()
}

/// A path without detours; one that leads out of the project names nothing in it.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => parts.extend(part.to_str()),
            Component::ParentDir if parts.pop().is_none() => return String::new(),
            _ => {}
        }
    }
    parts.join("/")
}

/// The files that hold nothing but the labels of a dataset.
fn labels_of(dataset: &Dataset, job: &Job) -> Result<Vec<String>, Failure> {
    let files = Files::find(dataset, &job.project, &Objects::open(&job.objects))?;
    Ok(files.labels(dataset)?)
}

/// All files in a folder and those below.
pub fn stamps(folder: &Path) -> Stamps {
    let mut found = Stamps::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.metadata() {
            Ok(about) if about.is_dir() => found.extend(stamps(&path)),
            Ok(about) if about.is_file() => {
                found.extend(about.modified().ok().map(|time| (path, (about.len(), time))));
            }
            _ => {}
        }
    }
    found
}

fn allow(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))
}

/// Removes a folder with all that is in it.
fn empty(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
