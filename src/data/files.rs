use super::{DataError, idx};
use crate::{
    store::Objects,
    value::{Dataset, Format, Hash, Location},
};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use std::{
    error::Error,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The files of a data set.
pub struct Files {
    /// Those that hold the data; with separate test files, what to learn from.
    pub main: Vec<Source>,
    /// Separate test files; none when the data comes undivided.
    pub test: Vec<Source>,
    project: PathBuf,
}

/// The files that were read, in order.
pub type Prints = Vec<Print>;

/// A file as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// As the user knows it.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// The hash of what it held.
    pub hash: Hash,
    stamp: Stamp,
}

impl Print {
    /// Whether the file is still the one that was read.
    pub fn is_current(&self) -> bool {
        Stamp::of(&self.path).is_ok_and(|stamp| stamp == self.stamp)
    }
}

/// What changes when a file does: its length and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp(u64, SystemTime);

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self(about.len(), about.modified()?))
    }
}

/// A file to read.
#[derive(Clone, Debug)]
pub struct Source {
    /// As the user knows it.
    pub name: String,
    path: PathBuf,
}

impl Files {
    /// Finds the files of a data set. Paths are relative to `project`, the folder of the workflow file.
    ///
    /// # Errors
    /// When a path leads nowhere, or a pattern fits nothing.
    pub fn find(dataset: &Dataset, project: &Path, objects: &Objects) -> Result<Self, DataError> {
        let places = Places { project, objects };
        let (main, test) = (places.find(&dataset.files)?, places.find(&dataset.test_files)?);
        Ok(Self { main, test, project: project.to_owned() })
    }

    /// What changes when one of the files does: their paths, lengths and times.
    pub fn stamp(&self) -> String {
        let stamp = |source: &Source| (source.path.clone(), Stamp::of(&source.path).ok());
        format!("{:?}", self.main.iter().chain(&self.test).map(stamp).collect::<Vec<_>>())
    }

    /// Every file that is opened when the data set is read, those with labels of their own included.
    ///
    /// # Errors
    /// When a file with labels is not there.
    pub fn all(&self, dataset: &Dataset) -> Result<Vec<Source>, DataError> {
        let mut all = [&*self.main, &*self.test].concat();
        for name in self.labels(dataset)? {
            all.push(self.beside(&name)?);
        }
        Ok(all)
    }

    /// The names of the files that hold nothing but labels.
    ///
    /// # Errors
    /// When the format is none.
    pub fn labels(&self, dataset: &Dataset) -> Result<Vec<String>, DataError> {
        let Format::Idx { labels } = Format::parse(&dataset.format)? else { return Ok(Vec::new()) };
        let main = self.main.iter().map(|source| idx::label_name(source, labels.as_deref(), false));
        let test = self.test.iter().map(|source| idx::label_name(source, labels.as_deref(), true));
        Ok(main.chain(test).collect())
    }

    /// A file that another one belongs to.
    pub fn beside(&self, name: &str) -> Result<Source, DataError> {
        one(&self.project, name)
    }
}

struct Places<'a> {
    project: &'a Path,
    objects: &'a Objects,
}

impl Places<'_> {
    /// The files that paths and patterns mean; a pattern's in the order of their names.
    fn find(&self, locations: &[Location]) -> Result<Vec<Source>, DataError> {
        let mut sources = Vec::new();
        for location in locations {
            let pattern = match location {
                Location::Path(pattern) => pattern,
                Location::Stored(artifact) => {
                    sources.push(Source { name: artifact.name.clone(), path: self.objects.path(artifact) });
                    continue;
                }
            };
            if pattern.contains("://") {
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
                sources.push(one(self.project, pattern)?);
            }
        }
        Ok(sources)
    }
}

/// The file of one path.
fn one(project: &Path, name: &str) -> Result<Source, DataError> {
    let path = project.join(name);
    if !path.is_file() {
        return Err(DataError::NotFound { path: name.to_owned(), similar: similar_file(&path, name) });
    }
    Ok(Source { name: name.to_owned(), path })
}

impl Source {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's bytes, unpacked when it is gzip; what was read is noted in `prints`.
    pub fn read(&self, prints: &mut Prints) -> Result<Vec<u8>, DataError> {
        let stamp = || Stamp::of(&self.path).map_err(|error| self.unreadable(&error));
        let before = stamp()?;
        let bytes = fs::read(&self.path).map_err(|error| self.unreadable(&error))?;
        // What is written meanwhile may be read in part.
        if stamp()? != before {
            return Err(DataError::Changed { path: self.name.clone() });
        }
        let (name, path, hash) = (self.name.clone(), self.path.clone(), Hash::of(&bytes));
        prints.push(Print { name, path, hash, stamp: before });
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return Ok(bytes);
        }
        let mut unpacked = Vec::with_capacity(bytes.len() * 4);
        MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).map_err(|error| self.unreadable(&error))?;
        Ok(unpacked)
    }

    /// Says that it can't be read.
    pub fn unreadable(&self, error: &dyn Error) -> DataError {
        DataError::Unreadable { path: self.name.clone(), reason: error.to_string() }
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
