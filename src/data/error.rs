use super::array::shown;
use crate::{
    value::{FormatError, Part},
    wire::{Failure, Kind},
};
use std::fmt;

/// Where in a file something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line, from 1, and a column.
    Line(u64, String),
    /// A row, from 1, and a column.
    Row(u64, String),
    /// A sample of an array, from 1.
    Sample(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line, column) => write!(f, "line {line}, column `{column}`"),
            Self::Row(row, column) => write!(f, "row {row}, column `{column}`"),
            Self::Sample(sample) => write!(f, "sample {sample}"),
        }
    }
}

/// Why data can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// No file of that name, or none that fits a pattern.
    #[error("there is no file `{path}`")]
    NotFound {
        /// As written.
        path: String,
        /// A file beside it with a similar name.
        similar: Option<String>,
    },
    /// The data set names no file.
    #[error("the data set `{0}` has no files")]
    NoFiles(String),
    /// Only local files can be read.
    #[error("`{0}` is not a local file, and other places can't be read yet")]
    Remote(String),
    /// A file can't be read.
    #[error("`{path}` can't be read: {reason}")]
    Unreadable {
        /// As written.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// A file has no row.
    #[error("`{0}` has no rows")]
    Empty(String),
    /// A row has more or fewer cells than the others.
    #[error("`{path}`, line {line}: {found} cells, but {expected} columns")]
    Ragged {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// The columns there are.
        expected: usize,
        /// The cells in the row.
        found: usize,
    },
    /// A cell is empty.
    #[error("`{path}`, {at}: the value is missing")]
    Missing {
        /// The file.
        path: String,
        /// Where in it.
        at: Place,
    },
    /// A cell holds text where a number must be.
    #[error("`{path}`, {at}: `{value}` is not a number")]
    NotANumber {
        /// The file.
        path: String,
        /// Where in it.
        at: Place,
        /// What it holds.
        value: String,
    },
    /// A column that is asked for is not there.
    #[error("`{path}` has no column `{column}`")]
    NoColumn {
        /// The file.
        path: String,
        /// What was asked for.
        column: String,
        /// The column that was probably meant.
        similar: Option<String>,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// A column holds what is neither numbers nor, for the label, texts.
    #[error("`{path}`: the column `{column}` holds {holds}, not numbers")]
    ColumnType {
        /// The file.
        path: String,
        /// The column.
        column: String,
        /// What it holds.
        holds: &'static str,
    },
    /// An array that is asked for is not there.
    #[error("`{path}` has no array `{array}`")]
    NoArray {
        /// The file.
        path: String,
        /// What was asked for.
        array: String,
        /// The format that names arrays.
        format: &'static str,
        /// The array that was probably meant.
        similar: Option<String>,
        /// The arrays there are.
        arrays: Vec<String>,
    },
    /// An array holds what is no plain numbers.
    #[error("`{path}`: the array `{array}` holds {holds}, which can't be read")]
    ArrayType {
        /// The file.
        path: String,
        /// The array.
        array: String,
        /// What it holds.
        holds: String,
    },
    /// The samples of an array have no numbers.
    #[error("the samples in `{0}` hold no number")]
    NoNumbers(String),
    /// An array of labels does not hold one for each sample.
    #[error("the labels in `{name}` are {}, not one number for each sample", shown(sizes))]
    LabelSizes {
        /// The array.
        name: String,
        /// Its sizes.
        sizes: Vec<usize>,
    },
    /// The samples of two files differ in their shape.
    #[error("the samples in `{name}` are {}, but {} in the files before", shown(found), shown(expected))]
    SampleShape {
        /// The file or array.
        name: String,
        /// The shape of its samples.
        found: Vec<usize>,
        /// That of the others.
        expected: Vec<usize>,
    },
    /// An argument of the format is out of range.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A file is not what it was when the run first read it.
    #[error("`{path}` changed while the run was under way")]
    Changed {
        /// The file.
        path: String,
    },
    /// The data set does not say what to predict.
    #[error("the data set `{0}` does not say which column is the label")]
    NoLabel(String),
    /// The files of a data set have different columns.
    #[error("`{path}` has other columns than the file before it")]
    Columns {
        /// The file.
        path: String,
    },
    /// A label of the test files never occurs in the others.
    #[error("`{path}`: the label `{label}` occurs only here")]
    UnknownLabel {
        /// The file.
        path: String,
        /// The label.
        label: String,
    },
    /// A file is not in its format.
    #[error("`{path}` can't be read as {format}: {reason}")]
    Malformed {
        /// The file.
        path: String,
        /// The format.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Images and labels differ in number.
    #[error("`{images}` holds {rows} samples, but `{labels}` {found} labels")]
    Unpaired {
        /// The images' file.
        images: String,
        /// The labels' file.
        labels: String,
        /// Samples.
        rows: usize,
        /// Labels.
        found: usize,
    },
    /// The declared shape of a sample does not hold its numbers.
    #[error("the shape {shape:?} does not hold the {width} numbers of a sample")]
    Shape {
        /// As declared.
        shape: Vec<usize>,
        /// The numbers there are.
        width: usize,
    },
    /// The shares of a split exceed the whole.
    #[error("the shares of the split add up to {0}%")]
    Split(String),
    /// No row is left for training.
    #[error("the training part of `{name}` is empty: there are {rows} rows in all")]
    NothingToTrainOn {
        /// The data set.
        name: String,
        /// All rows.
        rows: u64,
    },
    /// A part that is needed is empty.
    #[error("the {} part of `{name}` is empty", part_name(*part))]
    EmptyPart {
        /// The data set.
        name: String,
        /// The part.
        part: Part,
        /// The rows of all parts.
        rows: u64,
    },
    /// A model was trained on a column that is not there.
    #[error("`{name}` lacks the column `{column}`, which the model was trained on")]
    OtherColumns {
        /// The data set.
        name: String,
        /// The column.
        column: String,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// A model was trained on texts whose words had other numbers, or on no texts.
    #[error("the words of `{name}` do not have the numbers that the model was trained on")]
    OtherWords {
        /// The data set.
        name: String,
        /// The vocabulary that the model was trained with; none when it did not see texts.
        wanted: Option<u32>,
        /// The vocabulary of the data; none when it holds no texts.
        found: Option<u32>,
    },
    /// A label is none of those that a model was trained on.
    #[error("`{name}` has the label `{label}`, which the model was not trained on")]
    OtherLabel {
        /// The data set.
        name: String,
        /// The label.
        label: String,
        /// The labels that the model knows; none when it predicts numbers.
        classes: Vec<String>,
    },
}

const fn part_name(part: Part) -> &'static str {
    match part {
        Part::Whole => "whole",
        Part::Train => "training",
        Part::Valid => "validation",
        Part::Test => "test",
    }
}

/// Some names, the first dozen of them.
fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(12).map(|name| format!("`{name}`")).collect();
    shown.join(", ") + if names.len() > 12 { ", …" } else { "" }
}

impl DataError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { similar: Some(similar), .. } => format!("did you mean `{similar}`?"),
            Self::NotFound { .. } => "paths are relative to the folder of the workflow file".into(),
            Self::NoFiles(_) => "say where the data lies: `source: \"data/*.csv\"`".into(),
            Self::Remote(_) => "copy it beside the workflow file".into(),
            Self::Missing { .. } => "fill or drop missing values in a task that runs before".into(),
            Self::NotANumber { at: Place::Sample(_), .. } => "replace or drop it in a task that runs before".into(),
            Self::NotANumber { .. } => {
                "leave the column out with `columns: [...]`, or turn it into numbers in a task that runs before".into()
            }
            Self::NoColumn { similar: Some(similar), .. } => format!("did you mean `{similar}`?"),
            Self::NoColumn { columns, .. } if columns.is_empty() => "the file is empty".into(),
            Self::NoColumn { columns, .. } => {
                format!("there are {}; a file without a header needs `csv(header: false)`", listed(columns))
            }
            Self::ColumnType { .. } => {
                "leave the column out with `columns: [...]`, or turn it into numbers in a task that runs before".into()
            }
            Self::NoArray { similar: Some(similar), .. } => format!("did you mean `{similar}`?"),
            Self::NoArray { arrays, .. } if arrays.is_empty() => "the file holds no arrays".into(),
            Self::NoArray { arrays, format, .. } => {
                format!("there are {}; name two: `{format}(features: \"x\", labels: \"y\")`", listed(arrays))
            }
            Self::LabelSizes { .. } => "for rows of zeros and a one, store the place of the one".into(),
            Self::Changed { .. } => "run again once it is still".into(),
            Self::OtherWords { wanted: Some(wanted), found: Some(_), .. } => {
                format!("read it as the model's data was: `words(vocabulary: {wanted})`")
            }
            Self::OtherWords { wanted: None, .. } => "the model was trained on data that holds no texts".into(),
            Self::OtherWords { .. } => "the model was trained on texts: read the data with `words()`".into(),
            Self::NoLabel(_) => "name it: `label: \"churned\"`".into(),
            Self::Ragged { .. } => "check the row, and the delimiter: `csv(delimiter: \";\")`".into(),
            Self::Malformed { format: "idx", .. } => "the format is that of the MNIST family, gzip or not".into(),
            Self::Malformed { format, .. } => {
                format!("write it anew as {format}, or name the format that it has, such as `format: csv()`")
            }
            Self::ArrayType { .. } => "store it as numbers of 8 to 64 bits".into(),
            Self::Split(_) => "they must not exceed 100%: `split { train: 80%, valid: 10%, test: 10% }`".into(),
            Self::NothingToTrainOn { .. } => "give `train` a larger share of the split".into(),
            Self::EmptyPart { part, rows, .. } => format!(
                "give `{}` a larger share of the split; there {} in all",
                match part {
                    Part::Valid => "valid",
                    Part::Test => "test",
                    _ => "train",
                },
                if *rows == 1 { "is 1 row".into() } else { format!("are {rows} rows") }
            ),
            Self::OtherColumns { columns, .. } => format!("it has {}", listed(columns)),
            Self::OtherLabel { classes, .. } if classes.is_empty() => "the model predicts numbers".into(),
            Self::OtherLabel { classes, .. } => format!("the model knows {}", listed(classes)),
            Self::Shape { width, .. } => format!("the product of the shape must be {width}"),
            Self::UnknownLabel { .. }
            | Self::Unpaired { .. }
            | Self::Columns { .. }
            | Self::Empty(_)
            | Self::SampleShape { .. }
            | Self::NoNumbers(_)
            | Self::Format(_)
            | Self::Unreadable { .. } => return None,
        })
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self { help: error.help(), ..Self::new(Kind::TaskFailed, error.to_string()) }
    }
}
