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
use pest::iterators::{Pair, Pairs};
use tree::Layout;

/// The text of a file in the one style.
///
/// # Errors
/// When the file can't be read; nothing is formatted then.
pub fn format(file: FileId, text: &str) -> Result<String, Vec<Diagnostic>> {
    let mut printer = Printer::new(text);
    let mut layout = Layout::new(text);
    syntax::each_piece(file, text, |pair| {
        printer.add_comments(comments(text, pair.clone()));
        printer.print(&layout.piece(pair));
    })?;
    Ok(printer.finish())
}

fn comments<'t>(text: &'t str, pair: Pair<'t, Rule>) -> impl Iterator<Item = Comment<'t>> {
    let comments = Pairs::single(pair).flatten().filter(|pair| pair.as_rule() == Rule::COMMENT);
    comments.map(|pair| Comment::new(text, syntax::range(text, &pair).start, pair.as_str()))
}

#[cfg(test)]
mod tests;
