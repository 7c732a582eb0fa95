//! MLflow's file store: `<experiment>/<run>/{meta.yaml, params, metrics, tags, artifacts}`, as its `FileStore` reads it.

use super::{Entry, Sample, keys::keyed};
use crate::{disk::write_atomically, runs::RunsError};
use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

/// The longest value of a parameter, in bytes.
const LONGEST_VALUE: usize = 6000;

/// Why a run can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum MlflowError {
    /// Its log can't be read.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// A file can't be written, or one of the run's can't be read.
    #[error("`{0}` can't be exported: {1}")]
    File(PathBuf, io::Error),
}

/// An experiment in a file store.
pub(super) struct Store {
    experiment: String,
    folder: PathBuf,
}

impl Store {
    /// The experiment of this name in the store in `root`; made where there is none.
    pub(super) fn open(root: &Path, name: &str, now: i64) -> Result<Self, MlflowError> {
        let failed = |error| MlflowError::File(root.to_owned(), error);
        // Runs name the places of their files in full.
        fs::create_dir_all(root).map_err(failed)?;
        let root = root.canonicalize().map_err(failed)?;
        if let Some(experiment) = existing(&root, name).map_err(failed)? {
            return Ok(Self { folder: root.join(&experiment), experiment });
        }
        let hash = blake3::hash(name.as_bytes());
        let number = hash.as_bytes()[..7].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        // MLflow's own numbers have as many digits; 2^56 has one less.
        let experiment = format!("{}", 100_000_000_000_000_000 + number);
        let store = Self { folder: root.join(&experiment), experiment };
        let meta = [
            ("artifact_location", uri(&store.folder)),
            ("creation_time", now.to_string()),
            ("experiment_id", quoted(&store.experiment)),
            ("last_update_time", now.to_string()),
            ("lifecycle_stage", "active".into()),
            ("name", quoted(name)),
        ];
        store.put(Path::new("meta.yaml"), &yaml(&meta))?;
        Ok(store)
    }

    /// Writes a run, or writes it anew. What MLflow's users have added to it stays.
    pub(super) fn write(&self, entry: &Entry, user: &str) -> Result<(), MlflowError> {
        let run = Path::new(&entry.id);
        let artifacts = run.join("artifacts");
        // A run without any of these folders is none for MLflow.
        for folder in ["artifacts", "metrics", "params", "tags"].map(|name| self.folder.join(run).join(name)) {
            fs::create_dir_all(&folder).map_err(|error| MlflowError::File(folder, error))?;
        }
        for (key, value) in keyed(&entry.params) {
            self.put(&run.join("params").join(key), &param(value))?;
        }
        for (key, samples) in keyed(&entry.metrics) {
            let mut lines = String::new();
            for Sample(at, value, step) in samples {
                // Nothing can fail that is written into a text.
                let _ = writeln!(lines, "{at} {value} {step}");
            }
            self.put(&run.join("metrics").join(key), &lines)?;
        }
        for (key, text) in keyed(&entry.tags) {
            self.put(&run.join("tags").join(key), text)?;
        }
        for (path, text) in &entry.texts {
            self.put(&artifacts.join(path), text)?;
        }
        for (path, source) in &entry.files {
            self.copy(source, &artifacts.join(path))?;
        }
        let end = entry.end.map_or_else(|| "null".into(), |end| end.to_string());
        let meta = [
            ("artifact_uri", uri(&self.folder.join(&artifacts))),
            ("end_time", end),
            ("entry_point_name", quoted("")),
            ("experiment_id", quoted(&self.experiment)),
            ("lifecycle_stage", "active".into()),
            ("run_id", quoted(&entry.id)),
            ("run_name", quoted(&entry.name)),
            ("run_uuid", quoted(&entry.id)),
            ("source_name", quoted("")),
            ("source_type", "4".into()),
            ("source_version", quoted("")),
            ("start_time", entry.start.to_string()),
            ("status", (entry.status as u8).to_string()),
            ("tags", "[]".into()),
            ("user_id", quoted(user)),
        ];
        // Last: a run is there for MLflow as soon as this file is.
        self.put(&run.join("meta.yaml"), &yaml(&meta))
    }

    fn put(&self, path: &Path, text: &str) -> Result<(), MlflowError> {
        let path = self.folder.join(path);
        if fs::read(&path).is_ok_and(|bytes| bytes == text.as_bytes()) {
            return Ok(());
        }
        write_atomically(&path, text.as_bytes()).map_err(|error| MlflowError::File(path, error))
    }

    /// Copies a file, unless it is there already. A link would let whoever writes to it change what is stored here.
    fn copy(&self, source: &Path, path: &Path) -> Result<(), MlflowError> {
        let path = self.folder.join(path);
        let copied = || {
            let length = fs::metadata(source)?.len();
            if fs::metadata(&path).is_ok_and(|about| about.len() == length) {
                return Ok(());
            }
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::copy(source, &path).map(drop)
        };
        copied().map_err(|error| MlflowError::File(source.to_owned(), error))
    }
}

/// The experiment of this name, if the store has one.
fn existing(root: &Path, name: &str) -> io::Result<Option<String>> {
    let wanted = [name.to_owned(), format!("'{name}'"), quoted(name)].map(|name| format!("name: {name}"));
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let meta = fs::read_to_string(entry.path().join("meta.yaml")).unwrap_or_default();
        if meta.lines().any(|line| wanted.iter().any(|wanted| line == wanted)) {
            return Ok(entry.file_name().into_string().ok());
        }
    }
    Ok(None)
}

fn yaml(fields: &[(&str, String)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

/// A text in YAML: JSON's texts are among them.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A place on this machine as a URI.
fn uri(path: &Path) -> String {
    let mut uri = "file://".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) => uri.push(char::from(*byte)),
            byte => uri += &format!("%{byte:02X}"),
        }
    }
    quoted(&uri)
}

/// A value of a parameter, cut where it is longer than MLflow takes.
fn param(text: &str) -> String {
    if text.len() <= LONGEST_VALUE {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST_VALUE - '…'.len_utf8())])
}
