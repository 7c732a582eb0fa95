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
use doc::{Comment, Doc, Printer};
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

/// The declarations of a file in the one style as others see them, without what they hold, each with the place where its
/// keyword starts: `model net(inputs: Int)`, `task count(table: Uri) -> { rows: Int }`. Tests are left out.
///
/// # Errors
/// When the file can't be read.
pub fn heads(file: FileId, text: &str) -> Result<Vec<(u32, String)>, Vec<Diagnostic>> {
    let mut heads = Vec::new();
    syntax::each_piece(file, text, |pair| {
        if let Some((keyword, head)) = tree::head(text, pair.clone()) {
            // What stands behind its last word belongs to what follows.
            let end = head.iter().filter_map(Doc::ends).map(|(_, last)| last).max().unwrap_or(keyword);
            let mut printer = Printer::new(text);
            printer.add_comments(comments(text, pair).filter(|comment| comment.at < end));
            printer.print(&head);
            heads.push((keyword as u32, printer.finish().trim_end().to_owned()));
        }
    })?;
    Ok(heads)
}

fn comments<'t>(text: &'t str, pair: Pair<'t, Rule>) -> impl Iterator<Item = Comment<'t>> {
    let comments = Pairs::single(pair).flatten().filter(|pair| pair.as_rule() == Rule::COMMENT);
    comments.map(|pair| Comment::new(text, syntax::range(text, &pair).start, pair.as_str()))
}

#[cfg(test)]
mod tests;
