//! What a file tells of itself: its declarations, with their signatures, comments and examples.

use crate::{
    diagnostic::Diagnostic,
    format,
    source::{FileId, Name},
    stdlib, syntax,
};
use std::collections::BTreeMap;

/// A file and what it declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// How people call it: `std/nn`, or the path of a file.
    pub name: String,
    /// Its first comment; may be empty.
    pub about: String,
    /// Its declarations, in order, without tests.
    pub items: Vec<Doc>,
}

/// What is known of a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doc {
    /// Its name.
    pub name: Name,
    /// The declaration without what it holds, as `smltc fmt` lays it out.
    pub signature: String,
    /// Its `///` comment without the example; may be empty.
    pub text: String,
    /// The whole file in a block marked `smlt` that ends the comment.
    pub example: Option<String>,
}

/// Reads the text of the file that people call `name`.
///
/// # Errors
/// When it can't be read.
pub fn read(file: FileId, name: &str, text: &str) -> Result<Module, Vec<Diagnostic>> {
    let mut heads: BTreeMap<u32, String> = format::heads(file, text)?.into_iter().collect();
    let items = syntax::parse(file, text).value.items.into_iter().filter_map(|item| {
        let signature = heads.remove(&item.span.start)?;
        let (text, example) = split(&item.doc.unwrap_or_default());
        Some(Doc { name: item.name.node, signature, text, example })
    });
    let lines = text.trim_start_matches('\u{feff}').lines();
    let comment = lines.map_while(|line| line.strip_prefix("//").filter(|line| !line.starts_with('/')));
    let about: Vec<&str> = comment.map(str::trim).collect();
    Ok(Module { name: name.to_owned(), about: about.join("\n"), items: items.collect() })
}

/// The modules of the standard library.
pub fn std() -> Vec<Module> {
    stdlib::MODULES.into_iter().filter_map(|(name, text)| read(FileId(0), &format!("std/{name}"), text).ok()).collect()
}

impl Module {
    /// Whether its names are known without an import.
    pub fn is_prelude(&self) -> bool {
        self.name.strip_prefix("std/").is_some_and(|name| stdlib::PRELUDE.contains(&name))
    }

    /// What must be written to use an item of a module of the standard library, unless it is known everywhere.
    pub fn import(&self, item: &str) -> Option<String> {
        let needed = self.name.starts_with("std/") && !self.is_prelude();
        needed.then(|| format!("import {}.{{{item}}}", self.name))
    }
}

/// The text of a comment, and the example at its end.
fn split(comment: &str) -> (String, Option<String>) {
    let example = comment.strip_suffix("\n```").and_then(|open| open.rsplit_once("```smlt\n"));
    match example.filter(|(_, example)| !example.contains("```")) {
        Some((text, example)) => (text.trim_end().to_owned(), Some(format!("{example}\n"))),
        None => (comment.to_owned(), None),
    }
}

#[cfg(test)]
mod tests;
