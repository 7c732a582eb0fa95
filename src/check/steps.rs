//! Steps: `run`, `train`, `search` and `evaluate`.

use super::{
    Checker,
    arguments::{Given, ParamSig},
    calls::exprs,
    definitions::{Def, FnBody, FnDef, ItemId},
    elastic::Written,
    expressions::broken,
    modules::Binding,
    program::{StmtKind, Workflow},
    scope::{Local, Meaning, Place},
    settings::Settings,
    types::std as std_type,
};
use crate::{
    diagnostic::{Code, Diagnostic},
    expr::{Expr, Var},
    limits::Limits,
    source::{Name, Spanned},
    step::{Evaluate, Horizon, Run, Train},
    syntax::ast::{self, ExprKind, ItemKind, Step, StepKind},
    types::Type,
    value::Value,
};
use std::{rc::Rc, sync::Arc};

/// Training settings that a dimension of a search sets by its name.
pub(super) const TUNABLE: [&str; 3] = ["batch", "epochs", "lr"];

impl Checker {
    /// What a step does, and the type of its outcome.
    pub(super) fn step(&mut self, place: &mut Place, step: &Step, limits: &mut Limits) -> (StmtKind, Type) {
        match step.kind.node {
            StepKind::Run => self.run(place, step, limits),
            StepKind::Train => self.train_step(place, step, limits),
            StepKind::Evaluate => self.evaluate(place, step),
            StepKind::Search => self.search(place, step, limits),
        }
    }

    pub(super) fn nothing(&self) -> (StmtKind, Type) {
        (StmtKind::Value(broken().0), Type::Unknown)
    }

    fn run(&mut self, place: &mut Place, step: &Step, limits: &mut Limits) -> (StmtKind, Type) {
        for setting in &step.settings {
            self.report(
                Diagnostic::new(Code::E0204, setting.name.span, "a `run` step has no settings")
                    .label("unknown setting")
                    .help("what a task needs is set in its declaration; what it works on is given in parentheses"),
            );
        }
        let Some(target) = &step.target else { return self.nothing() };
        let Some(id) = self.target(place, target) else { return self.nothing() };
        match self.def(id) {
            Def::Task(task) => {
                let given = self.arrange(&task.name, &task.params, None, &step.args, step.span);
                let mut args: Vec<(Name, Expr, Type)> = Vec::new();
                for (param, given) in task.params.iter().zip(given) {
                    let (expr, ty) = match given {
                        given if param.secret => {
                            (self.secret(place, &task.name, param, given, step.span), param.ty.clone())
                        }
                        Some(Given::Written(ast)) => self.value(place, ast, Some(&param.ty)),
                        Some(Given::Known(expr, ty, span)) => self.coerce(expr, ty, &param.ty, span),
                        None => self.default(&task.name, param, &args, step.span),
                    };
                    args.push((param.name.clone(), expr, ty));
                }
                let own = &task.limits;
                limits.retry = limits.retry.take().or_else(|| own.retry.clone());
                limits.timeout = limits.timeout.or(own.timeout);
                limits.memory = limits.memory.or(own.memory);
                limits.cpu = limits.cpu.or(own.cpu);
                limits.cache = limits.cache.or(own.cache);
                let run = Run { task: task.shared.clone(), args: exprs(args) };
                (StmtKind::Run(Box::new(run)), task.shared.output.clone())
            }
            Def::Workflow(workflow) => self.run_workflow(place, id, workflow, step),
            Def::Broken => self.nothing(),
            _ => {
                self.report(
                    Diagnostic::new(Code::E0201, target.span, "only a task or a workflow can be run")
                        .label("neither of them")
                        .help("`train`, `search` and `evaluate` take models; a function is called in an expression"),
                );
                self.nothing()
            }
        }
    }

    /// The declaration that a step or a stub names.
    pub(super) fn target(&mut self, place: &mut Place, target: &ast::Expr) -> Option<ItemId> {
        let id = match &target.kind {
            ExprKind::Name(name) => match self.modules.lookup(place.file, name) {
                Some(Binding::Item(id)) => Some(id),
                Some(Binding::Broken) => return None,
                _ => None,
            },
            ExprKind::Field(base, name) => match &base.kind {
                ExprKind::Name(module) => match self.modules.lookup(place.file, module) {
                    Some(Binding::Module(file)) => match self.modules.get(file).names.get(&name.node) {
                        Some((Binding::Item(id), _)) => Some(*id),
                        _ => None,
                    },
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        };
        if id.is_none() {
            let name = match &target.kind {
                ExprKind::Name(name) => name.clone(),
                _ => "this".into(),
            };
            if place.find(&name).is_some() {
                self.report(
                    Diagnostic::new(Code::E0201, target.span, format!("`{name}` is a value, not a task"))
                        .label("can't be run"),
                );
            } else {
                self.unknown_name(place, &name, target.span);
            }
        }
        id
    }

    fn run_workflow(&mut self, place: &mut Place, id: ItemId, workflow: Rc<Workflow>, step: &Step) -> (StmtKind, Type) {
        let modules = self.modules.clone();
        let ItemKind::Workflow { params: written, .. } = &modules.item(id).kind else { return self.nothing() };
        let sigs: Vec<ParamSig> = workflow
            .params
            .iter()
            .filter_map(|param| {
                let written = written.iter().find(|written| written.name.node == param.name)?;
                Some(ParamSig {
                    name: param.name.clone(),
                    var: param.var,
                    ty: param.ty.clone(),
                    secret: param.secret,
                    default: written.default.clone(),
                    file: id.file,
                    span: written.name.span,
                })
            })
            .collect();
        let given = self.arrange(&workflow.name, &sigs, None, &step.args, step.span);
        let mut args = Vec::new();
        for ((param, sig), given) in workflow.params.iter().zip(&sigs).zip(given) {
            let (expr, span) = match given {
                given if sig.secret => (self.secret(place, &workflow.name, sig, given, step.span), step.span),
                Some(Given::Written(ast)) => (self.value(place, ast, Some(&param.ty)).0, ast.span),
                Some(Given::Known(expr, ty, span)) => (self.coerce(expr, ty, &param.ty, span).0, span),
                None => (self.default(&workflow.name, sig, &[], step.span).0, step.span),
            };
            if let Expr::Const(value) = &expr
                && let Err(reason) = param.admits(value)
            {
                self.out_of_range(span, &format!("`{}` {reason}", param.name));
            }
            args.push(expr);
        }
        let output = workflow.output.clone();
        (StmtKind::Call { workflow, args }, output)
    }

    /// The model that a step works on. `seed` among the arguments is the training's, not the model's.
    pub(super) fn model(
        &mut self,
        place: &mut Place,
        step: &Step,
        dims: &[(Name, Var, Type)],
        used: &mut Vec<Name>,
    ) -> (Expr, Option<Expr>) {
        let Some(target) = &step.target else {
            self.report(
                Diagnostic::new(Code::E0202, step.kind.span, "a model is missing")
                    .help("name one: `train mlp(inputs: 64) { … }`"),
            );
            return (broken().0, None);
        };
        let (seeds, args): (Vec<_>, Vec<_>) =
            step.args.iter().cloned().partition(|arg| arg.name.as_ref().is_some_and(|name| &*name.node == "seed"));
        let seed = seeds.first().map(|arg| self.value(place, &arg.value, Some(&Type::Int)).0);
        if let Some(function) = self.model_def(place, target) {
            let mut given = self.arrange(&function.name, &function.params, None, &args, step.span);
            for (slot, param) in given.iter_mut().zip(&function.params) {
                let Some((name, var, ty)) = dims.iter().find(|(name, ..)| *name == param.name) else { continue };
                used.push(name.clone());
                match slot {
                    Some(Given::Written(ast)) => {
                        let span = ast.span;
                        self.report(
                            Diagnostic::new(
                                Code::E0204,
                                span,
                                format!("`{name}` is given here and searched for as well"),
                            )
                            .label("would be overruled")
                            .help("leave it out here, or out of the space"),
                        );
                    }
                    _ => *slot = Some(Given::Known(Expr::Var(*var), ty.clone(), step.span)),
                }
            }
            return (self.call_function(place, &function, &function.name, given, step.span).0, seed);
        }
        let (expr, ty) = self.expr(place, target, Some(&Type::Model));
        if !matches!(ty, Type::Model | Type::Unknown) {
            self.report(
                Diagnostic::new(Code::E0201, target.span, format!("expected a model, found `{ty}`"))
                    .label(format!("this is `{ty}`")),
            );
        } else if let Some(arg) = args.first().filter(|_| ty == Type::Model) {
            self.report(
                Diagnostic::new(Code::E0202, arg.value.span, "a finished model takes no argument but `seed`")
                    .label("already decided")
                    .help("to change its parameters, name the declaration: `train mlp(…)`"),
            );
        }
        (expr, seed)
    }

    fn model_def(&mut self, place: &mut Place, target: &ast::Expr) -> Option<Rc<FnDef>> {
        let id = match &target.kind {
            ExprKind::Name(name) if place.find(name).is_none() => match self.modules.lookup(place.file, name)? {
                Binding::Item(id) => id,
                _ => return None,
            },
            ExprKind::Field(base, name) => match &base.kind {
                ExprKind::Name(module) if place.find(module).is_none() => {
                    let Binding::Module(file) = self.modules.lookup(place.file, module)? else { return None };
                    match self.modules.get(file).names.get(&name.node)? {
                        (Binding::Item(id), _) => *id,
                        _ => return None,
                    }
                }
                _ => return None,
            },
            _ => return None,
        };
        match self.def(id) {
            Def::Fn(function) if matches!(function.body, FnBody::Model(_)) => Some(function),
            _ => None,
        }
    }

    fn train_step(&mut self, place: &mut Place, step: &Step, limits: &mut Limits) -> (StmtKind, Type) {
        let mut settings = Settings::new("a training", &step.settings, step.kind.span);
        let (model, seed) = self.model(place, step, &[], &mut Vec::new());
        let mut train = self.train(place, &mut settings, model, &[], &mut Vec::new(), limits);
        train.seed = train.seed.or(seed);
        if let Some((direction, setting)) = self.objective(place, &mut settings) {
            train.objective = Some((setting, direction));
        }
        settings.finish(self);
        self.trained_shapes(place, step, &train);
        let metrics = self.metrics_type(&train);
        let outcome = Type::record([
            ("model", Type::Model),
            ("weights", Type::Artifact),
            ("card", Type::Artifact),
            ("metrics", metrics.clone()),
            ("history", history_type(&metrics).list()),
            ("epochs", Type::Int),
            ("best_epoch", Type::Int),
            ("cost", Type::Money),
            ("elapsed", Type::Duration),
        ]);
        (StmtKind::Train(Box::new(train)), outcome)
    }

    /// The settings that trainings and searches share.
    pub(super) fn train(
        &mut self,
        place: &mut Place,
        settings: &mut Settings,
        model: Expr,
        dims: &[(Name, Var, Type)],
        used: &mut Vec<Name>,
        limits: &mut Limits,
    ) -> Train {
        let data = settings.required(self, place, "data", &Type::Dataset);
        let mut tunable =
            |this: &mut Self, place: &mut Place, settings: &mut Settings, name: &'static str, types: &[Type]| {
                let written = settings.ast(this, name);
                let dim = dims.iter().find(|(dim, ..)| &**dim == name).filter(|_| TUNABLE.contains(&name));
                match (written, dim) {
                    (Some(ast), Some((name, ..))) => {
                        used.push(name.clone());
                        this.report(
                            Diagnostic::new(
                                Code::E0204,
                                ast.span,
                                format!("`{name}` is set here and searched for as well"),
                            )
                            .label("would be overruled")
                            .help("leave it out here, or out of the space"),
                        );
                        None
                    }
                    (Some(ast), None) => Some(Spanned::new(this.one_of(place, ast, types), ast.span)),
                    (None, Some((name, var, given))) => {
                        used.push(name.clone());
                        let span = settings.span();
                        Some(Spanned::new(this.coerce(Expr::Var(*var), given.clone(), &types[0], span).0, span))
                    }
                    (None, None) => None,
                }
            };
        let batch = tunable(self, place, settings, "batch", &[Type::Int, std_type("Staged")]);
        let epochs = tunable(self, place, settings, "epochs", &[Type::Int]);
        let lr = tunable(self, place, settings, "lr", &[Type::Float]).map(|lr| lr.node);
        let horizon = self.horizon(place, settings, epochs);
        let team = self.team(place, settings, &batch);
        let valid = settings.value(self, place, "valid", &Type::Dataset);
        let optimizer = settings.value(self, place, "optimizer", &std_type("Optimizer"));
        let loss = settings.value(self, place, "loss", &std_type("Loss"));
        let schedule = settings.value(self, place, "schedule", &std_type("Schedule"));
        let metrics = settings.value(self, place, "metrics", &std_type("Metric").list());
        let init = settings.value(self, place, "init", &Type::Artifact.optional());
        let seed = settings.value(self, place, "seed", &Type::Int);
        let until = settings.ast(self, "until").map(|ast| self.over_metrics(place, ast, &Type::Bool));
        limits.memory = self.memory(place, settings).or(limits.memory);
        Train {
            model,
            data,
            valid,
            optimizer,
            lr,
            loss,
            schedule,
            batch: batch.map(|batch| batch.node),
            horizon,
            until,
            objective: None,
            metrics,
            init,
            seed,
            team,
        }
    }

    /// How long a training lasts.
    fn horizon(&mut self, place: &mut Place, settings: &mut Settings, epochs: Written) -> Horizon {
        let Some(ast) = settings.ast(self, "steps") else { return Horizon::Epochs(epochs.map(|epochs| epochs.node)) };
        let steps = self.value(place, ast, Some(&Type::Int)).0;
        if let Some(epochs) = epochs {
            self.report(
                Diagnostic::new(Code::E0204, ast.span, "a training lasts for `epochs` or for `steps`, not for both")
                    .label("a second length")
                    .related(epochs.span, "the first")
                    .help("leave one of them out"),
            );
        }
        Horizon::Steps(steps)
    }

    /// An expression over the metrics of an epoch.
    fn over_metrics(&mut self, place: &mut Place, ast: &ast::Expr, wanted: &Type) -> Expr {
        let depth = place.locals.len();
        for (name, var) in [("train", Var::TRAIN), ("valid", Var::VALID)] {
            place.locals.push(Local { name: name.into(), meaning: Meaning::Metrics(var), span: ast.span, used: true });
        }
        place.bind(&"epoch".into(), ast.span, Expr::Var(Var::EPOCH), Type::Int);
        let expr = self.value(place, ast, Some(wanted)).0;
        place.leave(depth);
        expr
    }

    /// `maximize` or `minimize`: whether larger is better, and of what.
    pub(super) fn objective(&mut self, place: &mut Place, settings: &mut Settings) -> Option<(bool, Expr)> {
        let maximize = settings.ast(self, "maximize");
        let minimize = settings.ast(self, "minimize");
        if let (Some(_), Some(second)) = (maximize, minimize) {
            self.report(
                Diagnostic::new(
                    Code::E0204,
                    second.span,
                    "a search has one objective: `maximize` or `minimize`, not both",
                )
                .label("a second objective"),
            );
        }
        let (larger, ast) = maximize.map(|ast| (true, ast)).or_else(|| minimize.map(|ast| (false, ast)))?;
        Some((larger, self.over_metrics(place, ast, &Type::Float)))
    }

    fn evaluate(&mut self, place: &mut Place, step: &Step) -> (StmtKind, Type) {
        let mut settings = Settings::new("an evaluation", &step.settings, step.kind.span);
        let (model, seed) = self.model(place, step, &[], &mut Vec::new());
        if seed.is_some() {
            self.report(Diagnostic::new(Code::E0202, step.span, "an evaluation draws nothing, so it takes no `seed`"));
        }
        let data = settings.required(self, place, "data", &Type::Dataset);
        let before = self.mistakes();
        let metrics = settings.required(self, place, "metrics", &std_type("Metric").list());
        settings.finish(self);
        let fields = match &metrics {
            // A mistake in the metrics was told of, and leaves the fields unknown.
            _ if self.mistakes() > before => Type::Unknown,
            Expr::Const(Value::List(_)) => {
                let names = metric_fields(Some(&metrics));
                Type::Record(Arc::new(names.into_iter().map(|name| (name, Type::Float)).collect()))
            }
            _ => {
                let span = step.settings.iter().find(|setting| &*setting.name.node == "metrics");
                self.report(
                    Diagnostic::new(
                        Code::E0303,
                        span.map_or(step.span, |setting| setting.span),
                        "the metrics must be known before the run, for their names are the fields of the result",
                    )
                    .label("depends on a parameter or a step"),
                );
                Type::Unknown
            }
        };
        let evaluate = Evaluate { model, data, metrics };
        self.judged_shapes(place, step, &evaluate);
        (StmtKind::Evaluate(Box::new(evaluate)), fields)
    }

    /// The type of the metrics that a training reports.
    pub(super) fn metrics_type(&self, train: &Train) -> Type {
        let mut fields = metric_fields(train.metrics.as_ref());
        fields.push("loss".into());
        let mut valid = fields.clone();
        let mut own = fields;
        for expr in train.until.iter().chain(train.objective.as_ref().map(|(expr, _)| expr)) {
            expr.fields_of(Var::TRAIN, &mut |name| own.push(name.clone()));
            expr.fields_of(Var::VALID, &mut |name| valid.push(name.clone()));
        }
        let record =
            |names: Vec<Name>| Type::Record(Arc::new(names.into_iter().map(|name| (name, Type::Float)).collect()));
        Type::record([("train", record(own)), ("valid", record(valid))])
    }
}

fn metric_fields(metrics: Option<&Expr>) -> Vec<Name> {
    let names = match metrics {
        Some(Expr::Const(Value::List(metrics))) => metrics.as_slice(),
        _ => &[],
    };
    let name = |metric: &Value| match metric {
        Value::Std(call) => Some(call.name.clone()),
        _ => None,
    };
    names.iter().filter_map(name).collect()
}

fn history_type(metrics: &Type) -> Type {
    let mut fields = match metrics {
        Type::Record(fields) => (**fields).clone(),
        _ => Default::default(),
    };
    fields.insert("epoch".into(), Type::Int);
    Type::Record(Arc::new(fields))
}
