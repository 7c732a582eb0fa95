//! A file read piece by piece: item by item, and a workflow or test statement by statement. Each piece is read by a run of
//! the parser of its own, from where the one before ended, so that what is found is what the rule `file` would find, while
//! the pairs of no more than a piece are in memory.

use super::{Grammar, Rule};
use pest::{
    Parser,
    error::Error,
    iterators::{Pair, Pairs},
};
use std::ops::Range;

/// Where a pair stands in a text that was read piece by piece.
pub fn range(text: &str, pair: &Pair<Rule>) -> Range<usize> {
    // The parser counts from the start of what it is given, which goes on to the end of the text.
    let start = text.len() - pair.get_input().len();
    let span = pair.as_span();
    start + span.start()..start + span.end()
}

/// The pairs that make up a file, in order: comments, what the rule `item` gives, and `EOI`. A workflow or test comes as its
/// `opening`, its comments and statements, and its `closing`; one that does not close is followed by what it is instead.
pub struct Pieces<'t, 'e> {
    rest: &'t str,
    /// What is left of the piece read last.
    piece: Option<Pairs<'t, Rule>>,
    /// The rule of the next piece, but at the end.
    next: Option<Rule>,
    /// The text from the last opening on.
    opened: &'t str,
    refused: &'e mut Option<Box<Error<Rule>>>,
}

impl<'t, 'e> Pieces<'t, 'e> {
    /// The pieces of `text`. They end early where the parser refuses to go on, and `refused` says why.
    pub const fn new(text: &'t str, refused: &'e mut Option<Box<Error<Rule>>>) -> Self {
        Self { rest: text, piece: None, next: Some(Rule::next_piece), opened: text, refused }
    }

    fn read(&mut self, piece: Pair<'t, Rule>) {
        let (from, end) = (self.rest, piece.as_span().end());
        let pairs = piece.into_inner();
        self.next = match pairs.clone().next_back().map(|last| last.as_rule()) {
            Some(Rule::opening) => {
                self.opened = from;
                Some(Rule::next_stmt)
            }
            Some(Rule::annotated_stmt | Rule::result | Rule::junk_stmt) => Some(Rule::next_stmt),
            Some(Rule::EOI) | None => None,
            Some(_) => Some(Rule::next_piece),
        };
        self.rest = &from[end..];
        self.piece = Some(pairs);
    }
}

impl<'t> Iterator for Pieces<'t, '_> {
    type Item = Pair<'t, Rule>;

    fn next(&mut self) -> Option<Pair<'t, Rule>> {
        loop {
            if let Some(pair) = self.piece.as_mut().and_then(Iterator::next) {
                return Some(pair);
            }
            let rule = self.next?;
            match Grammar::parse(rule, self.rest) {
                Ok(mut pairs) => self.read(pairs.next()?),
                // The end of the text, where a statement or a brace should be.
                Err(_) if rule == Rule::next_stmt => {
                    self.rest = self.opened;
                    self.next = Some(Rule::next_item);
                }
                Err(error) => {
                    *self.refused = Some(Box::new(error));
                    self.next = None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Grammar, Pieces, Rule, range};
    use pest::{Parser, iterators::Pairs};
    use proptest::prelude::*;

    /// All pairs of a text with their places, but for those that hold a whole workflow or test together.
    fn flat<'t>(text: &'t str, pairs: impl Iterator<Item = Pairs<'t, Rule>>) -> Vec<(Rule, std::ops::Range<usize>)> {
        use Rule::{block, closing, decl, file, opening, test_decl, workflow_decl};
        pairs
            .flat_map(Pairs::flatten)
            .filter(|pair| {
                !matches!(pair.as_rule(), file | decl | workflow_decl | test_decl | block | opening | closing)
            })
            .map(|pair| (pair.as_rule(), range(text, &pair)))
            .collect()
    }

    fn same(text: &str) {
        let whole = Grammar::parse(Rule::file, text).unwrap();
        let mut refused = None;
        let (mut pieces, mut opened) = (Vec::new(), None);
        for piece in Pieces::new(text, &mut refused) {
            match piece.as_rule() {
                Rule::opening => opened = Some(pieces.len()),
                Rule::closing => opened = None,
                // What was open does not close, and comes once more.
                Rule::junk_item => pieces.truncate(opened.take().unwrap_or(pieces.len())),
                _ => {}
            }
            pieces.push(Pairs::single(piece));
        }
        assert!(refused.is_none());
        assert_eq!(flat(text, pieces.into_iter()), flat(text, std::iter::once(whole)), "{text}");
    }

    #[test]
    fn the_standard_library_is_read_as_a_whole_would_be() {
        crate::stdlib::MODULES.into_iter().for_each(|(_, text)| same(text));
    }

    proptest! {
        #[test]
        fn what_is_read_in_pieces_is_what_is_read_as_a_whole(tokens in proptest::collection::vec(
            prop::sample::select(vec![
                "workflow w() {", "test \"t\" {", "@a", "let", "x", "=", "{", "}", "(", ")", "1", "\"a{b}\"", "// c\n", "/// d\n",
                "\n", "run", "t", ",", "if", "const", "?", "else", "\nworkflow v() {\n", "\n}\n",
            ]),
            0..60,
        )) {
            same(&tokens.join(" "));
        }
    }
}
