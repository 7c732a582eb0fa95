//! What conditions say of the values that may be `none`.

use super::{Checker, scope::Place};
use crate::{
    source::Name,
    syntax::ast::{self, BinaryOp, ExprKind, UnaryOp},
};

/// A value as it is read again and again: a name, or a field of what such a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The name's place among those bound around; none for a declaration.
    local: Option<usize>,
    names: Vec<Name>,
}

impl Place {
    fn path(&self, ast: &ast::Expr) -> Option<Path> {
        match &ast.kind {
            ExprKind::Name(name) => Some(Path { local: self.locals.place(name), names: vec![name.clone()] }),
            ExprKind::Field(base, field) => {
                let mut path = self.path(base)?;
                path.names.push(field.node.clone());
                Some(path)
            }
            _ => None,
        }
    }

    /// The values that are not `none` where `cond` comes out as `holds`.
    pub fn present(&self, cond: &ast::Expr, holds: bool) -> Vec<Path> {
        match &cond.kind {
            ExprKind::Unary(op, inner) if op.node == UnaryOp::Not => self.present(inner, !holds),
            ExprKind::Binary(left, op, right) => match (op.node, holds) {
                (BinaryOp::Ne, true) | (BinaryOp::Eq, false) => match (&left.kind, &right.kind) {
                    (_, ExprKind::None) => self.path(left).into_iter().collect(),
                    (ExprKind::None, _) => self.path(right).into_iter().collect(),
                    _ => Vec::new(),
                },
                (BinaryOp::And, true) | (BinaryOp::Or, false) => {
                    [left, right].into_iter().flat_map(|side| self.present(side, holds)).collect()
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// The value by itself, where it can be told from others.
    pub fn path_of(&self, ast: &ast::Expr) -> Vec<Path> {
        self.path(ast).into_iter().collect()
    }

    /// Whether a value is known not to be `none` here.
    pub fn is_present(&self, ast: &ast::Expr) -> bool {
        !self.present.is_empty() && self.path(ast).is_some_and(|path| self.present.contains(&path))
    }
}

impl Checker {
    /// Checks what is reached only where `present` are not `none`.
    pub(super) fn knowing<T>(
        &mut self,
        place: &mut Place,
        present: Vec<Path>,
        check: impl FnOnce(&mut Self, &mut Place) -> T,
    ) -> T {
        let known = place.present.len();
        place.present.extend(present);
        let checked = check(self, place);
        place.present.truncate(known);
        checked
    }

    /// Checks what may never be reached. Its types must be right, but what can't be computed there is no mistake.
    pub(super) fn unless_dead<T>(&mut self, dead: bool, check: impl FnOnce(&mut Self) -> T) -> T {
        self.dead += usize::from(dead);
        let checked = check(self);
        self.dead -= usize::from(dead);
        checked
    }
}
