//! The files of a project, as the compiler sees them.

use crate::{
    source::{FileId, ImportError, Source, World},
    stdlib,
    syntax::{Cst, Token},
    value::Hash,
};
use std::{
    cell::RefCell,
    fs, io,
    path::{Component, Path, PathBuf},
};

/// The bytes from which on a file's words are not told from its comments, which takes long then.
const LARGE: usize = 1 << 20;

/// Files on disk and the embedded standard library, read when first asked for.
pub struct Files {
    root: PathBuf,
    project: PathBuf,
    files: RefCell<Vec<File>>,
}

struct File {
    key: Key,
    source: Source,
}

#[derive(Clone, PartialEq, Eq)]
enum Key {
    Std(String),
    Disk(PathBuf),
}

impl Files {
    /// The world around a workflow file, whose folder is the project.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let project = folder.canonicalize().map_err(|_| ImportError::NotFound(path.display().to_string()))?;
        let this = Self { root: path.to_owned(), project, files: RefCell::default() };
        let source = read(path, &path.display().to_string())?;
        let key = Key::Disk(this.project.join(path.file_name().unwrap_or_default()));
        this.files.borrow_mut().push(File { key, source });
        Ok(this)
    }

    /// The folder of the workflow file.
    pub fn project(&self) -> &Path {
        &self.project
    }

    /// The hash of what all files read so far say, in their order: of their words, not of comments and spaces. Files that
    /// say the same make the same task graph.
    pub fn hash(&self) -> Hash {
        let mut words = blake3::Hasher::new();
        words.update(env!("CARGO_PKG_VERSION").as_bytes());
        for file in self.files.borrow().iter() {
            let text = &file.source.text;
            words.update(b"\0");
            if text.len() > LARGE {
                words.update(text.as_bytes());
                continue;
            }
            // A line's end may end a statement, so it is told from a space; how many there are means nothing.
            let mut gap = "";
            for leaf in Cst::parse(text).leaves() {
                let text = &text[leaf.range.clone()];
                match leaf.token {
                    Token::Space | Token::Comment if text.contains('\n') => gap = "\n",
                    Token::Space | Token::Comment if gap.is_empty() => gap = " ",
                    Token::Space | Token::Comment => {}
                    _ => {
                        words.update(std::mem::take(&mut gap).as_bytes());
                        words.update(text.as_bytes());
                    }
                }
            }
        }
        words.finalize().into()
    }

    fn find(&self, key: Key, read: impl FnOnce() -> Result<Source, ImportError>) -> Result<FileId, ImportError> {
        let known = self.files.borrow().iter().position(|file| file.key == key);
        let index = match known {
            Some(index) => index,
            None => {
                let source = read()?;
                let mut files = self.files.borrow_mut();
                files.push(File { key, source });
                files.len() - 1
            }
        };
        Ok(FileId(index as u32))
    }
}

impl World for Files {
    fn root(&self) -> FileId {
        FileId(0)
    }

    fn import(&self, from: FileId, path: &str) -> Result<FileId, ImportError> {
        let missing = || ImportError::NotFound(path.to_owned());
        if let Some(module) = path.strip_prefix("std/") {
            return self.find(Key::Std(module.to_owned()), || {
                let text = stdlib::source(module).ok_or_else(missing)?;
                Ok(Source { name: format!("std/{module}"), text: text.into() })
            });
        }
        if !path.starts_with("./") && !path.starts_with("../") {
            return Err(missing());
        }
        let folder = match &self.files.borrow()[from.0 as usize].key {
            Key::Disk(file) => file.parent().unwrap_or(&self.project).to_owned(),
            Key::Std(_) => return Err(missing()),
        };
        let target = normal(&folder.join(format!("{path}.smlt")));
        if !target.starts_with(&self.project) {
            return Err(ImportError::Outside(path.to_owned()));
        }
        let shown =
            self.root.parent().unwrap_or(Path::new("")).join(target.strip_prefix(&self.project).unwrap_or(&target));
        self.find(Key::Disk(target.clone()), || read(&target, &shown.display().to_string()))
    }

    fn source(&self, file: FileId) -> Source {
        self.files.borrow()[file.0 as usize].source.clone()
    }
}

fn read(path: &Path, name: &str) -> Result<Source, ImportError> {
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ImportError::NotFound(name.to_owned()),
        _ => ImportError::Unreadable(name.to_owned(), error.to_string()),
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        ImportError::Unreadable(name.to_owned(), format!("it is not UTF-8: {}", error.utf8_error()))
    })?;
    Ok(Source { name: name.to_owned(), text: text.into() })
}

/// A path without `.` and `..`, by its words alone.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// The files that a path means, in order; of a folder all below it but in hidden folders.
///
/// # Errors
/// When a folder can't be read.
pub fn workflow_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if entry.is_dir() && !entry.is_symlink() && !hidden {
            files.extend(workflow_files(&entry)?);
        } else if entry.is_file() && entry.extension().is_some_and(|end| end == "smlt") {
            files.push(entry);
        }
    }
    Ok(files)
}
