//! From text to a syntax tree: the grammar, recovery, and the typed tree on top.
//!
//! Reading goes in three passes: [`brackets`] finds what is not closed or nested too deeply, so that nothing after it has
//! to fear either; pest reads the rest by `grammar/smlt.pest`, setting aside as junk what it can't read; [`build`] makes
//! the tree, and [`junk`] says what is wrong with the junk.

pub mod ast;
mod brackets;
mod build;
mod cst;
mod grammar;
mod junk;

pub use cst::{Cst, Token};
use grammar::Grammar;
pub(crate) use grammar::Rule;

use crate::{
    diagnostic::{Code, Diagnostic, Outcome},
    source::{FileId, Span},
};
use pest::{Parser, iterators::Pair};

/// Texts beyond this are refused, so that every place in a file fits 32 bits with room to spare.
const MAX_BYTES: usize = 16 << 20;

/// The grammar's own tree of a file without mistakes, for the formatter; `None` of an empty one.
///
/// # Errors
/// What [`parse`] reports.
pub(crate) fn pairs(file: FileId, text: &str) -> Result<Option<Pair<'_, Rule>>, Vec<Diagnostic>> {
    if balanced(file, text).is_ok_and(|balanced| balanced.diagnostics.is_empty())
        && let Ok(mut pairs) = Grammar::parse(Rule::file, text)
    {
        let mut builder = build::Builder::new(file, text, Vec::new());
        builder.file(pairs.clone());
        if builder.diagnostics.is_empty() {
            return Ok(pairs.next());
        }
    }
    Err(parse(file, text).diagnostics)
}

/// Makes sure that a text can be read at all: it is neither too large nor nested too deeply.
fn balanced(file: FileId, text: &str) -> Result<brackets::Balanced<'_>, Box<Diagnostic>> {
    if text.len() > MAX_BYTES {
        return Err(Box::new(
            Diagnostic::new(
                Code::E0003,
                Span::new(file, 0, 0),
                format!("the file is larger than {} MiB", MAX_BYTES >> 20),
            )
            .help("split it into modules: `import ./part`"),
        ));
    }
    brackets::check(file, text)
}

/// Reads a file. The tree holds all that could be read.
pub fn parse(file: FileId, text: &str) -> Outcome<ast::File> {
    let refuse = |diagnostic| Outcome { value: ast::File::default(), diagnostics: vec![diagnostic] };
    let balanced = match balanced(file, text) {
        Ok(balanced) => balanced,
        Err(diagnostic) => return refuse(*diagnostic),
    };
    let mut builder = build::Builder::new(file, text, balanced.diagnostics);
    match Grammar::parse(Rule::file, &balanced.text) {
        Ok(pairs) => {
            let mut value = builder.file(pairs);
            value.broken.extend(balanced.broken);
            let mut diagnostics = builder.diagnostics;
            diagnostics.sort_by_key(|diagnostic| diagnostic.primary.span);
            Outcome { value, diagnostics }
        }
        Err(error) => refuse(junk::explain(&error, file)),
    }
}
