//! The object store: files named by the hash of what they hold, so that nothing is stored twice or changed.

use crate::{
    disk::{new_file, open_plain, write_atomically},
    value::{Artifact, Hash},
};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::SystemTime,
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
        if !renew(&path) {
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
        if !renew(&path) {
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

/// Whether a file is stored already. It then counts as new, so that nobody who sweeps old ones away takes it.
fn renew(path: &Path) -> bool {
    File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now())).is_ok()
}
