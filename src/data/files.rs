use super::DataError;
use crate::source::Name;
use flate2::read::MultiGzDecoder;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// Where relative paths and stored files are looked for.
pub struct Places<'a> {
    /// The folder of the workflow file.
    pub project: &'a Path,
    /// The object store.
    pub objects: &'a Path,
}

/// A file to read.
pub struct Source {
    /// As the user knows it.
    pub name: String,
    path: PathBuf,
}

impl Places<'_> {
    /// The files that paths and patterns mean; a pattern's in the order of their names.
    pub fn find(&self, patterns: &[Name]) -> Result<Vec<Source>, DataError> {
        let mut sources = Vec::new();
        for pattern in patterns {
            if let Some(object) = pattern.strip_prefix("object:") {
                sources.push(self.stored(object));
            } else if pattern.contains("://") {
                return Err(DataError::Remote(pattern.to_string()));
            } else if pattern.contains(['*', '?', '[']) {
                let before = sources.len();
                let project = match Path::new(&**pattern).is_absolute() {
                    true => String::new(),
                    false => glob::Pattern::escape(&self.project.to_string_lossy()) + "/",
                };
                let paths = glob::glob(&format!("{project}{pattern}"))
                    .map_err(|error| DataError::Unreadable { path: pattern.to_string(), reason: error.to_string() })?;
                for path in paths.flatten().filter(|path| path.is_file()) {
                    let name = path.strip_prefix(self.project).unwrap_or(&path).display().to_string();
                    sources.push(Source { name, path });
                }
                if sources.len() == before {
                    return Err(DataError::NotFound { path: pattern.to_string(), similar: None });
                }
            } else {
                sources.push(self.one(pattern)?);
            }
        }
        Ok(sources)
    }

    /// The file of one path.
    pub fn one(&self, name: &str) -> Result<Source, DataError> {
        let path = self.project.join(name);
        if !path.is_file() {
            return Err(DataError::NotFound { path: name.to_owned(), similar: similar_file(&path, name) });
        }
        Ok(Source { name: name.to_owned(), path })
    }

    /// `hash/name` of a stored file.
    fn stored(&self, object: &str) -> Source {
        let (hash, name) = object.split_once('/').unwrap_or((object, object));
        let (folder, rest) = hash.split_at_checked(2).unwrap_or((hash, ""));
        Source { name: name.to_owned(), path: self.objects.join(folder).join(rest) }
    }
}

impl Source {
    /// The file's bytes, unpacked when it is gzip; what is read counts into the hash.
    pub fn read(&self, hasher: &mut blake3::Hasher) -> Result<Vec<u8>, DataError> {
        let unreadable =
            |error: std::io::Error| DataError::Unreadable { path: self.name.clone(), reason: error.to_string() };
        let bytes = fs::read(&self.path).map_err(unreadable)?;
        hasher.update(&bytes);
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return Ok(bytes);
        }
        let mut unpacked = Vec::with_capacity(bytes.len() * 4);
        MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).map_err(unreadable)?;
        Ok(unpacked)
    }
}

/// A file in the same folder whose name is nearly the same.
fn similar_file(path: &Path, name: &str) -> Option<String> {
    let wanted = path.file_name()?.to_string_lossy().into_owned();
    let mut names: Vec<String> = fs::read_dir(path.parent()?)
        .ok()?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    let distance = |other: &String| strsim::damerau_levenshtein(&wanted, other);
    let near = names.into_iter().filter(|other| distance(other) <= wanted.len().div_ceil(3)).min_by_key(distance)?;
    let folder = name.strip_suffix(wanted.as_str())?;
    Some(format!("{folder}{near}"))
}
