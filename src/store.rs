//! The object store: files named by the hash of what they hold, so that nothing is stored twice or changed.

use crate::value::{Artifact, Hash};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// A folder of stored files.
#[derive(Clone, Debug)]
pub struct Objects {
    root: PathBuf,
}

/// Why a stored file can't be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is not there or can't be read.
    #[error("the stored file `{name}` can't be read: {source}")]
    Unreadable {
        /// Its name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// Its bytes are not those that were stored.
    #[error("the stored file `{name}` was changed: its hash is {found}, not {wanted}")]
    Corrupt {
        /// Its name.
        name: String,
        /// What it should be.
        wanted: Hash,
        /// What it is.
        found: Hash,
    },
}

impl Objects {
    /// The store in the folder `root`, which need not exist yet.
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Stores bytes under a name.
    ///
    /// # Errors
    /// When the folder can't be written.
    pub fn put_bytes(&self, name: &str, bytes: &[u8]) -> io::Result<Artifact> {
        let artifact = Artifact { name: name.to_owned(), hash: Hash::of(bytes), bytes: bytes.len() as u64 };
        let path = self.path(&artifact);
        if !path.exists() {
            write_atomically(&path, bytes)?;
        }
        Ok(artifact)
    }

    /// Stores a file under a name. However large it is, little of it is in memory at a time.
    ///
    /// # Errors
    /// When it is no plain file or can't be read, or the folder can't be written.
    pub fn put_file(&self, name: &str, path: &Path) -> io::Result<Artifact> {
        let mut file = open_plain(path)?;
        fs::create_dir_all(&self.root)?;
        let mut copy = new_file(&self.root)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => {
                    hasher.update(&buffer[..count]);
                    copy.write_all(&buffer[..count])?;
                    bytes += count as u64;
                }
            }
        }
        let artifact = Artifact { name: name.to_owned(), hash: hasher.finalize().into(), bytes };
        let path = self.path(&artifact);
        if !path.exists() {
            fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
            copy.as_file().sync_all()?;
            copy.persist(path)?;
        }
        Ok(artifact)
    }

    /// The bytes of a stored file.
    ///
    /// # Errors
    /// When it is gone or its bytes were changed.
    pub fn read(&self, artifact: &Artifact) -> Result<Vec<u8>, StoreError> {
        let name = || artifact.name.clone();
        let bytes = fs::read(self.path(artifact)).map_err(|source| StoreError::Unreadable { name: name(), source })?;
        let found = Hash::of(&bytes);
        if found != artifact.hash {
            return Err(StoreError::Corrupt { name: name(), wanted: artifact.hash, found });
        }
        Ok(bytes)
    }

    /// Where a stored file lies.
    pub fn path(&self, artifact: &Artifact) -> PathBuf {
        let hash = artifact.hash.to_string();
        self.root.join(&hash[..2]).join(&hash[2..])
    }
}

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
fn new_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o666)).tempfile_in(folder)
}

/// Writes a file so that it is there whole or not at all, whatever happens meanwhile.
///
/// # Errors
/// When the folder can't be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = new_file(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
