//! Texts as rows of word numbers. A word's number is a hash of it (Weinberger et al., "Feature hashing for large scale
//! multitask learning", 2009), so that it is the same in every file and nothing has to be learned or kept.

use super::{DataError, Place, Prints, Read, Request, Table, csv};
use crate::value::{Layout, Words};

pub fn read(request: &Request, layout: Layout, words: Words, prints: &mut Prints) -> Result<Read, DataError> {
    let mut features: Vec<f32> = Vec::new();
    let (_, labels) = csv::records(request, layout, prints, |record| {
        let start = features.len();
        let mut columns = record.cells().peekable();
        let first = columns.peek().map_or_else(String::new, |(column, _)| (*column).to_owned());
        let mut blank = true;
        for (_, text) in columns {
            blank &= text.is_empty();
            let left = words.length - (features.len() - start);
            features.extend(numbers(text, words.vocabulary).take(left).map(|number| number as f32));
        }
        if blank {
            let at = Place::Line(record.line(), first);
            return Err(DataError::Missing { path: record.path.to_owned(), at });
        }
        features.resize(start + words.length, 0.0);
        Ok(())
    })?;
    let labels = labels.labels(request.known, request.first())?;
    let columns = (0..words.length).map(|index| format!("word{index}")).collect();
    let table = Table { features, shape: vec![words.length], labels };
    Ok(Read { table, columns, named: false, vocabulary: Some(words.vocabulary) })
}

/// The numbers of the words of a text, each from 1 to below `vocabulary`; 0 is left for where no word is.
fn numbers(text: &str, vocabulary: u32) -> impl Iterator<Item = u32> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(move |word| {
        let hash = blake3::hash(word.to_lowercase().as_bytes());
        let (first, _) = hash.as_bytes().split_first_chunk().unwrap_or((&[0; 8], &[]));
        (u64::from_le_bytes(*first) % u64::from(vocabulary - 1)) as u32 + 1
    })
}
