//! What the compiler has to say about a file: coded messages with places and mends.

mod codes;
mod pages;
mod render;
mod sarif;

pub use codes::Code;
pub use render::{RunError, Style, render, to_json};
pub use sarif::sarif;

use crate::source::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The file can't be used.
    Error,
    /// The file can be used, but probably does not mean what its author thinks.
    Warning,
}

/// A place and what to say about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The words beside it; may be empty.
    pub text: String,
}

/// A replacement of some text that mends the mistake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Edit {
    /// What to replace; empty to insert.
    pub span: Span,
    /// What to put there.
    pub text: String,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// Its stable code, which also tells its severity.
    pub code: Code,
    /// One sentence that says what is wrong: lower case, no final period, code in backticks.
    pub message: String,
    /// Where, and what stands there.
    pub primary: Label,
    /// Other places that explain it.
    pub related: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
    /// The mend as an edit, where it is mechanical.
    pub fix: Option<Edit>,
}

impl Diagnostic {
    /// A message about `span`.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        let primary = Label { span, text: String::new() };
        Self { code, message: message.into(), primary, related: Vec::new(), help: None, fix: None }
    }

    /// Says what stands at the primary place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.primary.text = text.into();
        self
    }

    /// Adds a second place.
    #[must_use]
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push(Label { span, text: text.into() });
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Says how to mend it when there is something to say.
    #[must_use]
    pub fn maybe_help(mut self, text: Option<String>) -> Self {
        self.help = text;
        self
    }

    /// Adds the edit that mends it.
    #[must_use]
    pub fn fix(mut self, span: Span, text: impl Into<String>) -> Self {
        self.fix = Some(Edit { span, text: text.into() });
        self
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// What a stage could make of its input, and what it found on the way. A stage never stops at the first mistake.
#[derive(Clone, Debug)]
pub struct Outcome<T> {
    /// The result, as whole as it could be made; only trustworthy when there is no error.
    pub value: T,
    /// The messages, in source order.
    pub diagnostics: Vec<Diagnostic>,
}

impl<T> Outcome<T> {
    /// Whether nothing forbids using the value.
    pub fn is_ok(&self) -> bool {
        self.diagnostics.iter().all(|diagnostic| diagnostic.severity() != Severity::Error)
    }
}

/// Longer names are not compared: the comparison takes time for each pair of letters.
const COMPARED: usize = 64;

/// The name in `known` that `wanted` was probably meant to be.
pub fn similar<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.len() > COMPARED {
        return None;
    }
    let near = |name: &&str| strsim::damerau_levenshtein(&wanted.to_lowercase(), &name.to_lowercase());
    let limit = wanted.chars().count().div_ceil(3).max(1);
    // Names of other lengths can't be near.
    let comparable = known.into_iter().filter(|name| name.len().abs_diff(wanted.len()) <= 4 * limit.min(COMPARED));
    comparable.filter(|name| near(name) <= limit).min_by_key(near)
}
