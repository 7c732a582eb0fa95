use super::{DataError, Labels, Read, Table, files::Source};
use crate::value::{Dataset, Value};
use std::collections::BTreeSet;

/// Whole numbers as labels are classes while there are at most this many; beyond, they are numbers to predict.
const MAX_CLASSES: usize = 100;

/// What stands for a missing value in the files people have.
const MISSING: [&str; 8] = ["", "NA", "N/A", "na", "nan", "NaN", "null", "?"];

pub fn read(
    dataset: &Dataset,
    sources: &[Source],
    hasher: &mut blake3::Hasher,
    like: Option<&Read>,
) -> Result<Read, DataError> {
    let name = || dataset.name.to_string();
    let label = dataset.label.as_deref().ok_or_else(|| DataError::NoLabel(name()))?;
    let args = &dataset.format.args;
    let header = args.get("header") != Some(&Value::Bool(false));
    let delimiter = args.get("delimiter").and_then(Value::as_str).and_then(|text| text.bytes().next()).unwrap_or(b',');
    let mut rows = Rows { columns: Vec::new(), features: Vec::new(), labels: Vec::new() };
    let mut all: Option<Vec<String>> = None;
    for source in sources {
        let bytes = source.read(hasher)?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(header)
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(bytes.as_slice());
        let unreadable =
            |error: csv::Error| DataError::Unreadable { path: source.name.clone(), reason: error.to_string() };
        let first = reader.headers().map_err(unreadable)?;
        let own: Vec<String> = match header {
            true => first.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect(),
            false => (0..first.len()).map(|index| format!("column{index}")).collect(),
        };
        if all.as_ref().is_some_and(|all| *all != own) {
            return Err(DataError::Columns { path: source.name.clone() });
        }
        let chosen = Chosen::of(dataset, label, &own, &source.name)?;
        rows.columns = chosen.features.iter().map(|index| own[*index].clone()).collect();
        rows.read(&mut reader, &own, &chosen, source)?;
        all = Some(own);
    }
    if rows.labels.is_empty() {
        let name = sources.first().map_or_else(name, |source| source.name.clone());
        return Err(if sources.is_empty() { DataError::NoFiles(name) } else { DataError::Empty(name) });
    }
    let known = like.map(|read| &read.table.labels);
    let labels = labels(&rows.labels, known, sources.first().map_or("", |source| &source.name))?;
    let shape = vec![rows.columns.len()];
    Ok(Read { table: Table { features: rows.features, shape, labels }, columns: rows.columns, named: true })
}

/// The columns that are used, by their places.
struct Chosen {
    features: Vec<usize>,
    label: usize,
}

impl Chosen {
    fn of(dataset: &Dataset, label: &str, columns: &[String], path: &str) -> Result<Self, DataError> {
        let find = |wanted: &str| {
            columns.iter().position(|column| column == wanted).ok_or_else(|| {
                let distance = |column: &&String| strsim::damerau_levenshtein(column, wanted);
                let near = columns.iter().filter(|column| distance(column) <= wanted.len().div_ceil(3));
                DataError::NoColumn {
                    path: path.to_owned(),
                    column: wanted.to_owned(),
                    similar: near.min_by_key(distance).cloned(),
                    columns: columns.to_vec(),
                }
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

struct Rows {
    columns: Vec<String>,
    features: Vec<f32>,
    labels: Vec<String>,
}

impl Rows {
    fn read(
        &mut self,
        reader: &mut csv::Reader<&[u8]>,
        columns: &[String],
        chosen: &Chosen,
        source: &Source,
    ) -> Result<(), DataError> {
        let path = || source.name.clone();
        let mut record = csv::StringRecord::new();
        loop {
            let more = reader.read_record(&mut record);
            if !more.map_err(|error| DataError::Unreadable { path: path(), reason: error.to_string() })? {
                return Ok(());
            }
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != columns.len() {
                return Err(DataError::Ragged { path: path(), line, expected: columns.len(), found: record.len() });
            }
            for index in &chosen.features {
                let cell = &record[*index];
                let column = || columns[*index].clone();
                match cell.parse::<f32>() {
                    _ if MISSING.contains(&cell) => {
                        return Err(DataError::Missing { path: path(), line, column: column() });
                    }
                    Ok(number) if number.is_finite() => self.features.push(number),
                    _ => {
                        let value = cell.chars().take(40).collect();
                        return Err(DataError::NotANumber { path: path(), line, column: column(), value });
                    }
                }
            }
            let label = &record[chosen.label];
            if MISSING.contains(&label) {
                let column = columns[chosen.label].clone();
                return Err(DataError::Missing { path: path(), line, column });
            }
            self.labels.push(label.to_owned());
        }
    }
}

/// Text, and whole numbers of few kinds, are classes; all else are numbers. Test files follow the files they belong to.
fn labels(cells: &[String], known: Option<&Labels>, path: &str) -> Result<Labels, DataError> {
    let numbers: Option<Vec<f64>> = cells.iter().map(|cell| cell.parse().ok()).collect();
    if let Some(Labels::Classes { names, .. }) = known {
        let index = |cell: &String| {
            let place = names.iter().position(|name| name == cell).or_else(|| {
                let number: f64 = cell.parse().ok()?;
                names.iter().position(|name| name.parse() == Ok(number))
            });
            let place = place.ok_or_else(|| DataError::UnknownLabel { path: path.to_owned(), label: cell.clone() })?;
            Ok(place as u32)
        };
        let indices = cells.iter().map(index).collect::<Result<_, _>>()?;
        return Ok(Labels::Classes { indices, names: names.clone() });
    }
    let as_numbers = |numbers: Vec<f64>| Labels::Numbers(numbers.into_iter().map(|number| number as f32).collect());
    match numbers {
        Some(numbers) if known.is_some() => Ok(as_numbers(numbers)),
        Some(numbers) => {
            let whole = numbers.iter().all(|number| number.fract() == 0.0 && number.abs() < 1e9);
            let kinds: BTreeSet<i64> =
                if whole { numbers.iter().map(|number| *number as i64).collect() } else { BTreeSet::new() };
            if !whole || kinds.len() > MAX_CLASSES {
                return Ok(as_numbers(numbers));
            }
            let kinds: Vec<i64> = kinds.into_iter().collect();
            let indices = numbers.iter().map(|number| kinds.partition_point(|kind| *kind < *number as i64) as u32);
            let indices = indices.collect();
            Ok(Labels::Classes { indices, names: kinds.iter().map(i64::to_string).collect() })
        }
        None => {
            let kinds: BTreeSet<&String> = cells.iter().collect();
            let kinds: Vec<&String> = kinds.into_iter().collect();
            let indices = cells.iter().map(|cell| kinds.partition_point(|kind| *kind < cell) as u32).collect();
            Ok(Labels::Classes { indices, names: kinds.into_iter().cloned().collect() })
        }
    }
}
