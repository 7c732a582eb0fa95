//! The first pass: are all brackets and strings closed, and is nothing nested too deeply?
//!
//! A declaration whose brackets do not match is reported once and read as if it were blank, so that the rest of the file
//! is checked all the same, and so that the grammar's recovery always meets whole groups.

use super::ast::Ident;
use crate::{
    diagnostic::{Code, Diagnostic},
    source::{FileId, Span, Spanned},
};
use std::borrow::Cow;

/// Nesting beyond this is refused: each level costs stack in every later pass.
pub const MAX_DEPTH: usize = 64;

/// Operators in an expression; every later pass takes time and stack for each.
pub const MAX_OPERATORS: usize = 500;

/// What stands between separators is surely one expression, of several in brackets at most, when it has more operators
/// than this: it is not worth reading.
const MAX_UNSEPARATED: usize = 8 * MAX_OPERATORS;

/// Items that one statement or declaration may list: more are data, and each takes memory in every later pass.
const MAX_ITEMS: usize = 100_000;

const ITEMS: [&str; 10] = ["import", "const", "type", "enum", "extern", "fn", "dataset", "model", "task", "workflow"];

/// What to do about a brace in a text that was not meant to start a value.
pub const PLAIN_BRACE: &str = "write `\\{` for the brace itself";

/// A text in which all brackets match.
pub struct Balanced<'a> {
    /// The text; declarations that did not balance are blanked, byte for byte.
    pub text: Cow<'a, str>,
    /// What did not balance.
    pub diagnostics: Vec<Diagnostic>,
    /// The names that the blanked declarations declare.
    pub broken: Vec<Ident>,
}

/// The brackets that are open at the end of `text`, outermost first: each with its place, a text's brace as `'"'`.
pub fn open_at_end(file: FileId, text: &str) -> Vec<(char, usize)> {
    let mut scan = Scan::of(file, text);
    while scan.at < text.len() && scan.step().is_ok() {}
    let open = scan.open.iter().filter(|open| open.kind != Kind::Quote);
    open.map(|open| (if open.kind == Kind::Interpolation { '"' } else { open.kind.symbol() }, open.at)).collect()
}

/// Finds what is not closed.
///
/// # Errors
/// When something is nested more than [`MAX_DEPTH`] deep.
pub fn check(file: FileId, text: &str) -> Result<Balanced<'_>, Box<Diagnostic>> {
    let mut scan = Scan::of(file, text);
    while scan.at < text.len() {
        scan.step()?;
    }
    scan.end_item(text.len());
    let mut blanked = Cow::Borrowed(text);
    let mut broken = Vec::new();
    for (start, end) in scan.blank {
        broken.extend(declared(file, text, start, end));
        let bytes: String = text[start..end].chars().map(blank).collect();
        blanked.to_mut().replace_range(start..end, &bytes);
    }
    Ok(Balanced { text: blanked, diagnostics: scan.diagnostics, broken })
}

/// As many bytes of space as the character has; lines stay lines.
fn blank(char: char) -> &'static str {
    match (char, char.len_utf8()) {
        ('\n', _) => "\n",
        (_, 1) => " ",
        (_, 2) => "  ",
        (_, 3) => "   ",
        _ => "    ",
    }
}

/// The name that a blanked declaration would have declared.
pub fn declared(file: FileId, text: &str, start: usize, end: usize) -> Option<Ident> {
    let mut at = start;
    loop {
        let rest = &text[at..end];
        let line_end = rest.find('\n').map_or(end, |length| at + length);
        let line = &text[at..line_end];
        let keyword = line.split_whitespace().next().unwrap_or("");
        if ITEMS[1..].contains(&keyword) {
            let after = at + line.find(keyword)? + keyword.len();
            let name_start = after + text[after..line_end].find(|c: char| !c.is_whitespace())?;
            let name = &text[name_start..line_end];
            let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len())];
            let span = Span::new(file, name_start as u32, (name_start + name.len()) as u32);
            return (!name.is_empty()).then(|| Spanned::new(name.into(), span));
        }
        if line_end >= end {
            return None;
        }
        at = line_end + 1;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Round,
    Square,
    Curly,
    /// A string; what stands between its quotes is text.
    Quote,
    /// An expression inside a string.
    Interpolation,
}

struct Open {
    kind: Kind,
    at: usize,
    /// `if`, `match` and lambdas under way inside, each of which nests without a bracket.
    chain: usize,
}

struct Scan<'a> {
    file: FileId,
    text: &'a str,
    at: usize,
    open: Vec<Open>,
    /// What nests without a bracket, outside of all brackets.
    chain: usize,
    /// The operators since the last separator.
    operators: usize,
    /// The commas of the statement or declaration under way.
    commas: usize,
    item: usize,
    /// Where the annotations and comments above the next declaration start.
    lead: Option<usize>,
    spoiled: bool,
    diagnostics: Vec<Diagnostic>,
    blank: Vec<(usize, usize)>,
}

impl<'a> Scan<'a> {
    const fn of(file: FileId, text: &'a str) -> Self {
        Self {
            file,
            text,
            at: 0,
            open: Vec::new(),
            chain: 0,
            operators: 0,
            commas: 0,
            item: 0,
            lead: None,
            spoiled: false,
            diagnostics: Vec::new(),
            blank: Vec::new(),
        }
    }

    /// The brace in a text that started the value at the present place.
    fn interpolation(&self) -> Option<usize> {
        self.open.iter().rev().find(|open| open.kind == Kind::Interpolation).map(|open| open.at)
    }

    fn step(&mut self) -> Result<(), Box<Diagnostic>> {
        let rest = &self.text[self.at..];
        let byte = rest.as_bytes()[0];
        if self.open.last().is_some_and(|open| open.kind == Kind::Quote) {
            self.in_string(byte);
            return Ok(());
        }
        match byte {
            b'/' if rest.starts_with("//") => {
                self.at += rest.find('\n').unwrap_or(rest.len());
                return Ok(());
            }
            b'\n' => {
                self.at += 1;
                self.line();
                return Ok(());
            }
            b'"' => self.push(Kind::Quote)?,
            b'(' => self.push(Kind::Round)?,
            b'[' => self.push(Kind::Square)?,
            b'{' => self.push(Kind::Curly)?,
            b')' => self.close(Kind::Round),
            b']' => self.close(Kind::Square),
            b'}' => self.close(Kind::Curly),
            b',' => self.comma(),
            b':' => self.unchain(),
            b'=' if !rest.starts_with("==") && !self.text[..self.at].ends_with(['=', '<', '>', '!']) => {
                self.operators = 0
            }
            b'+' | b'-' | b'*' | b'/' | b'?' | b'<' | b'>' => self.operator(),
            b'|' if !rest.starts_with("|>") => self.chain(1)?,
            b'\\' if self.interpolation().is_some() => self.plain_brace(),
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                match &rest[..end] {
                    "if" | "match" | "not" => self.chain(2)?,
                    "let" | "assert" | "for" => {
                        self.commas = 0;
                        self.unchain();
                    }
                    "run" | "train" | "search" | "evaluate" | "group" | "repeat" | "try" => self.commas = 0,
                    _ => {}
                }
                self.at += end;
                return Ok(());
            }
            _ => {}
        }
        self.at += rest.chars().next().map_or(1, char::len_utf8);
        Ok(())
    }

    fn in_string(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.open.pop();
                self.at += 1;
            }
            b'\\' => {
                let escaped = self.text[self.at + 1..].chars().next();
                self.at += 1 + escaped.filter(|c| *c != '\n').map_or(0, char::len_utf8);
            }
            b'{' => {
                self.open.push(Open { kind: Kind::Interpolation, at: self.at, chain: 0 });
                self.at += 1;
            }
            b'\n' => {
                let open = self.open.pop();
                if self.interpolation().is_some() {
                    self.plain_brace();
                }
                self.unclosed(open.as_ref());
            }
            _ => self.at += self.text[self.at..].chars().next().map_or(1, char::len_utf8),
        }
    }

    fn push(&mut self, kind: Kind) -> Result<(), Box<Diagnostic>> {
        self.open.push(Open { kind, at: self.at, chain: 0 });
        self.depth_limit()
    }

    /// Things that nest without brackets: half a level for a bar of a lambda, a whole one for a keyword.
    fn chain(&mut self, halves: usize) -> Result<(), Box<Diagnostic>> {
        *self.innermost() += halves;
        self.depth_limit()
    }

    fn operator(&mut self) {
        self.operators += 1;
        if self.operators == MAX_UNSEPARATED {
            let span = Span::new(self.file, self.at as u32, self.at as u32 + 1);
            let message = format!("this expression has more than {MAX_OPERATORS} operators");
            self.report(
                Diagnostic::new(Code::E0003, span, message).label("too large").help("name parts of it with `let`"),
            );
        }
    }

    fn comma(&mut self) {
        self.unchain();
        self.commas += 1;
        if self.commas == MAX_ITEMS {
            let span = Span::new(self.file, self.at as u32, self.at as u32 + 1);
            let message = format!("more than {MAX_ITEMS} items are listed here");
            self.report(Diagnostic::new(Code::E0003, span, message).label("too many").help("let a task read them"));
        }
    }

    fn unchain(&mut self) {
        self.operators = 0;
        *self.innermost() = 0;
    }

    fn innermost(&mut self) -> &mut usize {
        self.open.last_mut().map_or(&mut self.chain, |open| &mut open.chain)
    }

    fn depth_limit(&self) -> Result<(), Box<Diagnostic>> {
        let halves: usize = self.chain + self.open.iter().map(|open| 2 + open.chain).sum::<usize>();
        if halves <= 2 * MAX_DEPTH {
            return Ok(());
        }
        let span = Span::new(self.file, self.at as u32, self.at as u32 + 1);
        let too_deep = Diagnostic::new(Code::E0002, span, format!("this is nested more than {MAX_DEPTH} levels deep"))
            .label("too deep")
            .help("name the inner parts with `let`, or move them into functions");
        Err(Box::new(too_deep))
    }

    fn close(&mut self, kind: Kind) {
        let fits = |open: &Open| open.kind == kind || (open.kind, kind) == (Kind::Interpolation, Kind::Curly);
        match self.open.last() {
            Some(open) if fits(open) => {
                self.open.pop();
                // `} else if … {` goes on nesting; anything else after a block starts afresh.
                if kind == Kind::Curly && !self.text[self.at + 1..].trim_start().starts_with("else") {
                    self.unchain();
                }
            }
            _ if self.spoiled => {}
            Some(open) => {
                let span = Span::new(self.file, open.at as u32, open.at as u32 + 1);
                let found = self.text[self.at..].chars().next().unwrap_or(' ');
                self.report(
                    Diagnostic::new(Code::E0004, span, format!("this `{}` is not closed", open.kind.symbol()))
                        .label(format!("needs a `{}`", open.kind.closer()))
                        .related(
                            Span::new(self.file, self.at as u32, self.at as u32 + 1),
                            format!("found `{found}` instead"),
                        ),
                );
            }
            None => {
                let span = Span::new(self.file, self.at as u32, self.at as u32 + 1);
                self.report(
                    Diagnostic::new(Code::E0004, span, format!("this `{}` closes nothing", kind.closer()))
                        .label("nothing is open here")
                        .help("leave it out, or open what it should close"),
                );
            }
        }
    }

    /// At the start of a line: a declaration in the first column ends whatever is still open.
    fn line(&mut self) {
        let rest = &self.text[self.at..];
        let word = &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())];
        let named = rest[word.len()..].trim_start_matches([' ', '\t']);
        let starts = ITEMS.contains(&word)
            && named.len() < rest.len() - word.len()
            && named.starts_with(|c: char| c.is_ascii_alphabetic() || "_./".contains(c));
        if starts {
            let start = self.lead.take().unwrap_or(self.at);
            self.end_item(start);
            self.item = start;
        } else if self.open.is_empty() && (rest.starts_with('@') || rest.starts_with("///")) {
            self.lead.get_or_insert(self.at);
        } else if !rest.starts_with(['\n', ' ', '\t', '\r', '/']) {
            self.lead = None;
        }
    }

    fn end_item(&mut self, end: usize) {
        if let Some(open) = self.open.pop() {
            self.unclosed(Some(&open));
        }
        self.open.clear();
        if self.spoiled {
            self.blank.push((self.item, end));
        }
        self.spoiled = false;
        self.chain = 0;
        self.operators = 0;
        self.commas = 0;
        self.item = self.at;
    }

    /// A text goes on in a way that no value does, so its brace was meant as a brace.
    fn plain_brace(&mut self) {
        let Some(at) = self.interpolation() else { return };
        let span = Span::new(self.file, at as u32, at as u32 + 1);
        self.report(
            Diagnostic::new(Code::E0004, span, "this `{` starts a value, as in `\"{name}\"`, which is not closed")
                .label("needs a `}` behind a value")
                .help(PLAIN_BRACE)
                .fix(Span { end: span.start, ..span }, "\\"),
        );
    }

    fn unclosed(&mut self, open: Option<&Open>) {
        let Some(open) = open else { return };
        let span = Span::new(self.file, open.at as u32, open.at as u32 + 1);
        let diagnostic = match open.kind {
            Kind::Quote => Diagnostic::new(Code::E0004, span, "this text is not closed")
                .label("needs a `\"` on the same line")
                .help("write a line break as `\\n`"),
            kind => Diagnostic::new(Code::E0004, span, format!("this `{}` is not closed", kind.symbol()))
                .label(format!("needs a `{}`", kind.closer())),
        };
        self.report(diagnostic);
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if !self.spoiled {
            self.diagnostics.push(diagnostic);
        }
        self.spoiled = true;
    }
}

impl Kind {
    const fn symbol(self) -> char {
        match self {
            Self::Round => '(',
            Self::Square => '[',
            Self::Curly | Self::Interpolation => '{',
            Self::Quote => '"',
        }
    }

    const fn closer(self) -> char {
        match self {
            Self::Round => ')',
            Self::Square => ']',
            Self::Curly | Self::Interpolation => '}',
            Self::Quote => '"',
        }
    }
}
