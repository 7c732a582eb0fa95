//! Columns in pages, as pandas, Polars, DuckDB and Spark write them (Apache Parquet).

mod pages;

use super::{DataError, Place, Prints, Read, Request, Table, columns, columns::Chosen, files::Source, labels::Column};
use bytes::Bytes;
use half::f16;
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Type as Physical},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::DataType,
    errors::ParquetError,
    file::reader::{FileReader, RowGroupReader, SerializedFileReader},
    schema::types::{ColumnDescriptor, SchemaDescriptor},
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The rows that are read at a time.
const BATCH: usize = 1 << 16;

pub fn read(request: &Request, prints: &mut Prints) -> Result<Read, DataError> {
    let mut table: Option<Part> = None;
    for source in request.sources {
        let bytes = source.read(prints)?;
        // The crate that reads pages panics at some that are broken; what it has made until then is dropped.
        let part = catch_unwind(AssertUnwindSafe(|| Part::read(bytes, request, source)));
        let part = part.unwrap_or_else(|_| Err(malformed(source, "its pages are broken")))?;
        match &mut table {
            None => table = Some(part),
            Some(all) => {
                if all.all != part.all || !all.labels.extend(part.labels) {
                    return Err(DataError::Columns { path: source.name.clone() });
                }
                all.features.extend(part.features);
            }
        }
    }
    let Some(Part { columns, features, labels, .. }) = table.filter(|part| part.labels.len() > 0) else {
        return Err(request.empty());
    };
    let labels = labels.labels(request.known, request.first())?;
    Ok(Read { table: Table { features, shape: vec![columns.len()], labels }, columns, named: true, vocabulary: None })
}

fn malformed(source: &Source, reason: impl ToString) -> DataError {
    DataError::Malformed { path: source.name.clone(), format: "parquet", reason: reason.to_string() }
}

/// What one file holds.
struct Part {
    all: Vec<String>,
    columns: Vec<String>,
    features: Vec<f32>,
    labels: Column,
}

impl Part {
    fn read(bytes: Vec<u8>, request: &Request, source: &Source) -> Result<Self, DataError> {
        let broken = |error: ParquetError| malformed(source, said(&error));
        let bytes = Bytes::from(bytes);
        let file = SerializedFileReader::new(bytes.clone()).map_err(broken)?;
        let schema = file.metadata().file_metadata().schema_descr();
        let all: Vec<String> = schema.root_schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
        let chosen = Chosen::of(request.dataset, request.label()?, &all, &source.name)?;
        let leaf = |index: usize| Leaf::find(schema, &all[index], source);
        let leaves = chosen.features.iter().map(|index| leaf(*index)).collect::<Result<Vec<_>, _>>()?;
        if let Some(text) = leaves.iter().find(|leaf| leaf.holds == Holds::Texts) {
            return Err(text.of_type("texts"));
        }
        let label = leaf(chosen.label)?;
        let (mut features, mut labels) = (Vec::new(), Column::new());
        for index in 0..file.num_row_groups() {
            let group = file.get_row_group(index).map_err(broken)?;
            for leaf in leaves.iter().chain([&label]) {
                let chunk = group.metadata().column(leaf.place);
                let (start, length) = chunk.byte_range();
                let pages = usize::try_from(start).ok().zip(usize::try_from(length).ok());
                let pages = pages.and_then(|(start, length)| bytes.get(start..)?.get(..length)).unwrap_or(&[]);
                if chunk.compression() == Compression::SNAPPY && pages::claim_too_much(pages) {
                    return Err(malformed(source, "a page claims to be more than it can hold"));
                }
            }
            let before = labels.len();
            labels.extend(label.labels(&*group, before)?);
            let rows = labels.len() - before;
            let start = features.len();
            features.resize(start + rows * leaves.len(), 0.0);
            for (place, leaf) in leaves.iter().enumerate() {
                let numbers = leaf.numbers(&*group, before)?;
                if numbers.len() != rows {
                    return Err(malformed(source, "its columns have different lengths"));
                }
                let cells = features[start + place..].iter_mut().step_by(leaves.len());
                cells.zip(numbers).for_each(|(cell, number)| *cell = number as f32);
            }
        }
        let columns = columns::names(&all, &chosen.features);
        Ok(Self { all, columns, features, labels })
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// True and false.
    Bools,
    /// Whole numbers with a sign, or other numbers.
    Numbers,
    /// Whole numbers without a sign.
    Unsigned,
    /// Numbers of 16 bits.
    Halves,
    /// UTF-8 texts.
    Texts,
}

impl Holds {
    /// What a column holds; in words where that is none of these.
    fn of(column: &ColumnDescriptor) -> Result<Self, &'static str> {
        use LogicalType as Logical;
        let unsigned = matches!(
            column.converted_type(),
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
        );
        match (column.physical_type(), column.logical_type_ref()) {
            (_, Some(Logical::Date | Logical::Time(_) | Logical::Timestamp(_))) | (Physical::INT96, _) => Err("times"),
            (_, Some(Logical::Decimal(_))) => Err("decimals"),
            (Physical::BOOLEAN, _) => Ok(Self::Bools),
            (Physical::INT32 | Physical::INT64, Some(Logical::Integer(int))) if !int.is_signed => Ok(Self::Unsigned),
            (Physical::INT32 | Physical::INT64, Some(Logical::Integer(_))) => Ok(Self::Numbers),
            (Physical::INT32 | Physical::INT64, None) => match column.converted_type() {
                _ if unsigned => Ok(Self::Unsigned),
                ConvertedType::DECIMAL => Err("decimals"),
                ConvertedType::NONE
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64 => Ok(Self::Numbers),
                _ => Err("times"),
            },
            (Physical::FLOAT | Physical::DOUBLE, _) => Ok(Self::Numbers),
            (Physical::FIXED_LEN_BYTE_ARRAY, Some(Logical::Float16)) if column.type_length() == 2 => Ok(Self::Halves),
            (Physical::BYTE_ARRAY, Some(Logical::String | Logical::Enum)) => Ok(Self::Texts),
            (Physical::BYTE_ARRAY, None)
                if matches!(column.converted_type(), ConvertedType::UTF8 | ConvertedType::ENUM) =>
            {
                Ok(Self::Texts)
            }
            _ => Err("bytes"),
        }
    }
}

/// A column that is used.
struct Leaf<'s> {
    source: &'s Source,
    name: String,
    /// Its place among the columns that hold values.
    place: usize,
    holds: Holds,
}

impl<'s> Leaf<'s> {
    fn find(schema: &SchemaDescriptor, name: &str, source: &'s Source) -> Result<Self, DataError> {
        let plain = |column: &ColumnDescriptor| column.path().parts() == [name] && column.max_rep_level() == 0;
        let other = |holds| {
            let (path, column) = (source.name.clone(), name.to_owned());
            DataError::ColumnType { path, column, holds }
        };
        let place =
            schema.columns().iter().position(|column| plain(column)).ok_or_else(|| other("lists or records"))?;
        let holds = Holds::of(&schema.columns()[place]).map_err(other)?;
        Ok(Self { source, name: name.to_owned(), place, holds })
    }

    fn of_type(&self, holds: &'static str) -> DataError {
        DataError::ColumnType { path: self.source.name.clone(), column: self.name.clone(), holds }
    }

    /// The column's labels in some rows, of which the first has `before` rows before it.
    fn labels(&self, group: &dyn RowGroupReader, before: usize) -> Result<Column, DataError> {
        Ok(match (self.holds, self.open(group)?) {
            (Holds::Texts, ColumnReader::ByteArrayColumnReader(reader)) => {
                let text = |bytes: &parquet::data_type::ByteArray| bytes.as_utf8().map(str::to_owned);
                let texts = self.values(reader, before)?.iter().map(text).collect::<Result<_, _>>();
                Column::Texts(texts.map_err(|error| malformed(self.source, said(&error)))?)
            }
            (Holds::Bools, ColumnReader::BoolColumnReader(reader)) => {
                Column::Texts(self.values(reader, before)?.iter().map(bool::to_string).collect())
            }
            (_, reader) => Column::Numbers(self.read_numbers(reader, before)?),
        })
    }

    /// The column's numbers in some rows, of which the first has `before` rows before it.
    fn numbers(&self, group: &dyn RowGroupReader, before: usize) -> Result<Vec<f64>, DataError> {
        self.read_numbers(self.open(group)?, before)
    }

    fn open(&self, group: &dyn RowGroupReader) -> Result<ColumnReader, DataError> {
        group.get_column_reader(self.place).map_err(|error| malformed(self.source, said(&error)))
    }

    fn read_numbers(&self, reader: ColumnReader, before: usize) -> Result<Vec<f64>, DataError> {
        let signed = self.holds != Holds::Unsigned;
        let numbers: Vec<f64> = match reader {
            ColumnReader::BoolColumnReader(reader) => {
                self.values(reader, before)?.into_iter().map(|truth| f64::from(u8::from(truth))).collect()
            }
            ColumnReader::Int32ColumnReader(reader) => {
                let number = |value: i32| if signed { f64::from(value) } else { f64::from(value.cast_unsigned()) };
                self.values(reader, before)?.into_iter().map(number).collect()
            }
            ColumnReader::Int64ColumnReader(reader) => {
                let number = |value: i64| if signed { value as f64 } else { value.cast_unsigned() as f64 };
                self.values(reader, before)?.into_iter().map(number).collect()
            }
            ColumnReader::FloatColumnReader(reader) => {
                self.values(reader, before)?.into_iter().map(f64::from).collect()
            }
            ColumnReader::DoubleColumnReader(reader) => self.values(reader, before)?,
            ColumnReader::FixedLenByteArrayColumnReader(reader) if self.holds == Holds::Halves => {
                let number =
                    |bytes: &[u8]| bytes.first_chunk().map_or(f64::NAN, |two| f16::from_le_bytes(*two).to_f64());
                self.values(reader, before)?.iter().map(|bytes| number(bytes.data())).collect()
            }
            _ => return Err(self.of_type("bytes")),
        };
        match numbers.iter().position(|number| !(*number as f32).is_finite()) {
            None => Ok(numbers),
            Some(row) if numbers[row].is_nan() => Err(self.missing(before + row)),
            Some(row) => Err(DataError::NotANumber {
                path: self.source.name.clone(),
                at: self.at(before + row),
                value: numbers[row].to_string(),
            }),
        }
    }

    /// All values of a column in a group of rows, none of which may be missing.
    fn values<T: DataType>(&self, mut reader: ColumnReaderImpl<T>, before: usize) -> Result<Vec<T::T>, DataError> {
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        loop {
            let (start, rows) = (levels.len(), values.len());
            let read = reader.read_records(BATCH, Some(&mut levels), None, &mut values);
            let (records, found, _) = read.map_err(|error| malformed(self.source, said(&error)))?;
            if found < records {
                let missing = levels[start..].iter().position(|level| *level == 0).unwrap_or(0);
                return Err(self.missing(before + rows + missing));
            }
            if records == 0 {
                return Ok(values);
            }
        }
    }

    fn at(&self, row: usize) -> Place {
        Place::Row(row as u64 + 1, self.name.clone())
    }

    fn missing(&self, row: usize) -> DataError {
        DataError::Missing { path: self.source.name.clone(), at: self.at(row) }
    }
}

/// What the crate said, without the name of its error.
fn said(error: &ParquetError) -> String {
    match error {
        ParquetError::General(what) | ParquetError::EOF(what) | ParquetError::NYI(what) => what.clone(),
        other => other.to_string(),
    }
}
