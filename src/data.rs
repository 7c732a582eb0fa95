//! Data sets: read from files into tables of numbers, divided into parts, scaled.

mod csv;
mod error;
mod files;
mod idx;
mod split;

#[cfg(test)]
mod tests;

pub use error::DataError;
pub use files::Files;

use crate::{
    value::{Dataset, Hash, Part},
    wire::Facts,
};

/// A data set in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// What to train on.
    pub train: Table,
    /// What to choose by.
    pub valid: Table,
    /// What to judge by.
    pub test: Table,
    /// What is known of the whole.
    pub facts: Facts,
    /// The hash of the files' contents and of the way they are read.
    pub hash: Hash,
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
#[derive(Clone, Debug, PartialEq)]
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
    fn select(&self, rows: &[usize]) -> Self {
        let width = self.width();
        let mut features = Vec::with_capacity(rows.len() * width);
        for row in rows {
            features.extend_from_slice(&self.features[row * width..(row + 1) * width]);
        }
        Self { features, shape: self.shape.clone(), labels: self.labels.select(rows) }
    }
}

impl Data {
    /// The table of one part; `None` for the whole, which has none of its own.
    pub const fn part(&self, part: Part) -> Option<&Table> {
        match part {
            Part::Whole => None,
            Part::Train => Some(&self.train),
            Part::Valid => Some(&self.valid),
            Part::Test => Some(&self.test),
        }
    }
}

/// What the files of a data set hold, before it is divided.
struct Read {
    table: Table,
    columns: Vec<String>,
}

/// Reads a data set from its files.
///
/// # Errors
/// When a file is malformed, a value is missing or not a number, the label is not found, or the shares of the
/// split exceed the whole.
pub fn load(dataset: &Dataset, files: &Files) -> Result<Data, DataError> {
    let mut hasher = blake3::Hasher::new();
    let whole = read(dataset, &files.main, files, &mut hasher, None)?;
    let held_out = match files.test.as_slice() {
        [] => None,
        test => Some(read(dataset, test, files, &mut hasher, Some(&whole))?.table),
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
    hasher.update(options.to_string().as_bytes());
    let [mut train, mut valid, mut test] = split::divide(whole.table, held_out, &dataset.split)?;
    if train.rows() == 0 {
        return Err(DataError::NothingToTrainOn { name: dataset.name.to_string(), rows: facts.rows });
    }
    if dataset.standardize {
        let standard = split::Standard::learn(&train);
        [&mut train, &mut valid, &mut test].into_iter().for_each(|table| standard.apply(table));
    }
    Ok(Data { train, valid, test, facts, hash: hasher.finalize().into() })
}

fn read(
    dataset: &Dataset,
    sources: &[files::Source],
    files: &Files,
    hasher: &mut blake3::Hasher,
    like: Option<&Read>,
) -> Result<Read, DataError> {
    let mut read = match &*dataset.format.name {
        "idx" => idx::read(dataset, sources, files, hasher, like)?,
        _ => csv::read(dataset, sources, hasher, like)?,
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
