//! What can be wrong with a pipeline of layers, and how to mend it.

use super::{draft::Draft, form::Form};
use std::fmt;

/// A layer whose arguments make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    /// There is no such layer.
    #[error("there is no layer `{0}`")]
    Unknown(String),
    /// An argument is out of range.
    #[error("`{layer}`: `{argument}` must be {wanted}")]
    Argument {
        /// The layer, as written.
        layer: String,
        /// The argument.
        argument: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// The layer would learn too many numbers.
    #[error("`{0}` has more than 2^31 parameters")]
    TooLarge(String),
    /// An argument is not there.
    #[error("`{0}` lacks an argument")]
    Incomplete(String),
}

/// A layer that can't take what comes in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// It takes another shape.
    #[error("takes {wanted}, but gets {found}")]
    Input {
        /// What it takes.
        wanted: String,
        /// What comes in.
        found: Form,
        /// What would help.
        mend: Option<Mend>,
    },
    /// What its two ways give can't be added.
    #[error("can't add what its body gives, {body}, to what {}, {other}", if *.shortcut { "its shortcut gives" } else { "comes in" })]
    Sum {
        /// What the body gives.
        body: Form,
        /// What the other way gives.
        other: Form,
        /// Whether the other way is a shortcut with layers of its own.
        shortcut: bool,
    },
}

/// What would let a layer take what comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// Another value of an argument.
    Argument(&'static str, usize),
    /// A `flatten` before it, and another value of an argument if that isn't enough.
    Flatten(Option<(&'static str, usize)>),
    /// An image: data with a `shape`, or a `reshape` before it.
    Image,
    /// An image in one row: an `embedding` or a `reshape` before it.
    Rows,
    /// A smaller square, padding, or a larger image.
    Room,
    /// Sizes that make this many numbers.
    Numbers(usize),
}

impl ShapeError {
    /// What would help, when it can be told.
    pub const fn mend(&self) -> Option<&Mend> {
        match self {
            Self::Input { mend, .. } => mend.as_ref(),
            Self::Sum { .. } => None,
        }
    }

    /// What to do about it at `layer`, when `giver` decided on the shape that comes in.
    pub fn help(&self, layer: &Draft, giver: Option<&Draft>) -> Option<String> {
        if let Self::Sum { shortcut, .. } = self {
            return Some(match shortcut {
                true => "let body and shortcut end in the same shape".into(),
                false => "let the body end in the shape that comes in, or give it a `shortcut: …` to its own".into(),
            });
        }
        Some(match self.mend()? {
            Mend::Argument(name, size) => match layer.with(name, *size) {
                layer if layer.is_as_written() => format!("write `{layer}`"),
                _ => format!("let `{name}` be {size}"),
            },
            Mend::Flatten(None) => "put `flatten` before it".into(),
            Mend::Flatten(Some((name, size))) => match layer.with(name, *size) {
                layer if layer.is_as_written() => format!("put `flatten` before it: `flatten |> {layer}`"),
                _ => format!("put `flatten` before it, and let `{name}` be {size}"),
            },
            Mend::Image => match giver {
                Some(giver) => format!("put it before `{giver}`, or a `reshape` between them"),
                None => "give the data a shape, such as `shape: [1, 28, 28]`, or put a `reshape` before it".into(),
            },
            Mend::Rows => "rows come from an `embedding`, or from a `reshape` to `[length, features]`".into(),
            Mend::Numbers(numbers) => format!("let the sizes make {numbers} together"),
            Mend::Room => "let the square be smaller, pad the image, or shrink it less before".into(),
        })
    }
}

/// What is wrong with one layer of a pipeline.
#[derive(Clone, Debug)]
pub struct Misfit<'a> {
    /// Its place, such as "layer 3" or "layer 2 of the body of layer 3".
    pub place: String,
    /// The layer.
    pub layer: &'a Draft,
    /// The layer before that decided on the shape that comes in; none where it is the data's.
    pub giver: Option<&'a Draft>,
    /// What is wrong.
    pub wrong: Box<Wrong>,
}

/// What can be wrong with a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// By itself it makes no sense.
    Layer(LayerError),
    /// It can't take what comes in.
    Shape(ShapeError),
}

impl fmt::Display for Misfit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.wrong {
            Wrong::Layer(error) => write!(f, "{}: {error}", self.place),
            Wrong::Shape(error) => write!(f, "{}, `{}`, {error}", self.place, self.layer),
        }
    }
}

/// A model that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A layer is wrong.
    #[error("{message}")]
    Layer {
        /// Which, and what is wrong with it.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// There is no layer.
    #[error("the model has no layers")]
    Empty,
}

impl ModelError {
    /// What to do about it, when that can be told.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Layer { help, .. } => help.as_deref(),
            Self::Empty => None,
        }
    }
}

impl From<Misfit<'_>> for ModelError {
    fn from(misfit: Misfit) -> Self {
        let help = match &*misfit.wrong {
            Wrong::Layer(_) => None,
            Wrong::Shape(error) => error.help(misfit.layer, misfit.giver),
        };
        Self::Layer { message: misfit.to_string(), help }
    }
}
