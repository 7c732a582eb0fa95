//! The parser that pest makes of `grammar/smlt.pest`.
#![allow(missing_docs, reason = "the rules are documented in the grammar")]

/// The parser.
#[derive(pest_derive::Parser)]
#[grammar = "../grammar/smlt.pest"]
pub struct Grammar;
