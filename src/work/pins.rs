use crate::{
    data::{DataError, Print},
    disk::new_file,
    value::Hash,
    wire::{Failure, Job, Kind},
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// What a file held when a run first read it.
#[derive(Serialize, Deserialize)]
struct Pin {
    file: String,
    hash: Hash,
}

/// Where a run keeps what it first found.
pub fn folder(run: &Path) -> PathBuf {
    run.join("data")
}

/// Holds what one worker found against what another did at the same time.
pub fn compare(own: &[u8], others: &[u8]) -> Result<(), Failure> {
    match (serde_json::from_slice::<Pin>(own), serde_json::from_slice::<Pin>(others)) {
        (Ok(own), Ok(others)) if own.hash != others.hash => Err(DataError::Changed { path: own.file }.into()),
        _ => Ok(()),
    }
}

/// Holds a run to what its first step found in the files, so that no two steps learn from two versions of one.
pub fn hold(job: &Job, prints: &[Print]) -> Result<(), Failure> {
    for print in prints {
        let first = first(&folder(&job.run), job, print).map_err(|error| {
            Failure::new(Kind::TaskFailed, format!("the run's folder can't be used: {error}"))
                .help("check the disk's space and rights")
        })?;
        if first.hash != print.hash {
            return Err(DataError::Changed { path: print.name.clone() }.into());
        }
    }
    Ok(())
}

/// What the run first found in a file, which is what is found now where no step has read it before.
fn first(folder: &Path, job: &Job, print: &Print) -> io::Result<Pin> {
    let (workshop, own) = (&job.work, print.path.strip_prefix(&job.project).unwrap_or(&print.path));
    let path = folder.join(Hash::of(own.as_os_str().as_bytes()).to_string());
    // One that a failing machine has left half-written says nothing.
    let known = || Ok::<_, io::Error>(serde_json::from_slice::<Pin>(&fs::read(&path)?).ok());
    match known() {
        Ok(Some(pin)) => return Ok(pin),
        Ok(None) => fs::remove_file(&path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::create_dir_all(folder)?;
    fs::create_dir_all(workshop)?;
    let pin = Pin { file: print.name.clone(), hash: print.hash };
    let mut file = new_file(workshop)?;
    file.write_all(&serde_json::to_vec(&pin)?)?;
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(pin),
        // Another step was quicker.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(known()?.unwrap_or(pin)),
        Err(error) => Err(error.error),
    }
}
