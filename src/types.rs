//! The types of the language.

use crate::source::Name;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// A type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A floating-point number of 64 bits.
    Float,
    /// A text.
    String,
    /// A span of time.
    Duration,
    /// An exact amount of money.
    Money,
    /// A number of bytes.
    Size,
    /// A share.
    Percent,
    /// Where something lies: a text that is a path or an address.
    Uri,
    /// A stored file.
    Artifact,
    /// Data.
    Dataset,
    /// An architecture.
    Model,
    /// The type of `none`, which any optional takes.
    None,
    /// A range with both ends included.
    Range(Box<Type>),
    /// A list.
    List(Box<Type>),
    /// A map from text.
    Map(Box<Type>),
    /// A record; shared, since every value of a step has one.
    Record(Arc<BTreeMap<Name, Type>>),
    /// A value or `none`.
    Optional(Box<Type>),
    /// A closed set of names.
    Enum {
        /// The declaration's name.
        name: Name,
        /// Its members, in order.
        members: Vec<Name>,
    },
    /// A function as an argument: its parameters, then its result. Only `std` declares such parameters.
    Function(Vec<Type>),
    /// What values of a type are drawn from.
    Distribution(Box<Type>),
    /// A kind of thing that `std` provides: `Optimizer`, `Metric`, `Distribution` and so on.
    Std(Name),
    /// The type of what is already known to be wrong; it fits everything, so that one mistake gives one message.
    Unknown,
}

impl Type {
    /// Whether a value of type `given` may stand where this type is needed: equal, widened from `Int` to `Float`,
    /// a text for a `Uri` and the other way round, a layer for a model, or a value for an optional.
    pub fn accepts(&self, given: &Self) -> bool {
        match (self, given) {
            (Self::Unknown, _) | (_, Self::Unknown) => true,
            (Self::Float, Self::Int)
            | (Self::Uri, Self::String)
            | (Self::String, Self::Uri)
            | (Self::Optional(_), Self::None) => true,
            (Self::Model, Self::Std(name)) => &**name == "Layer",
            (Self::Optional(inner), Self::Optional(given)) => inner.accepts(given),
            (Self::Optional(inner), given) => inner.accepts(given),
            (Self::List(wanted), Self::List(given))
            | (Self::Map(wanted), Self::Map(given))
            | (Self::Range(wanted), Self::Range(given))
            | (Self::Distribution(wanted), Self::Distribution(given)) => wanted.accepts(given),
            (Self::Record(wanted), Self::Record(given)) => {
                wanted.len() == given.len()
                    && wanted.iter().all(|(name, ty)| given.get(name).is_some_and(|given| ty.accepts(given)))
            }
            _ => self == given,
        }
    }

    /// Whether a value of type `given`, which this type [accepts](Self::accepts), holds whole numbers where this type has
    /// numbers, or layers where it has models.
    pub fn widens(&self, given: &Self) -> bool {
        match (self, given) {
            (Self::Float, Self::Int) | (Self::Model, Self::Std(_)) => true,
            (Self::Optional(wanted), Self::Optional(given))
            | (Self::List(wanted), Self::List(given))
            | (Self::Map(wanted), Self::Map(given))
            | (Self::Range(wanted), Self::Range(given)) => wanted.widens(given),
            (Self::Optional(wanted), given) => wanted.widens(given),
            (Self::Record(wanted), Self::Record(given)) => {
                wanted.iter().any(|(name, ty)| given.get(name).is_some_and(|given| ty.widens(given)))
            }
            _ => false,
        }
    }

    /// The smallest type that both fit, such as `Float` for an `Int` and a `Float`.
    pub fn join(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Unknown, ty) | (ty, Self::Unknown) => Some(ty.clone()),
            (Self::None, Self::None) => Some(Self::None),
            (Self::None, ty) | (ty, Self::None) => Some(ty.clone().optional()),
            (Self::List(a), Self::List(b)) => Some(Self::List(Box::new(a.join(b)?))),
            (Self::Map(a), Self::Map(b)) => Some(Self::Map(Box::new(a.join(b)?))),
            (Self::Optional(a), b) | (b, Self::Optional(a)) => {
                let b = if let Self::Optional(inner) = b { inner } else { b };
                Some(a.join(b)?.optional())
            }
            _ if self.accepts(other) => Some(self.clone()),
            _ if other.accepts(self) => Some(other.clone()),
            _ => None,
        }
    }

    /// This type or `none`; an optional stays as it is.
    #[must_use]
    pub fn optional(self) -> Self {
        match self {
            Self::Optional(_) | Self::None | Self::Unknown => self,
            ty => Self::Optional(Box::new(ty)),
        }
    }

    /// Whether its values can be written as JSON, and so come from a command line or a task.
    pub fn is_data(&self) -> bool {
        match self {
            Self::Dataset | Self::Model | Self::Std(_) | Self::Function(_) | Self::Distribution(_) => false,
            Self::Optional(inner) | Self::List(inner) | Self::Map(inner) | Self::Range(inner) => inner.is_data(),
            Self::Record(fields) => fields.values().all(Self::is_data),
            _ => true,
        }
    }

    /// A list of this type.
    #[must_use]
    pub fn list(self) -> Self {
        Self::List(Box::new(self))
    }

    /// A record type with these fields.
    pub fn record<'a>(fields: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        Self::Record(Arc::new(fields.into_iter().map(|(name, ty)| (name.into(), ty)).collect()))
    }

    /// The types that it is made of, itself included.
    pub fn size(&self) -> usize {
        1 + match self {
            Self::Range(inner)
            | Self::List(inner)
            | Self::Map(inner)
            | Self::Optional(inner)
            | Self::Distribution(inner) => inner.size(),
            Self::Record(fields) => fields.values().map(Self::size).sum(),
            Self::Function(types) => types.iter().map(Self::size).sum(),
            _ => 0,
        }
    }

    /// The type for a message: long records are told by the first of their fields.
    pub fn brief(&self) -> String {
        let whole = self.to_string();
        match self {
            Self::Record(fields) if whole.len() > 60 => {
                let names: Vec<&str> = fields.keys().take(4).map(|name| &**name).collect();
                format!("{{ {}, … }}", names.join(", "))
            }
            Self::List(inner) if whole.len() > 60 => format!("List[{}]", inner.brief()),
            Self::Optional(inner) if whole.len() > 60 => format!("{}?", inner.brief()),
            _ => whole,
        }
    }

    /// Whether values of this type say where a file lies.
    pub const fn is_location(&self) -> bool {
        matches!(self, Self::Uri | Self::String | Self::Artifact | Self::Unknown)
    }

    /// Whether values of this type are numbers without a unit.
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Unknown)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simple = match self {
            Self::Bool => "Bool",
            Self::Int => "Int",
            Self::Float => "Float",
            Self::String => "String",
            Self::Duration => "Duration",
            Self::Money => "Money",
            Self::Size => "Size",
            Self::Percent => "Percent",
            Self::Uri => "Uri",
            Self::Artifact => "Artifact",
            Self::Dataset => "Dataset",
            Self::Model => "Model",
            Self::None => "none",
            Self::Unknown => "?",
            Self::Enum { name, .. } | Self::Std(name) => name,
            Self::Range(inner) => return write!(f, "Range[{inner}]"),
            Self::List(inner) => return write!(f, "List[{inner}]"),
            Self::Function(types) => {
                f.write_str("Fn[")?;
                for (index, ty) in types.iter().enumerate() {
                    write!(f, "{}{ty}", if index > 0 { ", " } else { "" })?;
                }
                return f.write_str("]");
            }
            Self::Distribution(inner) => return write!(f, "Distribution[{inner}]"),
            Self::Map(inner) => return write!(f, "Map[String, {inner}]"),
            Self::Optional(inner) => return write!(f, "{inner}?"),
            Self::Record(fields) => {
                f.write_str("{")?;
                for (index, (name, ty)) in fields.iter().enumerate() {
                    write!(f, "{} {name}: {ty}", if index > 0 { "," } else { "" })?;
                }
                return f.write_str(if fields.is_empty() { "}" } else { " }" });
            }
        };
        f.write_str(simple)
    }
}
