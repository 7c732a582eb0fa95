//! Arguments find their parameters: by position, then by name, then by default.

use super::{Checker, expressions::broken, scope::Place};
use crate::{
    diagnostic::{Code, Diagnostic, similar},
    expr::{Expr, Var},
    source::{FileId, Name, Span},
    syntax::ast,
    types::Type,
};

/// A parameter of something that can be called.
#[derive(Clone, Debug)]
pub struct ParamSig {
    /// Its name.
    pub name: Name,
    /// The variable that holds it.
    pub var: Var,
    /// Its type.
    pub ty: Type,
    /// Whether it takes a secret.
    pub secret: bool,
    /// Its value when none is given.
    pub default: Option<ast::Expr>,
    /// The file of its declaration.
    pub file: FileId,
    /// Its name in the declaration.
    pub span: Span,
}

/// An argument as given.
pub enum Given<'a> {
    /// Written in the call.
    Written(&'a ast::Expr),
    /// The left side of `|>`, or another value that is known already.
    Known(Expr, Type, Span),
}

impl Checker {
    /// One argument, or none, for each parameter; what does not fit is reported.
    pub(super) fn arrange<'a>(
        &mut self,
        callee: &str,
        params: &[ParamSig],
        first: Option<Given<'a>>,
        args: &'a [ast::Arg],
        span: Span,
    ) -> Vec<Option<Given<'a>>> {
        let mut given: Vec<Option<Given>> = params.iter().map(|_| None).collect();
        let mut position = 0;
        let late = args.iter().skip_while(|arg| arg.name.is_none()).find(|arg| arg.name.is_none() && !arg.spread);
        if let Some(late) = late {
            self.report(
                Diagnostic::new(Code::E0202, late.value.span, "arguments without a name stand before those with one")
                    .label("stands after a named one")
                    .help("name it as well, or move it to the front"),
            );
            return params.iter().map(|_| Some(Given::Known(broken().0, Type::Unknown, span))).collect();
        }
        if let Some(first) = first {
            match given.first_mut() {
                Some(slot) => *slot = Some(first),
                None => self.report(Diagnostic::new(
                    Code::E0202,
                    span,
                    format!("`{callee}` takes no argument, so nothing can be piped into it"),
                )),
            }
            position = 1;
        }
        for arg in args {
            let place = match &arg.name {
                Some(name) => params.iter().position(|param| param.name == name.node),
                None => Some(position).filter(|position| *position < params.len()),
            };
            if arg.name.is_none() {
                position += 1;
            }
            let at = arg.name.as_ref().map_or(arg.value.span, |name| name.span);
            match place {
                _ if arg.spread => self.report(
                    Diagnostic::new(Code::E0202, arg.value.span, "`...` only stands in the building of a record")
                        .label("not a record"),
                ),
                Some(place) if given[place].is_some() => self.report(
                    Diagnostic::new(Code::E0202, at, format!("`{}` is given twice", params[place].name))
                        .label("given again here"),
                ),
                Some(place) => given[place] = Some(Given::Written(&arg.value)),
                None => {
                    let diagnostic = match &arg.name {
                        Some(name) => {
                            let free = |(param, given): &(&ParamSig, &Option<Given>)| {
                                given.is_none()
                                    && !args
                                        .iter()
                                        .any(|arg| matches!(&arg.name, Some(name) if name.node == param.name))
                            };
                            let known = params.iter().zip(&given).filter(free).map(|(param, _)| &*param.name);
                            let near = similar(&name.node, known).map(str::to_owned);
                            // It is not missing as well.
                            if let Some(meant) =
                                near.as_deref().and_then(|near| params.iter().position(|param| &*param.name == near))
                            {
                                given[meant] = Some(Given::Known(broken().0, Type::Unknown, at));
                            }
                            let near = near.map(|name| format!("did you mean `{name}`?"));
                            Diagnostic::new(Code::E0202, at, format!("`{callee}` has no parameter `{}`", name.node))
                                .label("unknown")
                                .maybe_help(near.or_else(|| Some(self.signature(callee, params))))
                        }
                        None => Diagnostic::new(
                            Code::E0202,
                            at,
                            format!(
                                "`{callee}` takes {} argument{}",
                                params.len(),
                                if params.len() == 1 { "" } else { "s" }
                            ),
                        )
                        .label("one too many")
                        .help(self.signature(callee, params)),
                    };
                    self.report(diagnostic);
                }
            }
        }
        given
    }

    /// The value of a parameter for which nothing is given: its default, over the parameters before it.
    pub(super) fn default(
        &mut self,
        callee: &str,
        param: &ParamSig,
        before: &[(Name, Expr, Type)],
        span: Span,
    ) -> (Expr, Type) {
        let Some(default) = &param.default else {
            self.report(
                Diagnostic::new(
                    Code::E0202,
                    span,
                    format!("`{callee}` needs the argument `{}: {}`", param.name, param.ty),
                )
                .label("missing here"),
            );
            return (Expr::Const(crate::value::Value::None), Type::Unknown);
        };
        let mut place = Place::new(param.file);
        for (name, expr, ty) in before {
            place.bind(name, param.span, expr.clone(), ty.clone());
        }
        // What is wrong with a default was said where it stands.
        self.muted += 1;
        let value = self.value(&mut place, default, Some(&param.ty));
        self.muted -= 1;
        value
    }

    fn signature(&self, callee: &str, params: &[ParamSig]) -> String {
        let params: Vec<String> = params.iter().map(|param| format!("{}: {}", param.name, param.ty)).collect();
        format!("it is declared as `{callee}({})`", params.join(", "))
    }
}
