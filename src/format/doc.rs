//! Documents with possible line breaks, and their printing: a group is printed on one line if it fits, else with all of
//! its own breaks (Wadler, "A prettier printer", 2003).

use std::collections::VecDeque;

/// The width that lines keep within where they can.
const WIDTH: usize = 100;

/// The spaces of a level.
const INDENT: usize = 2;

/// A document.
#[derive(Clone, Debug)]
pub enum Doc<'t> {
    /// Text of the file and where it starts there: comments before that place are printed first.
    Source(&'t str, usize),
    /// Text that is put in.
    Text(&'static str),
    /// `flat` in a group on one line; a line break elsewhere.
    Line(&'static str),
    /// The same, where an empty line of the file is kept.
    KeptLine(&'static str),
    /// A line break.
    Break,
    /// A line break, and an empty line if the file has one here.
    KeptBreak,
    /// An empty line.
    Blank,
    /// Text that only a broken group has.
    IfBroken(&'static str),
    /// Text that only a group on one line has.
    IfFlat(&'static str),
    /// Comments before this place of the file are printed here.
    Comments(usize),
    /// Parts that are together on one line or all broken.
    Group(Group<'t>),
    /// Parts whose lines stand one level further in.
    Nest(Vec<Self>),
}

/// Parts that are together on one line or all broken.
#[derive(Clone, Debug)]
pub struct Group<'t> {
    parts: Vec<Doc<'t>>,
    /// Whether it can't be on one line.
    broken: bool,
    /// Where its first and its last text of the file start: a comment between them breaks it.
    ends: Option<(usize, usize)>,
}

impl<'t> Doc<'t> {
    /// A group.
    pub fn group(parts: Vec<Self>) -> Self {
        Self::group_if(parts, false)
    }

    /// A group that is broken in any case, or not.
    pub fn group_if(parts: Vec<Self>, broken: bool) -> Self {
        let broken = broken || parts.iter().any(Self::must_break);
        let ends = parts.iter().filter_map(Self::ends).reduce(|(first, _), (_, last)| (first, last));
        Self::Group(Group { parts, broken, ends })
    }

    /// Whether it has a line break in any case.
    pub fn must_break(&self) -> bool {
        match self {
            Self::Break | Self::KeptBreak | Self::Blank => true,
            Self::Group(group) => group.broken,
            Self::Nest(parts) => parts.iter().any(Self::must_break),
            _ => false,
        }
    }

    /// Where its first and its last text of the file start.
    pub fn ends(&self) -> Option<(usize, usize)> {
        match self {
            Self::Source(_, at) | Self::Comments(at) => Some((*at, *at)),
            Self::Group(group) => group.ends,
            Self::Nest(parts) => parts.iter().filter_map(Self::ends).reduce(|(first, _), (_, last)| (first, last)),
            _ => None,
        }
    }
}

/// A comment of the file.
#[derive(Clone, Debug)]
pub struct Comment<'t> {
    /// Where it starts.
    pub at: usize,
    text: &'t str,
    /// Whether nothing stands before it on its line.
    alone: bool,
}

impl<'t> Comment<'t> {
    /// The comment `text` that starts at `at` of `file`.
    pub fn new(file: &str, at: usize, text: &'t str) -> Self {
        let line = file[..at].rsplit('\n').next().unwrap_or_default();
        Self { at, text: text.trim_end(), alone: line.trim_start_matches('\u{feff}').trim().is_empty() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Flat,
    Broken,
}

/// A line break that is due before the next text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Break,
    KeptBreak,
    Blank,
}

/// Prints documents over one file.
pub struct Printer<'t> {
    file: &'t str,
    /// The comments that are not printed yet.
    comments: VecDeque<Comment<'t>>,
    out: String,
    column: usize,
    due: Due,
    /// Whether the line ends with a comment so far.
    in_comment: bool,
}

impl<'t> Printer<'t> {
    /// A printer over `file`.
    pub fn new(file: &'t str) -> Self {
        Self {
            file,
            comments: VecDeque::new(),
            out: String::with_capacity(file.len()),
            column: 0,
            due: Due::Nothing,
            in_comment: false,
        }
    }

    /// The next comments of the file, to be printed where they belong: all of a document must be known before it is printed.
    pub fn add_comments(&mut self, comments: impl Iterator<Item = Comment<'t>>) {
        self.comments.extend(comments);
    }

    /// Prints a document behind those before.
    pub fn print(&mut self, doc: &[Doc<'t>]) {
        let mut stack: Vec<(usize, Mode, &Doc)> = doc.iter().rev().map(|doc| (0, Mode::Broken, doc)).collect();
        while let Some((indent, mode, doc)) = stack.pop() {
            match doc {
                Doc::Source(text, at) => {
                    self.comments_before(*at, indent);
                    self.write(text, Some(*at), indent);
                }
                Doc::Comments(at) => self.comments_before(*at, indent),
                Doc::Text(text) => self.write(text, None, indent),
                Doc::IfBroken(text) if mode == Mode::Broken => self.write(text, None, indent),
                Doc::IfFlat(text) if mode == Mode::Flat => self.write(text, None, indent),
                Doc::IfBroken(_) | Doc::IfFlat(_) => {}
                Doc::Line(flat) | Doc::KeptLine(flat) if mode == Mode::Flat => self.write(flat, None, indent),
                Doc::Line(_) | Doc::Break => self.due = Due::Break,
                Doc::KeptLine(_) | Doc::KeptBreak => self.due = Due::KeptBreak,
                Doc::Blank => self.due = Due::Blank,
                Doc::Nest(parts) => stack.extend(parts.iter().rev().map(|part| (indent + INDENT, mode, part))),
                Doc::Group(group) => {
                    let fits = || !self.has_comment(group) && self.fits(group, &stack, indent);
                    let flat = !group.broken && (mode == Mode::Flat || fits());
                    let mode = if flat { Mode::Flat } else { Mode::Broken };
                    stack.extend(group.parts.iter().rev().map(|part| (indent, mode, part)));
                }
            }
        }
    }

    /// The whole text, with the comments at its end.
    pub fn finish(mut self) -> String {
        self.comments_before(usize::MAX, 0);
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out
    }

    fn has_comment(&self, group: &Group) -> bool {
        group.ends.is_some_and(|(first, last)| {
            let next = self.comments.partition_point(|comment| comment.at <= first);
            self.comments.get(next).is_some_and(|comment| comment.at < last)
        })
    }

    /// Whether a group fits into the rest of the line, with what follows it there.
    fn fits(&self, group: &Group, rest: &[(usize, Mode, &Doc)], indent: usize) -> bool {
        let column = if self.due == Due::Nothing { self.column } else { indent };
        let mut left = WIDTH.saturating_sub(column);
        let mut stack: Vec<(Mode, &Doc)> = group.parts.iter().rev().map(|part| (Mode::Flat, part)).collect();
        let mut rest = rest.iter().rev();
        loop {
            let Some((mode, doc)) = stack.pop().or_else(|| rest.next().map(|(_, mode, doc)| (*mode, *doc))) else {
                return true;
            };
            let text = match doc {
                Doc::Source(text, _) => text,
                Doc::Text(text) => text,
                Doc::IfBroken(text) if mode == Mode::Broken => text,
                Doc::IfFlat(text) if mode == Mode::Flat => text,
                Doc::Line(flat) | Doc::KeptLine(flat) if mode == Mode::Flat => flat,
                Doc::IfBroken(_) | Doc::IfFlat(_) | Doc::Comments(_) => continue,
                Doc::Line(_) | Doc::KeptLine(_) | Doc::Break | Doc::KeptBreak | Doc::Blank => return true,
                Doc::Nest(parts) => {
                    stack.extend(parts.iter().rev().map(|part| (mode, part)));
                    continue;
                }
                Doc::Group(group) => {
                    let mode = if group.broken { Mode::Broken } else { mode };
                    stack.extend(group.parts.iter().rev().map(|part| (mode, part)));
                    continue;
                }
            };
            match left.checked_sub(text.chars().count()) {
                Some(less) => left = less,
                None => return false,
            }
        }
    }

    fn write(&mut self, text: &str, at: Option<usize>, indent: usize) {
        if text.is_empty() {
            return;
        }
        let blank = match self.due {
            Due::KeptBreak => at.is_some_and(|at| self.blank_before(at)),
            due => due == Due::Blank,
        };
        self.line(indent, blank);
        // A space that would end a line is none.
        let text = if self.column == indent && self.at_line_start() { text.trim_start() } else { text };
        self.out.push_str(text);
        self.column += text.chars().count();
        self.in_comment = false;
    }

    fn at_line_start(&self) -> bool {
        self.out.is_empty() || self.out.trim_end_matches(' ').ends_with('\n')
    }

    /// Ends the line if a break is due.
    fn line(&mut self, indent: usize, blank: bool) {
        if std::mem::replace(&mut self.due, Due::Nothing) == Due::Nothing || self.out.is_empty() {
            return;
        }
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push_str(if blank { "\n\n" } else { "\n" });
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.column = indent;
    }

    fn comments_before(&mut self, at: usize, indent: usize) {
        while self.comments.front().is_some_and(|comment| comment.at < at)
            && let Some(comment) = self.comments.pop_front()
        {
            let starts_file = self.out.is_empty();
            // A second comment needs a line of its own, wherever it stood.
            if comment.alone || starts_file || self.in_comment {
                let blank = match self.due {
                    Due::Blank => true,
                    Due::KeptBreak | Due::Nothing => self.blank_before(comment.at),
                    Due::Break => false,
                };
                self.due = if self.due == Due::Nothing { Due::Break } else { self.due };
                self.line(indent, blank && !starts_file);
                self.due = Due::KeptBreak;
            } else {
                self.out.truncate(self.out.trim_end_matches(' ').len());
                self.out.push(' ');
                self.due = if self.due == Due::Nothing { Due::Break } else { self.due };
            }
            self.out.push_str(comment.text);
            self.column += comment.text.chars().count();
            self.in_comment = true;
        }
    }

    /// Whether an empty line stands before a place of the file.
    fn blank_before(&self, at: usize) -> bool {
        let before = &self.file[..at];
        let space = &before[before.trim_end().len()..];
        space.matches('\n').count() > 1
    }
}
