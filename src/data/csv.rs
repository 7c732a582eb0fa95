use super::{
    DataError, Place, Prints, Read, Request, Table,
    columns::{self, Chosen},
    labels::Column,
};
use crate::value::Layout;
use csv::{Position, ReaderBuilder, StringRecord, Trim};

/// What stands for a missing value in the files people have.
const MISSING: [&str; 8] = ["", "NA", "N/A", "na", "nan", "NaN", "null", "?"];

pub fn read(request: &Request, layout: Layout, prints: &mut Prints) -> Result<Read, DataError> {
    let mut features = Vec::new();
    let (columns, labels) = records(request, layout, prints, |record| {
        for (column, cell) in record.cells() {
            let (path, at) = (|| record.path.to_owned(), || Place::Line(record.line(), column.to_owned()));
            match cell.parse::<f32>() {
                _ if MISSING.contains(&cell) => return Err(DataError::Missing { path: path(), at: at() }),
                Ok(number) if number.is_finite() => features.push(number),
                _ => {
                    let value = cell.chars().take(40).collect();
                    return Err(DataError::NotANumber { path: path(), at: at(), value });
                }
            }
        }
        Ok(())
    })?;
    let labels = labels.labels(request.known, request.first())?;
    let table = Table { features, shape: vec![columns.len()], labels };
    Ok(Read { table, columns, named: true, vocabulary: None })
}

/// A row of a file.
pub struct Record<'r> {
    /// The file.
    pub path: &'r str,
    columns: &'r [String],
    chosen: &'r Chosen,
    record: &'r StringRecord,
}

impl Record<'_> {
    /// The line of the file where it begins, from 1.
    pub fn line(&self) -> u64 {
        self.record.position().map_or(0, Position::line)
    }

    /// What it holds in the columns to learn from, with their names.
    pub fn cells(&self) -> impl Iterator<Item = (&str, &str)> {
        self.chosen.features.iter().map(|index| (self.columns[*index].as_str(), &self.record[*index]))
    }
}

/// Reads all rows of all files; gives the columns to learn from and the labels.
pub fn records(
    request: &Request,
    layout: Layout,
    prints: &mut Prints,
    mut each: impl FnMut(&Record) -> Result<(), DataError>,
) -> Result<(Vec<String>, Column), DataError> {
    let label = request.label()?;
    let mut labels = Vec::new();
    let mut all: Option<Vec<String>> = None;
    let mut features = Vec::new();
    for source in request.sources {
        let bytes = source.read(prints)?;
        let mut reader = ReaderBuilder::new()
            .has_headers(layout.header)
            .delimiter(layout.delimiter)
            .quoting(layout.quotes)
            .trim(Trim::All)
            .flexible(true)
            .from_reader(bytes.as_slice());
        let first = reader.headers().map_err(|error| source.unreadable(&error))?;
        let own: Vec<String> = match layout.header {
            true => first.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect(),
            false => (0..first.len()).map(|index| format!("column{index}")).collect(),
        };
        if all.as_ref().is_some_and(|all| *all != own) {
            return Err(DataError::Columns { path: source.name.clone() });
        }
        let chosen = Chosen::of(request.dataset, label, &own, &source.name)?;
        features = columns::names(&own, &chosen.features);
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).map_err(|error| source.unreadable(&error))? {
            let row = Record { path: &source.name, columns: &own, chosen: &chosen, record: &record };
            let path = || source.name.clone();
            if record.len() != own.len() {
                let (line, expected, found) = (row.line(), own.len(), record.len());
                return Err(DataError::Ragged { path: path(), line, expected, found });
            }
            each(&row)?;
            let label = &record[chosen.label];
            if MISSING.contains(&label) {
                let at = Place::Line(row.line(), own[chosen.label].clone());
                return Err(DataError::Missing { path: path(), at });
            }
            labels.push(label.to_owned());
        }
        all = Some(own);
    }
    if labels.is_empty() {
        return Err(request.empty());
    }
    Ok((features, Column::Texts(labels)))
}
