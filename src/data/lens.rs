//! How a model sees data: the columns, classes and scales of what it was trained on.

use super::{DataError, Labels, Table};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// How a model sees data. Whatever is shown to it later is brought into this form, so that a column means the same
/// although it stands in another place, and a class although others are missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lens {
    /// The columns' names, in order; none for data without names, such as images.
    pub columns: Vec<String>,
    /// For texts, what the numbers of their words are below: it decides which word has which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<u32>,
    /// The classes, in order; none where the label is a number.
    pub classes: Option<Vec<String>>,
    /// The centre and spread that features are brought to.
    pub standard: Option<Standard>,
}

/// The centre and the spread of each feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standard {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Lens {
    /// The table of the data set `name`, which has the lens `own`, as a model sees it.
    ///
    /// # Errors
    /// When it lacks a column, its words have other numbers, or it has a label that the model does not know.
    pub fn apply<'t>(&self, table: &'t Table, own: &Self, name: &str) -> Result<Cow<'t, Table>, DataError> {
        let mut seen = Cow::Borrowed(table);
        if self.vocabulary != own.vocabulary {
            let (wanted, found) = (self.vocabulary, own.vocabulary);
            return Err(DataError::OtherWords { name: name.to_owned(), wanted, found });
        }
        let columns = own.columns.as_slice();
        if self.columns != columns && !self.columns.is_empty() {
            let place = |wanted: &String| {
                columns.iter().position(|column| column == wanted).ok_or_else(|| DataError::OtherColumns {
                    name: name.to_owned(),
                    column: wanted.clone(),
                    columns: columns.to_vec(),
                })
            };
            let places: Vec<usize> = self.columns.iter().map(place).collect::<Result<_, _>>()?;
            let rows = table.features.chunks_exact(columns.len().max(1));
            seen.to_mut().features = rows.flat_map(|row| places.iter().map(|place| row[*place])).collect();
            if places.len() != columns.len() {
                seen.to_mut().shape = vec![places.len()];
            }
        }
        let labels = self.labels(&table.labels, name)?;
        if let Cow::Owned(labels) = labels {
            seen.to_mut().labels = labels;
        }
        if let Some(standard) = &self.standard
            && standard.mean.len() == seen.width()
        {
            standard.apply(seen.to_mut());
        }
        Ok(seen)
    }

    /// Labels by the model's classes, or as numbers where it has none.
    fn labels<'t>(&self, labels: &'t Labels, name: &str) -> Result<Cow<'t, Labels>, DataError> {
        let unknown = |label: &str| DataError::OtherLabel {
            name: name.to_owned(),
            label: label.to_owned(),
            classes: self.classes.clone().unwrap_or_default(),
        };
        match (&self.classes, labels) {
            (Some(classes), Labels::Classes { names, .. }) if classes == names => Ok(Cow::Borrowed(labels)),
            (Some(classes), Labels::Classes { indices, names }) => {
                let place = |name: &String| classes.iter().position(|class| class == name);
                let places: Vec<Option<usize>> = names.iter().map(place).collect();
                let index = |index: &u32| match places[*index as usize] {
                    Some(place) => Ok(place as u32),
                    None => Err(unknown(&names[*index as usize])),
                };
                let indices = indices.iter().map(index).collect::<Result<_, _>>()?;
                Ok(Cow::Owned(Labels::Classes { indices, names: classes.clone() }))
            }
            (Some(_), Labels::Numbers(numbers)) => {
                Err(unknown(&numbers.first().map_or_else(String::new, f32::to_string)))
            }
            (None, Labels::Numbers(_)) => Ok(Cow::Borrowed(labels)),
            (None, Labels::Classes { indices, names }) => {
                let numbers: Vec<f32> =
                    names.iter().map(|name| name.parse().map_err(|_| unknown(name))).collect::<Result<_, _>>()?;
                Ok(Cow::Owned(Labels::Numbers(indices.iter().map(|index| numbers[*index as usize]).collect())))
            }
        }
    }
}

impl Standard {
    /// Mean and standard deviation of each column of `table`; a column that never changes keeps its scale.
    pub fn learn(table: &Table) -> Self {
        let (width, rows) = (table.width(), table.rows().max(1) as f64);
        let mut mean = vec![0.0; width];
        let mut square = vec![0.0; width];
        for row in table.features.chunks_exact(width.max(1)) {
            for (sum, value) in mean.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= rows);
        for row in table.features.chunks_exact(width.max(1)) {
            for ((sum, value), mean) in square.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(*value) - mean).powi(2);
            }
        }
        let scale = square
            .into_iter()
            .map(|sum| (sum / rows).sqrt())
            .map(|deviation| if deviation > 0.0 { deviation } else { 1.0 });
        Self { mean, scale: scale.collect() }
    }

    /// Centres and scales every row.
    fn apply(&self, table: &mut Table) {
        let width = table.width().max(1);
        for row in table.features.chunks_exact_mut(width) {
            for ((value, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *value = ((f64::from(*value) - mean) / scale) as f32;
            }
        }
    }
}
