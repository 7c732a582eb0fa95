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
mod pieces;

pub use cst::{Cst, Token};
use grammar::Grammar;
pub(crate) use grammar::Rule;
use pieces::Pieces;
pub(crate) use pieces::range;

use crate::{
    diagnostic::{Code, Diagnostic, Outcome},
    source::{FileId, Span},
};
use pest::iterators::Pair;

/// Texts beyond this are refused, so that every place in a file fits 32 bits with room to spare.
const MAX_BYTES: usize = 16 << 20;

/// Hands the grammar's own tree of a file without mistakes to `each`, piece by piece, for the formatter.
///
/// # Errors
/// What [`parse`] reports.
pub(crate) fn each_piece<'t>(
    file: FileId,
    text: &'t str,
    mut each: impl FnMut(Pair<'t, Rule>),
) -> Result<(), Vec<Diagnostic>> {
    let mut refused = None;
    let mut builder = build::Builder::new(file, text, Vec::new());
    if balanced(file, text).is_ok_and(|balanced| balanced.diagnostics.is_empty())
        && Pieces::new(text, &mut refused).all(|pair| {
            let ok = builder.reads(pair.clone());
            each(pair);
            ok
        })
        && refused.is_none()
    {
        return Ok(());
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
    let mut refused = None;
    let mut value = builder.file(Pieces::new(&balanced.text, &mut refused));
    if let Some(error) = refused {
        return refuse(junk::explain(&error, file));
    }
    value.broken.extend(balanced.broken);
    let mut diagnostics = builder.diagnostics;
    diagnostics.sort_by_key(|diagnostic| diagnostic.primary.span);
    Outcome { value, diagnostics }
}
