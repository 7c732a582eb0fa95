//! `search`: over the trainings of a model, or over any steps.

use super::{
    Checker,
    definitions::Def,
    modules::Binding,
    program::{Body, StmtKind},
    scope::{Local, Meaning, Place},
    settings::Settings,
    steps::TUNABLE,
    types::std as std_type,
};
use crate::{
    diagnostic::{Code, Diagnostic, similar},
    expr::{Expr, Var},
    limits::Limits,
    search::{Distribution, check_strategy, has_rungs},
    source::{Name, Span},
    step::{Dimension, Horizon, Search, Train, Trial},
    syntax::ast::{self, ExprKind, Setting, SettingValue, Step},
    types::Type,
    value::{Site, Value},
};
use std::{collections::BTreeSet, sync::Arc};

/// The dimensions of a search as the settings of its trials see them: the name, the variable, the type.
pub type Dims = Vec<(Name, Var, Type)>;

/// What a search tries, beside its space.
struct Tried {
    trial: Trial<Body>,
    seed: Option<Expr>,
    /// The dimensions that set something by their name alone.
    used: Vec<Name>,
    /// Fields of the outcome that this kind of search alone has, and those of the records of its trials.
    outcome: Vec<(&'static str, Type)>,
    record: Vec<(&'static str, Type)>,
}

impl Checker {
    pub(super) fn search(&mut self, place: &mut Place, step: &Step, limits: &mut Limits) -> (StmtKind, Type) {
        let owner = if step.target.is_some() { "a search of a model" } else { "a search over steps" };
        let mut settings = Settings::new(owner, &step.settings, step.kind.span);
        if step.target.is_none() && !step.settings.iter().any(|setting| &*setting.name.node == "objective") {
            self.report(
                Diagnostic::new(Code::E0204, step.kind.span, "a search needs a model, or an `objective`")
                    .label("nothing to try")
                    .help(
                        "name a model, `search mlp(inputs: 64) { … }`, or say what a trial does: `objective { let r = run job(space.x)  r.loss }`",
                    ),
            );
            return self.nothing();
        }
        let space = settings.block(self, "space");
        // What could not be read may have taken it along.
        if space.is_none_or(<[Setting]>::is_empty) && !step.settings.iter().any(Setting::is_broken) {
            self.report(
                Diagnostic::new(Code::E0204, step.kind.span, "a search needs a `space` with at least one dimension")
                    .label("nothing to search")
                    .help("add one: `space { lr: log_uniform(1e-4, 1e-1) }`"),
            );
        }
        let (space, dims) = self.space(place, space.unwrap_or_default());
        let strategy = self.strategy(place, &mut settings, step);
        let parallel = settings.value(self, place, "parallel", &Type::Int);

        // Inside a trial the dimensions have values; outside they are known as `space` alone.
        let depth = place.locals.len();
        let shifting = place.shifting.len();
        place.shifting.extend(dims.iter().map(|(_, var, _)| *var));
        let meaning = Meaning::Space(dims.clone());
        place.locals.push(Local { name: "space".into(), meaning, span: step.span, used: true });
        let tried = match &step.target {
            Some(_) => self.trainings(place, &mut settings, step, &dims, limits),
            None => self.trial_steps(place, &mut settings, step),
        };
        place.leave(depth);
        place.shifting.truncate(shifting);
        settings.finish(self);
        self.unused_dimensions(&space, &tried, step);
        if let Trial::Train(train) = &tried.trial {
            self.trained_shapes(place, step, train);
            self.rungs_count_epochs(&strategy, train, step);
        }

        let params = dims.iter().zip(&space).map(|((name, _, ty), dimension)| {
            let ty = if dimension.0.cond.is_some() { ty.clone().optional() } else { ty.clone() };
            (name.clone(), ty)
        });
        let params = Type::Record(Arc::new(params.collect()));
        let record = [("trial", Type::Int), ("params", params.clone()), ("value", Type::Float.optional())];
        let outcome = [
            ("params", params),
            ("value", Type::Float),
            ("trials", Type::record(record.into_iter().chain(tried.record)).list()),
            ("cost", Type::Money),
            ("elapsed", Type::Duration),
        ];
        let outcome = Type::record(outcome.into_iter().chain(tried.outcome));
        let space = space.into_iter().map(|(dimension, _)| dimension).collect();
        let search = Search { space, strategy, parallel, seed: tried.seed, trial: tried.trial };
        (StmtKind::Search(Box::new(search)), outcome)
    }

    fn strategy(&mut self, place: &mut Place, settings: &mut Settings, step: &Step) -> Expr {
        let Some(written) = settings.ast(self, "strategy") else {
            let args = [("trials".into(), Expr::Const(Value::Int(20)))];
            return Expr::Std("random".into(), args.into(), Site::default());
        };
        let before = self.mistakes();
        let strategy = self.value(place, written, Some(&std_type("Strategy"))).0;
        let Expr::Const(Value::Std(call)) = &strategy else { return strategy };
        if self.mistakes() > before {
            return strategy;
        }
        if let Err(error) = check_strategy(call) {
            self.out_of_range(written.span, &error.to_string());
        }
        if step.target.is_none() && has_rungs(&call.name) {
            self.report(
                Diagnostic::new(
                    Code::E0204,
                    written.span,
                    format!("`{}` ends trainings early, but an `objective` has no epochs", call.name),
                )
                .label("for searches of a model")
                .help("use a strategy of whole trials: `random(trials: 50)`"),
            );
        }
        strategy
    }

    /// Reports a length in steps where the strategy sets one in epochs.
    fn rungs_count_epochs(&mut self, strategy: &Expr, train: &Train, step: &Step) {
        let steps = step.settings.iter().find(|setting| &*setting.name.node == "steps");
        if let (Expr::Const(Value::Std(call)), Horizon::Steps(_), Some(steps)) = (strategy, &train.horizon, steps)
            && has_rungs(&call.name)
        {
            self.report(
                Diagnostic::new(Code::E0204, steps.span, format!("`{}` counts in epochs, not in `steps`", call.name))
                    .label("has no effect")
                    .help(format!("leave it out, and set `max_epochs` of `{}`", call.name)),
            );
        }
    }

    /// The trials of a search of a model.
    fn trainings(
        &mut self,
        place: &mut Place,
        settings: &mut Settings,
        step: &Step,
        dims: &Dims,
        limits: &mut Limits,
    ) -> Tried {
        let block = settings.refuse(self, "objective");
        if let Some(setting) = block {
            settings.refuse(self, "direction");
            self.report(
                Diagnostic::new(Code::E0204, setting.name.span, "a search of a model has no `objective` block")
                    .label("for searches over steps")
                    .help(
                        "say which metric is best, `maximize: valid.accuracy`, or leave the model out: `search { … }`",
                    ),
            );
        }
        let mut used = Vec::new();
        let (model, seed) = self.model(place, step, dims, &mut used);
        let mut train = self.train(place, settings, model, dims, &mut used, limits);
        let seed = train.seed.take().or(seed);
        match self.objective(place, settings) {
            Some((larger, expr)) => train.objective = Some((expr, larger)),
            None if block.is_some() || settings.misspelt(&["maximize", "minimize"]) => {}
            None => self.report(
                Diagnostic::new(Code::E0204, step.kind.span, "a search needs an objective")
                    .label("no objective")
                    .help("say what is best: `maximize: valid.accuracy` or `minimize: valid.loss`"),
            ),
        }
        let outcome = vec![
            ("model", Type::Model),
            ("weights", Type::Artifact),
            ("metrics", self.metrics_type(&train)),
            ("epochs", Type::Int),
        ];
        Tried { trial: Trial::Train(Box::new(train)), seed, used, outcome, record: vec![("epochs", Type::Int)] }
    }

    /// The trials of a search over steps.
    fn trial_steps(&mut self, place: &mut Place, settings: &mut Settings, step: &Step) -> Tried {
        let seed = settings.value(self, place, "seed", &Type::Int);
        let larger = self.direction(settings, step);
        let (body, ty) = match settings.statements(self, "objective") {
            Some(block) => {
                let (body, ty) = self.block(place, block, None);
                let last = block.stmts.last().map_or(block.span, |stmt| stmt.span);
                let span = block.result.as_ref().map_or(last, |result| result.span);
                self.judges(&ty, span);
                (body, ty)
            }
            None => (Body::default(), Type::Unknown),
        };
        let trial = Trial::Steps { body, larger };
        Tried { trial, seed, used: Vec::new(), outcome: vec![("best", ty)], record: Vec::new() }
    }

    /// `direction: minimize` or `direction: maximize`: whether larger is better.
    fn direction(&mut self, settings: &mut Settings, step: &Step) -> bool {
        let metrics = ["maximize", "minimize"].map(|name| settings.refuse(self, name));
        for setting in metrics.into_iter().flatten() {
            let name = &setting.name.node;
            self.report(
                Diagnostic::new(
                    Code::E0204,
                    setting.span,
                    "a search over steps is judged by the value of its `objective`",
                )
                .label("for searches of a model")
                .help(format!("write `direction: {name}`, and end the `objective` with the number")),
            );
        }
        let Some(written) = settings.ast(self, "direction") else {
            let written = step.settings.iter().any(|setting| &*setting.name.node == "direction");
            if !written && metrics.iter().all(Option::is_none) && !settings.misspelt(&["direction"]) {
                self.report(
                    Diagnostic::new(Code::E0204, step.kind.span, "a search over steps needs a `direction`")
                        .label("which values are better?")
                        .help("add `direction: minimize` or `direction: maximize`"),
                );
            }
            return false;
        };
        match &written.kind {
            ExprKind::Name(name) if &**name == "maximize" => true,
            ExprKind::Name(name) if &**name == "minimize" => false,
            ExprKind::Broken => false,
            kind => {
                let text = match kind {
                    ExprKind::Name(name) => Some(&**name),
                    ExprKind::String(pieces) => match pieces.as_slice() {
                        [ast::Piece::Text(text)] => Some(&**text),
                        _ => None,
                    },
                    _ => None,
                };
                let near = text.and_then(|text| similar(text, ["minimize", "maximize"])).unwrap_or("minimize");
                self.report(
                    Diagnostic::new(Code::E0204, written.span, "`direction` is `minimize` or `maximize`")
                        .label("neither of them")
                        .help(format!("write `direction: {near}`"))
                        .fix(written.span, near),
                );
                false
            }
        }
    }

    /// Reports the value of an objective by which no trial can be judged.
    fn judges(&mut self, ty: &Type, span: Span) {
        let is_number = |ty: &Type| matches!(ty, Type::Int | Type::Float | Type::Unknown);
        let may_be_number = |ty: &Type| is_number(ty) || matches!(ty, Type::Optional(inner) if is_number(inner));
        let fields = match ty {
            Type::Record(fields) if fields.get("value").is_some_and(may_be_number) => return,
            _ if may_be_number(ty) => return,
            Type::Record(fields) => fields.iter().find(|(_, ty)| is_number(ty)).map(|(name, _)| name),
            _ => None,
        };
        let help = match fields {
            Some(field) => format!("end the `objective` with the number to judge by, such as its `{field}`"),
            None => "end the `objective` with the number to judge by: `result.loss`".into(),
        };
        self.report(
            Diagnostic::new(
                Code::E0201,
                span,
                format!("an objective is a number, or a record with a number `value`, not `{}`", ty.brief()),
            )
            .label(format!("this is `{}`", ty.brief()))
            .help(help),
        );
    }

    /// The dimensions, with the place of each name.
    fn space(&mut self, place: &mut Place, settings: &[Setting]) -> (Vec<(Dimension, Span)>, Dims) {
        let (mut space, mut dims): (Vec<(Dimension, Span)>, Dims) = Default::default();
        for setting in settings {
            self.no_annotations(&setting.annotations, "a dimension");
            let name = &setting.name.node;
            if let Some((_, first)) = space.iter().find(|(dimension, _)| dimension.name == *name) {
                self.report(
                    Diagnostic::new(Code::E0204, setting.name.span, format!("`{name}` is a dimension twice"))
                        .label("again here")
                        .related(*first, "first here"),
                );
                continue;
            }
            let SettingValue::Expr { value, cond } = &setting.value else {
                self.report(
                    Diagnostic::new(Code::E0204, setting.name.span, "a dimension holds a distribution")
                        .help(format!("write `{name}: uniform(0, 1)`")),
                );
                continue;
            };
            let before = self.mistakes();
            let (distribution, ty) = self.expr(place, value, None);
            let ty = match ty {
                Type::Distribution(inner) => *inner,
                Type::Unknown => Type::Unknown,
                other => {
                    self.report(
                        Diagnostic::new(Code::E0201, value.span, format!("expected a distribution, found `{other}`"))
                            .label(format!("this is `{other}`"))
                            .help("draw from one of `std/space`: `choice([32, 64])`, `uniform(0, 1)`"),
                    );
                    Type::Unknown
                }
            };
            if let Expr::Const(known @ Value::Std(_)) = &distribution
                && self.mistakes() == before
                && let Err(error) = Distribution::parse(name, known)
            {
                self.out_of_range(value.span, &error.to_string());
            }
            let depth = place.locals.len();
            for (dim, var, ty) in &dims {
                place.bind(dim, setting.name.span, Expr::Var(*var), ty.clone());
            }
            let cond = cond.as_ref().map(|cond| self.value(place, cond, Some(&Type::Bool)).0);
            place.leave(depth);
            let var = self.fresh();
            dims.push((name.clone(), var, if cond.is_some() { ty.optional() } else { ty }));
            space.push((Dimension { name: name.clone(), var, distribution, cond }, setting.name.span));
        }
        (space, dims)
    }

    fn unused_dimensions(&mut self, space: &[(Dimension, Span)], tried: &Tried, step: &Step) {
        // A setting beyond reading may be where they are read.
        if step.settings.iter().any(Setting::is_broken) {
            return;
        }
        let mut read = BTreeSet::new();
        tried.trial.read_into(&mut read);
        space.iter().filter_map(|(dimension, _)| dimension.cond.as_ref()).for_each(|cond| {
            cond.free_vars(&mut |var| read.extend([var]));
        });
        for (dimension, span) in space {
            let name = &dimension.name;
            if tried.used.contains(name) || read.contains(&dimension.var) {
                continue;
            }
            let params: Vec<Name> = match step.target.as_ref().map(|target| &target.kind) {
                Some(ExprKind::Name(target)) => match self.modules.lookup(span.file, target) {
                    Some(Binding::Item(id)) => match self.def(id) {
                        Def::Fn(function) => function.params.iter().map(|param| param.name.clone()).collect(),
                        _ => Vec::new(),
                    },
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            };
            let near = similar(name, params.iter().map(|param| &**param).chain(TUNABLE));
            let help = match near {
                _ if step.target.is_none() => format!("read it in the `objective`: `space.{name}`"),
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "name it like a parameter of the model or like `batch`, `epochs` or `lr`, or read `space.{name}` in a setting"
                ),
            };
            self.report(
                Diagnostic::new(Code::E0204, *span, format!("the dimension `{name}` sets nothing"))
                    .label("no effect")
                    .help(help),
            );
        }
    }
}
