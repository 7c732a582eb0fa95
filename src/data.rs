//! Data sets: read from files into tables of numbers, divided into parts, scaled.

mod array;
mod columns;
mod csv;
pub mod dealt;
mod error;
mod files;
mod idx;
mod labels;
mod lens;
mod npz;
mod parquet;
mod safetensors;
mod split;
mod words;

#[cfg(test)]
mod tests;

pub use error::{DataError, Place};
pub use files::{Files, Print, Prints, Source};
pub use lens::Lens;

use crate::{
    value::{Dataset, Format, Hash, Part},
    wire::Facts,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A data set in memory, its features as they stand in the files.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// Its name.
    name: String,
    /// What to train on.
    pub train: Table,
    /// What to choose by.
    pub valid: Table,
    /// What to judge by.
    pub test: Table,
    /// What is known of the whole.
    pub facts: Facts,
    /// How a model sees the world that learns from this data.
    pub lens: Lens,
    /// The hash of the files' contents and of the way they are read.
    pub hash: Hash,
    /// The files that were read.
    pub prints: Prints,
}

/// Samples in rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Row after row of `width` numbers.
    pub features: Vec<f32>,
    /// The shape of one sample; its product is the width.
    pub shape: Vec<usize>,
    /// What to predict for each row.
    pub labels: Labels,
}

/// What to predict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Labels {
    /// One of several classes: for each row, the place of its class among the names.
    Classes {
        /// One for each row.
        indices: Vec<u32>,
        /// The classes, in order.
        names: Vec<String>,
    },
    /// A number for each row.
    Numbers(Vec<f32>),
}

impl Default for Labels {
    fn default() -> Self {
        Self::Numbers(Vec::new())
    }
}

impl Labels {
    /// The number of rows.
    pub const fn len(&self) -> usize {
        match self {
            Self::Classes { indices, .. } => indices.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// Whether there is no row.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A word for each row: the place of its class, or the bits of its number.
    pub fn marks(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Self::Classes { indices, .. } => Box::new(indices.iter().copied()),
            Self::Numbers(numbers) => Box::new(numbers.iter().map(|number| number.to_bits())),
        }
    }

    /// Labels of the same kind with other [`marks`](Self::marks), if there are classes for them.
    pub fn like(&self, marks: Vec<u32>) -> Option<Self> {
        match self {
            Self::Classes { names, .. } => {
                let known = marks.iter().all(|mark| (*mark as usize) < names.len());
                known.then(|| Self::Classes { indices: marks, names: names.clone() })
            }
            Self::Numbers(_) => Some(Self::Numbers(marks.into_iter().map(f32::from_bits).collect())),
        }
    }

    /// The labels of some rows, in their order.
    pub fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Classes { indices, names } => {
                Self::Classes { indices: rows.iter().map(|row| indices[*row]).collect(), names: names.clone() }
            }
            Self::Numbers(numbers) => Self::Numbers(rows.iter().map(|row| numbers[*row]).collect()),
        }
    }
}

impl Table {
    /// The number of rows.
    pub const fn rows(&self) -> usize {
        self.labels.len()
    }

    /// The numbers in one sample.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Some rows, in their order.
    pub fn select(&self, rows: &[usize]) -> Self {
        let width = self.width();
        let mut features = Vec::with_capacity(rows.len() * width);
        for row in rows {
            features.extend_from_slice(&self.features[row * width..(row + 1) * width]);
        }
        Self { features, shape: self.shape.clone(), labels: self.labels.select(rows) }
    }
}

impl Data {
    /// The table of one part, as a model with this lens sees it; of the whole, that of `otherwise`.
    ///
    /// # Errors
    /// When the part is empty, lacks a column, or has a label that the model does not know.
    pub fn part(&self, part: Part, otherwise: Part, lens: &Lens) -> Result<Cow<'_, Table>, DataError> {
        let part = if part == Part::Whole { otherwise } else { part };
        let table = match part {
            Part::Train | Part::Whole => &self.train,
            Part::Valid => &self.valid,
            Part::Test => &self.test,
        };
        if table.rows() == 0 {
            return Err(DataError::EmptyPart { name: self.name.clone(), part, rows: self.facts.rows });
        }
        self.seen(table, lens)
    }

    /// The validation part, as a model with this lens sees it; it may be empty.
    ///
    /// # Errors
    /// When it lacks a column, or has a label that the model does not know.
    pub fn validation(&self, lens: &Lens) -> Result<Cow<'_, Table>, DataError> {
        self.seen(&self.valid, lens)
    }

    fn seen<'d>(&'d self, table: &'d Table, lens: &Lens) -> Result<Cow<'d, Table>, DataError> {
        lens.apply(table, &self.lens, &self.name)
    }
}

/// What a format's reader is asked for.
struct Request<'a> {
    dataset: &'a Dataset,
    sources: &'a [files::Source],
    /// For test files, the labels of those that they belong to.
    known: Option<&'a Labels>,
}

impl<'a> Request<'a> {
    fn label(&self) -> Result<&'a str, DataError> {
        self.dataset.label.as_deref().ok_or_else(|| DataError::NoLabel(self.dataset.name.to_string()))
    }

    /// The first file, for what can't be blamed on a single one.
    fn first(&self) -> &'a str {
        self.sources.first().map_or("", |source| &source.name)
    }

    /// Says that there is no row.
    fn empty(&self) -> DataError {
        match self.sources {
            [] => DataError::NoFiles(self.dataset.name.to_string()),
            [first, ..] => DataError::Empty(first.name.clone()),
        }
    }
}

/// What the files of a data set hold, before it is divided.
struct Read {
    table: Table,
    columns: Vec<String>,
    /// Whether the columns' names are the data's own.
    named: bool,
    /// For texts, what the numbers of their words are below.
    vocabulary: Option<u32>,
}

/// Reads a data set from its files.
///
/// # Errors
/// When a file is malformed, a value is missing or not a number, the label is not found, or the shares of the
/// split exceed the whole.
pub fn load(dataset: &Dataset, files: &Files) -> Result<Data, DataError> {
    let mut prints = Prints::new();
    let whole = read(&Request { dataset, sources: &files.main, known: None }, files, &mut prints)?;
    let held_out = match files.test.as_slice() {
        [] => None,
        test => {
            let request = Request { dataset, sources: test, known: Some(&whole.table.labels) };
            let test = read(&request, files, &mut prints)?;
            let name = request.first().to_owned();
            if whole.named && test.columns != whole.columns {
                return Err(DataError::Columns { path: name });
            }
            if test.table.shape != whole.table.shape {
                return Err(DataError::SampleShape { name, found: test.table.shape, expected: whole.table.shape });
            }
            Some(test.table)
        }
    };
    let facts = facts(&whole, held_out.as_ref(), &files.main);
    let options = serde_json::json!([
        dataset.format,
        dataset.label,
        dataset.columns,
        dataset.shape,
        dataset.split,
        dataset.standardize,
        dataset.scale.to_bits(),
    ]);
    let mut hasher = blake3::Hasher::new();
    for print in &prints {
        hasher.update(print.hash.to_string().as_bytes());
    }
    hasher.update(options.to_string().as_bytes());
    let columns = if whole.named { whole.columns } else { Vec::new() };
    let [train, valid, test] = split::divide(whole.table, held_out, &dataset.split)?;
    let name = dataset.name.to_string();
    if train.rows() == 0 {
        return Err(DataError::NothingToTrainOn { name, rows: facts.rows });
    }
    let classes = match &train.labels {
        Labels::Classes { names, .. } => Some(names.clone()),
        Labels::Numbers(_) => None,
    };
    let standard = dataset.standardize.then(|| lens::Standard::learn(&train));
    let lens = Lens { columns, vocabulary: whole.vocabulary, classes, standard };
    Ok(Data { name, train, valid, test, facts, lens, hash: hasher.finalize().into(), prints })
}

fn read(request: &Request, files: &Files, prints: &mut Prints) -> Result<Read, DataError> {
    let dataset = request.dataset;
    let mut read = match Format::parse(&dataset.format)? {
        Format::Csv(layout) => csv::read(request, layout, prints)?,
        Format::Words(layout, words) => words::read(request, layout, words, prints)?,
        Format::Parquet => parquet::read(request, prints)?,
        Format::Idx { labels } => idx::read(request, labels.as_deref(), files, prints)?,
        Format::Npz(pair) => npz::read(request, &pair, prints)?,
        Format::Safetensors(pair) => safetensors::read(request, &pair, prints)?,
    };
    let table = &mut read.table;
    if !dataset.shape.is_empty() {
        let wanted = dataset.shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        if wanted != Some(table.width()) {
            return Err(DataError::Shape { shape: dataset.shape.clone(), width: table.width() });
        }
        table.shape.clone_from(&dataset.shape);
    }
    if dataset.scale != 1.0 {
        let scale = dataset.scale as f32;
        table.features.iter_mut().for_each(|value| *value *= scale);
    }
    Ok(read)
}

fn facts(whole: &Read, held_out: Option<&Table>, sources: &[files::Source]) -> Facts {
    let table = &whole.table;
    let classes = match &table.labels {
        Labels::Classes { names, .. } => names.len() as u64,
        Labels::Numbers(_) => 0,
    };
    Facts {
        width: table.width() as u64,
        classes,
        rows: (table.rows() + held_out.map_or(0, Table::rows)) as u64,
        columns: whole.columns.clone(),
        shards: sources.iter().map(|source| source.name.clone()).collect(),
    }
}
