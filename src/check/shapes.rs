//! Shapes of models: what is known before a run must fit.

use super::{
    Checker,
    scope::Place,
    sketch::{Sketch, Sketcher},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    expr::Expr,
    layers::{self, Draft, Form, LayerError, Mend, Misfit, ShapeError, Wrong},
    source::Span,
    step::{Evaluate, Train},
    syntax::ast::{Arg, ExprKind, SettingValue, Step},
    value::Value,
};

/// The parts of all models together that are looked at before a run. A run looks at every model whole.
pub const ALL_PARTS: u64 = 200_000;

/// What a model is looked at for.
struct Use<'a> {
    /// The model's name, in its declaration or in a step.
    model: Span,
    /// The step, when it is one.
    step: Option<&'a Step>,
    /// The data, and what is known of it.
    data: Option<(Span, String)>,
}

impl Checker {
    /// Checks that the layers of a declared model fit one another, whatever comes in.
    pub(super) fn declared_shapes(&mut self, model: &Expr, name: Span) {
        if self.muted > 0 {
            return;
        }
        let layers = Sketcher::new(None, &mut self.parts).of(model).into_layers();
        if let Err(misfit) = layers::infer(&layers, &Form::any()) {
            self.misfit(&misfit, &Use { model: name, step: None, data: None });
        }
    }

    /// Checks that a model fits the data that it is trained on, and its loss.
    pub(super) fn trained_shapes(&mut self, place: &Place, step: &Step, train: &Train) {
        let Some(outputs) = self.step_shapes(place, step, &train.model, &train.data) else { return };
        let loss = match &train.loss {
            Some(Expr::Const(Value::Std(loss))) if &*loss.name != "cross_entropy" => &loss.name,
            _ => return,
        };
        if let (Some(width), Some(target)) = (outputs.width().filter(|width| *width != 1), &step.target) {
            let at = setting(step, "loss").unwrap_or(step.span);
            self.report(
                Diagnostic::new(Code::E0206, at, format!("`{loss}` wants a model with 1 output, not {width}"))
                    .label("wants 1 output")
                    .related(target.span, format!("has {width} outputs"))
                    .help("let the last layer have one output, such as `dense(…, 1)`, or use `cross_entropy()` for classes"),
            );
        }
    }

    /// Checks that a model fits the data that it is judged on.
    pub(super) fn judged_shapes(&mut self, place: &Place, step: &Step, evaluate: &Evaluate) {
        self.step_shapes(place, step, &evaluate.model, &evaluate.data);
    }

    /// What is known of what a model gives for some data, unless it does not fit.
    fn step_shapes(&mut self, place: &Place, step: &Step, model: &Expr, data: &Expr) -> Option<Form> {
        let target = step.target.as_ref().filter(|_| self.muted == 0)?;
        let mut sketcher = Sketcher::new(Some(place), &mut self.parts);
        let (layers, data) = (sketcher.of(model).into_layers(), sketcher.of(data));
        let (form, data) = match data {
            Sketch::Data(data) => {
                let text = format!("a sample of `{}` is {}", data.name, data.form);
                (data.form, Some((setting(step, "data").unwrap_or(step.span), text)))
            }
            _ => (Form::any(), None),
        };
        match layers::infer(&layers, &form) {
            Ok((_, output)) => Some(output),
            Err(misfit) => {
                self.misfit(&misfit, &Use { model: target.span, step: Some(step), data });
                None
            }
        }
    }

    /// Whether a place is in a file of the user's.
    fn is_own(&self, span: Span) -> bool {
        !self.modules.get(span.file).is_std
    }

    /// Where a layer was written, in a file of the user's.
    fn written(&self, layer: &Draft) -> Option<Span> {
        layer.site.written().map(|written| written.span).filter(|span| self.is_own(*span))
    }

    fn misfit(&mut self, misfit: &Misfit, used: &Use) {
        let own = self.written(misfit.layer);
        let at = own.unwrap_or(used.model);
        // One cause is told of once: a declaration may be used by many steps.
        if !self.misfits.insert(at) {
            return;
        }
        let mut diagnostic = match &*misfit.wrong {
            Wrong::Layer(error) => {
                let at = match error {
                    LayerError::Argument { argument, .. } => literal(misfit, used, own, argument).unwrap_or(at),
                    _ => at,
                };
                Diagnostic::new(Code::E0304, at, error.to_string())
            }
            Wrong::Shape(error) => self.shape_error(misfit, used, error, own),
        };
        match (own, used.step) {
            (None, _) => diagnostic = diagnostic.label(format!("{} of this model", misfit.place)),
            (Some(_), Some(_)) => diagnostic = diagnostic.related(used.model, "used here"),
            (Some(_), None) => {}
        }
        self.report(diagnostic);
    }

    fn shape_error(&self, misfit: &Misfit, used: &Use, error: &ShapeError, own: Option<Span>) -> Diagnostic {
        let at = own.unwrap_or(used.model);
        let mut diagnostic = Diagnostic::new(Code::E0206, at, format!("`{}` {error}", misfit.layer))
            .label(misfit.place.clone())
            .maybe_help(error.help(misfit.layer, misfit.giver));
        match (misfit.giver.and_then(|giver| self.written(giver)), &used.data) {
            (Some(giver), _) => diagnostic = diagnostic.related(giver, "gives this shape"),
            // Where a layer of `std` stands between, the data explains what is wrong inside of that model alone.
            (None, Some((span, text))) if misfit.giver.is_none() || own.is_none() => {
                diagnostic = diagnostic.related(*span, text);
            }
            (None, _) => {}
        }
        match error.mend() {
            Some(Mend::Argument(name, size)) => match literal(misfit, used, own, name) {
                Some(span) if own.is_none() => {
                    diagnostic.help(format!("let `{name}` be {size}")).fix(span, size.to_string())
                }
                Some(span) => diagnostic.fix(span, size.to_string()),
                None => diagnostic,
            },
            Some(Mend::Flatten(None)) if own.is_some() && self.knows_flatten(at) => {
                diagnostic.fix(Span::new(at.file, at.start, at.start), "flatten |> ")
            }
            _ => diagnostic,
        }
    }

    fn knows_flatten(&self, at: Span) -> bool {
        self.modules.get(at.file).names.contains_key("flatten")
    }
}

/// Where an argument of a layer is written as a number: with the layer, or by the same name in the step, for a layer that
/// is not in a file of the user's.
fn literal(misfit: &Misfit, used: &Use, own: Option<Span>, argument: &str) -> Option<Span> {
    if own.is_some() {
        let literals = &misfit.layer.site.written()?.literals;
        return literals.iter().find(|(name, _)| &**name == argument).map(|(_, span)| *span);
    }
    let named = |arg: &&Arg| arg.name.as_ref().is_some_and(|name| &*name.node == argument);
    let value = &used.step?.args.iter().find(named)?.value;
    matches!(value.kind, ExprKind::Int(_) | ExprKind::Float(_)).then_some(value.span)
}

fn setting(step: &Step, name: &str) -> Option<Span> {
    step.settings.iter().find(|setting| &*setting.name.node == name).map(|setting| match &setting.value {
        SettingValue::Expr { value, .. } => value.span,
        _ => setting.span,
    })
}
