//! Expressions: what they mean, of which type they are, and what they come to where that is known.

use super::{
    Checker,
    definitions::{Def, ItemId},
    modules::{Binding, Modules},
    operators,
    scope::{Meaning, Place},
    types::std,
};
use crate::{
    diagnostic::{Code, Diagnostic, similar},
    expr::{Expr, Native, Var},
    source::Span,
    syntax::ast::{self, BinaryOp, ExprKind, Piece},
    types::Type,
    value::{Fields, Value},
};
use std::collections::{HashMap, HashSet};

/// An optional that is known not to be `none` at its place is of the type that it holds.
fn narrowed(place: &Place, ast: &ast::Expr, (expr, ty): (Expr, Type)) -> (Expr, Type) {
    match ty {
        Type::Optional(inner) if place.is_present(ast) => (expr, *inner),
        ty => (expr, ty),
    }
}

/// What stands for a value that is wrong and has been reported.
pub fn broken() -> (Expr, Type) {
    (Expr::Const(Value::None), Type::Unknown)
}

impl Checker {
    /// An expression whose value must be of type `wanted`, when there is one.
    pub(super) fn value(&mut self, place: &mut Place, ast: &ast::Expr, wanted: Option<&Type>) -> (Expr, Type) {
        let (expr, given) = self.expr(place, ast, wanted);
        let Some(wanted) = wanted else { return (expr, given) };
        self.coerce(expr, given, wanted, ast.span)
    }

    /// Makes a value of type `given` one of type `wanted`, or reports that it isn't one.
    pub(super) fn coerce(&mut self, expr: Expr, given: Type, wanted: &Type, span: Span) -> (Expr, Type) {
        if !wanted.accepts(&given) {
            self.mismatch(span, wanted, &given);
            return (Expr::Const(Value::None), Type::Unknown);
        }
        (operators::widen(expr, &given, wanted), wanted.clone())
    }

    /// An expression that must be known at compile time.
    pub(super) fn constant(&mut self, place: &mut Place, ast: &ast::Expr, wanted: &Type) -> Option<Value> {
        let (expr, ty) = self.value(place, ast, Some(wanted));
        if ty == Type::Unknown { None } else { self.known_before(expr, ast.span) }
    }

    /// The value of an expression that must be known before the run.
    pub(super) fn known_before(&mut self, expr: Expr, span: Span) -> Option<Value> {
        match expr {
            Expr::Const(value) => Some(value),
            _ => {
                self.report(
                    Diagnostic::new(Code::E0303, span, "this must be known before the run")
                        .label("depends on a parameter or a step")
                        .help("write the value itself, or a `const`"),
                );
                None
            }
        }
    }

    /// An expression; `hint` is the type that the place would like, and decides between names of `std`.
    pub(super) fn expr(&mut self, place: &mut Place, ast: &ast::Expr, hint: Option<&Type>) -> (Expr, Type) {
        let (expr, ty) = self.form(place, ast, hint);
        (self.fold(expr, ast.span), ty)
    }

    fn form(&mut self, place: &mut Place, ast: &ast::Expr, hint: Option<&Type>) -> (Expr, Type) {
        let span = ast.span;
        let constant = |value: Value, ty: Type| (Expr::Const(value), ty);
        match &ast.kind {
            ExprKind::Broken => broken(),
            ExprKind::None => constant(Value::None, Type::None),
            ExprKind::Bool(bool) => constant(Value::Bool(*bool), Type::Bool),
            ExprKind::Int(int) => constant(Value::Int(*int), Type::Int),
            ExprKind::Float(float) => constant(Value::Float(*float), Type::Float),
            ExprKind::Duration(duration) => constant(Value::Duration(*duration), Type::Duration),
            ExprKind::Money(money) => constant(Value::Money(*money), Type::Money),
            ExprKind::Size(size) => constant(Value::Size(*size), Type::Size),
            ExprKind::Percent(percent) => constant(Value::Percent(*percent), Type::Percent),
            ExprKind::String(pieces) => self.string(place, pieces),
            ExprKind::Name(name) => {
                let found = self.name(place, name, span, hint);
                narrowed(place, ast, found)
            }
            ExprKind::Field(base, field) => {
                let found = self.field(place, base, field);
                narrowed(place, ast, found)
            }
            ExprKind::Index(base, index) => self.index(place, base, index),
            ExprKind::Call(callee, args) => self.call(place, callee, args, None, span, hint),
            ExprKind::List(items) => self.list(place, items, hint),
            ExprKind::Map(entries) => {
                let mut inner = match hint {
                    Some(Type::Map(inner)) => (**inner).clone(),
                    _ => Type::Unknown,
                };
                let (mut map, mut keys) = (Vec::new(), HashMap::new());
                for (key, value) in entries {
                    let at = key.span;
                    let key = self.value(place, key, Some(&Type::String)).0;
                    if let Expr::Const(Value::String(text)) = &key
                        && let Some(first) = keys.insert(text.clone(), at)
                    {
                        self.report(
                            Diagnostic::new(Code::E0102, at, "this key stands in the map twice")
                                .label("again here")
                                .related(first, "first here"),
                        );
                    }
                    let (expr, ty) = self.expr(place, value, Some(&inner));
                    inner = self.joined(&inner, &ty, value.span);
                    map.push((key, expr, ty));
                }
                let map = map.into_iter().map(|(key, expr, ty)| (key, operators::widen(expr, &ty, &inner))).collect();
                (Expr::Map(map), Type::Map(Box::new(inner)))
            }
            ExprKind::Unary(op, inner) => {
                let (expr, ty) = self.expr(place, inner, None);
                self.unary(*op, expr, ty, inner.span)
            }
            ExprKind::Binary(left, op, right) if op.node == BinaryOp::Pipe => self.pipe(place, left, right, hint),
            ExprKind::Binary(left, op, right) => {
                let wanted = matches!(op.node, BinaryOp::Coalesce).then_some(hint).flatten();
                let (a, left_type) = self.expr(place, left, wanted);
                // The right side is looked at only where the left one has not decided.
                let (present, dead) = match op.node {
                    BinaryOp::And => (place.present(left, true), a == Expr::Const(Value::Bool(false))),
                    BinaryOp::Or => (place.present(left, false), a == Expr::Const(Value::Bool(true))),
                    BinaryOp::Coalesce => (Vec::new(), matches!(&a, Expr::Const(value) if *value != Value::None)),
                    _ => (Vec::new(), false),
                };
                let (b, right_type) = self.unless_dead(dead, |this| {
                    this.knowing(place, present, |this, place| this.expr(place, right, wanted))
                });
                self.binary(*op, (a, left_type, left.span), (b, right_type, right.span))
            }
            ExprKind::If(cond, then, otherwise) => {
                let (holds, fails) = (place.present(cond, true), place.present(cond, false));
                let cond = self.value(place, cond, Some(&Type::Bool)).0;
                let (then, first) = self.unless_dead(cond == Expr::Const(Value::Bool(false)), |this| {
                    this.knowing(place, holds, |this, place| this.expr(place, then, hint))
                });
                let (other, second) = self.unless_dead(cond == Expr::Const(Value::Bool(true)), |this| {
                    this.knowing(place, fails, |this, place| this.expr(place, otherwise, hint))
                });
                let ty = self.joined(&first, &second, otherwise.span);
                let then = operators::widen(then, &first, &ty);
                let other = operators::widen(other, &second, &ty);
                (Expr::If(Box::new(cond), Box::new(then), Box::new(other)), ty)
            }
            ExprKind::Match(value, arms) => self.matching(place, value, arms, span, hint),
            ExprKind::Lambda(..) => {
                self.report(
                    Diagnostic::new(Code::E0201, span, "a lambda can only be an argument")
                        .label("not an argument")
                        .help("declare a function: `fn f(x: Int) -> Int = …`"),
                );
                broken()
            }
        }
    }

    /// The type that two branches or items share.
    pub(super) fn joined(&mut self, first: &Type, second: &Type, span: Span) -> Type {
        first.join(second).unwrap_or_else(|| {
            self.mismatch(span, first, second);
            Type::Unknown
        })
    }

    fn string(&mut self, place: &mut Place, pieces: &[Piece]) -> (Expr, Type) {
        if pieces.is_empty() {
            return (Expr::Const(Value::String("".into())), Type::String);
        }
        let pieces = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Expr::Const(Value::String(text.clone())),
                Piece::Expr(expr) => self.expr(place, expr, None).0,
            })
            .collect();
        (Expr::Text(pieces), Type::String)
    }

    fn list(&mut self, place: &mut Place, items: &[ast::Expr], hint: Option<&Type>) -> (Expr, Type) {
        let wanted = match hint {
            Some(Type::List(inner)) => Some((**inner).clone()),
            Some(Type::Optional(inner)) => match &**inner {
                Type::List(inner) => Some((**inner).clone()),
                _ => None,
            },
            _ => None,
        };
        let wanted = wanted.filter(|wanted| !matches!(wanted, Type::Std(name) if super::types::is_var(name)));
        let mut inner = wanted.clone().unwrap_or(Type::Unknown);
        let mut exprs = Vec::with_capacity(items.len());
        for item in items {
            let (expr, ty) = self.expr(place, item, wanted.as_ref());
            exprs.push(match &wanted {
                Some(wanted) => self.coerce(expr, ty, wanted, item.span),
                None => {
                    inner = self.joined(&inner, &ty, item.span);
                    (expr, ty)
                }
            });
        }
        let exprs = exprs.into_iter().map(|(expr, ty)| operators::widen(expr, &ty, &inner)).collect();
        (Expr::List(exprs), inner.list())
    }

    fn name(&mut self, place: &mut Place, name: &str, span: Span, hint: Option<&Type>) -> (Expr, Type) {
        match place.find(name) {
            Some(Meaning::Value(value)) => return (**value).clone(),
            Some(Meaning::Metrics(_) | Meaning::Space(_)) => {
                self.report(
                    Diagnostic::new(Code::E0201, span, format!("`{name}` is not a value by itself"))
                        .help(format!("name one of its fields: `{name}.…`")),
                );
                return broken();
            }
            Some(Meaning::Secret(_)) => {
                self.seen(name, span);
                return broken();
            }
            None => {}
        }
        match self.modules.lookup(place.file, name) {
            Some(Binding::Item(id)) => self.item_value(place, id, name, span),
            Some(Binding::Member(id, member)) => match self.def(id) {
                Def::Type(Type::Enum { name, members }) => {
                    (Expr::Const(Value::Member(members[member].clone())), Type::Enum { name, members })
                }
                _ => broken(),
            },
            Some(Binding::Broken) => broken(),
            Some(Binding::Module(_)) => {
                self.report(
                    Diagnostic::new(Code::E0201, span, format!("`{name}` is a module, not a value"))
                        .help(format!("name one of its items: `{name}.…`")),
                );
                broken()
            }
            None => match self.prelude_item(name, hint) {
                Some(id) => self.item_value(place, id, name, span),
                None => self.unknown_name(place, name, span),
            },
        }
    }

    /// The prelude's item with a name; where two share it, the one of the type that is wanted.
    pub(super) fn prelude_item(&mut self, name: &str, hint: Option<&Type>) -> Option<ItemId> {
        let modules = self.modules.clone();
        let ids = modules.prelude(name);
        let wanted = match hint {
            Some(Type::Optional(inner)) => Some(&**inner),
            hint => hint,
        };
        let fits = |id: &&ItemId| match self.def(**id) {
            Def::Fn(function) => wanted.is_some_and(|wanted| *wanted == function.output),
            _ => false,
        };
        ids.iter().find(fits).or(ids.first()).copied()
    }

    /// The value that the bare name of an item stands for.
    fn item_value(&mut self, place: &mut Place, id: ItemId, name: &str, span: Span) -> (Expr, Type) {
        match self.def(id) {
            Def::Const(expr, ty) => (expr, ty),
            Def::Broken => broken(),
            // A dataset, a layer or a metric that needs no arguments is a value by its bare name.
            Def::Fn(function)
                if matches!(function.output, Type::Dataset | Type::Model | Type::Std(_))
                    && !matches!(&function.output, Type::Std(name) if super::types::is_var(name)) =>
            {
                self.call_function(place, &function, name, Vec::new(), span)
            }
            Def::Fn(_) => {
                self.report(
                    Diagnostic::new(Code::E0201, span, format!("`{name}` is a function"))
                        .label("not called")
                        .help(format!("call it: `{name}(…)`")),
                );
                broken()
            }
            Def::Type(_) => {
                self.report(Diagnostic::new(Code::E0201, span, format!("`{name}` is a type, not a value")));
                broken()
            }
            Def::Task(_) | Def::Workflow(_) => {
                self.report(
                    Diagnostic::new(Code::E0201, span, format!("`{name}` has effects, so it is not a value"))
                        .label("used as a value")
                        .help(format!("run it as a step: `let result = run {name}(…)`")),
                );
                broken()
            }
        }
    }

    /// The name that was probably meant.
    fn near<'m>(&mut self, place: &'m Place, modules: &'m Modules, name: &str) -> Option<&'m str> {
        let known = modules.known(place.file);
        self.comparisons = self.comparisons.saturating_sub(place.locals.len() + known.len());
        similar(name, place.locals.iter().map(|local| &*local.name).chain(known))
    }

    pub(super) fn unknown_name(&mut self, place: &Place, name: &str, span: Span) -> (Expr, Type) {
        let modules = self.modules.clone();
        let near = if self.comparisons == 0 { None } else { self.near(place, &modules, name) };
        let near = near.map(|near| format!("did you mean `{near}`?"));
        let word = match name {
            "None" | "null" | "nil" | "undefined" => Some("nothing is written `none`"),
            "True" | "TRUE" => Some("write `true`"),
            "False" | "FALSE" => Some("write `false`"),
            "int" => Some("round it: `round(x)`, `floor(x)` or `ceil(x)`"),
            "str" | "string" | "repr" => Some("write `\"{x}\"` or `text(x)`"),
            "print" => Some("what a workflow tells is its result"),
            "zip" | "enumerate" => Some("write `range(len(list)) |> map(|i| list[i])`"),
            "length" | "size" | "count" => Some("write `len(list)`"),
            "test" => Some("a training sees its `train` and `valid` parts alone; judge on `test` with `evaluate`"),
            "space" => {
                Some("the dimensions are known inside their search; what it chose is in its `params`: `best.params.lr`")
            }
            "validation" | "val" => Some("the validation part is called `valid`"),
            _ => None,
        };
        if let Some(word) = word {
            self.report(
                Diagnostic::new(Code::E0101, span, format!("`{name}` is not defined")).label("not found").help(word),
            );
            return broken();
        }
        let home = Modules::std_home(name).map(|home| format!("import it: `import std/{home}.{{{name}}}`"));
        self.report(
            Diagnostic::new(Code::E0101, span, format!("`{name}` is not defined"))
                .label("not found")
                .maybe_help(home.or(near)),
        );
        broken()
    }

    fn field(&mut self, place: &mut Place, base: &ast::Expr, field: &ast::Ident) -> (Expr, Type) {
        if let ExprKind::Name(name) = &base.kind {
            match place.find(name) {
                Some(Meaning::Metrics(var)) => {
                    let var = *var;
                    return self.metric(var, field);
                }
                Some(Meaning::Space(dims)) => {
                    let found = dims.iter().find(|(dim, ..)| *dim == field.node).cloned();
                    let known: Vec<String> = dims.iter().map(|(dim, ..)| dim.to_string()).collect();
                    return match found {
                        Some((_, var, ty)) => (Expr::Var(var), ty),
                        None => self.no_field("the space", field, known.iter().map(String::as_str)),
                    };
                }
                Some(Meaning::Value(..) | Meaning::Secret(_)) => {}
                None => match self.modules.lookup(place.file, name) {
                    Some(Binding::Module(file)) => return self.module_item(place, file, name, field),
                    Some(Binding::Item(id)) => {
                        if let Def::Type(ty @ Type::Enum { .. }) = self.def(id) {
                            return self.member(&ty, field);
                        }
                    }
                    _ => {}
                },
            }
        }
        let (expr, ty) = self.expr(place, base, None);
        self.field_of(place, expr, ty, field, base.span)
    }

    /// A member of an enum by its whole name, such as `Mode.Fast`.
    fn member(&mut self, ty: &Type, field: &ast::Ident) -> (Expr, Type) {
        let Type::Enum { name, members } = ty else { return broken() };
        match members.iter().find(|member| **member == field.node) {
            Some(member) => (Expr::Const(Value::Member(member.clone())), ty.clone()),
            None => self.no_field(&format!("`{name}`"), field, members.iter().map(|member| &**member)),
        }
    }

    fn module_item(
        &mut self,
        place: &mut Place,
        file: crate::source::FileId,
        module: &str,
        field: &ast::Ident,
    ) -> (Expr, Type) {
        let binding = self.modules.get(file).names.get(&field.node).map(|(binding, _)| *binding);
        match binding {
            Some(Binding::Item(id)) => self.item_value(place, id, &field.node, field.span),
            Some(Binding::Broken) => broken(),
            _ => {
                let modules = self.modules.clone();
                let known: Vec<&str> = modules.get(file).ast.items.iter().map(|item| &*item.name.node).collect();
                let near = similar(&field.node, known).map(|name| format!("did you mean `{name}`?"));
                self.report(
                    Diagnostic::new(Code::E0105, field.span, format!("`{module}` has no `{}`", field.node))
                        .label("not declared there")
                        .maybe_help(near),
                );
                broken()
            }
        }
    }

    fn metric(&mut self, var: Var, field: &ast::Ident) -> (Expr, Type) {
        let known = self.metric_names();
        if !known.iter().any(|name| **name == *field.node) {
            return self.no_field("the metrics", field, known.iter().map(|name| &**name));
        }
        (Expr::Field(Box::new(Expr::Var(var)), field.node.clone()), Type::Float)
    }

    /// The names of all metrics.
    pub(super) fn metric_names(&mut self) -> Vec<crate::source::Name> {
        let modules = self.modules.clone();
        let metric = std("Metric");
        let mut names = Vec::new();
        for name in modules.known(modules.root) {
            for id in modules.prelude(name) {
                if matches!(self.def(id), Def::Fn(function) if function.output == metric) {
                    names.push(name.into());
                }
            }
        }
        names
    }

    fn no_field<'a>(
        &mut self,
        of: &str,
        field: &ast::Ident,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> (Expr, Type) {
        let near = similar(&field.node, known.clone()).map(|name| format!("did you mean `{name}`?"));
        let list = known.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let list = if list.is_empty() { "there are none".into() } else { format!("there are {list}") };
        self.report(
            Diagnostic::new(
                Code::E0203,
                field.span,
                format!("{of} has no field `{}`", field.node).replace("the metrics has", "the metrics have"),
            )
            .label("unknown field")
            .maybe_help(Some(near.unwrap_or(list))),
        );
        broken()
    }

    fn field_of(&mut self, place: &mut Place, expr: Expr, ty: Type, field: &ast::Ident, base: Span) -> (Expr, Type) {
        let name = &*field.node;
        match &ty {
            Type::Unknown => broken(),
            Type::Record(fields) => match fields.get(&field.node) {
                Some(ty) => (Expr::Field(Box::new(expr), field.node.clone()), ty.clone()),
                None => self.no_field(&format!("`{}`", ty.brief()), field, fields.keys().map(|name| &**name)),
            },
            Type::Dataset => match name {
                "train" => (Expr::native(Native::TrainPart, [expr]), Type::Dataset),
                "valid" => (Expr::native(Native::ValidPart, [expr]), Type::Dataset),
                "test" => (Expr::native(Native::TestPart, [expr]), Type::Dataset),
                "width" | "classes" | "rows" => self.fact(place, &expr, field, base, Type::Int),
                "columns" | "shards" => self.fact(place, &expr, field, base, Type::String.list()),
                _ => {
                    let known = ["train", "valid", "test", "width", "classes", "rows", "columns", "shards", "with"];
                    self.no_field("a dataset", field, known.into_iter())
                }
            },
            Type::Optional(inner) => {
                self.report(
                    Diagnostic::new(
                        Code::E0203,
                        field.span,
                        format!("this may be `none`, so it has no field `{name}`"),
                    )
                    .related(base, format!("this is `{inner}?`"))
                    .help("say what to use when it is `none`: `(value ?? other)`"),
                );
                broken()
            }
            other => {
                let help = match (other, name) {
                    (Type::List(_) | Type::Map(_) | Type::String, "len" | "length" | "size" | "count") => {
                        Some("its length is `len(x)`".to_owned())
                    }
                    (Type::List(inner), _) if matches!(&**inner, Type::Record(fields) if fields.contains_key(name)) => {
                        Some(format!("of each item: `list |> map(|x| x.{name})`"))
                    }
                    (Type::List(_), "map" | "filter" | "fold" | "sort_by" | "sum" | "mean") => {
                        Some(format!("lists are piped into functions: `list |> {name}(…)`"))
                    }
                    (Type::Map(_), _) => Some(format!("an entry of a map is `map[\"{name}\"]`")),
                    (Type::String, "lower" | "upper" | "trim" | "split" | "replace" | "contains") => {
                        Some(format!("write `{name}(text)`"))
                    }
                    _ => None,
                };
                self.report(
                    Diagnostic::new(Code::E0203, field.span, format!("`{}` has no fields", other.brief()))
                        .label("no field")
                        .maybe_help(help),
                );
                broken()
            }
        }
    }

    fn fact(&mut self, place: &mut Place, dataset: &Expr, field: &ast::Ident, span: Span, ty: Type) -> (Expr, Type) {
        let next = &mut self.next;
        let fresh = || {
            *next += 1;
            Var(*next - 1)
        };
        match place.facts(dataset, fresh, span) {
            Some(var) => (Expr::Field(Box::new(Expr::Var(var)), field.node.clone()), ty),
            None => {
                self.report(
                    Diagnostic::new(
                        Code::E0303,
                        field.span,
                        format!("`{}` is known only once the data was read", field.node),
                    )
                    .label("not known here")
                    .help("read it in the workflow, outside of lambdas, and pass it on as an argument"),
                );
                broken()
            }
        }
    }

    fn index(&mut self, place: &mut Place, base: &ast::Expr, index: &ast::Expr) -> (Expr, Type) {
        let (expr, ty) = self.expr(place, base, None);
        let (key, element) = match ty {
            Type::List(inner) => (Type::Int, *inner),
            Type::Map(inner) => (Type::String, *inner),
            Type::Unknown => (Type::Unknown, Type::Unknown),
            other => {
                self.report(
                    Diagnostic::new(Code::E0201, base.span, format!("`{other}` has no items to pick from"))
                        .label(format!("this is `{other}`")),
                );
                return broken();
            }
        };
        let index = self.value(place, index, Some(&key)).0;
        (Expr::Index(Box::new(expr), Box::new(index)), element)
    }

    fn matching(
        &mut self,
        place: &mut Place,
        value: &ast::Expr,
        arms: &[ast::Arm],
        span: Span,
        hint: Option<&Type>,
    ) -> (Expr, Type) {
        let (expr, of) = self.expr(place, value, None);
        let mut ty = Type::Unknown;
        let mut cases = Vec::new();
        let (mut covered, mut rest_covered) = (HashSet::new(), false);
        for arm in arms {
            let pattern = match &arm.pattern {
                Some(pattern) => {
                    let found = self.constant(place, pattern, &of);
                    if found.is_none() {
                        continue;
                    }
                    found
                }
                None => None,
            };
            let is_covered = |value: &Value| rest_covered || covered.contains(&value.to_string());
            if pattern.as_ref().map_or(rest_covered, is_covered) {
                let span = arm.pattern.as_ref().map_or(arm.value.span, |pattern| pattern.span);
                self.report(
                    Diagnostic::new(Code::W1003, span, "this arm is never reached")
                        .label("covered by an arm above")
                        .help("leave it out, or put it above the arm that covers it"),
                );
            }
            let present = match &pattern {
                Some(Value::None) => Vec::new(),
                Some(_) => place.path_of(value),
                None if is_covered(&Value::None) => place.path_of(value),
                None => Vec::new(),
            };
            let dead = match &expr {
                Expr::Const(known) => is_covered(known) || pattern.as_ref().is_some_and(|pattern| pattern != known),
                _ => false,
            };
            let (result, given) = self.unless_dead(dead, |this| {
                this.knowing(place, present, |this, place| this.expr(place, &arm.value, hint))
            });
            ty = self.joined(&ty, &given, arm.value.span);
            match &pattern {
                Some(value) => drop(covered.insert(value.to_string())),
                None => rest_covered = true,
            }
            cases.push((pattern, result, given));
        }
        let cases: Vec<_> = cases
            .into_iter()
            .map(|(pattern, result, given)| (pattern, operators::widen(result, &given, &ty)))
            .collect();
        self.exhaustive(&of, &cases, span);
        (Expr::Match(Box::new(expr), cases), ty)
    }

    fn exhaustive(&mut self, of: &Type, cases: &[(Option<Value>, Expr)], span: Span) {
        let covered =
            |value: &Value| cases.iter().any(|(pattern, _)| pattern.as_ref().is_none_or(|pattern| pattern == value));
        let all: Vec<Value> = match of {
            Type::Bool => vec![Value::Bool(true), Value::Bool(false)],
            Type::Enum { members, .. } => members.iter().cloned().map(Value::Member).collect(),
            Type::Unknown => return,
            _ if cases.iter().any(|(pattern, _)| pattern.is_none()) => return,
            _ => {
                self.report(
                    Diagnostic::new(Code::E0207, span, "this match does not cover every value")
                        .help("add an arm for the rest: `_ => …`"),
                );
                return;
            }
        };
        let missing: Vec<String> =
            all.iter().filter(|value| !covered(value)).map(|value| format!("`{value}`")).collect();
        if !missing.is_empty() {
            self.report(
                Diagnostic::new(Code::E0207, span, format!("this match does not cover {}", missing.join(", ")))
                    .help("add an arm for each, or `_ => …` for all of them"),
            );
        }
    }

    /// A record built by its type's name.
    pub(super) fn record(
        &mut self,
        place: &mut Place,
        name: &str,
        ty: &Type,
        args: &[ast::Arg],
        span: Span,
    ) -> (Expr, Type) {
        let Type::Record(fields) = ty else {
            if *ty != Type::Unknown {
                self.report(Diagnostic::new(
                    Code::E0201,
                    span,
                    format!("`{name}` is `{ty}`, which is not built by its name"),
                ));
            }
            return broken();
        };
        let mut base = None;
        let mut given: Vec<(crate::source::Name, Expr)> = Vec::new();
        for arg in args {
            match &arg.name {
                _ if arg.spread && base.is_some() => self.report(
                    Diagnostic::new(Code::E0202, arg.value.span, format!("`{name}` is built from one other record"))
                        .label("a second one")
                        .help("name the fields that are to come from it: `field: other.field`"),
                ),
                _ if arg.spread => base = Some(Box::new(self.value(place, &arg.value, Some(ty)).0)),
                None => self.report(
                    Diagnostic::new(Code::E0202, arg.value.span, format!("the fields of `{name}` are given by name"))
                        .label("without a name")
                        .maybe_help(fields.keys().next().map(|field| format!("write `{field}: …`"))),
                ),
                Some(field) => match fields.get(&field.node) {
                    Some(_) if given.iter().any(|(name, _)| *name == field.node) => self.report(
                        Diagnostic::new(Code::E0202, field.span, format!("`{}` is given twice", field.node))
                            .label("given again here"),
                    ),
                    Some(ty) => {
                        let value = self.value(place, &arg.value, Some(ty)).0;
                        given.push((field.node.clone(), value));
                    }
                    None => {
                        self.no_field(&format!("`{name}`"), field, fields.keys().map(|name| &**name));
                    }
                },
            }
        }
        let missing = |field: &&crate::source::Name| base.is_none() && !given.iter().any(|(name, _)| name == *field);
        let mut absent = Fields::new();
        let mut names = Vec::new();
        for field in fields.keys().filter(missing) {
            match &fields[field] {
                Type::Optional(_) => {
                    absent.insert(field.clone(), Value::None);
                }
                ty => names.push(format!("`{field}: {ty}`")),
            }
        }
        if !names.is_empty() {
            self.report(
                Diagnostic::new(Code::E0202, span, format!("`{name}` needs {}", names.join(", ")))
                    .label("missing here"),
            );
            return broken();
        }
        given.extend(absent.into_iter().map(|(name, value)| (name, Expr::Const(value))));
        (Expr::Record(base, given), ty.clone())
    }
}
