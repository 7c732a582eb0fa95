//! What a function is made of: the program of the workers, and the book of the workflow.

use super::CloudError;
use std::{
    env, fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};
use zip::{CompressionMethod, DateTime, ZipWriter, result::ZipError, write::SimpleFileOptions};

/// The most bytes that a function may be sent with.
const MOST: usize = 50 << 20;

/// The program `smlt-worker`.
pub struct Worker {
    path: PathBuf,
    bytes: Vec<u8>,
    architecture: &'static str,
}

impl Worker {
    /// Finds the program at `path`, or beside this program.
    ///
    /// # Errors
    /// When it is not there, or not for Linux.
    pub fn find(path: Option<&Path>) -> Result<Self, CloudError> {
        let beside = || env::current_exe().ok().and_then(|own| Some(own.parent()?.join("smlt-worker")));
        let path = path.map(Path::to_owned).or_else(beside).unwrap_or_else(|| "smlt-worker".into());
        let wrong = |reason: &str| CloudError::Worker(format!("the worker `{}` {reason}", path.display()));
        let bytes = fs::read(&path).map_err(|error| wrong(&format!("can't be read: {error}")))?;
        let architecture = match (&bytes.get(..4), bytes.get(18..20)) {
            (Some(b"\x7fELF"), Some([0x3e, 0])) => "x86_64",
            (Some(b"\x7fELF"), Some([0xb7, 0])) => "arm64",
            (Some([b'#', b'!', ..]), _) if cfg!(target_arch = "aarch64") => "arm64",
            (Some([b'#', b'!', ..]), _) => "x86_64",
            _ => return Err(wrong("is no program for Linux on x86-64 or ARM64")),
        };
        Ok(Self { path, bytes, architecture })
    }

    /// The processors that it is made for, as Lambda calls them.
    pub const fn architecture(&self) -> &'static str {
        self.architecture
    }

    /// The zipped function; the same for the same program and book.
    ///
    /// # Errors
    /// When it is too large.
    pub fn zipped(&self, book: &str) -> Result<Vec<u8>, CloudError> {
        let zipped = pack(&self.bytes, book).map_err(|error| CloudError::Worker(error.to_string()))?;
        if zipped.len() > MOST {
            return Err(CloudError::Worker(format!(
                "the worker `{}` has {} MiB when it is zipped, and may have {}; debug builds are large",
                self.path.display(),
                zipped.len() >> 20,
                MOST >> 20
            )));
        }
        Ok(zipped)
    }
}

fn pack(program: &[u8], book: &str) -> Result<Vec<u8>, ZipError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default());
    for (name, mode, bytes) in [("bootstrap", 0o755, program), ("book.json", 0o644, book.as_bytes())] {
        zip.start_file(name, options.unix_permissions(mode))?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}
