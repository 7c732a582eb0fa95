//! Files on disk, written whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Opens a file that has an end: a pipe or a device may have none.
///
/// # Errors
/// When it is something else than a plain file, or can't be opened.
pub fn open_plain(path: &Path) -> io::Result<File> {
    match fs::metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file")),
    }
}

/// A new file with the rights that new files have here, without a name that others would use.
///
/// # Errors
/// When the folder can't be written.
pub fn new_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o666)).tempfile_in(folder)
}

/// Writes a file so that it is there whole or not at all, whatever happens meanwhile.
///
/// # Errors
/// When the folder can't be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    write_by_way_of(folder, path, bytes)
}

/// The same by way of another folder of the same file system, where the file lies while it is not whole: who may be killed
/// half-way leaves it where somebody clears up.
///
/// # Errors
/// When a folder can't be written.
pub fn write_by_way_of(workshop: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(workshop)?;
    let mut file = new_file(workshop)?;
    file.write_all(bytes)?;
    finish(file, path)
}

/// Gives a file that is whole its name, for good.
///
/// # Errors
/// When the folder can't be written.
pub fn finish(file: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder)
}

/// Makes sure that a folder's entries outlive a loss of power, such as a file that was just given its name.
///
/// # Errors
/// When the disk refuses.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some file systems can't be asked for this.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

/// Writes a file where one may be already: a link is followed, the file's rights are kept, and what is no plain file,
/// such as a pipe, is written into.
///
/// # Errors
/// When the place can't be written.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let Ok(about) = fs::metadata(path) else { return write_atomically(path, bytes) };
    if !about.is_file() {
        return File::options().write(true).open(path)?.write_all(bytes);
    }
    let path = path.canonicalize()?;
    write_atomically(&path, bytes)?;
    fs::set_permissions(&path, about.permissions())
}
