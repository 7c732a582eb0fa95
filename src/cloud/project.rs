//! The files of a project that a workflow names, and that have to go along with it.

use super::CloudError;
use crate::{
    cache::{Memo, Words},
    data::Files,
    expr::{Expr, Scope, eval},
    step::Param,
    store::Objects,
    value::{Dataset, Hash, Location, Value},
};
use serde_json::Value as Json;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The files that go along: their paths from the project's folder, where they lie, and the hashes of what they hold.
pub type Project = BTreeMap<String, (PathBuf, Hash)>;

/// Looks for files that are named.
pub struct Gatherer {
    folder: PathBuf,
    words: Words,
    params: Scope,
    found: BTreeMap<String, PathBuf>,
}

impl Gatherer {
    /// For the project in a folder, with the defaults of the workflow's parameters.
    pub fn new(folder: &Path, params: &[Param]) -> Self {
        let words = Words::new(folder.to_owned(), Arc::new(Memo::default()));
        let mut scope = Scope::default();
        for param in params {
            if let Some(default) = &param.default {
                scope.set(param.var, default.clone());
            }
        }
        Self { folder: folder.to_owned(), words, params: scope, found: BTreeMap::new() }
    }

    /// Adds what the book of a workflow names.
    ///
    /// # Errors
    /// When it names a file that is not there or can't go along.
    pub fn book(&mut self, book: &str) -> Result<(), CloudError> {
        let book: Json = serde_json::from_str(book).unwrap_or_default();
        self.look(&book, false)
    }

    /// Adds what an argument of a run names.
    ///
    /// # Errors
    /// When a file that it names can't go along.
    pub fn argument(&mut self, value: &Value) -> Result<(), CloudError> {
        match value {
            Value::String(text) => self.named(text),
            Value::List(items) => items.iter().try_for_each(|item| self.argument(item)),
            Value::Map(fields) | Value::Record(fields) => fields.values().try_for_each(|field| self.argument(field)),
            _ => Ok(()),
        }
    }

    /// Adds a file, or a folder with all that is in it.
    ///
    /// # Errors
    /// When there is none, or it lies outside.
    pub fn path(&mut self, name: &str) -> Result<(), CloudError> {
        let path = self.folder.join(name);
        if !path.exists() {
            return Err(CloudError::File(format!("there is no file `{name}`")));
        }
        self.add(&path).ok_or_else(|| CloudError::File(format!("`{name}` lies outside the project's folder")))
    }

    /// All that was found, with hashes.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn end(self) -> Result<Project, CloudError> {
        let mut project = Project::new();
        for (name, path) in self.found {
            let bytes = fs::read(&path)
                .map_err(|error| CloudError::File(format!("the file `{name}` can't be read: {error}")))?;
            project.insert(name, (path, Hash::of(&bytes)));
        }
        Ok(project)
    }

    fn look(&mut self, json: &Json, in_command: bool) -> Result<(), CloudError> {
        match json {
            Json::String(text) if in_command => {
                let named = self.words.script(text);
                for one in named.iter() {
                    // A folder of the system is no part of the project.
                    let _ = self.add(&one.path);
                    let beside = self.words.beside(one);
                    for other in beside.iter() {
                        let _ = self.add(&other.path);
                    }
                }
                Ok(())
            }
            Json::String(text) => self.named(text),
            Json::Array(items) => items.iter().try_for_each(|item| self.look(item, in_command)),
            Json::Object(fields) => {
                if let Some(dataset) = self.dataset(json, fields) {
                    return self.data(&dataset);
                }
                fields.iter().try_for_each(|(name, field)| self.look(field, in_command || name == "script"))
            }
            _ => Ok(()),
        }
    }

    /// The dataset that an expression comes to, whatever arguments a run has.
    fn dataset(&self, json: &Json, fields: &serde_json::Map<String, Json>) -> Option<Dataset> {
        if fields.len() != 1 || !(fields.contains_key("dataset") || fields.contains_key("const")) {
            return None;
        }
        let expr: Expr = serde_json::from_value(json.clone()).ok()?;
        match eval(&expr, &self.params).ok()? {
            Value::Dataset(dataset) => Some(*dataset),
            _ => None,
        }
    }

    fn data(&mut self, dataset: &Dataset) -> Result<(), CloudError> {
        let paths = dataset.files.iter().chain(&dataset.test_files);
        let outside = paths.filter_map(|location| match location {
            Location::Path(path) if Path::new(&**path).is_absolute() => Some(path),
            _ => None,
        });
        if let Some(path) = outside.into_iter().next() {
            return Err(CloudError::File(format!(
                "the data `{}` lies at `{path}` on this machine, where no function can read it",
                dataset.name
            )));
        }
        // What is stored was made by a step, and lies where steps put it.
        let objects = Objects::open(&self.folder);
        let all = Files::find(dataset, &self.folder, &objects).and_then(|files| files.all(dataset));
        for source in all.map_err(|error| CloudError::File(error.to_string()))? {
            if self.add(source.path()).is_none() {
                return Err(CloudError::File(format!("`{}` lies outside the project's folder", source.name)));
            }
        }
        Ok(())
    }

    /// Adds the file that a text names, if it names one of the project.
    fn named(&mut self, text: &str) -> Result<(), CloudError> {
        let named = self.words.given(text).filter(|named| named.path.is_file());
        if let Some(named) = named
            && self.add(&named.path).is_none()
        {
            return Err(CloudError::File(format!("`{text}` lies outside the project's folder")));
        }
        Ok(())
    }

    /// Adds what lies at a path, unless that is outside.
    fn add(&mut self, path: &Path) -> Option<()> {
        let below = path.strip_prefix(&self.folder).ok()?;
        let mut parts = Vec::new();
        for part in below.components() {
            match part {
                std::path::Component::Normal(part) => parts.push(part.to_str()?),
                std::path::Component::CurDir => {}
                std::path::Component::ParentDir => drop(parts.pop()?),
                _ => return None,
            }
        }
        if path.is_dir() {
            let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            let entries = fs::read_dir(path).ok()?.flatten().map(|entry| entry.path());
            for entry in entries.filter(|entry| !hidden(entry)) {
                self.add(&entry);
            }
        } else if path.is_file() {
            self.found.insert(parts.join("/"), path.to_owned());
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_named_go_along() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        };
        ["data/a.csv", "scripts/run.py", "scripts/other.py", "given.txt", "not-named"]
            .iter()
            .for_each(|name| write(name));
        let mut gatherer = Gatherer::new(folder.path(), &[]);
        gatherer.book(r#"{"a": "given.txt", "script": {"args": {"const": ["python3", "scripts/run.py"]}}}"#).unwrap();
        gatherer.path("data").unwrap();
        assert!(gatherer.path("../else").is_err());
        let found: Vec<String> = gatherer.end().unwrap().into_keys().collect();
        assert_eq!(found, ["data/a.csv", "given.txt", "scripts/other.py", "scripts/run.py"]);
    }
}
