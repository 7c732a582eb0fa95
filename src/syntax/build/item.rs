use super::{Builder, is_keyword, parts};
use crate::{
    source::{Span, Spanned},
    syntax::{
        Rule,
        ast::{Annotation, Arg, File, Ident, Import, Imported, Item, ItemKind, Param, Type, TypeKind},
        brackets,
        junk::{self, Whole},
    },
};
use pest::iterators::Pair;
use std::{cell::RefCell, iter::Peekable};

impl Item {
    /// With its last block, and so the item, ending before `end`.
    fn closed(mut self, end: u32) -> Self {
        if let ItemKind::Workflow { body, .. } | ItemKind::Test(body) = &mut self.kind
            && let Some(block) = body.get_mut()
        {
            block.span.end = end;
        }
        self.span.end = end;
        self
    }
}

impl Builder<'_> {
    /// The whole file.
    pub fn file<'t>(&mut self, pieces: impl Iterator<Item = Pair<'t, Rule>>) -> File {
        let mut file = File::default();
        let mut after_junk = false;
        let mut cut = None;
        let mut pieces = pieces.peekable();
        while let Some(pair) = pieces.next() {
            match pair.as_rule() {
                Rule::COMMENT => continue,
                Rule::import => file.imports.extend(self.import(pair)),
                Rule::decl if self.is_cut(&pair, pieces.peek()) => {
                    let range = self.range(&pair);
                    cut = Some(range.start);
                    file.broken.extend(brackets::declared(self.file, self.text, range.start, range.end));
                    after_junk = false;
                    continue;
                }
                Rule::decl => {
                    let doc = doc(&self.text[..self.range(&pair).start]);
                    file.items.extend(self.decl(pair, doc));
                }
                Rule::opening => {
                    let (start, known) = (self.range(&pair).start, self.diagnostics.len());
                    let doc = doc(&self.text[..start]);
                    let item = self.opened(pair, doc, &mut pieces);
                    let Some(closing) = pieces.next_if(|pair| pair.as_rule() == Rule::closing) else {
                        // It comes once more, as junk.
                        self.diagnostics.truncate(known);
                        continue;
                    };
                    let end = self.range(&closing).end;
                    if self.is_cut(&closing, pieces.peek()) {
                        self.diagnostics.truncate(known);
                        cut = Some(start);
                        file.broken.extend(brackets::declared(self.file, self.text, start, end));
                        after_junk = false;
                        continue;
                    }
                    file.items.extend(item.map(|item| item.closed(end as u32)));
                }
                Rule::junk_item => {
                    if !after_junk || junk::starts(pair.as_str(), Whole::Item) {
                        self.junk(&pair, Whole::Item, cut.take());
                    }
                    let range = self.range(&pair);
                    file.broken.extend(brackets::declared(self.file, self.text, range.start, range.end));
                    after_junk = true;
                    continue;
                }
                _ => {}
            }
            after_junk = false;
        }
        file
    }

    /// A workflow or test that starts with `opening`, without its brace at the end.
    pub(super) fn opened<'t>(
        &mut self,
        opening: Pair<'t, Rule>,
        doc: Option<String>,
        pieces: &mut Peekable<impl Iterator<Item = Pair<'t, Rule>>>,
    ) -> Option<Item> {
        let brace = self.range(&opening).end as u32 - 1;
        let mut inner = parts(opening).peekable();
        let mut annotations = Vec::new();
        while let Some(annotation) = inner.next_if(|part| part.as_rule() == Rule::annotation) {
            annotations.push(self.annotation(annotation)?);
        }
        let keyword = inner.next()?;
        let span = self.span(&keyword);
        let first = inner.next()?;
        let block = Span { start: brace, ..span };
        let body = |block| RefCell::new(Some(block));
        let (name, kind) = match keyword.as_rule() {
            Rule::KW_test => {
                let name = Spanned::new(first.as_str().trim_matches('"').into(), self.span(&first));
                (name, ItemKind::Test(body(self.statements(block, pieces))))
            }
            _ => {
                let params = self.params(inner.next()?);
                let output = inner.next().and_then(|ty| self.ty(ty));
                let body = body(self.statements(block, pieces));
                (self.ident(&first), ItemKind::Workflow { params, output, body })
            }
        };
        Some(Item { doc, annotations, name, kind, span })
    }

    fn import(&mut self, pair: Pair<Rule>) -> Option<Import> {
        let span = self.span(&pair);
        let mut inner = parts(pair).filter(|part| !is_keyword(part.as_rule()));
        let path = self.ident(&inner.next()?);
        let what = match inner.next() {
            Some(names) if names.as_rule() == Rule::import_names => Imported::Items(
                parts(names)
                    .filter_map(|name| {
                        let mut idents = parts(name).filter(|part| part.as_rule() == Rule::ident);
                        let item = self.ident(&idents.next()?);
                        let own = idents.next().map_or_else(|| item.clone(), |own| self.ident(&own));
                        Some((item, own))
                    })
                    .collect(),
            ),
            Some(name) => Imported::Module(self.ident(&name)),
            None => {
                let last = path.node.rsplit('/').next().unwrap_or(&path.node);
                Imported::Module(Spanned::new(last.into(), path.span))
            }
        };
        Some(Import { path, what, span })
    }

    pub(super) fn decl(&mut self, pair: Pair<Rule>, doc: Option<String>) -> Option<Item> {
        let mut annotations = Vec::new();
        let mut body = None;
        for part in parts(pair) {
            match part.as_rule() {
                Rule::annotation => annotations.push(self.annotation(part)?),
                _ => body = Some(part),
            }
        }
        let body = body?;
        let (rule, span) = (body.as_rule(), self.span(&body));
        let is_task = parts(body.clone()).any(|part| part.as_rule() == Rule::KW_task);
        let mut inner = parts(body).filter(|part| !is_keyword(part.as_rule())).peekable();
        let first = inner.next()?;
        let name = self.ident(&first);
        let params = match inner.next_if(|part| part.as_rule() == Rule::params) {
            Some(params) => self.params(params),
            None => Vec::new(),
        };
        let kind = match rule {
            Rule::const_decl => {
                let ty = inner.next_if(|part| part.as_rule() == Rule::ty).and_then(|ty| self.ty(ty));
                ItemKind::Const { ty, value: self.expr(inner.next()?) }
            }
            Rule::type_decl => ItemKind::Type(self.ty(inner.next()?)?),
            Rule::enum_decl => ItemKind::Enum(inner.map(|member| self.ident(&member)).collect()),
            Rule::extern_decl if is_task => ItemKind::ExternTask { params, output: self.ty(inner.next()?)? },
            Rule::extern_decl => ItemKind::ExternFn { params, output: self.ty(inner.next()?)? },
            Rule::fn_decl => {
                let output = self.ty(inner.next()?)?;
                ItemKind::Fn { params, output, body: self.expr(inner.next()?) }
            }
            Rule::dataset_decl => ItemKind::Dataset { params, settings: self.settings(inner.next()?) },
            Rule::model_decl => ItemKind::Model { params, layers: self.expr(inner.next()?) },
            Rule::task_decl => {
                let output = inner.next_if(|part| part.as_rule() == Rule::ty).and_then(|ty| self.ty(ty));
                ItemKind::Task { params, output, settings: self.settings(inner.next()?) }
            }
            _ => return None,
        };
        Some(Item { doc, annotations, name, kind, span })
    }

    fn params(&mut self, pair: Pair<Rule>) -> Vec<Param> {
        parts(pair).filter_map(|param| self.param(param)).collect()
    }

    fn param(&mut self, pair: Pair<Rule>) -> Option<Param> {
        let mut annotations = Vec::new();
        let mut inner = parts(pair).peekable();
        while let Some(annotation) = inner.next_if(|part| part.as_rule() == Rule::annotation) {
            annotations.push(self.annotation(annotation)?);
        }
        let name = self.ident(&inner.next()?);
        let ty = self.ty(inner.next()?)?;
        let default = inner.next().map(|default| self.expr(default));
        Some(Param { annotations, name, ty, default })
    }

    /// `@name(args)`
    pub(super) fn annotation(&mut self, pair: Pair<Rule>) -> Option<Annotation> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let name = self.ident(&inner.next()?);
        let args: Vec<Arg> = inner.next().map(|args| self.args(args)).unwrap_or_default();
        Some(Annotation { name, args, span })
    }

    /// A type.
    pub(super) fn ty(&mut self, pair: Pair<Rule>) -> Option<Type> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let form = inner.next()?;
        let form_span = self.span(&form);
        let kind = match form.as_rule() {
            Rule::record_ty => TypeKind::Record(
                parts(form)
                    .filter_map(|field| {
                        let mut inner = parts(field);
                        let name: Ident = self.ident(&inner.next()?);
                        Some((name, self.ty(inner.next()?)?))
                    })
                    .collect(),
            ),
            _ => {
                let mut inner = parts(form);
                let name = inner.next()?.as_str().into();
                TypeKind::Named(name, inner.filter_map(|arg| self.ty(arg)).collect())
            }
        };
        let ty = Type { kind, span: form_span };
        Some(match inner.next() {
            Some(_) => Type { kind: TypeKind::Optional(Box::new(ty)), span },
            None => ty,
        })
    }
}

/// The lines of the `///` comment that ends `before`. The grammar's tree is of no use here: a comment behind an expression
/// may stand inside the declaration before.
fn doc(before: &str) -> Option<String> {
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let lines = before.lines().rev().map(|line| line.trim_matches(blank)).filter(|line| !line.is_empty());
    let comment = lines.map_while(|line| line.strip_prefix("///").filter(|line| !line.starts_with('/')));
    let mut lines: Vec<&str> = comment.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    lines.reverse();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
