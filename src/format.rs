//! One style for every file: its tree becomes a document of possible line breaks, and the document becomes text.
//!
//! There are no options. Comments stay where they stand, and a few choices of the author's are kept: an empty line between
//! two statements, and a line break behind an opening bracket, behind the `=` of a declaration and before `|>`.

mod doc;
mod tree;

use crate::{
    diagnostic::Diagnostic,
    source::FileId,
    syntax::{self, Rule},
};
use doc::{Comment, Printer};

/// The text of a file in the one style.
///
/// # Errors
/// When the file can't be read; nothing is formatted then.
pub fn format(file: FileId, text: &str) -> Result<String, Vec<Diagnostic>> {
    let Some(root) = syntax::pairs(file, text)? else { return Ok(String::new()) };
    let comments = root.clone().into_inner().flatten().filter(|pair| pair.as_rule() == Rule::COMMENT);
    let comments = comments.map(|pair| Comment::new(text, pair.as_span().start(), pair.as_str())).collect();
    Ok(Printer::new(text, comments).print(&tree::file(text, root)))
}

#[cfg(test)]
mod tests;
