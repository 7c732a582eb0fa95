//! The Python package `smlt`, which every command can import without installing anything.

use crate::{disk::write_by_way_of, wire::Job};
use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

const PACKAGE: &str = include_str!("../../../python/smlt/__init__.py");

/// Puts the package into a folder beside the object store, unless it lies there already: the folder for `PYTHONPATH`.
///
/// # Errors
/// When the folder can't be written.
pub(super) fn unpack(job: &Job) -> io::Result<PathBuf> {
    let folder = job.objects.with_file_name("python");
    let file = folder.join("smlt/__init__.py");
    if !fs::read(&file).is_ok_and(|bytes| bytes == PACKAGE.as_bytes()) {
        write_by_way_of(&job.work, &file, PACKAGE.as_bytes())?;
    }
    Ok(folder)
}

/// `PYTHONPATH` with one more folder behind those of the task's `own`, or else of the environment.
pub(super) fn search_path(own: Option<&str>, folder: &Path) -> OsString {
    let given = own.map(OsString::from).or_else(|| env::var_os("PYTHONPATH")).filter(|given| !given.is_empty());
    // A folder with a `:` in its name can't be listed.
    env::join_paths(given.iter().flat_map(env::split_paths).chain([folder.to_owned()]))
        .unwrap_or_else(|_| given.unwrap_or_default())
}
