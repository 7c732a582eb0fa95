//! Statements with statements inside: `for`, `if`, `try` and `repeat`.

use super::{
    Checker,
    annotations::Around,
    operators,
    program::{Body, Catch, StmtKind},
    scope::{Local, Place},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    expr::Expr,
    limits::MAX_ROUNDS,
    source::{Span, Spanned},
    syntax::ast::{self, Block, Else},
    types::Type,
    value::Value,
    wire::Kind,
};

impl Checker {
    pub(super) fn for_flow(
        &mut self,
        place: &mut Place,
        name: &ast::Ident,
        list: &ast::Expr,
        body: &Block,
        wanted: Option<&Type>,
    ) -> (StmtKind, Type) {
        let (list_expr, ty) = self.expr(place, list, None);
        let item_type = match ty {
            Type::List(inner) => *inner,
            Type::Unknown => Type::Unknown,
            other => {
                let help = matches!(other, Type::Range(_) | Type::Int).then(|| "count with `range(10)`".to_owned());
                self.report(
                    Diagnostic::new(Code::E0201, list.span, format!("expected a list, found `{other}`"))
                        .label(format!("this is `{other}`"))
                        .maybe_help(help),
                );
                Type::Unknown
            }
        };
        let item = self.fresh();
        let depth = place.locals.len();
        place.bind(&name.node, name.span, Expr::Var(item), item_type);
        let wanted = match wanted {
            Some(Type::List(inner)) => Some(&**inner),
            _ => None,
        };
        let (body, ty) = self.block(place, body, wanted);
        place.leave(depth);
        (StmtKind::For { item, list: list_expr, body }, ty.list())
    }

    pub(super) fn try_flow(
        &mut self,
        place: &mut Place,
        body: &Block,
        catches: &[ast::Catch],
        around: Around,
        wanted: Option<&Type>,
    ) -> (StmtKind, Type) {
        let (body, first) = self.block(place, body, wanted);
        // A limit of a `try` holds for what is tried.
        place.around = around;
        let mut ty = first.clone();
        let mut caught: Vec<(Kind, Span)> = Vec::new();
        let mut handlers = Vec::new();
        for catch in catches {
            let mut kinds = Vec::new();
            for name in &catch.kinds {
                let Some(kind) = self.failure_kind(&name.node, name.span) else { continue };
                if let Some((_, first)) = caught.iter().find(|(other, _)| *other == kind) {
                    self.report(
                        Diagnostic::new(Code::E0102, name.span, format!("`{kind}` is caught twice"))
                            .label("never gets here")
                            .related(*first, "caught here already")
                            .help("leave one of them out"),
                    );
                }
                caught.push((kind, name.span));
                kinds.push(kind);
            }
            let depth = place.locals.len();
            let error = catch.name.as_ref().map(|name| {
                let var = self.fresh();
                place.bind(&name.node, name.span, Expr::Var(var), failure_type());
                var
            });
            let (body, other) = self.block(place, &catch.body, wanted);
            let locals: Vec<Local> = place.left(depth).collect();
            if !catch.body.broken {
                self.unused(locals);
            }
            let span = catch.body.result.as_ref().map_or(catch.body.span, |result| result.span);
            ty = self.joined(&ty, &other, span);
            handlers.push((Catch { kinds, error, body }, other));
        }
        let body = body.widened(&first, &ty);
        let catches = handlers
            .into_iter()
            .map(|(catch, given)| Catch { body: catch.body.widened(&given, &ty), ..catch })
            .collect();
        (StmtKind::Try { body, catches }, ty)
    }

    pub(super) fn repeat_flow(
        &mut self,
        place: &mut Place,
        times: &ast::Expr,
        carried: Option<&(ast::Ident, ast::Expr)>,
        cond: Option<&ast::Expr>,
        body: &Block,
    ) -> (StmtKind, Type) {
        let span = times.span;
        let times = self.value(place, times, Some(&Type::Int)).0;
        if let Expr::Const(Value::Int(count)) = times
            && !(0..=MAX_ROUNDS).contains(&count)
        {
            self.out_of_range(span, &format!("a `repeat` has 0 to {MAX_ROUNDS} rounds"));
        }
        let depth = place.locals.len();
        let mut ty = Type::record([]);
        let carried = carried.map(|(name, start)| {
            let (start, start_ty) = self.value(place, start, None);
            let var = self.fresh();
            place.shifting.push(var);
            place.bind(&name.node, name.span, Expr::Var(var), start_ty.clone());
            ty = start_ty;
            Box::new((var, start))
        });
        let present = cond.map_or_else(Vec::new, |cond| place.present(cond, true));
        let cond = cond.map(|cond| Box::new(self.value(place, cond, Some(&Type::Bool)).0));
        let (wanted, broken) = (carried.is_some().then_some(&ty), body.broken);
        let body = self.knowing(place, present, |this, place| this.block(place, body, wanted)).0;
        let locals: Vec<Local> = place.left(depth).collect();
        if !broken {
            self.unused(locals);
        }
        (StmtKind::Repeat { times, carried, cond, body }, ty)
    }

    pub(super) fn if_flow(
        &mut self,
        place: &mut Place,
        cond: &ast::Expr,
        then: &Block,
        otherwise: Option<&Else>,
        wanted: Option<&Type>,
    ) -> (StmtKind, Type) {
        let (holds, fails) = (place.present(cond, true), place.present(cond, false));
        let cond = self.value(place, cond, Some(&Type::Bool)).0;
        let (then_body, first) = self.unless_dead(cond == Expr::Const(Value::Bool(false)), |this| {
            this.knowing(place, holds, |this, place| this.block(place, then, wanted))
        });
        let dead = cond == Expr::Const(Value::Bool(true));
        let (body, second, span) = match otherwise {
            None => {
                let ty = if first == Type::record([]) { first } else { first.optional() };
                return (StmtKind::If { cond, then: then_body, otherwise: None }, ty);
            }
            Some(Else::Block(block)) => {
                let (body, second) = self.unless_dead(dead, |this| {
                    this.knowing(place, fails, |this, place| this.block(place, block, wanted))
                });
                (body, second, block.result.as_ref().map_or(block.span, |result| result.span))
            }
            Some(Else::If(flow, span)) => {
                // `else if` is an `else` with nothing but an `if` in it.
                place.open();
                let (var, second) = self.unless_dead(dead, |this| {
                    this.knowing(place, fails, |this, place| this.flow(place, None, flow, &[], *span, wanted))
                });
                let result = Some(Box::new(Spanned::new(Expr::Var(var), *span)));
                (Body { stmts: place.close(), result }, second, *span)
            }
        };
        let ty = self.joined(&first, &second, span);
        let (then, otherwise) = (then_body.widened(&first, &ty), Some(body.widened(&second, &ty)));
        (StmtKind::If { cond, then, otherwise }, ty)
    }
}

/// What is known of a failure that was caught.
fn failure_type() -> Type {
    Type::record([
        ("kind", Type::String),
        ("message", Type::String),
        ("step", Type::String),
        ("log", Type::String.list()),
    ])
}

impl Body {
    /// With its value, of type `given`, as one of type `wanted`.
    fn widened(mut self, given: &Type, wanted: &Type) -> Self {
        let widen = |result: Spanned<_>| Spanned::new(operators::widen(result.node, given, wanted), result.span);
        self.result = self.result.map(|result| Box::new(widen(*result)));
        self
    }
}
