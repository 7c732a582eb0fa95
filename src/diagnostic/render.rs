use super::{Diagnostic, Severity};
use crate::source::{FileId, Source, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How messages look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For a terminal with colours.
    Colored,
    /// For everything else.
    Plain,
}

/// More messages than this help nobody.
const MAX_SHOWN: usize = 100;

/// Longer lines are not shown: they would take screens, and time.
const MAX_LINE: usize = 4000;

/// Messages as a person reads them, each with its lines of source: the first hundred, and how many more there are.
pub fn render(diagnostics: &[Diagnostic], source: &dyn Fn(FileId) -> Source, style: Style) -> String {
    let renderer = renderer(style);
    let mut text = String::new();
    for diagnostic in diagnostics.iter().take(MAX_SHOWN) {
        let mut sources: BTreeMap<FileId, Source> = BTreeMap::new();
        for span in diagnostic.spans() {
            sources.entry(span.file).or_insert_with(|| source(span.file));
        }
        text.push_str(&renderer.render(&report(diagnostic, &sources)));
        text.push_str("\n\n");
    }
    if diagnostics.len() > MAX_SHOWN {
        text.push_str(&format!("… and {} more\n\n", diagnostics.len() - MAX_SHOWN));
    }
    text
}

/// Whether a line that a message would show is too long for it.
fn has_long_line(diagnostic: &Diagnostic, sources: &BTreeMap<FileId, Source>) -> bool {
    diagnostic.spans().any(|span| {
        let source = &sources[&span.file];
        let range = within(source, span);
        let start = source.text[..range.start].rfind('\n').map_or(0, |newline| newline + 1);
        let end = source.text[range.end..].find('\n').map_or(source.text.len(), |newline| range.end + newline);
        source.text[start..end].lines().any(|line| line.len() > MAX_LINE)
    })
}

fn report<'a>(diagnostic: &'a Diagnostic, sources: &'a BTreeMap<FileId, Source>) -> Vec<Group<'a>> {
    let level = match diagnostic.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let main = diagnostic.primary.span.file;
    let mut group = Group::with_title(level.primary_title(&diagnostic.message).id(diagnostic.code.name()));
    if has_long_line(diagnostic, sources) {
        let (line, column) = sources[&main].position(diagnostic.primary.span.start);
        group = group.element(Level::NOTE.message(format!("at {}:{line}:{column}", sources[&main].name)));
        return match &diagnostic.help {
            Some(help) => vec![group.element(Level::HELP.message(help))],
            None => vec![group],
        };
    }
    let files = std::iter::once(main).chain(sources.keys().copied().filter(|file| *file != main));
    for file in files {
        let source = &sources[&file];
        let mut snippet = Snippet::source(&*source.text).path(&source.name);
        if file == main {
            let label = &diagnostic.primary;
            let annotation = AnnotationKind::Primary.span(within(source, label.span));
            snippet = snippet.annotation(annotation.label((!label.text.is_empty()).then_some(&*label.text)));
        }
        for label in diagnostic.related.iter().filter(|label| label.span.file == file) {
            let annotation = AnnotationKind::Context.span(within(source, label.span));
            snippet = snippet.annotation(annotation.label(&label.text));
        }
        group = group.element(snippet);
    }
    match (&diagnostic.fix, &diagnostic.help) {
        (Some(fix), help) => {
            let title = help.as_deref().unwrap_or("change it like this");
            let source = &sources[&fix.span.file];
            let snippet = Snippet::source(&*source.text)
                .path(&source.name)
                .patch(Patch::new(within(source, fix.span), &fix.text));
            vec![group, Level::HELP.secondary_title(title).element(snippet)]
        }
        (None, Some(help)) => vec![group.element(Level::HELP.message(help))],
        (None, None) => vec![group],
    }
}

/// A span as a range that surely lies in the text, on the borders of characters.
fn within(source: &Source, span: Span) -> std::ops::Range<usize> {
    let start = source.text.floor_char_boundary(span.start as usize);
    let end = source.text.ceil_char_boundary((span.end as usize).min(source.text.len()));
    start..end.max(start)
}

/// A message as tools read it.
pub fn to_json(diagnostic: &Diagnostic, source: &dyn Fn(FileId) -> Source) -> Value {
    let place = |span: Span| {
        let source = source(span.file);
        let (line, column) = source.position(span.start);
        let (end_line, end_column) = source.position(span.end);
        json!({
            "file": source.name,
            "line": line,
            "column": column,
            "end_line": end_line,
            "end_column": end_column,
            "start": span.start,
            "end": span.end,
        })
    };
    let label = |label: &super::Label| json!({ "place": place(label.span), "text": label.text });
    json!({
        "code": diagnostic.code.name(),
        "severity": match diagnostic.severity() { Severity::Error => "error", Severity::Warning => "warning" },
        "message": diagnostic.message,
        "primary": label(&diagnostic.primary),
        "related": diagnostic.related.iter().map(label).collect::<Vec<_>>(),
        "help": diagnostic.help,
        "fix": diagnostic.fix.as_ref().map(|fix| json!({ "place": place(fix.span), "text": fix.text })),
    })
}

impl Diagnostic {
    fn spans(&self) -> impl Iterator<Item = Span> {
        let related = self.related.iter().map(|label| label.span);
        std::iter::once(self.primary.span).chain(related).chain(self.fix.iter().map(|fix| fix.span))
    }
}

/// A failure of a run as a person reads it, with the statement that it happened in.
pub struct RunError<'a> {
    /// Its kind, which stands where a diagnostic has its code.
    pub kind: &'a str,
    /// What went wrong.
    pub message: &'a str,
    /// The statement.
    pub span: Span,
    /// The step, as the run calls it.
    pub step: &'a str,
    /// What to do about it.
    pub help: Option<&'a str>,
}

impl RunError<'_> {
    /// The text, with the statement's first line.
    pub fn render(&self, source: &Source, style: Style) -> String {
        let range = within(source, self.span);
        let line = source.text[range.clone()].lines().next().unwrap_or_default().trim_end();
        let label = format!("in step `{}`", self.step);
        let annotation = AnnotationKind::Primary.span(range.start..range.start + line.len()).label(&*label);
        let snippet = Snippet::source(&*source.text).path(&*source.name).annotation(annotation);
        let title = Level::ERROR.primary_title(self.message).id(self.kind);
        let group = Group::with_title(title).element(snippet);
        let group = match self.help {
            Some(help) => group.element(Level::HELP.message(help)),
            None => group,
        };
        renderer(style).render(&[group]) + "\n"
    }
}

fn renderer(style: Style) -> Renderer {
    match style {
        Style::Colored => Renderer::styled(),
        Style::Plain => Renderer::plain(),
    }
}
