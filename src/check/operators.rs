//! Operators: which types they combine, and to what.

use super::{Checker, expressions::broken};
use crate::{
    diagnostic::{Code, Diagnostic},
    expr::{self, Expr, Native},
    source::{Span, Spanned},
    syntax::ast::{BinaryOp, UnaryOp},
    types::Type,
    units::{Duration, Money, Percent, Size},
    value::Value,
};

/// A value of type `given` as one of type `wanted`, which accepts it.
pub fn widen(expr: Expr, given: &Type, wanted: &Type) -> Expr {
    match expr {
        expr if !wanted.widens(given) => expr,
        Expr::Const(value) => Expr::Const(expr::widen(value, wanted)),
        expr => Expr::Widen(Box::new(expr), Box::new(wanted.clone())),
    }
}

/// Whether values of a type have an order.
pub const fn is_ordered(ty: &Type) -> bool {
    ty.is_number() || is_unit(ty) || matches!(ty, Type::String)
}

const fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Duration | Type::Money | Type::Size | Type::Percent)
}

/// What a sum of values of a type starts from.
pub fn zero(ty: &Type) -> Value {
    match ty {
        Type::Float => Value::Float(0.0),
        Type::Duration => Value::Duration(Duration::ZERO),
        Type::Money => Value::Money(Money::ZERO),
        Type::Size => Value::Size(Size::default()),
        Type::Percent => Value::Percent(Percent::new(0.into())),
        Type::String => Value::String("".into()),
        _ => Value::Int(0),
    }
}

const fn native(op: BinaryOp) -> Native {
    match op {
        BinaryOp::Or => Native::Or,
        BinaryOp::And => Native::And,
        BinaryOp::Eq => Native::Eq,
        BinaryOp::Ne => Native::Ne,
        BinaryOp::Lt => Native::Lt,
        BinaryOp::Le => Native::Le,
        BinaryOp::Gt => Native::Gt,
        BinaryOp::Ge => Native::Ge,
        BinaryOp::Coalesce | BinaryOp::Pipe => Native::Coalesce,
        BinaryOp::Range => Native::Range,
        BinaryOp::Add => Native::Add,
        BinaryOp::Sub => Native::Sub,
        BinaryOp::Mul => Native::Mul,
        BinaryOp::Div => Native::Div,
    }
}

/// An operator as it is written.
pub const fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "or",
        BinaryOp::And => "and",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::Coalesce => "??",
        BinaryOp::Range => "..",
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Pipe => "|>",
    }
}

/// What an operator makes of two types; `None` where it does not apply.
fn result(op: BinaryOp, a: &Type, b: &Type) -> Option<Type> {
    use BinaryOp::{Add, And, Coalesce, Div, Eq, Ge, Gt, Le, Lt, Mul, Ne, Or, Pipe, Range, Sub};
    use Type::{Bool, Float, Int, Optional, Percent, Unknown};
    let number = || a.join(b).filter(Type::is_number);
    Some(match (op, a, b) {
        (And | Or, Bool | Unknown, Bool | Unknown) => Bool,
        (Eq | Ne, a, b) => a.join(b).map(|_| Bool)?,
        (Lt | Le | Gt | Ge, a, b) => a.join(b).filter(is_ordered).map(|_| Bool)?,
        (Coalesce, Type::None | Unknown, b) => b.clone(),
        (Coalesce, Optional(inner), b) => inner.join(b)?,
        (Range, a, b) => Type::Range(Box::new(a.join(b).filter(is_ordered)?)),
        (Pipe, ..) | (Coalesce, ..) => return None,
        (_, Unknown, _) | (_, _, Unknown) => Unknown,
        (Add, Type::String, Type::String) => Type::String,
        (Add, Type::List(a), Type::List(b)) => a.join(b)?.list(),
        (Add | Sub, a, b) if is_unit(a) && a == b => a.clone(),
        (Mul, Percent, Percent) => Percent,
        (Mul, Percent, unit) | (Mul, unit, Percent) if is_unit(unit) => unit.clone(),
        (Mul, Percent, number) | (Mul, number, Percent) if number.is_number() => Float,
        (Mul, unit, number) | (Mul, number, unit) if is_unit(unit) && number.is_number() => unit.clone(),
        (Div, a, b) if is_unit(a) && a == b => Float,
        (Div, Percent, number) if number.is_number() => return None,
        (Div, unit, number) if is_unit(unit) && number.is_number() => unit.clone(),
        (Add | Sub | Mul | Div, Int | Float, Int | Float) => number()?,
        _ => return None,
    })
}

/// The types as which an operator takes what is on its sides, which are of types `a` and `b`, to make an `output`. Its
/// arithmetic takes numbers of both kinds.
fn operands(op: BinaryOp, a: &Type, b: &Type, output: &Type) -> (Type, Type) {
    let same = |ty: Type| (ty.clone(), ty);
    match (op, output) {
        (BinaryOp::Coalesce, output) => (output.clone().optional(), output.clone()),
        (BinaryOp::Range, Type::Range(inner)) => same((**inner).clone()),
        (BinaryOp::Add, Type::List(_)) => same(output.clone()),
        (BinaryOp::Eq | BinaryOp::Ne, _) if !a.is_number() => same(a.join(b).unwrap_or(Type::Unknown)),
        _ => (a.clone(), b.clone()),
    }
}

impl Checker {
    pub(super) fn unary(&mut self, op: Spanned<UnaryOp>, expr: Expr, ty: Type, span: Span) -> (Expr, Type) {
        match (op.node, &ty) {
            (_, Type::Unknown) => broken(),
            (UnaryOp::Not, Type::Bool) => (Expr::native(Native::Not, [expr]), ty),
            (UnaryOp::Neg, Type::Int | Type::Float | Type::Duration | Type::Money) => {
                (Expr::native(Native::Neg, [expr]), ty)
            }
            (UnaryOp::Not, _) => {
                self.mismatch(span, &Type::Bool, &ty);
                broken()
            }
            (UnaryOp::Neg, _) => {
                self.report(
                    Diagnostic::new(Code::E0201, span, format!("`{ty}` has no negative"))
                        .label(format!("this is `{ty}`")),
                );
                broken()
            }
        }
    }

    pub(super) fn binary(
        &mut self,
        op: Spanned<BinaryOp>,
        (a, left, left_span): (Expr, Type, Span),
        (b, right, right_span): (Expr, Type, Span),
    ) -> (Expr, Type) {
        if let Some(ty) = result(op.node, &left, &right) {
            if left == Type::Unknown || right == Type::Unknown {
                return (broken().0, ty);
            }
            let (first, second) = operands(op.node, &left, &right, &ty);
            let operands = [widen(a, &left, &first), widen(b, &right, &second)];
            return (Expr::native(native(op.node), operands), ty);
        }
        let symbol = symbol(op.node);
        let code = if is_unit(&left) && (is_unit(&right) || right.is_number()) || is_unit(&right) && left.is_number() {
            Code::E0301
        } else {
            Code::E0201
        };
        let help = match (op.node, &left, &right) {
            (BinaryOp::Coalesce, ..) => Some("the left side is never `none`, so leave `??` out".into()),
            (_, Type::Optional(_), _) | (_, _, Type::Optional(_)) => {
                Some("one side may be `none`: say what to use then, as in `(value ?? 0)`".into())
            }
            (BinaryOp::Add, Type::String, _) | (BinaryOp::Add, _, Type::String) => {
                Some("put values into a text with braces: `\"{value}\"`".into())
            }
            (BinaryOp::And | BinaryOp::Or, ..) => Some(format!("`{symbol}` joins two conditions")),
            _ if code == Code::E0301 => {
                Some("a unit combines with itself, and can be multiplied or divided by a number".into())
            }
            _ => None,
        };
        self.report(
            Diagnostic::new(code, op.span, format!("`{symbol}` can't combine `{left}` and `{right}`"))
                .related(left_span, format!("this is `{left}`"))
                .related(right_span, format!("this is `{right}`"))
                .maybe_help(help),
        );
        broken()
    }
}
