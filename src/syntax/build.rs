//! From the grammar's pairs to the syntax tree.

mod expression;
mod item;
mod literal;
mod statement;

use super::{
    Rule,
    ast::Ident,
    junk::{self, Whole},
    pieces::range,
};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::{FileId, Name, Span, Spanned},
};
use pest::iterators::{Pair, Pairs};
use std::{collections::HashSet, ops::Range};

/// Makes the tree of one file, collecting what is wrong.
pub struct Builder<'a> {
    file: FileId,
    text: &'a str,
    names: HashSet<Name>,
    /// What was wrong.
    pub diagnostics: Vec<Diagnostic>,
}

impl<'a> Builder<'a> {
    /// A builder for `text`, with what is known to be wrong already.
    pub fn new(file: FileId, text: &'a str, diagnostics: Vec<Diagnostic>) -> Self {
        Self { file, text, names: HashSet::new(), diagnostics }
    }

    /// Where a pair stands, all that belongs to it included.
    fn range(&self, pair: &Pair<Rule>) -> Range<usize> {
        range(self.text, pair)
    }

    /// Where a pair stands, without the white space and comments that pest leaves at its end.
    fn span(&self, pair: &Pair<Rule>) -> Span {
        let range = self.range(pair);
        // What looks like a comment in a text is none.
        if matches!(pair.as_rule(), Rule::string | Rule::chars | Rule::path) {
            return Span::new(self.file, range.start as u32, range.end as u32);
        }
        let is_space = |char: char| char.is_whitespace() || char == '\u{feff}';
        let written = self.text[range.clone()].trim_end_matches(is_space);
        if !written.rsplit('\n').next().is_some_and(|line| line.contains("//")) {
            return Span::new(self.file, range.start as u32, (range.start + written.len()) as u32);
        }
        let last = pair.clone().into_inner().filter(|inner| inner.as_rule() != Rule::COMMENT).last();
        let tail = last.map_or(range.start, |last| self.span(&last).end as usize);
        // After the last part stand only punctuation, space and comments; the end is after the last punctuation.
        let mut end = tail;
        let mut at = tail;
        while at < range.end {
            let rest = &self.text[at..range.end];
            let char = rest.chars().next().unwrap_or(' ');
            if rest.starts_with("//") {
                at += rest.find('\n').unwrap_or(rest.len());
            } else {
                at += char.len_utf8();
                if !is_space(char) {
                    end = at;
                }
            }
        }
        Span::new(self.file, range.start as u32, end as u32)
    }

    /// Whether a piece of a file has no mistake that reading can find.
    pub fn reads(&mut self, pair: Pair<Rule>) -> bool {
        match pair.as_rule() {
            Rule::decl => drop(self.decl(pair, None)),
            Rule::opening => drop(self.opened(pair, None, &mut std::iter::empty().peekable())),
            Rule::annotated_stmt => drop(self.stmt(pair)),
            Rule::result => parts(pair).for_each(|expr| drop(self.expr(expr))),
            Rule::junk_item | Rule::junk_stmt => return false,
            _ => {}
        }
        self.diagnostics.is_empty()
    }

    fn ident(&mut self, pair: &Pair<Rule>) -> Ident {
        Spanned::new(self.name(pair.as_str()), self.span(pair))
    }

    /// A name, in memory once however often it is written.
    fn name(&mut self, text: &str) -> Name {
        if let Some(known) = self.names.get(text) {
            return known.clone();
        }
        let name = Name::from(text);
        self.names.insert(name.clone());
        name
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Whether a declaration or statement was read but in part: what follows on its line could not be.
    fn is_cut(&self, pair: &Pair<Rule>, next: Option<&Pair<Rule>>) -> bool {
        next.filter(|next| matches!(next.as_rule(), Rule::junk_item | Rule::junk_stmt))
            .is_some_and(|next| !self.text[self.span(pair).end as usize..self.range(next).start].contains('\n'))
    }

    /// Reports what could not be read as a part of `whole`. With a part before it that was `cut`, they are one mistake.
    fn junk(&mut self, pair: &Pair<Rule>, whole: Whole, cut: Option<usize>) {
        let range = self.range(pair);
        let diagnostic = junk::describe(self.file, self.text, cut.unwrap_or(range.start)..range.end, whole);
        self.report(diagnostic);
    }

    fn too_large(&mut self, span: Span, what: &str, limit: usize) {
        self.report(
            Diagnostic::new(Code::E0003, span, format!("this expression has more than {limit} {what}"))
                .label("too large")
                .help("name parts of it with `let`"),
        );
    }
}

/// The parts of a pair that are not comments.
fn parts(pair: Pair<Rule>) -> impl Iterator<Item = Pair<Rule>> {
    meaningful(pair.into_inner())
}

fn meaningful(pairs: Pairs<Rule>) -> impl Iterator<Item = Pair<Rule>> {
    pairs.filter(|pair| pair.as_rule() != Rule::COMMENT)
}

/// Whether a pair is a keyword, which the tree does not keep.
fn is_keyword(rule: Rule) -> bool {
    use Rule::{
        KW_as, KW_assert, KW_catch, KW_const, KW_dataset, KW_else, KW_enum, KW_extern, KW_fn, KW_for, KW_group, KW_if,
        KW_import, KW_in, KW_let, KW_match, KW_model, KW_objective, KW_repeat, KW_task, KW_test, KW_then, KW_try,
        KW_type, KW_while, KW_with, KW_workflow,
    };
    matches!(
        rule,
        KW_as
            | KW_assert
            | KW_catch
            | KW_const
            | KW_dataset
            | KW_else
            | KW_enum
            | KW_extern
            | KW_fn
            | KW_for
            | KW_group
            | KW_if
            | KW_import
            | KW_in
            | KW_let
            | KW_match
            | KW_model
            | KW_objective
            | KW_repeat
            | KW_task
            | KW_test
            | KW_then
            | KW_try
            | KW_type
            | KW_while
            | KW_with
            | KW_workflow
            | Rule::KW_after
    )
}
