use super::{Builder, is_keyword, parts};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Span, Spanned},
    syntax::{
        Rule,
        ast::{Arg, Arm, BinaryOp, Expr, ExprKind, UnaryOp},
        brackets::MAX_OPERATORS,
    },
};
use pest::{
    iterators::Pair,
    pratt_parser::{Assoc, Op, PrattParser},
};
use std::sync::LazyLock;

/// How tightly operators bind, weakest first.
static PRATT: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    let left = |rule| Op::infix(rule, Assoc::Left);
    PrattParser::new()
        .op(left(Rule::or))
        .op(left(Rule::and))
        .op(Op::prefix(Rule::not))
        .op(left(Rule::eq) | left(Rule::ne) | left(Rule::lt) | left(Rule::le) | left(Rule::gt) | left(Rule::ge))
        .op(left(Rule::coalesce))
        .op(left(Rule::range))
        .op(left(Rule::add) | left(Rule::sub))
        .op(left(Rule::mul) | left(Rule::div))
        .op(left(Rule::pipe))
        .op(Op::prefix(Rule::neg))
});

const fn binary_op(rule: Rule) -> BinaryOp {
    match rule {
        Rule::or => BinaryOp::Or,
        Rule::and => BinaryOp::And,
        Rule::eq => BinaryOp::Eq,
        Rule::ne => BinaryOp::Ne,
        Rule::lt => BinaryOp::Lt,
        Rule::le => BinaryOp::Le,
        Rule::gt => BinaryOp::Gt,
        Rule::ge => BinaryOp::Ge,
        Rule::coalesce => BinaryOp::Coalesce,
        Rule::range => BinaryOp::Range,
        Rule::add => BinaryOp::Add,
        Rule::sub => BinaryOp::Sub,
        Rule::mul => BinaryOp::Mul,
        Rule::div => BinaryOp::Div,
        _ => BinaryOp::Pipe,
    }
}

const fn compares(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge)
}

impl Builder<'_> {
    /// An expression.
    pub(super) fn expr(&mut self, pair: Pair<Rule>) -> Expr {
        let span = self.span(&pair);
        let operators = parts(pair.clone()).filter(|part| part.as_rule() != Rule::postfix).count();
        if operators > MAX_OPERATORS {
            self.too_large(span, "operators", MAX_OPERATORS);
            return Expr { kind: ExprKind::Broken, span };
        }
        let mut chained = Vec::new();
        let mut inner = parts(pair).collect::<Vec<_>>().into_iter().peekable();
        let this = std::cell::RefCell::new(self);
        let expr = PRATT
            .map_primary(|pair| this.borrow_mut().postfix(pair))
            .map_prefix(|op, inner| {
                let kind = if op.as_rule() == Rule::neg { UnaryOp::Neg } else { UnaryOp::Not };
                let op = Spanned::new(kind, this.borrow().span(&op));
                let span = op.span.to(inner.span);
                Expr { kind: ExprKind::Unary(op, Box::new(inner)), span }
            })
            .map_infix(|left, op, right| {
                let op = Spanned::new(binary_op(op.as_rule()), this.borrow().span(&op));
                // A parenthesised comparison starts before its own left side, so it is not part of a chain.
                if let ExprKind::Binary(first, before, _) = &left.kind
                    && compares(before.node)
                    && compares(op.node)
                    && first.span.start == left.span.start
                {
                    chained.push((before.span, op.span));
                    // The rest of the chain has no type that could be right.
                    let span = left.span.to(right.span);
                    return Expr { kind: ExprKind::Broken, span };
                }
                let span = left.span.to(right.span);
                Expr { kind: ExprKind::Binary(Box::new(left), op, Box::new(right)), span }
            })
            .parse(&mut inner);
        let this = this.into_inner();
        for (first, second) in chained {
            this.report(
                Diagnostic::new(Code::E0006, second, "comparisons do not chain")
                    .label("a second comparison")
                    .related(first, "the first")
                    .help("join two comparisons: `a < b and b < c`"),
            );
        }
        expr
    }

    fn postfix(&mut self, pair: Pair<Rule>) -> Expr {
        let whole = self.span(&pair);
        let mut inner = parts(pair);
        let Some(primary) = inner.next() else { return Expr { kind: ExprKind::Broken, span: whole } };
        let mut expr = self.primary(primary);
        for (count, part) in inner.enumerate() {
            if count == MAX_OPERATORS {
                self.too_large(whole, "calls and fields in a row", MAX_OPERATORS);
                return Expr { kind: ExprKind::Broken, span: whole };
            }
            let span = expr.span.to(self.span(&part));
            let kind = match part.as_rule() {
                Rule::call => {
                    let args = parts(part).next().map(|args| self.args(args)).unwrap_or_default();
                    ExprKind::Call(Box::new(expr), args)
                }
                Rule::index => match parts(part).next() {
                    Some(index) => ExprKind::Index(Box::new(expr), Box::new(self.expr(index))),
                    None => ExprKind::Broken,
                },
                _ => match parts(part).next() {
                    Some(name) => ExprKind::Field(Box::new(expr), self.ident(&name)),
                    None => ExprKind::Broken,
                },
            };
            expr = Expr { kind, span };
        }
        expr
    }

    /// `(a, name: b, ...c)`
    pub(super) fn args(&mut self, pair: Pair<Rule>) -> Vec<Arg> {
        let mut args: Vec<Arg> = parts(pair).filter_map(|arg| self.arg(arg)).collect();
        args.shrink_to_fit();
        args
    }

    fn arg(&mut self, pair: Pair<Rule>) -> Option<Arg> {
        let mut arg = Arg { name: None, spread: false, value: Expr { kind: ExprKind::Broken, span: self.span(&pair) } };
        for part in parts(pair) {
            match part.as_rule() {
                Rule::spread => arg.spread = true,
                Rule::word => arg.name = Some(self.ident(&part)),
                _ => arg.value = self.expr(part),
            }
        }
        Some(arg)
    }

    fn primary(&mut self, pair: Pair<Rule>) -> Expr {
        let span = self.span(&pair);
        let kind = parts(pair).next().and_then(|form| self.form(form, span)).unwrap_or(ExprKind::Broken);
        Expr { kind, span }
    }

    fn form(&mut self, pair: Pair<Rule>, span: Span) -> Option<ExprKind> {
        let rule = pair.as_rule();
        if rule == Rule::literal {
            return Some(self.literal(parts(pair).next()?));
        }
        if matches!(rule, Rule::ident | Rule::part_name) {
            return Some(ExprKind::Name(self.name(pair.as_str())));
        }
        let mut inner = parts(pair).filter(|part| !is_keyword(part.as_rule()));
        Some(match rule {
            Rule::paren => self.expr(inner.next()?).kind,
            Rule::if_expr => {
                let mut next = || Some(Box::new(self.expr(inner.next()?)));
                ExprKind::If(next()?, next()?, next()?)
            }
            Rule::match_expr => {
                let value = Box::new(self.expr(inner.next()?));
                ExprKind::Match(value, inner.filter_map(|arm| self.arm(arm)).collect())
            }
            Rule::lambda => {
                let mut params = Vec::new();
                let mut body = None;
                for part in inner {
                    match part.as_rule() {
                        Rule::ident => params.push(self.ident(&part)),
                        _ => body = Some(self.expr(part)),
                    }
                }
                ExprKind::Lambda(params, Box::new(body?))
            }
            Rule::list => self.list(inner, span),
            _ => return None,
        })
    }

    fn list<'i>(&mut self, entries: impl Iterator<Item = Pair<'i, Rule>>, span: Span) -> ExprKind {
        let mut items = Vec::new();
        let mut map = Vec::new();
        for entry in entries {
            let mut inner = parts(entry);
            let Some(first) = inner.next().map(|first| self.expr(first)) else { continue };
            match inner.next() {
                Some(value) => map.push((first, self.expr(value))),
                None => items.push(first),
            }
        }
        if !map.is_empty() && !items.is_empty() {
            self.report(
                Diagnostic::new(Code::E0001, span, "this is half a list and half a map")
                    .help("a list is `[a, b]`, a map is `[\"a\": 1, \"b\": 2]`"),
            );
            return ExprKind::Broken;
        }
        if map.is_empty() { ExprKind::List(items) } else { ExprKind::Map(map) }
    }

    fn arm(&mut self, pair: Pair<Rule>) -> Option<Arm> {
        let mut inner = parts(pair);
        let head = inner.next()?;
        let span = self.span(&head);
        let pattern = match head.as_rule() {
            Rule::wildcard => None,
            _ => {
                let mut negative = None;
                let mut pattern = None;
                for part in parts(head) {
                    match part.as_rule() {
                        Rule::neg => negative = Some(Spanned::new(UnaryOp::Neg, self.span(&part))),
                        Rule::step_target => pattern = self.target(part),
                        _ => {
                            let span = self.span(&part);
                            let kind = self.literal(parts(part).next()?);
                            pattern = Some(Expr { kind, span });
                        }
                    }
                }
                let pattern = pattern?;
                Some(match negative {
                    Some(op) => Expr { kind: ExprKind::Unary(op, Box::new(pattern)), span },
                    None => pattern,
                })
            }
        };
        Some(Arm { pattern, span, value: self.expr(inner.next()?) })
    }
}
