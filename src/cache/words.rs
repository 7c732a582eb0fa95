//! The files that a command line names.

use super::memo::{Memo, Place};
use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    path::{Component, Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

/// What stands between the words of a script, besides white space.
const BETWEEN: &str = "\"'`;|&<>()=,:";

/// Where a script finds the project.
const PROJECT: [&str; 2] = ["$SMLT_PROJECT/", "${SMLT_PROJECT}/"];

/// A longer text is no path.
const MAX_PATH: usize = 4096;

/// A file or folder that a command names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// As it is named.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// Finds the files that texts name. It looks once in an epoch of the memo.
pub struct Words {
    project: PathBuf,
    memo: Arc<Memo>,
    scripts: RefCell<HashMap<String, Rc<[Named]>>>,
    beside: RefCell<HashMap<PathBuf, Rc<[Named]>>>,
}

impl Words {
    /// For the project in a folder.
    pub fn new(project: PathBuf, memo: Arc<Memo>) -> Self {
        Self { project, memo, scripts: RefCell::default(), beside: RefCell::default() }
    }

    /// What the files are known by.
    pub const fn memo(&self) -> &Arc<Memo> {
        &self.memo
    }

    /// Lets everything be looked at again.
    pub fn new_epoch(&self) {
        self.scripts.borrow_mut().clear();
        self.beside.borrow_mut().clear();
        self.memo.new_epoch();
    }

    /// The file or folder that a text given to a task names, if it names one.
    pub fn given(&self, text: &str) -> Option<Named> {
        let path = self.path(text)?;
        (self.memo.place(&path) != Place::Nothing).then(|| Named { name: text.to_owned(), path })
    }

    /// The files and folders that the words of a command line or script name.
    pub fn script(&self, text: &str) -> Rc<[Named]> {
        if let Some(found) = self.scripts.borrow().get(text) {
            return found.clone();
        }
        let mut found = Vec::new();
        let words = text.split(|c: char| c.is_whitespace() || BETWEEN.contains(c));
        for word in std::iter::once(text).chain(words) {
            let word = PROJECT.iter().find_map(|project| word.strip_prefix(project)).unwrap_or(word);
            let Some(path) = self.path(word) else { continue };
            match self.memo.place(&path) {
                Place::Nothing => {}
                Place::Folder if !self.is_inside(&path) => {}
                Place::Folder | Place::File(_) => found.push(Named { name: word.to_owned(), path }),
            }
        }
        let found: Rc<[Named]> = found.into();
        self.scripts.borrow_mut().insert(text.to_owned(), found.clone());
        found
    }

    /// The other files of the same folder and extension, for one of the project: a script may import them.
    pub fn beside(&self, script: &Named) -> Rc<[Named]> {
        let is_file = matches!(self.memo.place(&script.path), Place::File(_));
        let Some(extension) = script.path.extension().filter(|_| is_file && self.is_inside(&script.path)) else {
            return Rc::default();
        };
        let all_like = script.path.with_file_name("*").with_extension(extension);
        if let Some(found) = self.beside.borrow().get(&all_like) {
            return found.clone();
        }
        let folder = script.path.parent().unwrap_or(&self.project);
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path()).filter(|path| path.extension() == Some(extension));
        let files = paths.filter(|path| matches!(self.memo.place(path), Place::File(_)));
        let found: Rc<[Named]> = files
            .map(|path| Named { name: path.strip_prefix(&self.project).unwrap_or(&path).display().to_string(), path })
            .collect();
        self.beside.borrow_mut().insert(all_like, found.clone());
        found
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        // What is made of dots and slashes alone is rather a separator than a path.
        let is_name = name.contains(|c| c != '.' && c != '/');
        let can_be = is_name && name.len() <= MAX_PATH && !name.contains(['\0', '\n']);
        can_be.then(|| self.project.join(name))
    }

    /// Whether a path is below the project's folder, by its words.
    fn is_inside(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.project).ok();
        below.is_some_and(|below| {
            let mut parts = below.components().peekable();
            parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
        })
    }
}

#[cfg(test)]
mod tests;
