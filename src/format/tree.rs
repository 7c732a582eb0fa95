//! From the tree of a file to its document.

use super::doc::Doc;
use crate::syntax::{Rule, range};
use pest::iterators::Pair;
use std::ops::Range;

type Docs<'t> = Vec<Doc<'t>>;

/// Lays out a file piece by piece, as it is read.
pub struct Layout<'t> {
    tree: Tree<'t>,
    /// The kind of the declaration before.
    before: Option<Rule>,
    block: Option<Block<'t>>,
}

/// A workflow or test under way.
struct Block<'t> {
    /// What stands before its brace, until that is printed.
    head: Docs<'t>,
    /// Its brace.
    start: usize,
    /// The first statement, until it is printed.
    first: Option<Docs<'t>>,
    /// Whether there are several, so that each has a line of its own.
    several: bool,
}

impl<'t> Layout<'t> {
    /// A layout of `text`.
    pub const fn new(text: &'t str) -> Self {
        Self { tree: Tree { text, end: text.len() }, before: None, block: None }
    }

    /// What can be printed with one more piece.
    pub fn piece(&mut self, pair: Pair<'t, Rule>) -> Docs<'t> {
        match pair.as_rule() {
            Rule::COMMENT | Rule::EOI => Vec::new(),
            Rule::opening => {
                let start = self.tree.range(&pair).end - 1;
                let mut head = self.between(Rule::workflow_decl);
                head.extend(self.tree.item(pair));
                head.push(Doc::Text(" "));
                self.block = Some(Block { head, start, first: None, several: false });
                Vec::new()
            }
            Rule::annotated_stmt | Rule::result => {
                let docs = self.tree.any(pair);
                self.block.as_mut().map_or_else(Vec::new, |block| block.stmt(docs))
            }
            Rule::closing => {
                let end = self.tree.range(&pair).start;
                let Some(block) = self.block.take() else { return Vec::new() };
                if block.several {
                    return vec![Doc::Nest(vec![Doc::Comments(end)]), Doc::Line(" "), Doc::Source("}", end)];
                }
                let mut docs = block.head;
                docs.push(self.tree.braces((block.start, end), block.first.into_iter().collect(), "", false));
                docs
            }
            rule => {
                let kind = match rule {
                    Rule::decl => parts(pair.clone()).last().map_or(rule, |body| body.as_rule()),
                    rule => rule,
                };
                let mut docs = self.between(kind);
                docs.extend(self.tree.item(pair));
                docs
            }
        }
    }

    /// What stands between the declaration before and one of a kind.
    fn between(&mut self, kind: Rule) -> Docs<'t> {
        match self.before.replace(kind) {
            Some(before) if before == kind && is_small(kind) => vec![Doc::KeptBreak],
            Some(_) => vec![Doc::Blank],
            None => Vec::new(),
        }
    }
}

impl<'t> Block<'t> {
    /// What can be printed with one more statement.
    fn stmt(&mut self, docs: Docs<'t>) -> Docs<'t> {
        let line = |docs| Doc::Nest([vec![Doc::KeptLine(" ")], docs].concat());
        if self.several {
            return vec![line(docs)];
        }
        let Some(first) = self.first.take() else {
            self.first = Some(docs);
            return Vec::new();
        };
        self.several = true;
        let mut all = std::mem::take(&mut self.head);
        all.extend([Doc::Source("{", self.start), Doc::Nest([vec![Doc::Line(" ")], first].concat()), line(docs)]);
        all
    }
}

/// A declaration as others see it, without what it holds: where its keyword starts, and its document. `None` of a test, and
/// of all that is no declaration.
pub fn head<'t>(text: &'t str, pair: Pair<'t, Rule>) -> Option<(usize, Docs<'t>)> {
    let own = |pair: &Pair<'t, Rule>| parts(pair.clone()).find(|part| part.as_rule() != Rule::annotation);
    let keyword = own(&pair)?;
    let inside = match (pair.as_rule(), keyword.as_rule()) {
        (Rule::opening, Rule::KW_workflow) => None,
        (Rule::decl, Rule::const_decl | Rule::type_decl | Rule::enum_decl | Rule::extern_decl) => None,
        (Rule::decl, _) => Some(parts(keyword.clone()).last()?),
        _ => return None,
    };
    let end = inside.map_or_else(|| range(text, &pair).end, |inside| range(text, &inside).start);
    Some((range(text, &keyword).start, Tree { text, end }.item(pair)))
}

/// Declarations that may stand line by line.
const fn is_small(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::import
            | Rule::const_decl
            | Rule::type_decl
            | Rule::enum_decl
            | Rule::extern_decl
            | Rule::fn_decl
            | Rule::model_decl
    )
}

/// The parts of a pair that are not comments.
fn parts(pair: Pair<Rule>) -> impl Iterator<Item = Pair<Rule>> + Clone {
    pair.into_inner().filter(|pair| pair.as_rule() != Rule::COMMENT)
}

/// How tightly an operator binds, weakest first.
const fn strength(rule: Rule) -> u8 {
    match rule {
        Rule::or => 0,
        Rule::and => 1,
        Rule::eq | Rule::ne | Rule::lt | Rule::le | Rule::gt | Rule::ge => 2,
        Rule::coalesce => 3,
        Rule::range => 4,
        Rule::add | Rule::sub => 5,
        Rule::mul | Rule::div => 6,
        _ => 7,
    }
}

struct Tree<'t> {
    text: &'t str,
    /// What starts here or later is left out.
    end: usize,
}

impl<'t> Tree<'t> {
    fn range(&self, pair: &Pair<'t, Rule>) -> Range<usize> {
        range(self.text, pair)
    }

    fn source(&self, pair: &Pair<'t, Rule>) -> Doc<'t> {
        Doc::Source(pair.as_str().trim_end(), self.range(pair).start)
    }

    /// Whether the file goes on in a new line at `at`.
    fn breaks_at(&self, at: usize) -> bool {
        let rest = &self.text[at..];
        let space = &rest[..rest.len() - rest.trim_start().len()];
        space.contains('\n') || rest.trim_start_matches([' ', '\t']).starts_with("//")
    }

    /// Whether a new line starts before `at`.
    fn breaks_before(&self, at: usize) -> bool {
        let before = &self.text[..at];
        before[before.trim_end().len()..].contains('\n')
    }

    fn item(&self, pair: Pair<'t, Rule>) -> Docs<'t> {
        if pair.as_rule() == Rule::import {
            return self.words(pair);
        }
        let mut docs = Vec::new();
        let (opening, mut inner) = (pair.as_rule() == Rule::opening, parts(pair.clone()).peekable());
        while let Some(annotation) = inner.next_if(|part| part.as_rule() == Rule::annotation) {
            docs.extend(self.any(annotation));
            docs.push(Doc::Break);
        }
        match opening {
            true => docs.extend(self.row(&pair, inner)),
            false => inner.for_each(|part| docs.extend(self.any(part))),
        }
        docs
    }

    /// A rule whose parts stand side by side with single spaces, but for what binds closer.
    fn words(&self, pair: Pair<'t, Rule>) -> Docs<'t> {
        self.row(&pair, parts(pair.clone()))
    }

    fn row(&self, pair: &Pair<'t, Rule>, inner: impl Iterator<Item = Pair<'t, Rule>>) -> Docs<'t> {
        let rule = pair.as_rule();
        let close = self.range(pair).end.saturating_sub(1);
        let mut docs: Docs = Vec::new();
        let mut members: Vec<Docs> = Vec::new();
        let mut first: Option<usize> = None;
        for part in inner.take_while(|part| self.range(part).start < self.end) {
            let at = self.range(&part).start;
            match (rule, part.as_rule()) {
                (Rule::enum_decl, Rule::ident) if !docs.is_empty() && docs.len() > 1 => {
                    first.get_or_insert(at);
                    members.push(vec![self.source(&part)]);
                    continue;
                }
                (_, Rule::params | Rule::args) => {}
                (Rule::import, Rule::import_names) => docs.push(Doc::Text(".")),
                (_, Rule::ty) if matches!(rule, Rule::const_decl | Rule::let_stmt | Rule::param) => {
                    docs.push(Doc::Text(": "));
                }
                (Rule::type_decl, Rule::ty) => docs.push(Doc::Text(" = ")),
                (_, Rule::ty) => docs.push(Doc::Text(" -> ")),
                (Rule::const_decl | Rule::fn_decl | Rule::model_decl | Rule::let_stmt, Rule::expr) => {
                    docs.push(Doc::Text(" ="));
                    docs.extend(self.value(part));
                    continue;
                }
                (Rule::param | Rule::carried, Rule::expr) => docs.push(Doc::Text(" = ")),
                (
                    Rule::let_stmt,
                    Rule::step | Rule::for_flow | Rule::if_flow | Rule::try_flow | Rule::group_flow | Rule::repeat_flow,
                ) => docs.push(Doc::Text(" = ")),
                (Rule::assert_stmt, Rule::expr) if docs.len() > 2 => {
                    docs.push(Doc::Text(","));
                    docs.push(Doc::Nest([vec![Doc::Line(" ")], self.any(part)].concat()));
                    continue;
                }
                (Rule::after | Rule::catch, Rule::ident) if matches!(docs.last(), Some(Doc::Source(word, _)) if !["after", "catch", "as"].contains(word)) =>
                {
                    docs.push(Doc::Text(", "));
                }
                (Rule::step_target, Rule::word) => docs.push(Doc::Text(".")),
                _ if !docs.is_empty() => docs.push(Doc::Text(" ")),
                _ => {}
            }
            docs.extend(self.any(part));
        }
        if rule == Rule::assert_stmt {
            return vec![Doc::group(docs)];
        }
        if rule == Rule::enum_decl {
            docs.push(Doc::Text(" "));
            let open = first.map_or(close, |first| self.text[..first].rfind('{').unwrap_or(first));
            docs.push(self.list(("{", open), ("}", close), members, true));
        }
        docs
    }

    fn any(&self, pair: Pair<'t, Rule>) -> Docs<'t> {
        let Range { start, end } = self.range(&pair);
        match pair.as_rule() {
            Rule::annotation => {
                let mut docs = vec![Doc::Source("@", start)];
                parts(pair).for_each(|part| docs.extend(self.any(part)));
                docs
            }
            Rule::import_names => {
                let names = parts(pair).map(|name| self.words(name)).collect();
                let open = self.text[..start].rfind('{').unwrap_or(start);
                let close = end + self.text[end..].find('}').unwrap_or(0);
                vec![self.list(("{", open), ("}", close), names, false)]
            }
            Rule::params | Rule::args => {
                let items: Vec<Docs> = parts(pair.clone()).map(|item| self.any(item)).collect();
                let hugs = parts(pair).filter(|item| self.hugs(item)).count() == 1;
                if items.len() == 1 && hugs && !self.breaks_at(start + 1) {
                    let mut docs = vec![Doc::Source("(", start)];
                    docs.extend(items.into_iter().flatten());
                    docs.push(Doc::Source(")", end - 1));
                    return docs;
                }
                vec![self.list(("(", start), (")", end - 1), items, false)]
            }
            Rule::arg => {
                let mut docs = Vec::new();
                for part in parts(pair) {
                    let name = part.as_rule() == Rule::word;
                    docs.extend(self.any(part));
                    if name {
                        docs.push(Doc::Text(": "));
                    }
                }
                docs
            }
            Rule::ty => parts(pair).flat_map(|part| self.any(part)).collect(),
            Rule::named_ty => {
                let mut inner = parts(pair);
                let mut docs: Docs = inner.next().iter().map(|pair| self.source(pair)).collect();
                let args: Vec<Docs> = inner.map(|ty| self.any(ty)).collect();
                if !args.is_empty() {
                    docs.push(Doc::Text("["));
                    for (index, arg) in args.into_iter().enumerate() {
                        docs.extend((index > 0).then_some(Doc::Text(", ")));
                        docs.extend(arg);
                    }
                    docs.push(Doc::Text("]"));
                }
                docs
            }
            Rule::record_ty => {
                let fields = parts(pair).map(|field| {
                    let mut inner = parts(field);
                    let mut docs: Docs = inner.next().iter().map(|pair| self.source(pair)).collect();
                    docs.push(Doc::Text(": "));
                    inner.for_each(|ty| docs.extend(self.any(ty)));
                    docs
                });
                vec![self.list(("{", start), ("}", end - 1), fields.collect(), true)]
            }
            Rule::block => vec![self.block(pair)],
            Rule::settings => vec![self.settings(pair)],
            Rule::setting_ok => self.setting(pair),
            Rule::annotated_stmt => self.item(pair),
            Rule::result | Rule::while_cond | Rule::setting_cond | Rule::call | Rule::literal => {
                parts(pair).flat_map(|part| self.any(part)).collect()
            }
            Rule::expr => self.expr(pair),
            Rule::postfix => parts(pair).flat_map(|part| self.any(part)).collect(),
            Rule::field => {
                let mut docs = vec![Doc::Text(".")];
                parts(pair).for_each(|part| docs.extend(self.any(part)));
                docs
            }
            Rule::index => self.between("[", "]", pair),
            Rule::primary => parts(pair).flat_map(|part| self.any(part)).collect(),
            Rule::paren => self.between("(", ")", pair),
            Rule::if_expr => {
                let mut inner = parts(pair);
                let word: Docs = inner.next().iter().map(|pair| self.source(pair)).collect();
                let mut docs = Vec::new();
                for part in inner {
                    docs.push(match part.as_rule() {
                        Rule::KW_then | Rule::KW_else => Doc::Line(" "),
                        _ => Doc::Text(" "),
                    });
                    docs.extend(self.any(part));
                }
                vec![Doc::group([word, vec![Doc::Nest(docs)]].concat())]
            }
            Rule::match_expr => {
                let mut inner = parts(pair);
                let mut docs: Docs = inner.next().iter().map(|pair| self.source(pair)).collect();
                docs.push(Doc::Text(" "));
                let mut open = start;
                if let Some(value) = inner.next() {
                    let after = self.range(&value).end;
                    open = after + self.text[after..].find('{').unwrap_or(0);
                    docs.extend(self.any(value));
                }
                docs.push(Doc::Text(" "));
                let arms = inner.map(|arm| self.arm(arm)).collect();
                docs.push(self.list(("{", open), ("}", end - 1), arms, true));
                docs
            }
            Rule::lambda => {
                let mut docs = vec![Doc::Source("|", start)];
                let mut params = 0;
                for part in parts(pair) {
                    if part.as_rule() == Rule::ident {
                        docs.extend((params > 0).then_some(Doc::Text(", ")));
                        params += 1;
                    } else {
                        docs.push(Doc::Text("| "));
                    }
                    docs.extend(self.any(part));
                }
                docs
            }
            Rule::list => {
                let entries = parts(pair).map(|entry| {
                    let mut docs = Vec::new();
                    for (index, part) in parts(entry).enumerate() {
                        docs.extend((index > 0).then_some(Doc::Text(": ")));
                        docs.extend(self.any(part));
                    }
                    docs
                });
                vec![self.list(("[", start), ("]", end - 1), entries.collect(), false)]
            }
            Rule::const_decl
            | Rule::type_decl
            | Rule::enum_decl
            | Rule::extern_decl
            | Rule::fn_decl
            | Rule::dataset_decl
            | Rule::model_decl
            | Rule::task_decl
            | Rule::workflow_decl
            | Rule::test_decl
            | Rule::param
            | Rule::let_stmt
            | Rule::assert_stmt
            | Rule::for_flow
            | Rule::if_flow
            | Rule::try_flow
            | Rule::catch
            | Rule::group_flow
            | Rule::repeat_flow
            | Rule::carried
            | Rule::step
            | Rule::step_target
            | Rule::after
            | Rule::objective => self.words(pair),
            _ => vec![self.source(&pair)],
        }
    }

    /// The value of a declaration, behind its `=`.
    fn value(&self, pair: Pair<'t, Rule>) -> Docs<'t> {
        let start = self.range(&pair).start;
        let broken = self.breaks_before(start);
        let hugs = self.hugs(&pair);
        let docs = self.any(pair);
        match (broken, hugs) {
            (true, _) => vec![Doc::Nest([vec![Doc::Break], docs].concat())],
            (false, true) => [vec![Doc::Text(" ")], docs].concat(),
            (false, false) => vec![Doc::group(vec![Doc::Nest([vec![Doc::Line(" ")], docs].concat())])],
        }
    }

    /// Whether a value breaks between brackets of its own, so that it can stay where it begins.
    fn hugs(&self, pair: &Pair<'t, Rule>) -> bool {
        let only = |pair: &Pair<'t, Rule>| {
            let mut inner = parts(pair.clone());
            inner.next().filter(|_| inner.next().is_none())
        };
        match pair.as_rule() {
            Rule::expr | Rule::arg | Rule::primary | Rule::literal => only(pair).is_some_and(|inner| self.hugs(&inner)),
            Rule::postfix => {
                let last = parts(pair.clone()).last();
                last.is_some_and(|last| last.as_rule() == Rule::call || self.hugs(&last))
            }
            Rule::list | Rule::match_expr | Rule::lambda | Rule::string => true,
            _ => false,
        }
    }

    fn arm(&self, pair: Pair<'t, Rule>) -> Docs<'t> {
        let mut docs = Vec::new();
        for part in parts(pair) {
            match part.as_rule() {
                Rule::pattern => docs.extend(parts(part).flat_map(|part| self.any(part))),
                Rule::wildcard => docs.push(self.source(&part)),
                _ => {
                    docs.push(Doc::Text(" => "));
                    docs.extend(self.any(part));
                }
            }
        }
        docs
    }

    fn between(&self, open: &'static str, close: &'static str, pair: Pair<'t, Rule>) -> Docs<'t> {
        let Range { start, end } = self.range(&pair);
        let inner: Docs = parts(pair).flat_map(|part| self.any(part)).collect();
        let nest = Doc::Nest([vec![Doc::Line("")], inner, vec![Doc::Comments(end - 1)]].concat());
        vec![Doc::group(vec![Doc::Source(open, start), nest, Doc::Line(""), Doc::Source(close, end - 1)])]
    }

    /// Items between brackets: on one line if they fit and the author did not break the line behind the opening one.
    fn list(
        &self,
        (open, start): (&'static str, usize),
        (close, end): (&'static str, usize),
        items: Vec<Docs<'t>>,
        spaced: bool,
    ) -> Doc<'t> {
        let edge = if spaced { " " } else { "" };
        if items.is_empty() {
            return Doc::group(vec![
                Doc::Source(open, start),
                Doc::Nest(vec![Doc::Comments(end)]),
                Doc::Source(close, end),
            ]);
        }
        let broken = self.breaks_at(start + 1);
        let mut inner = vec![Doc::Line(edge)];
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                inner.extend([Doc::Text(","), Doc::Line(" ")]);
            }
            inner.extend(item);
        }
        inner.extend([Doc::IfBroken(","), Doc::Comments(end)]);
        let parts = vec![Doc::Source(open, start), Doc::Nest(inner), Doc::Line(edge), Doc::Source(close, end)];
        Doc::group_if(parts, broken)
    }

    fn block(&self, pair: Pair<'t, Rule>) -> Doc<'t> {
        let items: Vec<Docs> = parts(pair.clone()).map(|stmt| self.any(stmt)).collect();
        let several = items.len() > 1;
        self.braces(self.ends(&pair), items, "", several)
    }

    fn settings(&self, pair: Pair<'t, Rule>) -> Doc<'t> {
        let items: Vec<Docs> = parts(pair.clone()).map(|setting| self.any(setting)).collect();
        self.braces(self.ends(&pair), items, ",", false)
    }

    /// Where the brackets of a pair stand.
    fn ends(&self, pair: &Pair<'t, Rule>) -> (usize, usize) {
        let range = self.range(pair);
        (range.start, range.end - 1)
    }

    /// What stands in braces: each on a line of its own, or all on one with `separator`.
    fn braces(
        &self,
        (start, end): (usize, usize),
        items: Vec<Docs<'t>>,
        separator: &'static str,
        broken: bool,
    ) -> Doc<'t> {
        if items.is_empty() {
            return Doc::group(vec![
                Doc::Source("{", start),
                Doc::Nest(vec![Doc::Comments(end)]),
                Doc::Source("}", end),
            ]);
        }
        let broken = broken || self.breaks_at(start + 1);
        let mut inner = vec![Doc::Line(" ")];
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                inner.extend([Doc::IfFlat(separator), Doc::KeptLine(" ")]);
            }
            inner.extend(item);
        }
        inner.push(Doc::Comments(end));
        let parts = vec![Doc::Source("{", start), Doc::Nest(inner), Doc::Line(" "), Doc::Source("}", end)];
        Doc::group_if(parts, broken)
    }

    fn setting(&self, pair: Pair<'t, Rule>) -> Docs<'t> {
        let mut docs = Vec::new();
        for part in parts(pair) {
            match part.as_rule() {
                Rule::annotation => {
                    docs.extend(self.any(part));
                    docs.push(Doc::Break);
                    continue;
                }
                Rule::expr => docs.push(Doc::Text(": ")),
                Rule::settings | Rule::KW_if | Rule::setting_cond => docs.push(Doc::Text(" ")),
                _ => {}
            }
            docs.extend(self.any(part));
        }
        docs
    }

    /// Operators and what stands between them. A line may be broken before those that bind weakest.
    fn expr(&self, pair: Pair<'t, Rule>) -> Docs<'t> {
        let is_operand = |rule: Rule| matches!(rule, Rule::postfix | Rule::neg | Rule::not);
        let infix = parts(pair.clone()).filter(|part| !is_operand(part.as_rule()));
        let weakest = infix.clone().map(|part| strength(part.as_rule())).min();
        let pipes = weakest == Some(strength(Rule::pipe));
        let kept = pipes && infix.clone().any(|part| self.breaks_before(self.range(&part).start));
        let (mut first, mut rest): (Docs, Docs) = (Vec::new(), Vec::new());
        for part in parts(pair) {
            let docs = if rest.is_empty() { &mut first } else { &mut rest };
            let rule = part.as_rule();
            match rule {
                Rule::neg => docs.push(self.source(&part)),
                Rule::not => docs.extend([self.source(&part), Doc::Text(" ")]),
                Rule::postfix => docs.extend(self.any(part)),
                Rule::range => docs.push(self.source(&part)),
                _ => {
                    let broken = self.breaks_before(self.range(&part).start);
                    rest.push(match weakest {
                        Some(weakest) if weakest != strength(rule) => Doc::Text(" "),
                        _ if rule == Rule::pipe && kept && broken => Doc::Break,
                        _ if rule == Rule::pipe && kept => Doc::Text(" "),
                        _ => Doc::Line(" "),
                    });
                    rest.extend([self.source(&part), Doc::Text(" ")]);
                }
            }
        }
        match rest.is_empty() {
            true => first,
            // A pipe goes on at the level where it began.
            false if kept => [first, rest].concat(),
            false if pipes => vec![Doc::group([first, rest].concat())],
            false => {
                first.push(Doc::Nest(rest));
                vec![Doc::group(first)]
            }
        }
    }
}
