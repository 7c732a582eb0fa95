//! The idx format of the MNIST family: a type, the sizes of each dimension, then the numbers (LeCun, "The MNIST database").

use super::{
    DataError, Labels, Read, Table,
    files::{Files, Source},
};
use crate::value::{Dataset, Value};

pub fn read(
    dataset: &Dataset,
    sources: &[Source],
    files: &Files,
    hasher: &mut blake3::Hasher,
    like: Option<&Read>,
) -> Result<Read, DataError> {
    let mut table = Table::default();
    let mut classes: Vec<u32> = Vec::new();
    for source in sources {
        let images = Array::parse(&source.read(hasher)?, &source.name)?;
        let label_name = label_name(dataset, source, like.is_some());
        if label_name == source.name {
            return Err(DataError::NoLabel(dataset.name.to_string()));
        }
        let labels = Array::parse(&files.beside(&label_name)?.read(hasher)?, &label_name)?;
        let (rows, sample) = images.sizes.split_first().unwrap_or((&0, &[]));
        if labels.values.len() != *rows {
            let found = labels.values.len();
            return Err(DataError::Unpaired { images: source.name.clone(), labels: label_name, rows: *rows, found });
        }
        let shape = match sample {
            [height, width] => vec![1, *height, *width],
            other => other.to_vec(),
        };
        if !table.shape.is_empty() && table.shape != shape {
            return Err(DataError::Columns { path: source.name.clone() });
        }
        table.shape = shape;
        table.features.extend(images.values);
        classes.extend(labels.values.iter().map(|label| *label as u32));
    }
    if classes.is_empty() {
        return Err(DataError::NoFiles(dataset.name.to_string()));
    }
    let known = like.map(|read| match &read.table.labels {
        Labels::Classes { names, .. } => names.len() as u32,
        Labels::Numbers(_) => 0,
    });
    let largest = classes.iter().max().copied().unwrap_or(0);
    let count = known.unwrap_or(largest + 1);
    if largest >= count {
        let path = sources.first().map_or_else(String::new, |source| source.name.clone());
        return Err(DataError::UnknownLabel { path, label: largest.to_string() });
    }
    table.labels = Labels::Classes { indices: classes, names: (0..count).map(|class| class.to_string()).collect() };
    let columns = (0..table.width()).map(|index| format!("pixel{index}")).collect();
    Ok(Read { table, columns, named: false })
}

/// The file with the labels of another; only what is learned from may have one of a name of its own.
pub fn label_name(dataset: &Dataset, source: &Source, is_test: bool) -> String {
    let named = dataset.format.args.get("labels").and_then(Value::as_str).filter(|_| !is_test);
    named.map_or_else(|| source.name.replace("images-idx3", "labels-idx1"), str::to_owned)
}

struct Array {
    sizes: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    fn parse(bytes: &[u8], path: &str) -> Result<Self, DataError> {
        let bad = |reason: String| DataError::NotIdx { path: path.to_owned(), reason };
        let [0, 0, kind, dims, rest @ ..] = bytes else {
            return Err(bad("it does not start with two zero bytes".into()));
        };
        let dims = usize::from(*dims);
        let (head, body) = rest.split_at_checked(dims * 4).ok_or_else(|| bad("it ends within its sizes".into()))?;
        let word = |bytes: &[u8]| bytes.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
        let sizes: Vec<usize> = head.chunks_exact(4).map(word).collect();
        let count = sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        let (width, read): (usize, fn(&[u8]) -> f32) = match kind {
            0x08 => (1, |b| f32::from(b[0])),
            0x09 => (1, |b| f32::from(b[0] as i8)),
            0x0b => (2, |b| f32::from(i16::from_be_bytes([b[0], b[1]]))),
            0x0c => (4, |b| i32::from_be_bytes([b[0], b[1], b[2], b[3]]) as f32),
            0x0d => (4, |b| f32::from_be_bytes([b[0], b[1], b[2], b[3]])),
            0x0e => (8, |b| f64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32),
            other => return Err(bad(format!("it holds numbers of an unknown type, {other:#04x}"))),
        };
        if count.and_then(|count| count.checked_mul(width)) != Some(body.len()) {
            let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
            return Err(bad(format!(
                "its sizes are {}, which does not fit the {} bytes that follow",
                sizes.join("×"),
                body.len()
            )));
        }
        Ok(Self { sizes, values: body.chunks_exact(width).map(read).collect() })
    }
}
