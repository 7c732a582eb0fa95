//! The lossless tree: every byte of a file, comments and spaces included, as a leaf under the rule that it belongs to.

use super::{Grammar, Rule, brackets};
use crate::source::FileId;
use pest::{Parser, iterators::Pair};
use std::ops::Range;

/// A file as a flat list of leaves in order; put together, they are the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cst {
    leaves: Vec<Leaf>,
}

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// What it is.
    pub token: Token,
    /// Where it stands, in bytes.
    pub range: Range<usize>,
    /// How many rules it stands inside.
    pub depth: u32,
}

/// What a leaf is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Token {
    /// Spaces and line breaks.
    Space,
    /// A comment.
    Comment,
    /// A keyword.
    Keyword,
    /// A name.
    Name,
    /// A number, unit or `true`, `false`, `none`.
    Literal,
    /// A piece of a text, its quotes included.
    Text,
    /// Brackets, commas, operators.
    Punctuation,
    /// What the grammar can't read.
    Junk,
}

impl Cst {
    /// Reads a file. There is a tree for every text.
    pub fn parse(text: &str) -> Self {
        let mut leaves = Vec::new();
        let pairs = match brackets::check(FileId(0), text) {
            Ok(balanced) if balanced.diagnostics.is_empty() => Grammar::parse(Rule::file, text).ok(),
            _ => None,
        };
        match pairs {
            Some(pairs) => {
                let mut at = 0;
                pairs.for_each(|pair| visit(text, pair, 0, &mut at, &mut leaves));
                gap(text, at..text.len(), 0, &mut leaves);
            }
            None if text.is_empty() => {}
            None => leaves.push(Leaf { token: Token::Junk, range: 0..text.len(), depth: 0 }),
        }
        Self { leaves }
    }

    /// The leaves, in order.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }
}

fn visit(text: &str, pair: Pair<Rule>, depth: u32, at: &mut usize, leaves: &mut Vec<Leaf>) {
    let span = pair.as_span();
    gap(text, *at..span.start(), depth, leaves);
    *at = span.start();
    match token(&pair) {
        Some(token) => {
            if span.start() < span.end() {
                leaves.push(Leaf { token, range: span.start()..span.end(), depth });
            }
        }
        None => {
            for inner in pair.into_inner() {
                visit(text, inner, depth + 1, at, leaves);
            }
            gap(text, *at..span.end(), depth + 1, leaves);
        }
    }
    *at = span.end();
}

/// What a pair without parts is; `None` for those whose parts are leaves themselves.
fn token(pair: &Pair<Rule>) -> Option<Token> {
    Some(match pair.as_rule() {
        Rule::COMMENT => Token::Comment,
        Rule::junk_item | Rule::junk_stmt => Token::Junk,
        Rule::ident | Rule::part_name | Rule::word | Rule::path => Token::Name,
        Rule::money
        | Rule::duration
        | Rule::size
        | Rule::percent
        | Rule::float
        | Rule::int
        | Rule::bool
        | Rule::none => Token::Literal,
        Rule::chars | Rule::escape => Token::Text,
        Rule::EOI => Token::Space,
        rule if format!("{rule:?}").starts_with("KW_") => Token::Keyword,
        _ => return None,
    })
}

/// What pest leaves between pairs: spaces and punctuation.
fn gap(text: &str, range: Range<usize>, depth: u32, leaves: &mut Vec<Leaf>) {
    let mut start = range.start;
    let kind = |c: char| if c.is_whitespace() || c == '\u{feff}' { Token::Space } else { Token::Punctuation };
    while start < range.end {
        let rest = &text[start..range.end];
        let Some(token) = rest.chars().next().map(kind) else { break };
        let length = rest.find(|c| kind(c) != token).unwrap_or(rest.len());
        leaves.push(Leaf { token, range: start..start + length, depth });
        start += length;
    }
}

#[cfg(test)]
mod tests {
    use super::Cst;
    use proptest::prelude::*;

    fn whole(text: &str) -> String {
        Cst::parse(text).leaves().iter().map(|leaf| &text[leaf.range.clone()]).collect()
    }

    #[test]
    fn the_leaves_of_a_file_are_the_file() {
        for (_, text) in crate::stdlib::MODULES {
            assert_eq!(whole(text), text);
            assert!(Cst::parse(text).leaves().len() > 10);
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_of_any_text(text in any::<String>()) {
            prop_assert_eq!(whole(&text), text);
        }

        #[test]
        fn no_byte_is_lost_of_any_row_of_tokens(tokens in proptest::collection::vec(
            prop::sample::select(vec![
                "workflow", "let", "x", "=", "{", "}", "(", ")", "1", "\"a{b}\"", "// c\n", "\n", "run", "t", ",", "if", "then", "|>", ":",
            ]),
            0..60,
        )) {
            let text = tokens.join(" ");
            prop_assert_eq!(whole(&text), text);
        }
    }
}
