//! Secrets: values that a program sees only as names, so that none can get into a log, a result or a command line.

use super::{
    Checker,
    arguments::{Given, ParamSig},
    expressions::broken,
    scope::{Meaning, Place},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    expr::Expr,
    source::{Name, Span},
    syntax::ast::{self, Annotation, ExprKind},
    types::Type,
    value::Value,
    wire::is_taken_variable,
};

impl Checker {
    /// A parameter marked with `@secret`.
    pub(super) fn secret_param(&mut self, annotation: &Annotation, param: &ast::Param, ty: &Type) {
        if let Some(arg) = annotation.args.first() {
            self.report(
                Diagnostic::new(Code::E0202, arg.value.span, "`@secret` takes no argument")
                    .label("one too many")
                    .help("the name of the parameter says where its value is found"),
            );
        }
        if !matches!(ty, Type::String | Type::Unknown) {
            self.report(
                Diagnostic::new(Code::E0201, param.ty.span, format!("a secret is a `String`, not `{ty}`"))
                    .label("can't be a secret"),
            );
        }
        if let Some(default) = &param.default {
            self.report(
                Diagnostic::new(Code::E0208, default.span, "a secret has no default")
                    .label("stands in the file for everyone to see")
                    .help("leave it out: a run reads the value from the environment, or from the file of `--secrets`"),
            );
        }
        for other in param.annotations.iter().filter(|other| other.span != annotation.span) {
            self.misplaced(other, "a secret");
        }
    }

    /// Reports a secret that stands where its value would be seen.
    pub(super) fn seen(&mut self, name: &str, span: Span) {
        self.report(
            Diagnostic::new(Code::E0208, span, format!("`{name}` is a secret, which only a secret parameter may take"))
                .label("would be seen")
                .help(format!(
                    "mark the parameter that takes it, `@secret {name}: String`; a task's program finds it in the \
                     environment, as `${name}`"
                )),
        );
    }

    /// The argument for a secret parameter: another one.
    pub(super) fn secret(
        &mut self,
        place: &mut Place,
        callee: &str,
        param: &ParamSig,
        given: Option<Given>,
        span: Span,
    ) -> Expr {
        match given {
            Some(Given::Written(ast)) => {
                if let ExprKind::Name(name) = &ast.kind
                    && let Some(Meaning::Secret(var)) = place.find(name)
                {
                    return Expr::Var(*var);
                }
                let before = self.mistakes();
                self.value(place, ast, Some(&Type::String));
                if self.mistakes() == before {
                    self.report(
                        Diagnostic::new(
                            Code::E0208,
                            ast.span,
                            format!("`{callee}` takes its `{}` as a secret", param.name),
                        )
                        .label("not a secret")
                        .help(format!("hand on a parameter that is one: `@secret {}: String`", param.name)),
                    );
                }
                broken().0
            }
            Some(Given::Known(..)) => broken().0,
            // A test has no secrets, and no task that could use one.
            None if place.is_test => Expr::Const(Value::String(param.name.clone())),
            None => self.default(callee, param, &[], span).0,
        }
    }

    /// The environment variables that a task's setting `secrets` names.
    pub(super) fn secret_names(&mut self, place: &Place, ast: &ast::Expr, taken: &[Name]) -> Vec<Name> {
        let wanted = Type::String.list();
        let Some(Value::List(values)) = self.constant(&mut Place::new(place.file), ast, &wanted) else {
            return Vec::new();
        };
        let mut names: Vec<Name> = Vec::new();
        for (index, value) in values.into_iter().enumerate() {
            let Value::String(name) = value else { continue };
            let span = match &ast.kind {
                ExprKind::List(items) => items.get(index).map_or(ast.span, |item| item.span),
                _ => ast.span,
            };
            if !is_variable(&name) {
                self.report(
                    Diagnostic::new(Code::E0304, span, format!("\"{name}\" can't be the name of a secret"))
                        .label("taken, or no name of a variable")
                        .help(
                            "a name has letters, digits and `_`, no digit first; those that tell programs how to work, such as \
                             `PATH`, and those with `SMLT_` are taken",
                        ),
                );
            } else if names.contains(&name) || taken.contains(&name) {
                self.report(
                    Diagnostic::new(Code::E0102, span, format!("`{name}` is defined twice"))
                        .label("defined again here")
                        .help("the task's program sees parameters, secrets and `env` as variables of one environment"),
                );
            } else {
                names.push(name);
            }
        }
        names
    }
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !is_taken_variable(name)
}
