//! The folder in which a command runs.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A working folder. It is used again where a command has left nothing in it: file systems are slow to make a file
/// right after others were removed.
#[derive(Debug)]
pub(in crate::work) struct Folder(TempDir);

impl Folder {
    /// The folder that was used before, if it lies in `place`, or a new one.
    pub fn take(kept: &mut Option<Self>, place: &Path) -> io::Result<Self> {
        if let Some(folder) = kept.take().filter(|folder| folder.path().parent() == Some(place)) {
            return Ok(folder);
        }
        fs::create_dir_all(place)?;
        tempfile::Builder::new().prefix("try-").tempdir_in(place).map(Self)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The file with the parameters.
    pub fn input(&self) -> PathBuf {
        self.path().join(".smlt-in.json")
    }

    /// Writes the parameters. A file that was used before is not emptied first: ext4 brings what is written after that to
    /// the disk at once, as for a file that must not be lost.
    pub fn write_input(&self, text: &str) -> io::Result<()> {
        let mut file = File::options().write(true).create(true).truncate(false).open(self.input())?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)
    }

    /// Where the result is to be written.
    pub fn output(&self) -> PathBuf {
        self.path().join(".smlt-out.json")
    }

    /// Keeps the folder for another command where it is as if new; all that is in it goes otherwise.
    pub fn put_back(self, kept: &mut Option<Self>) {
        if self.is_as_new().unwrap_or(false) {
            *kept = Some(self);
        }
    }

    fn is_as_new(&self) -> io::Result<bool> {
        let (input, output) = (self.input(), self.output());
        if fs::symlink_metadata(&output).is_ok() {
            fs::remove_file(&output)?;
        }
        for entry in fs::read_dir(self.path())? {
            if entry?.path() != input {
                return Ok(false);
            }
        }
        // What was made by the same hand in the same way has the same rights.
        let (folder, place) = (fs::symlink_metadata(self.path())?, fs::metadata(self.path().join(".."))?);
        let input = fs::symlink_metadata(&input)?;
        // The next parameters must go into no file of another name.
        let is_own = input.is_file() && input.nlink() == 1 && !input.permissions().readonly();
        Ok(is_own && folder.mode() == place.mode())
    }
}
