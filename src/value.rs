//! What an expression evaluates to, and how values cross into JSON and back.

mod artifact;
pub mod float;
mod format;
mod json;
mod location;
mod site;
mod stored;

pub use artifact::{Artifact, Hash};
pub use format::{Format, FormatError, Layout, Pair, Words};
pub use json::JsonError;
pub use location::Location;
pub use site::{Site, Written};

use crate::{
    source::Name,
    units::{Duration, Money, Percent, Size},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The fields of a record, or the named arguments of a call.
pub type Fields = BTreeMap<Name, Value>;

/// The name of a model that is no declaration's.
const PIPELINE: &str = "layers";

/// A value of the language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// An absent optional.
    None,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(#[serde(with = "float")] f64),
    /// A text; also a `Uri`.
    String(Name),
    /// A span of time.
    Duration(Duration),
    /// An amount of money.
    Money(Money),
    /// A number of bytes.
    Size(Size),
    /// A share.
    Percent(Percent),
    /// A list.
    List(Vec<Value>),
    /// A map, in key order.
    Map(Fields),
    /// A record.
    Record(Fields),
    /// A member of an enum.
    Member(Name),
    /// A range of whole numbers or sizes, both ends included.
    Range(Box<(Value, Value)>),
    /// A stored file.
    Artifact(Box<Artifact>),
    /// Something that `std` provides by name: a layer, an optimizer, a metric, a distribution, a strategy.
    Std(Call),
    /// An architecture, with or without trained weights.
    Model(Box<Model>),
    /// Data, not yet read.
    Dataset(Box<Dataset>),
}

/// A name from `std` with its arguments, every parameter present.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The name, such as `adam`.
    pub name: Name,
    /// One value for each parameter.
    pub args: Fields,
    /// Where it was written.
    #[serde(skip)]
    pub site: Site,
}

impl Call {
    /// A call that no file holds.
    pub fn new(name: impl Into<Name>, args: Fields) -> Self {
        Self { name: name.into(), args, site: Site::default() }
    }

    /// The models among its arguments.
    fn inner(&self) -> impl Iterator<Item = &Model> {
        self.args.values().filter_map(|arg| match arg {
            Value::Model(model) => Some(&**model),
            _ => None,
        })
    }

    /// Like that of a value: what it is made of, besides itself.
    fn weight(&self) -> u64 {
        self.args.values().map(|arg| 1 + arg.weight()).sum()
    }
}

/// An architecture as a pipeline of layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The declaration's name.
    pub name: Name,
    /// The declaration's arguments, kept so that a model card can tell them.
    pub args: Fields,
    /// The layers, first to last.
    pub layers: Vec<Call>,
    /// Trained weights, if there are any.
    pub weights: Option<Artifact>,
}

impl Model {
    /// Like that of a value: its layers, and more for those inside of them, which are made anew with each copy.
    fn weight(&self) -> u64 {
        let own = self.layers.len() as u64;
        own + 8 * (self.count() - own)
    }

    /// Its layers, with those inside of them.
    fn count(&self) -> u64 {
        self.layers.iter().map(|layer| 1 + layer.inner().map(Self::count).sum::<u64>()).sum()
    }

    /// Layers one after another, without a declaration.
    pub fn pipeline(layers: Vec<Call>) -> Self {
        Self { name: PIPELINE.into(), args: Fields::new(), layers, weights: None }
    }

    /// How many models stand inside one another at most, this one included.
    pub fn depth(&self) -> usize {
        1 + self.layers.iter().flat_map(Call::inner).map(Self::depth).max().unwrap_or(0)
    }
}

/// Where data lies and how to read it. Nothing is read until a step asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// The declaration's name.
    pub name: Name,
    /// What to read.
    pub files: Vec<Location>,
    /// How the files are written: a call that [`Format::parse`] reads.
    pub format: Call,
    /// The column to predict; `None` for formats that know their own.
    pub label: Option<Name>,
    /// The columns to learn from; all but the label when empty.
    pub columns: Vec<Name>,
    /// The shape of one sample, when it is not a flat row: `[channels, height, width]`.
    pub shape: Vec<usize>,
    /// Separate files that hold the test part, for data that comes divided.
    pub test_files: Vec<Location>,
    /// The shares of the parts.
    pub split: Split,
    /// Whether features are centred and scaled by the mean and deviation of the training part.
    pub standardize: bool,
    /// A factor that all features are multiplied with first, such as 1/255 for bytes.
    #[serde(with = "float")]
    pub scale: f64,
    /// Which part is meant.
    pub part: Part,
}

/// How samples are dealt out to the parts. Shares of the rows that are not test files.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// The share to train on.
    pub train: Percent,
    /// The share to choose by.
    pub valid: Percent,
    /// The share to judge by.
    pub test: Percent,
    /// The seed that deals.
    pub seed: u64,
}

/// A part of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Everything: a training trains on `train` and validates on `valid`.
    Whole,
    /// The training part.
    Train,
    /// The validation part.
    Valid,
    /// The test part.
    Test,
}

impl Value {
    /// How much making it counts among the steps of an evaluation: about the memory of the values in it, and 64 bytes of
    /// text for one.
    pub fn weight(&self) -> u64 {
        match self {
            Self::String(text) => text.len() as u64 / 64,
            Self::List(items) => 4 + items.iter().map(|item| 1 + item.weight()).sum::<u64>(),
            Self::Map(fields) | Self::Record(fields) => {
                4 + fields.values().map(|field| 4 + field.weight()).sum::<u64>()
            }
            Self::Std(call) => call.weight(),
            Self::Model(model) => model.weight(),
            _ => 0,
        }
    }

    /// The value of a field of a record.
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Record(fields) => fields.get(name),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(int) => Some(*int as f64),
            Self::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::Member(text) => Some(text),
            _ => None,
        }
    }
}

/// As a person would write it in a file.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Int(int) => write!(f, "{int}"),
            Self::Float(float) => write!(f, "{float:?}"),
            Self::String(text) => write!(f, "{text:?}"),
            Self::Duration(duration) => write!(f, "{duration}"),
            Self::Money(money) => write!(f, "{money}"),
            Self::Size(size) => write!(f, "{size}"),
            Self::Percent(percent) => write!(f, "{percent}"),
            Self::Member(name) => f.write_str(name),
            Self::Range(ends) => write!(f, "{}..{}", ends.0, ends.1),
            Self::Artifact(artifact) => write!(f, "{artifact}"),
            Self::Std(call) => write!(f, "{call}"),
            Self::Model(model) => write!(f, "{model}"),
            Self::Dataset(dataset) => f.write_str(&dataset.name),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("[")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key:?}: {value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Record(fields) => write_call(f, "", fields),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_call(f, &self.name, &self.args)
    }
}

/// A pipeline by its layers, a declared model by its name.
impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if &*self.name != PIPELINE {
            return write_call(f, &self.name, &self.args);
        }
        for (index, layer) in self.layers.iter().enumerate() {
            write!(f, "{}{layer}", if index > 0 { " |> " } else { "" })?;
        }
        Ok(())
    }
}

fn write_call(f: &mut fmt::Formatter<'_>, name: &str, args: &Fields) -> fmt::Result {
    write!(f, "{name}(")?;
    for (index, (key, value)) in args.iter().enumerate() {
        write!(f, "{}{key}: {value}", if index > 0 { ", " } else { "" })?;
    }
    f.write_str(")")
}
