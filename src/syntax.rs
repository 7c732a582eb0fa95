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

/// The grammar's own tree of a file, for the formatter; `None` where there is none.
pub(crate) fn pairs(text: &str) -> Option<Pair<'_, Rule>> {
    Grammar::parse(Rule::file, text).ok()?.next()
}

/// Reads a file. The tree holds all that could be read.
pub fn parse(file: FileId, text: &str) -> Outcome<ast::File> {
    let refuse = |diagnostic| Outcome { value: ast::File::default(), diagnostics: vec![diagnostic] };
    if text.len() > MAX_BYTES {
        return refuse(
            Diagnostic::new(
                Code::E0003,
                Span::new(file, 0, 0),
                format!("the file is larger than {} MiB", MAX_BYTES >> 20),
            )
            .help("split it into modules: `import ./part`"),
        );
    }
    let balanced = match brackets::check(file, text) {
        Ok(balanced) => balanced,
        Err(too_deep) => return refuse(*too_deep),
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
