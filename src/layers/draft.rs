//! Layers as far as they are known: whole in a run, in part before it.

use crate::{
    source::Name,
    value::{Call, Site, Value},
};
use std::{collections::BTreeMap, fmt};

/// A call of `std/nn`.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its name, such as `dense`.
    pub name: Name,
    /// Its arguments.
    pub args: BTreeMap<Name, Known>,
    /// Where it was written.
    pub site: Site,
}

/// What is known of an argument.
#[derive(Clone, Debug)]
pub enum Known {
    /// Nothing yet.
    Unknown,
    /// Its value.
    Value(Value),
    /// The layers that it holds.
    Layers(Pipeline),
}

/// Layers one after another; `None` stands for any number of layers that are not known yet.
pub type Pipeline = Vec<Option<Draft>>;

impl From<&Call> for Draft {
    fn from(call: &Call) -> Self {
        let known = |value: &Value| match value {
            Value::Model(model) => Known::Layers(pipeline(&model.layers)),
            value => Known::Value(value.clone()),
        };
        let args = call.args.iter().map(|(name, value)| (name.clone(), known(value))).collect();
        Self { name: call.name.clone(), args, site: call.site.clone() }
    }
}

impl Draft {
    /// The same with another size as an argument.
    #[must_use]
    pub fn with(&self, argument: &str, size: usize) -> Self {
        let mut draft = self.clone();
        draft.args.insert(argument.into(), Known::Value(Value::Int(size as i64)));
        draft
    }

    /// The layers that an argument holds; none where it is `none`.
    pub fn layers(&self, argument: &str) -> &[Option<Self>] {
        const UNKNOWN: &[Option<Draft>] = &[None];
        match self.args.get(argument) {
            Some(Known::Layers(layers)) => layers,
            Some(Known::Value(Value::None)) => &[],
            _ => UNKNOWN,
        }
    }

    /// How many layers stand inside one another at most, this one included.
    pub fn depth(&self) -> usize {
        let inner = self.args.values().filter_map(|arg| match arg {
            Known::Layers(layers) => Some(layers),
            _ => None,
        });
        1 + inner.flatten().flatten().map(Self::depth).max().unwrap_or(0)
    }

    /// Whether its text is what was written, or as good.
    pub fn is_as_written(&self) -> bool {
        let Some(written) = self.site.written() else { return false };
        let literal = |name: &Name| written.literals.iter().any(|(literal, _)| literal == name);
        let told = |(name, arg): (&Name, &Known)| match arg {
            Known::Value(Value::Bool(bias)) => *bias,
            Known::Value(_) => TOLD.contains(&&**name) && literal(name),
            _ => false,
        };
        self.args.iter().all(told)
    }
}

/// Layers that are known whole.
pub fn pipeline(calls: &[Call]) -> Pipeline {
    calls.iter().map(|call| Some(Draft::from(call))).collect()
}

/// The arguments that tell layers apart, in the order in which they are written.
const TOLD: [&str; 9] = ["inputs", "outputs", "vocabulary", "length", "features", "heads", "size", "rate", "shape"];

/// As it would be written, with the arguments that matter most; `_` for one that is not known.
impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if &*self.name == "residual" {
            return f.write_str("(…)");
        }
        let args: Vec<String> = TOLD
            .iter()
            .filter_map(|name| self.args.get(*name))
            .map(|arg| match arg {
                Known::Value(value) if *value != Value::None => value.to_string(),
                _ => "_".into(),
            })
            .collect();
        if args.is_empty() { Ok(()) } else { write!(f, "({})", args.join(", ")) }
    }
}
