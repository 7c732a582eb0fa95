//! Source files and places in them.

use serde::{Deserialize, Serialize};
use std::{ops::Range, sync::Arc};

/// A file of a compilation, numbered in the order in which it was first asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileId(pub u32);

/// A stretch of bytes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// The bytes from `start` to `end` of `file`.
    pub const fn new(file: FileId, start: u32, end: u32) -> Self {
        Self { file, start, end }
    }

    /// The span as a range of byte offsets.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The smallest span that holds both; they must be of one file.
    pub fn to(self, other: Self) -> Self {
        debug_assert_eq!(self.file, other.file);
        Self { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spanned<T> {
    /// The value.
    pub node: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Puts `node` at `span`.
    pub const fn new(node: T, span: Span) -> Self {
        Self { node, span }
    }
}

/// A name, shared by all that mention it.
pub type Name = Arc<str>;

/// A source file: its name as the user knows it, and its text.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path as shown in messages, such as `examples/digits.smlt` or `std/nn`.
    pub name: String,
    /// The whole text.
    pub text: Arc<str>,
}

impl Source {
    /// The line and column, both from 1, of a byte offset; columns count characters.
    pub fn position(&self, offset: u32) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset as usize)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// Why a file could not be brought in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// No such file or module.
    #[error("there is no `{0}`")]
    NotFound(String),
    /// The path leaves the project's folder.
    #[error("`{0}` lies outside the project's folder")]
    Outside(String),
    /// The file is there but can't be read as text.
    #[error("`{0}` can't be read: {1}")]
    Unreadable(String, String),
}

/// All that the compiler may ask of the outside: files in, nothing else.
pub trait World {
    /// The file that is compiled.
    fn root(&self) -> FileId;

    /// The file that `from` means by `path`, such as `std/nn` or `./features`.
    ///
    /// # Errors
    /// When there is no such file, it lies outside the project, or it can't be read.
    fn import(&self, from: FileId, path: &str) -> Result<FileId, ImportError>;

    /// A file that [`root`](Self::root) or [`import`](Self::import) gave.
    fn source(&self, file: FileId) -> Source;
}
