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
    path::Path,
};

/// What a file held when a run first read it.
#[derive(Serialize, Deserialize)]
struct Pin {
    file: String,
    hash: Hash,
}

/// Holds a run to what its first step found in the files, so that no two steps learn from two versions of one.
pub fn hold(job: &Job, prints: &[Print]) -> Result<(), Failure> {
    for print in prints {
        let first = first(&job.run.join("data"), &job.work, print).map_err(|error| {
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
fn first(folder: &Path, workshop: &Path, print: &Print) -> io::Result<Pin> {
    let path = folder.join(Hash::of(print.path.as_os_str().as_bytes()).to_string());
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
