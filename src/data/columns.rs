//! The columns of a table that are used.

use super::DataError;
use crate::value::Dataset;

/// The columns that are used, by their places.
pub struct Chosen {
    /// What to learn from.
    pub features: Vec<usize>,
    /// What to predict.
    pub label: usize,
}

impl Chosen {
    /// Finds the columns of a data set among those of a file.
    pub fn of(dataset: &Dataset, label: &str, columns: &[String], path: &str) -> Result<Self, DataError> {
        let find = |wanted: &str| {
            columns.iter().position(|column| column == wanted).ok_or_else(|| DataError::NoColumn {
                path: path.to_owned(),
                column: wanted.to_owned(),
                similar: similar(wanted, columns),
                columns: columns.to_vec(),
            })
        };
        let label = find(label)?;
        let features = match dataset.columns.as_slice() {
            [] => (0..columns.len()).filter(|index| *index != label).collect(),
            chosen => chosen.iter().map(|column| find(column)).collect::<Result<_, _>>()?,
        };
        Ok(Self { features, label })
    }
}

/// The names at some places.
pub fn names(columns: &[String], places: &[usize]) -> Vec<String> {
    places.iter().map(|index| columns[*index].clone()).collect()
}

/// A name that is nearly the one that was wanted.
pub fn similar(wanted: &str, names: &[String]) -> Option<String> {
    let distance = |name: &&String| strsim::damerau_levenshtein(name, wanted);
    // Any two names of one letter are near, which says nothing.
    let most = wanted.len().div_ceil(3).min(wanted.len().saturating_sub(1));
    let near = names.iter().filter(|name| distance(name) <= most);
    near.min_by_key(distance).cloned()
}
