use super::{Builder, is_keyword, parts};
use crate::{
    source::{Span, Spanned},
    syntax::{
        Rule,
        ast::{
            Block, Catch, Else, Expr, ExprKind, Flow, Ident, Rhs, Setting, SettingValue, Step, StepKind, Stmt, StmtKind,
        },
        junk::{self, Whole},
    },
};
use pest::iterators::Pair;
use std::iter::Peekable;

impl Builder<'_> {
    /// `{ statements… result }`
    pub(super) fn block(&mut self, pair: Pair<Rule>) -> Block {
        let span = self.span(&pair);
        self.statements(span, &mut parts(pair).peekable())
    }

    /// A block of the statements that come next.
    pub(super) fn statements<'t>(
        &mut self,
        span: Span,
        parts_left: &mut Peekable<impl Iterator<Item = Pair<'t, Rule>>>,
    ) -> Block {
        let mut block = Block { stmts: Vec::new(), result: None, broken: false, span };
        let (mut after_junk, mut cut) = (false, None);
        let is_part = |rule| matches!(rule, Rule::annotated_stmt | Rule::result | Rule::junk_stmt | Rule::COMMENT);
        while let Some(part) = parts_left.next_if(|part| is_part(part.as_rule())) {
            let junk = part.as_rule() == Rule::junk_stmt;
            match part.as_rule() {
                Rule::COMMENT => continue,
                Rule::annotated_stmt if self.is_cut(&part, parts_left.peek()) => {
                    cut = Some(self.range(&part).start);
                    block.stmts.extend(self.broken_let(&part));
                }
                Rule::annotated_stmt => block.stmts.extend(self.stmt(part)),
                Rule::result => {
                    block.result = parts(part).next().map(|expr| self.expr(expr));
                }
                Rule::junk_stmt => {
                    if !after_junk || junk::starts(part.as_str(), Whole::Statement) {
                        self.junk(&part, Whole::Statement, cut.take());
                    }
                    block.broken = true;
                    block.stmts.extend(self.broken_let(&part));
                }
                _ => {}
            }
            after_junk = junk;
        }
        block.stmts.shrink_to_fit();
        block
    }

    /// The name that a `let` beyond reading would have bound, so that its uses are not reported as well.
    fn broken_let(&self, pair: &Pair<Rule>) -> Option<Stmt> {
        let text = pair.as_str();
        let rest = text.strip_prefix("let")?.trim_start();
        let name = self.first_word(rest, self.range(pair).start + text.len() - rest.len())?;
        let span = name.span;
        let value = Rhs::Expr(Box::new(Expr { kind: ExprKind::Broken, span }));
        Some(Stmt { annotations: Vec::new(), kind: StmtKind::Let { name, ty: None, value }, span })
    }

    /// The word that starts `text`, which stands at `at`.
    fn first_word(&self, text: &str, at: usize) -> Option<Ident> {
        let word = &text[..text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())];
        let span = Span::new(self.file, at as u32, (at + word.len()) as u32);
        (!word.is_empty()).then(|| Spanned::new(word.into(), span))
    }

    pub(super) fn stmt(&mut self, pair: Pair<Rule>) -> Option<Stmt> {
        let mut annotations = Vec::new();
        let mut body = None;
        for part in parts(pair) {
            match part.as_rule() {
                Rule::annotation => annotations.extend(self.annotation(part)),
                _ => body = Some(part),
            }
        }
        let body = body?;
        let span = self.span(&body);
        let kind = match body.as_rule() {
            Rule::let_stmt => {
                let mut inner = parts(body).filter(|part| !is_keyword(part.as_rule())).peekable();
                let name = self.ident(&inner.next()?);
                let ty = inner.next_if(|part| part.as_rule() == Rule::ty).and_then(|ty| self.ty(ty)).map(Box::new);
                let value = inner.next()?;
                let value = match value.as_rule() {
                    Rule::expr => Rhs::Expr(Box::new(self.expr(value))),
                    _ => Rhs::Flow(Box::new(self.flow(value)?)),
                };
                StmtKind::Let { name, ty, value }
            }
            Rule::assert_stmt => {
                let mut inner = parts(body).filter(|part| !is_keyword(part.as_rule()));
                let cond = Box::new(self.expr(inner.next()?));
                StmtKind::Assert { cond, message: inner.next().map(|message| Box::new(self.expr(message))) }
            }
            _ => StmtKind::Flow(Box::new(self.flow(body)?)),
        };
        Some(Stmt { annotations, kind, span })
    }

    fn flow(&mut self, pair: Pair<Rule>) -> Option<Flow> {
        let rule = pair.as_rule();
        if rule == Rule::step {
            return self.step(pair).map(Flow::Step);
        }
        let mut inner = parts(pair).filter(|part| !is_keyword(part.as_rule())).peekable();
        Some(match rule {
            Rule::for_flow => {
                let name = self.ident(&inner.next()?);
                let list = self.expr(inner.next()?);
                Flow::For { name, list, body: self.block(inner.next()?) }
            }
            Rule::if_flow => {
                let cond = self.expr(inner.next()?);
                let then = self.block(inner.next()?);
                let otherwise = match inner.next() {
                    Some(block) if block.as_rule() == Rule::block => Some(Else::Block(self.block(block))),
                    Some(flow) => {
                        let span = self.span(&flow);
                        Some(Else::If(Box::new(self.flow(flow)?), span))
                    }
                    None => None,
                };
                Flow::If { cond, then, otherwise: otherwise.map(Box::new) }
            }
            Rule::try_flow => {
                let body = self.block(inner.next()?);
                let catches = inner.filter_map(|catch| self.catch(catch)).collect();
                Flow::Try { body, catches }
            }
            Rule::group_flow => Flow::Group(self.block(inner.next()?)),
            Rule::repeat_flow => {
                let times = self.expr(inner.next()?);
                let carried = match inner.next_if(|part| part.as_rule() == Rule::carried) {
                    Some(carried) => {
                        let mut inner = parts(carried).filter(|part| !is_keyword(part.as_rule()));
                        Some(Box::new((self.ident(&inner.next()?), self.expr(inner.next()?))))
                    }
                    None => None,
                };
                let cond = inner.next_if(|part| part.as_rule() == Rule::while_cond);
                let cond = cond.and_then(|cond| parts(cond).next()).map(|cond| Box::new(self.expr(cond)));
                Flow::Repeat { times, carried, cond, body: self.block(inner.next()?) }
            }
            _ => return None,
        })
    }

    fn catch(&mut self, pair: Pair<Rule>) -> Option<Catch> {
        let mut kinds = Vec::new();
        let mut name = None;
        let mut named = false;
        let mut body = None;
        for part in parts(pair) {
            match part.as_rule() {
                Rule::KW_as => named = true,
                Rule::ident if named => name = Some(self.ident(&part)),
                Rule::ident => kinds.push(self.ident(&part)),
                Rule::block => body = Some(self.block(part)),
                _ => {}
            }
        }
        Some(Catch { kinds, name, body: body? })
    }

    fn step(&mut self, pair: Pair<Rule>) -> Option<Step> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let keyword = inner.next()?;
        let kind = match keyword.as_rule() {
            Rule::KW_run => StepKind::Run,
            Rule::KW_train => StepKind::Train,
            Rule::KW_search => StepKind::Search,
            _ => StepKind::Evaluate,
        };
        let kind = Spanned::new(kind, self.span(&keyword));
        let mut step = Step { kind, target: None, args: vec![], after: vec![], settings: vec![], span };
        for part in inner {
            match part.as_rule() {
                Rule::step_target => step.target = self.target(part),
                Rule::args => step.args = self.args(part),
                Rule::after => {
                    let names = parts(part).filter(|part| part.as_rule() == Rule::ident);
                    step.after = names.map(|name| self.ident(&name)).collect();
                }
                Rule::settings => step.settings = self.settings(part),
                _ => {}
            }
        }
        Some(step)
    }

    /// `a.b.c`
    pub(super) fn target(&mut self, pair: Pair<Rule>) -> Option<Expr> {
        let mut inner = parts(pair);
        let first = self.ident(&inner.next()?);
        let mut target = Expr { kind: ExprKind::Name(first.node), span: first.span };
        for field in inner {
            let field = self.ident(&field);
            let span = target.span.to(field.span);
            target = Expr { kind: ExprKind::Field(Box::new(target), field), span };
        }
        Some(target)
    }

    /// `{ name: value … }`
    pub(super) fn settings(&mut self, pair: Pair<Rule>) -> Vec<Setting> {
        let mut settings = Vec::new();
        let (mut after_junk, mut cut) = (false, None);
        let mut parts_left = parts(pair).peekable();
        while let Some(part) = parts_left.next() {
            let junk = part.as_rule() == Rule::junk_stmt;
            match part.as_rule() {
                Rule::setting_ok if self.is_cut(&part, parts_left.peek()) => {
                    cut = Some(self.range(&part).start);
                    settings.extend(self.broken_setting(&part));
                }
                Rule::setting_ok => settings.extend(self.setting(part)),
                Rule::junk_stmt => {
                    if !after_junk || junk::starts(part.as_str(), Whole::Setting) {
                        self.junk(&part, Whole::Setting, cut.take());
                    }
                    settings.extend(self.broken_setting(&part));
                }
                _ => {}
            }
            after_junk = junk;
        }
        settings
    }

    /// A setting beyond reading, so that it is not reported as missing as well.
    fn broken_setting(&self, pair: &Pair<Rule>) -> Option<Setting> {
        let name = self.first_word(pair.as_str(), self.range(pair).start)?;
        let span = name.span;
        let value = SettingValue::Expr { value: Expr { kind: ExprKind::Broken, span }, cond: None };
        Some(Setting { annotations: Vec::new(), name, value, span })
    }

    fn setting(&mut self, pair: Pair<Rule>) -> Option<Setting> {
        let span = self.span(&pair);
        let mut annotations = Vec::new();
        let mut inner = parts(pair).peekable();
        while let Some(annotation) = inner.next_if(|part| part.as_rule() == Rule::annotation) {
            annotations.extend(self.annotation(annotation));
        }
        let first = inner.next()?;
        if first.as_rule() == Rule::objective {
            let mut parts = parts(first);
            let name = self.ident(&parts.next()?);
            let value = SettingValue::Block(self.block(parts.next()?));
            return Some(Setting { annotations, name, value, span });
        }
        let name = self.ident(&first);
        let value = inner.next()?;
        let value = match value.as_rule() {
            Rule::settings => SettingValue::Settings(self.settings(value)),
            _ => {
                let value = self.expr(value);
                let cond = inner.find(|part| part.as_rule() == Rule::setting_cond);
                let cond = cond.and_then(|cond| parts(cond).next()).map(|cond| self.expr(cond));
                SettingValue::Expr { value, cond }
            }
        };
        Some(Setting { annotations, name, value, span })
    }
}
