//! What labels mean: classes, or numbers to predict. Test files follow the files that they belong to.

use super::{DataError, Labels};
use std::collections::{BTreeMap, BTreeSet};

/// Whole numbers in a column are classes while there are at most this many; beyond, they are numbers to predict.
const MAX_CLASSES: usize = 100;

/// A column of labels, as it stands in files.
pub enum Column {
    /// Texts.
    Texts(Vec<String>),
    /// Numbers, whole or not.
    Numbers(Vec<f64>),
}

impl Column {
    /// No label yet.
    pub const fn new() -> Self {
        Self::Texts(Vec::new())
    }

    /// The number of rows.
    pub const fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// Adds the rows of another file; says whether they are of the same type.
    pub fn extend(&mut self, other: Self) -> bool {
        match (&mut *self, other) {
            (all, other) if all.len() == 0 => *all = other,
            (Self::Texts(all), Self::Texts(other)) => all.extend(other),
            (Self::Numbers(all), Self::Numbers(other)) => all.extend(other),
            _ => return false,
        }
        true
    }

    /// Texts, and whole numbers of few kinds, are classes; all else are numbers.
    pub fn labels(self, known: Option<&Labels>, path: &str) -> Result<Labels, DataError> {
        match self {
            Self::Texts(texts) => of_texts(&texts, known, path),
            Self::Numbers(numbers) => {
                let whole = numbers.iter().all(|number| number.fract() == 0.0 && number.abs() < 1e9);
                let kinds: BTreeSet<i64> = numbers.iter().filter(|_| whole).map(|number| *number as i64).collect();
                if !whole || kinds.len() > MAX_CLASSES {
                    return of_numbers(numbers, known, path);
                }
                let classes: Vec<i128> = numbers.iter().map(|number| *number as i128).collect();
                of_classes(&classes, known, path)
            }
        }
    }
}

/// Labels that are texts: classes, unless all can be read as numbers.
fn of_texts(texts: &[String], known: Option<&Labels>, path: &str) -> Result<Labels, DataError> {
    if let Some(Labels::Classes { names, .. }) = known {
        return among(names, texts.iter(), path);
    }
    match texts.iter().map(|text| text.parse().ok()).collect() {
        Some(numbers) => Column::Numbers(numbers).labels(known, path),
        None => {
            let kinds: BTreeSet<&String> = texts.iter().collect();
            let kinds: Vec<&String> = kinds.into_iter().collect();
            let indices = texts.iter().map(|text| kinds.partition_point(|kind| *kind < text) as u32).collect();
            Ok(Labels::Classes { indices, names: kinds.into_iter().cloned().collect() })
        }
    }
}

/// Whole numbers, each a class.
pub fn of_classes(classes: &[i128], known: Option<&Labels>, path: &str) -> Result<Labels, DataError> {
    match known {
        Some(Labels::Classes { names, .. }) => among(names, classes.iter().map(i128::to_string), path),
        Some(Labels::Numbers(_)) => Ok(Labels::Numbers(classes.iter().map(|class| *class as f32).collect())),
        None => {
            let kinds: BTreeSet<i128> = classes.iter().copied().collect();
            let kinds: Vec<i128> = kinds.into_iter().collect();
            let indices = classes.iter().map(|class| kinds.partition_point(|kind| kind < class) as u32).collect();
            Ok(Labels::Classes { indices, names: kinds.iter().map(i128::to_string).collect() })
        }
    }
}

/// Numbers to predict.
pub fn of_numbers(numbers: Vec<f64>, known: Option<&Labels>, path: &str) -> Result<Labels, DataError> {
    match known {
        Some(Labels::Classes { names, .. }) => among(names, numbers.iter().map(f64::to_string), path),
        _ => Ok(Labels::Numbers(numbers.into_iter().map(|number| number as f32).collect())),
    }
}

/// Labels by their places among known classes, whose names they have or whose numbers they are.
fn among(names: &[String], labels: impl Iterator<Item = impl AsRef<str>>, path: &str) -> Result<Labels, DataError> {
    let places: BTreeMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
    let by_number = |label: &str| {
        let number: f64 = label.parse().ok()?;
        names.iter().zip(0..).find(|(name, _)| name.parse() == Ok(number)).map(|(_, place)| place)
    };
    let index = |label: &str| {
        let place = places.get(label).copied().or_else(|| by_number(label));
        place.ok_or_else(|| DataError::UnknownLabel { path: path.to_owned(), label: label.to_owned() })
    };
    let indices = labels.map(|label| index(label.as_ref())).collect::<Result<_, _>>()?;
    Ok(Labels::Classes { indices, names: names.to_vec() })
}
