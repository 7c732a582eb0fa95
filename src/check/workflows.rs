//! Workflows: parameters, statements, and the values of blocks.

use super::{
    Checker,
    annotations::{Around, Target},
    bounds,
    definitions::{Def, ItemId},
    operators,
    program::{Body, Program, Stmt, StmtKind, Workflow},
    scope::{Local, Meaning, Place},
};
use crate::{
    diagnostic::{Code, Diagnostic, Severity},
    expr::{Expr, Var},
    limits::{Limits, OnMiss},
    source::{Name, Span, Spanned},
    step::{Param, Trial},
    syntax::ast::{self, Block, ExprKind, Flow, ItemKind, Rhs},
    types::Type,
    value::Value,
    wire::is_taken_variable,
};
use std::borrow::Borrow;

impl Checker {
    /// The whole program: every declaration of every file of the user's, and the workflows of the root file.
    pub(super) fn program(&mut self) -> Program {
        let modules = self.modules.clone();
        let mut program = Program::default();
        for (file, module) in modules.all() {
            for (index, item) in module.ast.items.iter().enumerate() {
                match &item.kind {
                    ItemKind::Test(body) => {
                        let test = body.take().map(|body| self.test(file, item, body));
                        program.tests.extend(test.filter(|_| file == modules.root));
                    }
                    _ => {
                        if let Def::Workflow(workflow) = self.def(ItemId { file, index })
                            && file == modules.root
                        {
                            program.workflows.push(workflow);
                        }
                    }
                }
            }
        }
        program.secrets = std::mem::take(&mut self.secrets);
        // What could not be read, or was not looked at for a mistake, may use any of them.
        let all_seen = self.diagnostics.iter().all(|diagnostic| diagnostic.severity() != Severity::Error);
        for (span, name) in modules.unused().into_iter().filter(|_| all_seen) {
            self.report(
                Diagnostic::new(Code::W1002, span, format!("`{name}` is imported and never used"))
                    .label("unused")
                    .help("leave it out of the import"),
            );
        }
        program
    }

    pub(super) fn workflow(
        &mut self,
        mut place: Place,
        item: &ast::Item,
        params: &[ast::Param],
        output: Option<&ast::Type>,
        mut body: Block,
    ) -> Workflow {
        let mut own: Vec<Param> = Vec::new();
        for param in params {
            if let Some(first) = place.locals.since(0, &param.name.node) {
                self.report(
                    Diagnostic::new(Code::E0102, param.name.span, format!("`{}` is defined twice", param.name.node))
                        .label("defined again here")
                        .related(first.span, "first defined here"),
                );
                continue;
            }
            let param = self.param(place.file, param);
            place.bind_param(&param.0.name, param.1, param.0.var, param.0.ty.clone(), param.0.secret);
            own.push(param.0);
        }
        let limits = self.limits(&mut place, &item.annotations, Target::Workflow);
        let wanted = output.map(|ty| self.ty(place.file, ty));
        place.around = Around::default().inside(&limits);
        let stmts = drained(std::mem::take(&mut body.stmts));
        let (body, output) = self.statements(&mut place, stmts, &body, wanted.as_ref());
        let workflow = Workflow {
            name: item.name.node.clone(),
            doc: item.doc.clone(),
            params: own,
            limits,
            output,
            size: body.size(),
            body,
            span: item.name.span,
        };
        bounds::check(&workflow, &mut |diagnostic| self.report(diagnostic));
        workflow
    }

    fn param(&mut self, file: crate::source::FileId, param: &ast::Param) -> (Param, Span) {
        let mut place = Place::new(file);
        let ty = self.ty(file, &param.ty);
        if !ty.is_data() {
            self.report(
                Diagnostic::new(Code::E0201, param.ty.span, format!("a parameter of a workflow can't be a `{ty}`"))
                    .label("can't come from a command line")
                    .help("take what it is made of, such as a path, and build it in the workflow"),
            );
        }
        let default = param.default.as_ref().and_then(|default| self.constant(&mut place, default, &ty));
        let name = param.name.node.clone();
        let var = self.fresh();
        if let Some(secret) = param.annotations.iter().find(|annotation| &*annotation.name.node == "secret") {
            self.secret_param(secret, param, &ty);
            let own = Param { name, var, ty, default: None, range: None, one_of: Vec::new(), secret: true };
            let variable = own.variable();
            if is_taken_variable(&variable) {
                let name = &own.name;
                self.report(
                    Diagnostic::new(Code::E0208, param.name.span, format!("a secret can't be called `{name}`"))
                        .label(format!("would be read from `{variable}`"))
                        .help(format!("that variable tells programs how to work; call it `{name}_secret` or so")),
                );
            }
            self.secrets.insert(variable.into());
            return (own, param.name.span);
        }
        let (mut range, mut one_of) = (None, Vec::new());
        for annotation in &param.annotations {
            match (&*annotation.name.node, annotation.args.as_slice()) {
                ("range", [arg]) => {
                    let wanted = Type::Range(Box::new(ty.clone()));
                    if let Some(Value::Range(ends)) = self.constant(&mut place, &arg.value, &wanted) {
                        let to_ty = |value: Value| match (&ty, value) {
                            (Type::Float, Value::Int(int)) => Value::Float(int as f64),
                            (_, value) => value,
                        };
                        range = Some((to_ty(ends.0), to_ty(ends.1)));
                    }
                }
                ("one_of", [arg]) => {
                    if let Some(Value::List(values)) = self.constant(&mut place, &arg.value, &ty.clone().list()) {
                        one_of = values;
                    }
                }
                ("range" | "one_of", _) => self.report(
                    Diagnostic::new(
                        Code::E0202,
                        annotation.span,
                        format!("`@{}` takes one argument", annotation.name.node),
                    )
                    .help("write `@range(1..256)` or `@one_of([\"a\", \"b\"])`"),
                ),
                _ => self.misplaced(annotation, "a parameter"),
            }
        }
        let own = Param { name, var, ty, default, range, one_of, secret: false };
        if let (Some(default), Some(written)) = (&own.default, &param.default)
            && let Err(reason) = own.admits(default)
        {
            self.out_of_range(written.span, &format!("the default of `{}` {reason}", own.name));
        }
        (own, param.name.span)
    }

    /// A block: its statements, and its value and that value's type.
    pub(super) fn block(&mut self, place: &mut Place, block: &Block, wanted: Option<&Type>) -> (Body, Type) {
        self.statements(place, block.stmts.iter(), block, wanted)
    }

    /// A block with these statements in the place of its own.
    fn statements(
        &mut self,
        place: &mut Place,
        stmts: impl Iterator<Item = impl Borrow<ast::Stmt>>,
        block: &Block,
        wanted: Option<&Type>,
    ) -> (Body, Type) {
        let depth = place.locals.len();
        place.open();
        let (mut last, mut last_span) = (None, block.span);
        for stmt in stmts {
            let stmt = stmt.borrow();
            last = self.stmt(place, stmt, depth);
            last_span = stmt.span;
        }
        let (result, ty) = match (&block.result, last) {
            (Some(result), _) => {
                let (expr, ty) = self.value(place, result, wanted);
                (Some(expr), ty)
            }
            (None, Some((var, ty))) if !block.broken => match wanted {
                Some(wanted) => {
                    let (expr, ty) = self.coerce(Expr::Var(var), ty, wanted, last_span);
                    (Some(expr), ty)
                }
                None => (Some(Expr::Var(var)), ty),
            },
            (None, _) if block.broken => (None, Type::Unknown),
            (None, _) => {
                let empty = Type::record([]);
                match wanted {
                    Some(wanted) if !wanted.accepts(&empty) => {
                        self.report(
                            Diagnostic::new(
                                Code::E0201,
                                block.span,
                                format!("this block has no value, but must be `{wanted}`"),
                            )
                            .help("end it with an expression"),
                        );
                        (None, Type::Unknown)
                    }
                    _ => (None, empty),
                }
            }
        };
        let locals: Vec<Local> = place.left(depth).collect();
        if !block.broken {
            self.unused(locals);
        }
        let span = block.result.as_ref().map_or(block.span, |result| result.span);
        (Body { stmts: place.close(), result: result.map(|result| Box::new(Spanned::new(result, span))) }, ty)
    }

    /// Warns of names that nothing reads.
    pub(super) fn unused(&mut self, locals: Vec<Local>) {
        for local in locals.iter().filter(|local| !local.used && !local.name.starts_with('_') && local.is_pure()) {
            self.report(
                Diagnostic::new(Code::W1002, local.span, format!("`{}` is never used", local.name))
                    .label("unused")
                    .help(format!("leave it out, or call it `_{}`", local.name)),
            );
        }
    }

    /// A statement; its outcome, when it has one that could be the block's value.
    fn stmt(&mut self, place: &mut Place, stmt: &ast::Stmt, depth: usize) -> Option<(Var, Type)> {
        match &stmt.kind {
            ast::StmtKind::Let { name, ty, value } => {
                if let Some(first) = place.locals.since(depth, &name.node) {
                    let first = first.span;
                    self.report(
                        Diagnostic::new(Code::E0102, name.span, format!("`{}` is defined twice", name.node))
                            .label("defined again here")
                            .related(first, "first defined here"),
                    );
                }
                let wanted = ty.as_ref().map(|ty| self.ty(place.file, ty));
                match value {
                    Rhs::Expr(value) => {
                        self.no_annotations(&stmt.annotations, "a plain value");
                        let (expr, ty) = self.value(place, value, wanted.as_ref());
                        let expr = match expr {
                            // What is known now needs no node, and neither does another name for an outcome.
                            Expr::Const(_) | Expr::Var(_) => expr,
                            expr => {
                                let var = self.fresh();
                                place.push(Stmt {
                                    name: Some(name.node.clone()),
                                    var,
                                    kind: Box::new(StmtKind::Value(expr)),
                                    after: Vec::new(),
                                    limits: None,
                                    span: stmt.span,
                                });
                                Expr::Var(var)
                            }
                        };
                        place.bind(&name.node, name.span, expr, ty);
                    }
                    Rhs::Flow(flow) => {
                        let (var, ty) =
                            self.flow(place, Some(&name.node), flow, &stmt.annotations, stmt.span, wanted.as_ref());
                        place.bind(&name.node, name.span, Expr::Var(var), ty);
                        if let Some(local) = place.locals.last_mut() {
                            // A step has effects: its outcome need not be read.
                            local.used = true;
                        }
                    }
                }
                None
            }
            ast::StmtKind::Assert { cond, message } => {
                self.no_annotations(&stmt.annotations, "an `assert`");
                let cond = self.value(place, cond, Some(&Type::Bool)).0;
                let message =
                    message.as_ref().map(|message| Box::new(self.value(place, message, Some(&Type::String)).0));
                if cond == Expr::Const(Value::Bool(false)) {
                    self.report(Diagnostic::new(Code::E0302, stmt.span, "this can never hold").label("always false"));
                }
                let var = self.fresh();
                let kind = Box::new(StmtKind::Assert { cond, message });
                place.push(Stmt { name: None, var, kind, after: Vec::new(), limits: None, span: stmt.span });
                None
            }
            ast::StmtKind::Flow(flow) => Some(self.flow(place, None, flow, &stmt.annotations, stmt.span, None)),
        }
    }

    pub(super) fn flow(
        &mut self,
        place: &mut Place,
        name: Option<&Name>,
        flow: &Flow,
        annotations: &[ast::Annotation],
        span: Span,
        wanted: Option<&Type>,
    ) -> (Var, Type) {
        let target = match flow {
            Flow::Step(step) if step.kind.node != ast::StepKind::Search => Target::Step,
            _ => Target::Scope,
        };
        let mut limits = self.limits(place, annotations, target);
        let around = place.around;
        place.around = around.inside(&limits);
        let mut after = Vec::new();
        let (kind, ty) = match flow {
            Flow::Step(step) => {
                after = self.after(place, &step.after);
                self.step(place, step, &mut limits)
            }
            Flow::For { name, list, body } => self.for_flow(place, name, list, body, wanted),
            Flow::If { cond, then, otherwise } => self.if_flow(place, cond, then, otherwise.as_deref(), wanted),
            Flow::Group(body) => {
                let (body, ty) = self.block(place, body, wanted);
                (StmtKind::Group(body), ty)
            }
            Flow::Try { body, catches } => self.try_flow(place, body, catches, around, wanted),
            Flow::Repeat { times, carried, cond, body } => {
                self.repeat_flow(place, times, carried.as_deref(), cond.as_deref(), body)
            }
        };
        place.around = around;
        let optional = limits.has(OnMiss::Skip);
        let ty = if optional { ty.optional() } else { ty };
        let ty = match wanted {
            Some(wanted) if !wanted.accepts(&ty) => {
                self.mismatch(span, wanted, &ty);
                Type::Unknown
            }
            Some(wanted) if wanted.widens(&ty) => {
                let outcome = self.fresh();
                let limits = boxed(limits);
                place.push(Stmt { name: name.cloned(), var: outcome, kind: Box::new(kind), after, limits, span });
                let (var, kind) = (self.fresh(), StmtKind::Value(operators::widen(Expr::Var(outcome), &ty, wanted)));
                place.push(Stmt { name: None, var, kind: Box::new(kind), after: Vec::new(), limits: None, span });
                return (var, wanted.clone());
            }
            Some(wanted) => wanted.clone(),
            None => ty,
        };
        let (var, limits) = (self.fresh(), boxed(limits));
        place.push(Stmt { name: name.cloned(), var, kind: Box::new(kind), after, limits, span });
        (var, ty)
    }

    fn after(&mut self, place: &mut Place, names: &[ast::Ident]) -> Vec<Var> {
        let mut vars = Vec::new();
        for name in names {
            let ident = ast::Expr { kind: ExprKind::Name(name.node.clone()), span: name.span };
            let (expr, ty) = self.expr(place, &ident, None);
            match expr {
                Expr::Var(var) => vars.push(var),
                _ if ty == Type::Unknown => {}
                _ => self.report(
                    Diagnostic::new(Code::E0201, name.span, format!("`{}` is not a step", name.node))
                        .label("nothing to wait for")
                        .help("`after` takes the names of steps: `let a = run …`"),
                ),
            }
        }
        vars
    }
}

/// Statements in order, whose memory is given back as they go.
fn drained(mut stmts: Vec<ast::Stmt>) -> impl Iterator<Item = ast::Stmt> {
    stmts.reverse();
    std::iter::from_fn(move || {
        if stmts.len() < stmts.capacity() / 2 {
            stmts.shrink_to_fit();
        }
        stmts.pop()
    })
}

fn boxed(limits: Limits) -> Option<Box<Limits>> {
    (limits != Limits::default()).then(|| Box::new(limits))
}

impl Body {
    /// Its statements, with all inside them and those of the workflows that they run.
    fn size(&self) -> usize {
        let inner = |stmt: &Stmt| match &*stmt.kind {
            StmtKind::For { body, .. } | StmtKind::Group(body) | StmtKind::Repeat { body, .. } => body.size(),
            StmtKind::If { then, otherwise, .. } => then.size() + otherwise.as_ref().map_or(0, Self::size),
            StmtKind::Try { body, catches } => {
                body.size() + catches.iter().map(|catch| catch.body.size()).sum::<usize>()
            }
            StmtKind::Search(search) => match &search.trial {
                Trial::Steps { body, .. } => body.size(),
                Trial::Train(_) => 0,
            },
            StmtKind::Call { workflow, .. } => workflow.size,
            _ => 0,
        };
        self.stmts.iter().map(|stmt| inner(stmt) + 1).sum()
    }
}

impl Local {
    /// Whether leaving the name out would change nothing.
    fn is_pure(&self) -> bool {
        matches!(&self.meaning, Meaning::Value(..))
    }
}
