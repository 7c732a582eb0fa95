//! Calls and pipes.

use super::{
    Checker,
    arguments::Given,
    definitions::{Def, FnBody, FnDef, ItemId},
    expressions::broken,
    modules::Binding,
    operators,
    scope::Place,
    types::{is_var, std},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    expr::{Expr, Native},
    source::{Name, Span},
    syntax::ast::{self, ExprKind},
    types::Type,
    value::{Site, Written},
};
use std::collections::BTreeMap;

/// What the type variables of a signature stand for in one call.
type Bound = BTreeMap<Name, Type>;

impl Checker {
    pub(super) fn call(
        &mut self,
        place: &mut Place,
        callee: &ast::Expr,
        args: &[ast::Arg],
        piped: Option<(Expr, Type, Span)>,
        span: Span,
        hint: Option<&Type>,
    ) -> (Expr, Type) {
        match &callee.kind {
            ExprKind::Broken => broken(),
            ExprKind::Name(name) => {
                if place.find(name).is_some() {
                    let (_, ty) = self.expr(place, callee, None);
                    return self.not_callable(name, &ty, callee.span);
                }
                let id = match self.modules.lookup(place.file, name) {
                    Some(Binding::Item(id)) => Some(id),
                    Some(Binding::Broken) => return broken(),
                    Some(_) => None,
                    None => self.prelude_item(name, hint),
                };
                match id {
                    Some(id) => self.call_item(place, id, name, args, piped, (callee.span, span)),
                    None => self.unknown_name(place, name, callee.span),
                }
            }
            ExprKind::Field(base, method) => {
                if let ExprKind::Name(name) = &base.kind
                    && place.find(name).is_none()
                    && let Some(Binding::Module(file)) = self.modules.lookup(place.file, name)
                    && let Some((Binding::Item(id), _)) = self.modules.get(file).names.get(&method.node)
                {
                    let id = *id;
                    return self.call_item(place, id, &method.node, args, piped, (callee.span, span));
                }
                let (expr, ty) = self.expr(place, base, None);
                match (&ty, &*method.node) {
                    (Type::Unknown, _) => broken(),
                    (Type::Dataset, "with") => self.with_files(place, expr, args, span),
                    _ => {
                        let (_, field) = self.expr(place, callee, None);
                        self.not_callable(&method.node, &field, callee.span)
                    }
                }
            }
            _ => {
                let (_, ty) = self.expr(place, callee, None);
                self.not_callable("this", &ty, callee.span)
            }
        }
    }

    fn not_callable(&mut self, name: &str, ty: &Type, span: Span) -> (Expr, Type) {
        if *ty != Type::Unknown {
            self.report(
                Diagnostic::new(Code::E0201, span, format!("`{name}` is `{ty}`, which can't be called"))
                    .label("called here"),
            );
        }
        broken()
    }

    fn call_item(
        &mut self,
        place: &mut Place,
        id: ItemId,
        name: &str,
        args: &[ast::Arg],
        piped: Option<(Expr, Type, Span)>,
        (callee, span): (Span, Span),
    ) -> (Expr, Type) {
        match self.def(id) {
            Def::Broken => broken(),
            Def::Fn(function) => {
                let first = piped.map(|(expr, ty, span)| Given::Known(expr, ty, span));
                let given = self.arrange(name, &function.params, first, args, span);
                self.call_function(place, &function, name, given, span)
            }
            Def::Type(ty) => self.record(place, name, &ty, args, span),
            Def::Const(_, ty) => self.not_callable(name, &ty, callee),
            Def::Task(_) | Def::Workflow(_) => {
                self.report(
                    Diagnostic::new(
                        Code::E0201,
                        callee,
                        format!("`{name}` has effects, so it can't be called in an expression"),
                    )
                    .label("called here")
                    .help(format!("run it as a step of its own: `let result = run {name}(…)`")),
                );
                broken()
            }
        }
    }

    /// A call whose arguments have found their parameters; none at all are given when `given` is empty.
    pub(super) fn call_function(
        &mut self,
        place: &mut Place,
        function: &FnDef,
        callee: &str,
        given: Vec<Option<Given>>,
        span: Span,
    ) -> (Expr, Type) {
        let mut bound = Bound::new();
        let mut values: Vec<(Name, Expr, Type)> = Vec::new();
        let literals = given.iter().zip(&function.params).filter_map(|(given, param)| match given {
            Some(Given::Written(ast)) if matches!(ast.kind, ExprKind::Int(_) | ExprKind::Float(_)) => {
                Some((param.name.clone(), ast.span))
            }
            _ => None,
        });
        let site = Written { span, literals: literals.collect() };
        let mut given = given.into_iter().chain(std::iter::repeat_with(|| None));
        let before = self.mistakes();
        for param in &function.params {
            let wanted = apply(&param.ty, &bound);
            let (expr, ty) = match given.next().flatten() {
                // After a first mistake the others are likely to follow from it.
                given if self.mistakes() > before && holds_var(&param.ty) => {
                    drop(given);
                    broken()
                }
                None => self.default(callee, param, &values, span),
                Some(Given::Known(expr, ty, at)) => self.argument(expr, ty, &param.ty, &mut bound, at),
                Some(Given::Written(ast)) => match &param.ty {
                    Type::Function(types) => self.lambda(place, ast, types, &mut bound),
                    _ => {
                        let (expr, ty) = self.expr(place, ast, Some(&wanted));
                        self.argument(expr, ty, &param.ty, &mut bound, ast.span)
                    }
                },
            };
            values.push((param.name.clone(), expr, ty));
        }
        // What a type variable stands for may have become wider with a later argument.
        let values: Vec<(Name, Expr, Type)> = values
            .into_iter()
            .zip(&function.params)
            .map(|((name, expr, ty), param)| {
                let wanted = apply(&param.ty, &bound);
                (name, operators::widen(expr, &ty, &wanted), wanted)
            })
            .collect();
        let output = match apply(&function.output, &bound) {
            _ if self.mistakes() > before && holds_var(&function.output) => Type::Unknown,
            output => output,
        };
        let expr = match &function.body {
            FnBody::Std => Expr::Std(function.name.clone(), named(values), Site::new(site)),
            FnBody::Model(model) => Expr::Model(model.clone(), named(values)),
            FnBody::Expr(function) => Expr::Call(function.clone(), exprs(values)),
            FnBody::Native(native) => {
                let mut args = exprs(values);
                if *native == Native::Sum {
                    args.push(Expr::Const(operators::zero(&output)));
                }
                Expr::Native(*native, args)
            }
            FnBody::Context(context) => {
                if place.is_outside() {
                    self.report(
                        Diagnostic::new(Code::E0303, span, format!("`{callee}()` is known only during a run"))
                            .label("not known here")
                            .help("call it in a workflow, and pass the value on as an argument"),
                    );
                    return broken();
                }
                Expr::Context(*context)
            }
        };
        // A call sits inside other expressions before the outermost is folded; fold here so that models share layers.
        (self.fold(expr, span), output)
    }

    /// A value for a parameter of type `wanted`, which may hold type variables.
    fn argument(&mut self, expr: Expr, given: Type, wanted: &Type, bound: &mut Bound, span: Span) -> (Expr, Type) {
        if !bind(wanted, &given, bound) {
            if let (Type::List(_), false) = (wanted, matches!(given, Type::List(_) | Type::Unknown)) {
                let help = match given {
                    Type::Int | Type::Float | Type::String => {
                        Some("a list stands in square brackets: `[32, 64]`".into())
                    }
                    _ => None,
                };
                self.report(
                    Diagnostic::new(Code::E0201, span, format!("expected a list, found `{}`", given.brief()))
                        .label(format!("this is `{}`", given.brief()))
                        .maybe_help(help),
                );
                return broken();
            }
            let wanted = match shown(wanted, bound) {
                Type::Std(name) if &*name == "N" => Type::Float,
                Type::Std(name) if &*name == "O" => {
                    self.report(
                        Diagnostic::new(Code::E0201, span, format!("values of `{given}` have no order"))
                            .label(format!("this is `{given}`")),
                    );
                    return broken();
                }
                wanted => wanted,
            };
            self.mismatch(span, &wanted, &given);
            return broken();
        }
        let wanted = apply(wanted, bound);
        self.coerce(expr, given, &wanted, span)
    }

    fn lambda(&mut self, place: &mut Place, ast: &ast::Expr, types: &[Type], bound: &mut Bound) -> (Expr, Type) {
        let [params @ .., output] = types else { return broken() };
        let ExprKind::Lambda(names, body) = &ast.kind else {
            if let ExprKind::Name(name) = &ast.kind
                && place.find(name).is_none()
                && matches!(self.modules.lookup(place.file, name), Some(Binding::Item(id)) if matches!(self.def(id), Def::Fn(_)))
            {
                self.report(
                    Diagnostic::new(Code::E0201, ast.span, format!("`{name}` by itself is not a value"))
                        .label("a function's name")
                        .help(format!("say what to do with each item: `|x| {name}(x)`")),
                );
                return broken();
            }
            let (_, ty) = self.expr(place, ast, None);
            if ty != Type::Unknown {
                self.report(
                    Diagnostic::new(Code::E0201, ast.span, "expected a small function, such as `|x| x + 1`")
                        .label(format!("this is `{ty}`"))
                        .help("write what to do with each item: `|x| x + 1`"),
                );
            }
            return broken();
        };
        if names.len() != params.len() {
            self.report(Diagnostic::new(
                Code::E0202,
                ast.span,
                format!("this lambda needs {} parameter{}", params.len(), if params.len() == 1 { "" } else { "s" }),
            ));
            return broken();
        }
        let (locals, shifting) = (place.locals.len(), place.shifting.len());
        let mut vars = Vec::new();
        for (name, param) in names.iter().zip(params) {
            let var = self.fresh();
            vars.push(var);
            place.shifting.push(var);
            let ty = match apply(param, bound) {
                Type::Std(name) if is_var(&name) => Type::Unknown,
                ty => ty,
            };
            place.bind(&name.node, name.span, Expr::Var(var), ty);
        }
        let wanted = apply(output, bound);
        let hint = (!matches!(&wanted, Type::Std(name) if is_var(name))).then_some(&wanted);
        let (expr, ty) = self.expr(place, body, hint);
        place.leave(locals);
        place.shifting.truncate(shifting);
        let (expr, ty) = self.argument(expr, ty, output, bound, body.span);
        (Expr::Lambda(vars, Box::new(expr)), ty)
    }

    fn with_files(&mut self, place: &mut Place, dataset: Expr, args: &[ast::Arg], span: Span) -> (Expr, Type) {
        let [arg] = args else {
            self.report(
                Diagnostic::new(Code::E0202, span, "`with` takes one argument")
                    .help("name the files to read instead: `data.with(files: [cleaned.table])`"),
            );
            return broken();
        };
        if let Some(name) = arg.name.as_ref().filter(|name| &*name.node != "files") {
            self.report(
                Diagnostic::new(Code::E0202, name.span, format!("`with` has no parameter `{}`", name.node))
                    .help("name the files to read instead: `data.with(files: [cleaned.table])`"),
            );
            return broken();
        }
        let (files, ty) = self.expr(place, &arg.value, Some(&Type::Uri.list()));
        match &ty {
            Type::List(inner) if inner.is_location() => {
                (Expr::native(Native::WithFiles, [dataset, files]), Type::Dataset)
            }
            ty if ty.is_location() => {
                (Expr::native(Native::WithFiles, [dataset, Expr::List(vec![files])]), Type::Dataset)
            }
            ty => {
                self.mismatch(arg.value.span, &Type::Uri.list(), ty);
                broken()
            }
        }
    }

    /// `a |> b`: layers one after another, or `b` called with `a` as its first argument.
    pub(super) fn pipe(
        &mut self,
        place: &mut Place,
        left: &ast::Expr,
        right: &ast::Expr,
        hint: Option<&Type>,
    ) -> (Expr, Type) {
        let layer = std("Layer");
        let is_layers = |ty: &Type| matches!(ty, Type::Model) || *ty == layer;
        let (first, ty) = self.expr(place, left, Some(&layer).filter(|_| hint == Some(&Type::Model)));
        if is_layers(&ty) {
            let (second, ty) = self.expr(place, right, Some(&layer));
            if !is_layers(&ty) && ty != Type::Unknown {
                self.mismatch(right.span, &layer, &ty);
            }
            return (Expr::Pipe(Box::new(first), Box::new(second)), Type::Model);
        }
        let piped = Some((first, ty.clone(), left.span));
        match &right.kind {
            // The mistake on the left was reported; what follows it can't be judged.
            _ if ty == Type::Unknown => broken(),
            ExprKind::Call(callee, args) => self.call(place, callee, args, piped, right.span, hint),
            ExprKind::Name(_) | ExprKind::Field(..) => self.call(place, right, &[], piped, right.span, hint),
            _ => {
                self.report(
                    Diagnostic::new(Code::E0201, right.span, "only a function can stand after `|>`")
                        .help("write a call without its first argument: `list |> map(|x| x + 1)`"),
                );
                broken()
            }
        }
    }
}

/// The arguments alone. They live long, and to collect them would keep the room of the longer list.
pub(super) fn exprs(args: Vec<(Name, Expr, Type)>) -> Vec<Expr> {
    let mut exprs = Vec::with_capacity(args.len());
    exprs.extend(args.into_iter().map(|(_, expr, _)| expr));
    exprs
}

fn named(values: Vec<(Name, Expr, Type)>) -> Vec<(Name, Expr)> {
    values.into_iter().map(|(name, expr, _)| (name, expr)).collect()
}

/// Whether `given` fits `wanted`, learning what its type variables stand for.
fn bind(wanted: &Type, given: &Type, bound: &mut Bound) -> bool {
    match (wanted, given) {
        (Type::Std(name), given) if is_var(name) => {
            let fits = match &**name {
                "N" => given.is_number(),
                "O" => operators::is_ordered(given),
                _ => true,
            };
            let joined = match bound.get(name) {
                Some(known) => known.join(given),
                None => Some(given.clone()),
            };
            match joined {
                Some(joined) if fits => {
                    bound.insert(name.clone(), joined);
                    true
                }
                _ => false,
            }
        }
        (Type::List(wanted), Type::List(given))
        | (Type::Map(wanted), Type::Map(given))
        | (Type::Distribution(wanted), Type::Distribution(given)) => bind(wanted, given, bound),
        (Type::Optional(wanted), Type::Optional(given)) => bind(wanted, given, bound),
        (Type::Optional(_), Type::None) => true,
        (Type::Optional(wanted), given) => bind(wanted, given, bound),
        _ => wanted.accepts(given),
    }
}

/// Whether a type of a signature holds a variable.
fn holds_var(ty: &Type) -> bool {
    match ty {
        Type::Std(name) => is_var(name),
        Type::List(inner) | Type::Map(inner) | Type::Distribution(inner) | Type::Optional(inner) => holds_var(inner),
        Type::Function(types) => types.iter().any(holds_var),
        _ => false,
    }
}

/// A type with its variables replaced by what they stand for; one that is not known yet is any.
fn shown(ty: &Type, bound: &Bound) -> Type {
    match apply(ty, bound) {
        Type::List(inner) if holds_var(&inner) => Type::List(Box::new(Type::Unknown)),
        ty => ty,
    }
}

/// A type with its variables replaced by what they stand for.
fn apply(ty: &Type, bound: &Bound) -> Type {
    match ty {
        Type::Std(name) => bound.get(name).cloned().unwrap_or_else(|| ty.clone()),
        Type::List(inner) => Type::List(Box::new(apply(inner, bound))),
        Type::Map(inner) => Type::Map(Box::new(apply(inner, bound))),
        Type::Distribution(inner) => Type::Distribution(Box::new(apply(inner, bound))),
        Type::Optional(inner) => apply(inner, bound).optional(),
        Type::Function(types) => Type::Function(types.iter().map(|ty| apply(ty, bound)).collect()),
        ty => ty.clone(),
    }
}
