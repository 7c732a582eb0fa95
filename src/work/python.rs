//! The Python package `smlt`, which every command can import without installing anything.

use crate::disk::write_atomically;
use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

const PACKAGE: &str = include_str!("../../python/smlt/__init__.py");

/// Puts the package into a folder beside the object store, unless it lies there already: the folder for `PYTHONPATH`.
///
/// # Errors
/// When the folder can't be written.
pub(super) fn unpack(objects: &Path) -> io::Result<PathBuf> {
    let folder = objects.with_file_name("python");
    let file = folder.join("smlt/__init__.py");
    if !fs::read(&file).is_ok_and(|bytes| bytes == PACKAGE.as_bytes()) {
        write_atomically(&file, PACKAGE.as_bytes())?;
    }
    Ok(folder)
}

/// `PYTHONPATH` with one more folder, behind those that are there.
pub(super) fn search_path(given: Option<&OsStr>, folder: &Path) -> OsString {
    let given = given.filter(|given| !given.is_empty());
    // A folder with a `:` in its name can't be listed.
    env::join_paths(given.iter().flat_map(env::split_paths).chain([folder.to_owned()]))
        .unwrap_or_else(|_| given.unwrap_or_default().to_owned())
}
