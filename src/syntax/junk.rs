//! What is wrong with text that could not be read: it is read again to find how far that goes, and what stands there is put
//! into words.

mod habits;

use super::{Grammar, Rule, brackets};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::{FileId, Span},
};
use pest::{
    Parser,
    error::{Error, ErrorVariant, InputLocation},
};
use std::ops::Range;

const ITEMS: [&str; 11] =
    ["import", "const", "type", "enum", "fn", "dataset", "model", "task", "workflow", "extern", "test"];
const STATEMENTS: [&str; 11] =
    ["let", "for", "if", "try", "group", "repeat", "assert", "run", "train", "search", "evaluate"];

/// What text was to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// A declaration or an import.
    Item,
    /// A statement or the value of a block.
    Statement,
    /// A setting.
    Setting,
}

/// Whether text that could not be read starts like something of its own, and is no rest of what was before it.
pub fn starts(junk: &str, whole: Whole) -> bool {
    let word = word_at(junk);
    match whole {
        Whole::Item => ITEMS.contains(&word) || junk.starts_with('@'),
        Whole::Statement => STATEMENTS.contains(&word) || junk.starts_with('@'),
        Whole::Setting => !word.is_empty() && junk[word.len()..].trim_start_matches(' ').starts_with([':', '=']),
    }
}

/// A place that could not be read past.
struct Stuck<'a> {
    file: FileId,
    text: &'a str,
    /// Where what is read began.
    start: usize,
    /// The place, on no white space.
    at: usize,
    whole: Whole,
    /// The brackets open there, outermost first.
    open: Vec<(char, usize)>,
    /// What could have stood there.
    expected: Vec<&'static str>,
}

/// Says what is wrong with a stretch of `text` that was to be `whole`.
pub fn describe(file: FileId, text: &str, range: Range<usize>, whole: Whole) -> Diagnostic {
    let junk = &text[range.clone()];
    let rule = match whole {
        Whole::Item if word_at(junk) == "import" => Rule::lone_import,
        Whole::Item => Rule::lone_decl,
        Whole::Setting => Rule::lone_setting,
        Whole::Statement if starts(junk, whole) => Rule::lone_stmt,
        // The value of a block.
        Whole::Statement => Rule::lone_expr,
    };
    let (at, expected) = match Grammar::parse(rule, junk) {
        Ok(_) => (0, Vec::new()),
        Err(error) => (place(&error), expected(&error)),
    };
    let at = range.start + at;
    let at = at + text[at..range.end].len() - text[at..range.end].trim_start().len();
    let open = brackets::open_at_end(file, &text[range.start..at]);
    let open = open.into_iter().map(|(bracket, place)| (bracket, range.start + place)).collect();
    let stuck = Stuck { file, text: &text[..range.end], start: range.start, at, whole, open, expected };
    let diagnostic = stuck.habit().unwrap_or_else(|| stuck.plainly());
    match stuck.open.last() {
        Some(('"', brace)) => diagnostic
            .related(stuck.span_of(*brace, 1), "starts a value in the text")
            .maybe_help(Some(brackets::PLAIN_BRACE.into())),
        _ => diagnostic,
    }
}

/// A plain message for an error of the grammar in a whole file.
pub fn explain(error: &Error<Rule>, file: FileId) -> Diagnostic {
    let at = place(error) as u32;
    Diagnostic::new(Code::E0001, Span::new(file, at, at + 1), sentence(&expected(error)))
}

fn place(error: &Error<Rule>) -> usize {
    match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    }
}

/// What could have stood at the place of an error, in words, each once.
fn expected(error: &Error<Rule>) -> Vec<&'static str> {
    let ErrorVariant::ParsingError { positives, .. } = &error.variant else { return Vec::new() };
    let mut expected = Vec::new();
    for word in positives.iter().filter_map(|rule| words(*rule)) {
        if !expected.contains(&word) {
            expected.push(word);
        }
    }
    expected
}

fn sentence(expected: &[&str]) -> String {
    match expected {
        [] => "this can't be read".to_owned(),
        [one] => format!("expected {one}"),
        [first @ .., last] if expected.len() <= 4 => format!("expected {} or {last}", first.join(", ")),
        _ => format!("expected {} or something else", expected[..4].join(", ")),
    }
}

/// The word that `text` starts with, if it does.
fn word_at(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())]
}

/// The word that `text` ends with, if it does.
fn word_before(text: &str) -> &str {
    &text[text
        .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8))..]
}

impl<'a> Stuck<'a> {
    /// What stands at the place and after it.
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// What stands before the place, without white space at its end.
    fn before(&self) -> &'a str {
        self.text[self.start..self.at].trim_end()
    }

    fn span_of(&self, at: usize, length: usize) -> Span {
        Span::new(self.file, at as u32, (at + length) as u32)
    }

    /// The word or character at the place.
    fn span(&self) -> Span {
        let length = match word_at(self.rest()) {
            "" => self.rest().chars().next().map_or(0, char::len_utf8),
            word => word.len(),
        };
        self.span_of(self.at, length)
    }

    fn say(&self, length: usize, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Code::E0001, self.span_of(self.at, length), message)
    }

    /// `message`, and `with` in the place of what stands there.
    fn replace(&self, length: usize, message: impl Into<String>, with: &str) -> Diagnostic {
        self.say(length, message).help(format!("write `{}`", with.trim())).fix(self.span_of(self.at, length), with)
    }

    /// What the grammar wanted, when nothing better is known.
    fn plainly(&self) -> Diagnostic {
        let before = self.before();
        // At the end of the text or of its line, what is missing is missing behind the last word.
        if self.rest().is_empty() || self.text[self.start..self.at].len() - before.len() > 0 && self.line_break_before()
        {
            let last = match word_before(before) {
                "" => before.chars().next_back().map_or(0, char::len_utf8),
                word => word.len(),
            };
            let span = self.span_of(self.start + before.len() - last, last);
            let value = before.ends_with(|c: char| "=:,+-*/<>([|".contains(c)) && self.expected.contains(&"a value");
            let what = match self.expected.first().filter(|_| !value).or(value.then_some(&"a value")) {
                Some(what) => format!("{what} is missing after this"),
                None => "something is missing after this".into(),
            };
            return Diagnostic::new(Code::E0001, span, what).label("nothing follows that could be it");
        }
        let found = match word_at(self.rest()) {
            "" => format!("found `{}`", self.rest().chars().next().unwrap_or(' ')),
            word => format!("found `{}`", word.chars().take(30).collect::<String>()),
        };
        let message = match self.expected.is_empty() || self.at == self.start {
            true => "this does not belong here".into(),
            false => sentence(&self.expected),
        };
        Diagnostic::new(Code::E0001, self.span(), message).label(found)
    }

    fn line_break_before(&self) -> bool {
        let before = self.before().len();
        self.text[self.start + before..self.at].contains('\n')
    }
}

/// A rule of the grammar as a user would call it; `None` for those that never help.
fn words(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::import | Rule::decl => "a declaration",
        Rule::path | Rule::path_word => "a module's path",
        Rule::ident | Rule::word => "a name",
        Rule::ty | Rule::named_ty | Rule::record_ty => "a type",
        Rule::params => "a list of parameters in parentheses",
        Rule::param => "a parameter",
        Rule::args | Rule::call => "a list of arguments in parentheses",
        Rule::arg => "an argument",
        Rule::block => "a block in braces",
        Rule::settings => "a list of settings in braces",
        Rule::setting_ok => "a setting",
        Rule::expr | Rule::postfix | Rule::primary | Rule::literal => "a value",
        Rule::string => "a text",
        Rule::chars | Rule::escape | Rule::interp => "the rest of the text",
        Rule::annotated_stmt | Rule::step | Rule::let_stmt => "a statement",
        Rule::arm => "an arm of the match",
        Rule::pattern => "a pattern",
        Rule::step_target => "what to work on",
        Rule::catch | Rule::KW_catch => "`catch`",
        Rule::KW_else => "`else`",
        Rule::KW_then => "`then`",
        Rule::KW_in => "`in`",
        Rule::field_ty => "a field",
        _ => return None,
    })
}
