use super::{Call, Value};
use crate::source::Name;

/// How data is written in files: a call of `std/data`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text in columns of numbers.
    Csv(Layout),
    /// Text in columns of words.
    Words(Layout, Words),
    /// Columns in pages.
    Parquet,
    /// The format of the MNIST family.
    Idx {
        /// The labels' file; found by its name when absent.
        labels: Option<Name>,
    },
    /// NumPy arrays in a zip archive.
    Npz(Pair),
    /// Tensors behind a header of JSON.
    Safetensors(Pair),
}

/// How the cells of a text are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Whether the first row holds the columns' names.
    pub header: bool,
    /// What stands between two cells.
    pub delimiter: u8,
    /// Whether `"` holds a cell together.
    pub quotes: bool,
}

/// How texts become rows of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// The words of a text that count, and the numbers in a row.
    pub length: usize,
    /// The numbers that words are given are below it.
    pub vocabulary: u32,
}

/// The names of two arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What to learn from.
    pub features: Name,
    /// What to predict.
    pub labels: Name,
}

/// An argument of a format is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{argument}` of `{format}` must be {wanted}, not {found}")]
pub struct FormatError {
    format: Name,
    argument: &'static str,
    wanted: &'static str,
    found: String,
}

impl Format {
    /// Reads a call of `std/data`.
    ///
    /// # Errors
    /// When an argument is out of range.
    pub fn parse(call: &Call) -> Result<Self, FormatError> {
        let args = Args(call);
        let pair = || Pair { features: args.text("features", "x"), labels: args.text("labels", "y") };
        Ok(match &*call.name {
            "idx" => Self::Idx { labels: call.args.get("labels").and_then(Value::as_str).map(Name::from) },
            "npz" => Self::Npz(pair()),
            "parquet" => Self::Parquet,
            "safetensors" => Self::Safetensors(pair()),
            "words" => Self::Words(
                args.layout()?,
                Words {
                    length: args.whole("length", 64, 1..=1 << 16, "a whole number from 1 to 65536")? as usize,
                    // A row holds 32-bit floats, which tell whole numbers apart up to here.
                    vocabulary: args.whole("vocabulary", 10_000, 2..=1 << 24, "a whole number from 2 to 16777216")?,
                },
            ),
            _ => Self::Csv(args.layout()?),
        })
    }

    /// Whether samples are made of columns, of which one is the label.
    pub const fn has_columns(&self) -> bool {
        matches!(self, Self::Csv(_) | Self::Words(..) | Self::Parquet)
    }
}

struct Args<'c>(&'c Call);

impl Args<'_> {
    fn text(&self, argument: &'static str, otherwise: &str) -> Name {
        self.0.args.get(argument).and_then(Value::as_str).unwrap_or(otherwise).into()
    }

    fn flag(&self, argument: &'static str) -> bool {
        self.0.args.get(argument) != Some(&Value::Bool(false))
    }

    fn error(&self, argument: &'static str, wanted: &'static str, found: String) -> FormatError {
        FormatError { format: self.0.name.clone(), argument, wanted, found }
    }

    fn whole(
        &self,
        argument: &'static str,
        otherwise: u32,
        range: std::ops::RangeInclusive<u32>,
        wanted: &'static str,
    ) -> Result<u32, FormatError> {
        let Some(value) = self.0.args.get(argument).and_then(Value::as_int) else { return Ok(otherwise) };
        let fits = u32::try_from(value).ok().filter(|value| range.contains(value));
        fits.ok_or_else(|| self.error(argument, wanted, value.to_string()))
    }

    fn layout(&self) -> Result<Layout, FormatError> {
        let delimiter = self.text("delimiter", ",");
        let [byte @ 0..=127] = *delimiter.as_bytes() else {
            return Err(self.error("delimiter", "one sign of ASCII", format!("{:?}", &*delimiter)));
        };
        Ok(Layout { header: self.flag("header"), delimiter: byte, quotes: self.flag("quotes") })
    }
}
