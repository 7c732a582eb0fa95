//! Declarations, each looked at once, when first needed.

use super::{Checker, arguments::ParamSig, program::Workflow, scope::Place};
use crate::{
    diagnostic::{Code, Diagnostic},
    expr::{Context, Expr, Function, Native},
    limits::Limits,
    source::{FileId, Name},
    stdlib,
    step::Task,
    syntax::ast::{self, ItemKind},
    types::Type,
};
use std::{rc::Rc, sync::Arc};

/// Definitions may need one another this deep before any of them is known.
const MAX_CHAIN: usize = 100;

/// Types are compared and printed as a whole, so one that doubles with each alias must end somewhere.
const MAX_TYPE: usize = 2000;

/// A graph holds every statement once for each place that runs it, so a workflow that runs another twice, and so on, must
/// end somewhere.
const MAX_STATEMENTS: usize = 200_000;

/// A declaration: its file and its place among the declarations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId {
    /// The file.
    pub file: FileId,
    /// Its place.
    pub index: usize,
}

/// What a declaration defines.
#[derive(Clone)]
pub enum Def {
    /// A constant.
    Const(Expr, Type),
    /// A type.
    Type(Type),
    /// A function, of the file or of `std`.
    Fn(Rc<FnDef>),
    /// A task.
    Task(Rc<TaskDef>),
    /// A workflow.
    Workflow(Rc<Workflow>),
    /// Something that is wrong and has been reported.
    Broken,
}

/// A function, or what is called like one: a dataset or a model with parameters.
pub struct FnDef {
    /// Its name.
    pub name: Name,
    /// Its parameters.
    pub params: Vec<ParamSig>,
    /// What a call gives.
    pub output: Type,
    /// How a call is computed.
    pub body: FnBody,
}

/// How a call is computed.
pub enum FnBody {
    /// By an expression of the file.
    Expr(Arc<Function>),
    /// As an architecture.
    Model(Arc<Function>),
    /// By a native function.
    Native(Native),
    /// By asking the run.
    Context(Context),
    /// It is the name of something that `std` provides.
    Std,
}

/// A command task.
pub struct TaskDef {
    /// Its name.
    pub name: Name,
    /// Its parameters.
    pub params: Vec<ParamSig>,
    /// What all that run it share.
    pub shared: Arc<Task>,
    /// Its own limits.
    pub limits: Limits,
}

/// Whether parameters may be marked with `@secret`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    Allowed,
    Refused,
}

impl Checker {
    /// What the declaration `id` defines.
    pub(super) fn def(&mut self, id: ItemId) -> Def {
        match self.defs.get(&id) {
            Some(Some(def)) => return def.clone(),
            Some(None) => {
                self.recursion(id, "needs itself to be defined");
                // Whatever is being defined since then is part of the cycle, and can't be evaluated either.
                let start = self.defining.iter().position(|defining| *defining == id).unwrap_or(0);
                self.cyclic.extend(&self.defining[start..]);
                return Def::Broken;
            }
            None => {}
        }
        if self.defining.len() >= MAX_CHAIN {
            self.recursion(id, &format!("ends a chain of more than {MAX_CHAIN} definitions that need one another"));
            return Def::Broken;
        }
        self.defs.insert(id, None);
        self.defining.push(id);
        let modules = self.modules.clone();
        let dead = std::mem::take(&mut self.dead);
        let def = self.define(id.file, modules.item(id));
        self.dead = dead;
        self.defining.pop();
        let def = if self.cyclic.contains(&id) { Def::Broken } else { def };
        self.defs.insert(id, Some(def.clone()));
        def
    }

    fn recursion(&mut self, id: ItemId, what: &str) {
        let modules = self.modules.clone();
        let item = modules.item(id);
        let name = &item.name;
        let help = match item.kind {
            ItemKind::Workflow { .. } => {
                "a run must end: `repeat n with x = start while … { … }` does a thing again and again"
            }
            _ => "functions, models and constants can't be recursive, so that evaluating them always ends",
        };
        self.report(
            Diagnostic::new(Code::E0401, name.span, format!("`{}` {what}", name.node)).label("defined here").help(help),
        );
    }

    fn define(&mut self, file: FileId, item: &ast::Item) -> Def {
        let name = &item.name.node;
        let mut place = Place::new(file);
        if !matches!(item.kind, ItemKind::Task { .. } | ItemKind::Workflow { .. }) {
            self.no_annotations(&item.annotations, "this declaration");
        }
        match &item.kind {
            ItemKind::Const { ty, value } => {
                let wanted = ty.as_ref().map(|ty| self.ty(file, ty));
                let (expr, given) = self.value(&mut place, value, wanted.as_ref());
                let ty = wanted.unwrap_or(given);
                if ty == Type::Model {
                    self.declared_shapes(&expr, item.name.span);
                }
                Def::Const(expr, ty)
            }
            ItemKind::Type(ty) => {
                let made = self.ty(file, ty);
                if made.size() <= MAX_TYPE {
                    return Def::Type(made);
                }
                self.report(
                    Diagnostic::new(
                        Code::E0003,
                        item.name.span,
                        format!("`{name}` has more than {MAX_TYPE} fields in all"),
                    )
                    .label("too large")
                    .help("a type holds all the fields of the types that it is made of; leave some out"),
                );
                Def::Broken
            }
            ItemKind::Enum(members) => {
                let members = members.iter().map(|member| member.node.clone()).collect();
                Def::Type(Type::Enum { name: name.clone(), members })
            }
            ItemKind::Fn { params, output, body } => {
                let params = self.params(&mut place, params, Secrets::Refused);
                let output = self.ty(file, output);
                let (body, _) = self.value(&mut place, body, Some(&output));
                if output == Type::Model {
                    self.declared_shapes(&body, item.name.span);
                }
                self.function(name, params, output, body, FnBody::Expr)
            }
            ItemKind::Model { params, layers } => {
                let params = self.params(&mut place, params, Secrets::Refused);
                let (layers, ty) = self.expr(&mut place, layers, Some(&Type::Model));
                if !matches!(ty, Type::Model | Type::Unknown) && ty != super::types::std("Layer") {
                    self.mismatch(item.span, &Type::Model, &ty);
                }
                self.declared_shapes(&layers, item.name.span);
                self.function(name, params, Type::Model, layers, FnBody::Model)
            }
            ItemKind::Dataset { params, settings } => {
                let params = self.params(&mut place, params, Secrets::Refused);
                let fields = self.dataset(&mut place, item, settings);
                let body = Expr::Dataset(name.clone(), fields);
                self.function(name, params, Type::Dataset, body, FnBody::Expr)
            }
            ItemKind::ExternFn { .. } | ItemKind::ExternTask { .. } if !self.modules.get(file).is_std => {
                self.report(
                    Diagnostic::new(Code::E0007, item.span, "only `std` can declare `extern` items")
                        .help("write a `task` for what another program does, or a `fn` for a computation"),
                );
                Def::Broken
            }
            ItemKind::ExternFn { params, output } => {
                let params = self.params(&mut place, params, Secrets::Refused);
                let output = self.ty(file, output);
                let body = match (&**name, &output) {
                    ("spent", Type::Money) => FnBody::Context(Context::Spent),
                    ("elapsed", Type::Duration) => FnBody::Context(Context::Elapsed),
                    ("remaining", Type::Duration) => FnBody::Context(Context::Remaining),
                    ("run_id", Type::String) => FnBody::Context(Context::RunId),
                    (_, Type::Std(kind)) if !super::types::is_var(kind) => FnBody::Std,
                    (_, Type::Distribution(_)) => FnBody::Std,
                    _ => match stdlib::native(name) {
                        Some(native) => FnBody::Native(native),
                        // Every `extern fn` of `std` stands for something: a test holds it to that.
                        None => return Def::Broken,
                    },
                };
                Def::Fn(Rc::new(FnDef { name: name.clone(), params, output, body }))
            }
            ItemKind::ExternTask { .. } => Def::Broken,
            ItemKind::Task { params, output, settings } => {
                let params = self.params(&mut place, params, Secrets::Allowed);
                params.iter().for_each(|param| self.refuse_kept(&param.name, param.span));
                let output = match output {
                    Some(ty) => {
                        let output = self.ty(file, ty);
                        if !matches!(output, Type::Record(_) | Type::Unknown) {
                            self.mismatch(ty.span, &Type::record([]), &output);
                        } else if !output.is_data() {
                            self.report(
                                Diagnostic::new(Code::E0201, ty.span, "a task can't give this: its result is JSON")
                                    .label("holds what a program can't write")
                                    .help("give what it is made of, such as an `Artifact` for a file"),
                            );
                        }
                        output
                    }
                    None => Type::record([]),
                };
                let mut limits = self.limits(&mut place, &item.annotations, super::annotations::Target::Task);
                let (script, env, secrets) = self.task(&mut place, item, &params, settings, &mut limits);
                let own = params.iter().map(|param| (param.name.clone(), param.var)).collect();
                let (name, declared) = (name.clone(), item.name.span);
                let task = Task { name: name.clone(), declared, params: own, script, env, secrets, output };
                Def::Task(Rc::new(TaskDef { name, params, shared: Arc::new(task), limits }))
            }
            ItemKind::Workflow { params, output, body } => {
                // What a long workflow says is given up statement by statement, so that it is not in memory twice.
                let Some(body) = body.take() else { return Def::Broken };
                let workflow = self.workflow(place, item, params, output.as_ref(), body);
                if workflow.size <= MAX_STATEMENTS {
                    return Def::Workflow(Rc::new(workflow));
                }
                self.report(
                    Diagnostic::new(
                        Code::E0003,
                        item.name.span,
                        format!(
                            "`{name}` has more than {MAX_STATEMENTS} statements, with those of the workflows it runs"
                        ),
                    )
                    .label("too large")
                    .help("do the same for many things with a `for` instead"),
                );
                Def::Broken
            }
            ItemKind::Test(_) => Def::Broken,
        }
    }

    fn function(
        &mut self,
        name: &Name,
        params: Vec<ParamSig>,
        output: Type,
        body: Expr,
        kind: impl FnOnce(Arc<Function>) -> FnBody,
    ) -> Def {
        let vars = params.iter().map(|param| param.var).collect();
        let function = Arc::new(Function::new(name.clone(), vars, body));
        Def::Fn(Rc::new(FnDef { name: name.clone(), params, output, body: kind(function) }))
    }

    /// The parameters of a declaration, bound in `place`; their defaults may read the parameters before them.
    pub(super) fn params(&mut self, place: &mut Place, params: &[ast::Param], secrets: Secrets) -> Vec<ParamSig> {
        let mut sigs: Vec<ParamSig> = Vec::new();
        for param in params {
            let ty = self.ty(place.file, &param.ty);
            let is_secret = |annotation: &&ast::Annotation| &*annotation.name.node == "secret";
            let secret = param.annotations.iter().find(is_secret).filter(|_| secrets == Secrets::Allowed);
            match secret {
                Some(annotation) => self.secret_param(annotation, param, &ty),
                None => self.no_annotations(&param.annotations, "a parameter of this declaration"),
            }
            if let Some(first) = sigs.iter().find(|sig| sig.name == param.name.node) {
                self.report(
                    Diagnostic::new(Code::E0102, param.name.span, format!("`{}` is defined twice", param.name.node))
                        .label("defined again here")
                        .related(first.span, "first defined here"),
                );
                continue;
            }
            if let Some(default) = &param.default {
                self.value(place, default, Some(&ty));
            }
            let var = self.fresh();
            place.shifting.push(var);
            place.bind_param(&param.name.node, param.name.span, var, ty.clone(), secret.is_some());
            sigs.push(ParamSig {
                name: param.name.node.clone(),
                var,
                ty,
                secret: secret.is_some(),
                default: param.default.clone(),
                file: place.file,
                span: param.name.span,
            });
        }
        sigs
    }
}
