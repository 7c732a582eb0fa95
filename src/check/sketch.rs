//! What is known of models and data before a run: expressions evaluated as far as they go.

use super::{program::StmtKind, scope::Place};
use crate::{
    expr::{self, Context, Env, Expr, Fuel, Function, Native, Var},
    layers::{Draft, Form, Known, Pipeline},
    source::Name,
    value::Value,
};
use std::collections::BTreeMap;

/// What is known of a value.
#[derive(Clone)]
pub enum Sketch {
    /// Nothing.
    Unknown,
    /// All of it.
    Value(Value),
    /// Layers, as far as each is known.
    Layers(Pipeline),
    /// Data, with what is known of its settings.
    Data(Data),
}

/// What is known of a dataset.
#[derive(Clone)]
pub struct Data {
    /// Its declaration's name.
    pub name: Name,
    /// The shape of its samples.
    pub form: Form,
}

/// Looks at expressions as far as they are known.
pub struct Sketcher<'a> {
    place: Option<&'a Place>,
    bound: Vec<(Var, Sketch)>,
    fuel: &'a mut Fuel,
}

impl Env for Sketcher<'_> {
    fn var(&self, var: Var) -> Option<&Value> {
        self.bound.iter().rev().find(|(bound, _)| *bound == var).and_then(|(_, sketch)| match sketch {
            Sketch::Value(value) => Some(value),
            _ => None,
        })
    }

    fn context(&self, _: Context) -> Option<Value> {
        None
    }
}

impl<'a> Sketcher<'a> {
    /// Looks from `place`; sees nothing more once `fuel` is empty.
    pub const fn new(place: Option<&'a Place>, fuel: &'a mut Fuel) -> Self {
        Self { place, bound: Vec::new(), fuel }
    }

    /// What is known of the value of `expr`.
    pub fn of(&mut self, expr: &Expr) -> Sketch {
        if self.fuel.burn(1).is_err() {
            return Sketch::Unknown;
        }
        match expr {
            Expr::Const(value) => self.known(value),
            Expr::Var(var) => match self.bound.iter().rev().find(|(bound, _)| bound == var) {
                Some((_, sketch)) => {
                    let sketch = sketch.clone();
                    self.charge(sketch)
                }
                None => match self.statement(*var) {
                    Some(StmtKind::Value(expr)) => self.of(expr),
                    _ => Sketch::Unknown,
                },
            },
            Expr::Field(base, field) => match (&**base, &**field) {
                (Expr::Var(var), "width") => match self.statement(*var) {
                    Some(StmtKind::Inspect(data)) => match self.of(data) {
                        Sketch::Data(Data { form, .. }) => form.width().map_or(Sketch::Unknown, size),
                        _ => Sketch::Unknown,
                    },
                    _ => self.whole(expr),
                },
                _ => self.whole(expr),
            },
            Expr::Std(name, args, site) => {
                let args = args.iter().map(|(name, arg)| (name.clone(), self.of(arg).into_known())).collect();
                let draft = Draft { name: name.clone(), args, site: site.clone() };
                if draft.depth() > expr::MAX_NESTED { Sketch::Unknown } else { Sketch::Layers(vec![Some(draft)]) }
            }
            Expr::Model(model, args) => self.call(model, args.iter().map(|(_, arg)| arg)),
            Expr::Call(function, args) => self.call(function, args),
            Expr::Pipe(first, second) => {
                let mut layers = self.of(first).into_layers();
                layers.extend(self.of(second).into_layers());
                self.charge(Sketch::Layers(layers))
            }
            Expr::Dataset(name, fields) => {
                let fields = fields.iter().map(|(name, field)| (&**name, self.of(field))).collect();
                Sketch::Data(Data { name: name.clone(), form: form(&fields) })
            }
            Expr::Let(var, value, body) => {
                let value = self.of(value);
                self.with([(*var, value)], body)
            }
            Expr::If(cond, then, otherwise) => match self.of(cond) {
                Sketch::Value(Value::Bool(true)) => self.of(then),
                Sketch::Value(Value::Bool(false)) => self.of(otherwise),
                _ => Sketch::Unknown,
            },
            Expr::Match(value, arms) => match self.of(value) {
                Sketch::Value(value) => {
                    let arm = arms.iter().find(|(pattern, _)| pattern.as_ref().is_none_or(|pattern| *pattern == value));
                    arm.map_or(Sketch::Unknown, |(_, arm)| self.of(arm))
                }
                _ => Sketch::Unknown,
            },
            Expr::Widen(inner, ty) => match self.of(inner) {
                Sketch::Value(value) => Sketch::Value(expr::widen(value, ty)),
                sketch => sketch,
            },
            Expr::Native(Native::TrainPart | Native::ValidPart | Native::TestPart, args) => {
                args.first().map_or(Sketch::Unknown, |data| self.of(data))
            }
            // Other files may have other columns, but their samples keep the shape that is declared.
            Expr::Native(Native::WithFiles, args) => args.first().map_or(Sketch::Unknown, |data| self.of(data)),
            Expr::Native(Native::Fold, args) => match args.as_slice() {
                [list, start, Expr::Lambda(params, body)] => self.fold(list, start, params, body),
                _ => Sketch::Unknown,
            },
            _ => self.whole(expr),
        }
    }

    /// The statement around the place whose outcome a variable is.
    fn statement(&mut self, var: Var) -> Option<&'a StmtKind> {
        self.fuel.burn(1).ok()?;
        self.place?.statement(var).map(|stmt| &*stmt.kind)
    }

    /// The value, when everything that it reads is known.
    fn whole(&mut self, expr: &Expr) -> Sketch {
        let mut fuel = *self.fuel;
        let value = expr::eval_with(expr, self, &mut fuel);
        *self.fuel = fuel;
        value.map_or(Sketch::Unknown, |value| self.known(&value))
    }

    fn known(&mut self, value: &Value) -> Sketch {
        if self.fuel.burn(value.weight()).is_err() {
            return Sketch::Unknown;
        }
        match value {
            Value::Model(model) => Sketch::Layers(model.layers.iter().map(|layer| Some(layer.into())).collect()),
            Value::Std(call) => Sketch::Layers(vec![Some(call.into())]),
            Value::Dataset(data) if !data.shape.is_empty() => {
                let form = Form::whole(data.shape.iter().copied().map(Some));
                Sketch::Data(Data { name: data.name.clone(), form })
            }
            Value::Dataset(data) => {
                let columns = Some(data.columns.len()).filter(|columns| *columns > 0);
                let format = Draft::from(&data.format);
                Sketch::Data(Data { name: data.name.clone(), form: unshaped(Some(&format), columns) })
            }
            value => Sketch::Value(value.clone()),
        }
    }

    /// What was made counts, so that it can't grow without end.
    fn charge(&mut self, sketch: Sketch) -> Sketch {
        let weight = match &sketch {
            Sketch::Unknown | Sketch::Data(_) => 0,
            Sketch::Value(value) => value.weight(),
            Sketch::Layers(layers) => weight(layers),
        };
        if self.fuel.burn(weight).is_ok() { sketch } else { Sketch::Unknown }
    }

    fn call<'e>(&mut self, function: &Function, args: impl IntoIterator<Item = &'e Expr>) -> Sketch {
        let args: Vec<Sketch> = args.into_iter().map(|arg| self.of(arg)).collect();
        self.with(function.params.iter().copied().zip(args), &function.body)
    }

    fn with(&mut self, bindings: impl IntoIterator<Item = (Var, Sketch)>, body: &Expr) -> Sketch {
        let depth = self.bound.len();
        self.bound.extend(bindings);
        let sketch = self.of(body);
        self.bound.truncate(depth);
        sketch
    }

    /// A pipeline that grows with each item of a list.
    fn fold(&mut self, list: &Expr, start: &Expr, params: &[Var], body: &Expr) -> Sketch {
        let (Sketch::Value(Value::List(items)), [total, item]) = (self.of(list), params) else {
            return Sketch::Unknown;
        };
        let start = self.of(start);
        items.into_iter().fold(start, |sketch, next| self.with([(*total, sketch), (*item, Sketch::Value(next))], body))
    }
}

impl Sketch {
    fn into_known(self) -> Known {
        match self {
            Self::Unknown | Self::Data(_) => Known::Unknown,
            Self::Value(value) => Known::Value(value),
            Self::Layers(layers) => Known::Layers(layers),
        }
    }

    /// The layers that it is, or some of which nothing is known.
    pub fn into_layers(self) -> Pipeline {
        match self {
            Self::Layers(layers) => layers,
            _ => vec![None],
        }
    }
}

fn size(size: usize) -> Sketch {
    Sketch::Value(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn weight(layers: &Pipeline) -> u64 {
    let inner = |known: &Known| match known {
        Known::Layers(layers) => weight(layers),
        _ => 0,
    };
    layers.iter().map(|draft| 1 + draft.iter().flat_map(|draft| draft.args.values()).map(inner).sum::<u64>()).sum()
}

/// The shape of a dataset's samples, from what is known of its settings.
fn form(fields: &BTreeMap<&str, Sketch>) -> Form {
    let list = |name: &str| match fields.get(name) {
        Some(Sketch::Value(Value::List(items))) => Some(items.as_slice()),
        _ => None,
    };
    if fields.contains_key("shape") {
        let Some(sizes) = list("shape") else { return Form::any() };
        return Form::whole(sizes.iter().map(|size| size.as_int().and_then(|size| usize::try_from(size).ok())));
    }
    let format = match fields.get("format") {
        None => None,
        Some(Sketch::Layers(calls)) => match calls.as_slice() {
            [Some(call)] => Some(call),
            _ => return Form::any(),
        },
        Some(_) => return Form::any(),
    };
    unshaped(format, list("columns").map(<[Value]>::len).filter(|columns| *columns > 0))
}

/// The shape of samples for which none is declared.
fn unshaped(format: Option<&Draft>, columns: Option<usize>) -> Form {
    match format.map_or("csv", |format| &format.name) {
        "csv" | "parquet" => Form::whole([columns]),
        "words" => Form::whole([format.and_then(|format| format.args.get("length")).and_then(|length| match length {
            Known::Value(length) => length.as_int().and_then(|length| usize::try_from(length).ok()),
            _ => None,
        })]),
        _ => Form::any(),
    }
}
