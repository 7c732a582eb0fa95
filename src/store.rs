//! The object store: files named by the hash of what they hold, so that nothing is stored twice or changed.

mod sweep;

pub use sweep::Swept;

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
        if !self.holds(&artifact) {
            write_atomically(&self.path(&artifact), bytes)?;
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
        if !self.holds(&artifact) {
            let path = self.path(&artifact);
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

    /// Whether a file is stored in its whole length; it then counts as new, so that no sweep takes it away from who is
    /// about to refer to it.
    pub fn holds(&self, artifact: &Artifact) -> bool {
        let path = self.path(artifact);
        let is_whole = fs::metadata(&path).is_ok_and(|about| about.is_file() && about.len() == artifact.bytes);
        // Who may not write here may not sweep either.
        let _ = is_whole.then(|| File::open(&path).and_then(|file| file.set_modified(SystemTime::now())));
        is_whole
    }

    /// Reads a stored file through, and says whether it is as it was stored. Little of it is in memory at a time.
    ///
    /// # Errors
    /// When it is gone or its bytes were changed.
    pub fn check(&self, artifact: &Artifact) -> Result<(), StoreError> {
        let name = || artifact.name.clone();
        let mut hasher = blake3::Hasher::new();
        let read = File::open(self.path(artifact)).and_then(|mut file| io::copy(&mut file, &mut hasher));
        read.map_err(|source| StoreError::Unreadable { name: name(), source })?;
        let found = Hash::from(hasher.finalize());
        match found == artifact.hash {
            true => Ok(()),
            false => Err(StoreError::Corrupt { name: name(), wanted: artifact.hash, found }),
        }
    }

    /// Takes a stored file away; that it is gone already is as well.
    ///
    /// # Errors
    /// When it can't be removed.
    pub fn remove(&self, artifact: &Artifact) -> io::Result<()> {
        match fs::remove_file(self.path(artifact)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a stored file lies.
    pub fn path(&self, artifact: &Artifact) -> PathBuf {
        let hash = artifact.hash.to_string();
        self.root.join(&hash[..2]).join(&hash[2..])
    }
}
