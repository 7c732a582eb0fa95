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
use pest::iterators::Pair;

/// The text of a file in the one style.
///
/// # Errors
/// When the file can't be read; nothing is formatted then.
pub fn format(file: FileId, text: &str) -> Result<String, Vec<Diagnostic>> {
    let Some(root) = syntax::pairs(file, text)? else { return Ok(String::new()) };
    let comments = comments(text, &root);
    Ok(Printer::new(text, comments).print(&tree::file(text, root)))
}

/// The declarations of a file in the one style as others see them, without what they hold, each with the place where its
/// keyword starts: `model net(inputs: Int)`, `task count(table: Uri) -> { rows: Int }`. Tests are left out.
///
/// # Errors
/// When the file can't be read.
pub fn heads(file: FileId, text: &str) -> Result<Vec<(u32, String)>, Vec<Diagnostic>> {
    let Some(root) = syntax::pairs(file, text)? else { return Ok(Vec::new()) };
    let comments = comments(text, &root);
    let decls = root.into_inner().filter(|pair| pair.as_rule() == Rule::decl);
    let heads = decls.filter_map(|decl| {
        let start = decl.as_span().start();
        let place = decl.clone().into_inner().last()?.as_span().start();
        let head = tree::head(text, decl)?;
        let end = head.iter().filter_map(Doc::ends).map(|(_, last)| last).max()?;
        let [from, to] = [start, end].map(|at| comments.partition_point(|comment| comment.at < at));
        let own = comments.get(from..to).unwrap_or_default();
        Some((place as u32, Printer::new(text, own.to_vec()).print(&head).trim_end().to_owned()))
    });
    Ok(heads.collect())
}

fn comments<'t>(text: &str, root: &Pair<'t, Rule>) -> Vec<Comment<'t>> {
    let comments = root.clone().into_inner().flatten().filter(|pair| pair.as_rule() == Rule::COMMENT);
    comments.map(|pair| Comment::new(text, pair.as_span().start(), pair.as_str())).collect()
}

#[cfg(test)]
mod tests;
