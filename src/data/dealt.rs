//! A training's samples, dealt out to its virtual shards: files from which each worker fetches what it learns from and
//! judges, and nothing else.
//!
//! A folder holds *pieces*, named by the hash of what they hold, and the [`Deal`], which lists them. Both are written whole
//! or not at all, and what can't be read or is not what it should be counts as not there.

mod fetch;
mod hand;
mod piece;

#[cfg(test)]
mod tests;

pub use fetch::Fetched;
pub use hand::Hand;

use super::{Labels, Lens, Prints, Table};
use crate::{
    disk::new_file,
    value::Hash,
    wire::{self, Failure, Kind, Train},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

/// Changed with every change of what a deal or a piece looks like.
const FORMAT: u32 = 1;

/// A piece of a shard holds about so many numbers: a mebibyte, and a quarter of it where they are pixels.
const PIECE: usize = 1 << 18;

/// The name of the list of pieces.
const LIST: &str = "deal.json";

/// What is known of samples without seeing them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outline {
    /// How many there are.
    pub rows: usize,
    /// The shape of one.
    pub shape: Vec<usize>,
    /// Labels like theirs, of no row.
    pub labels: Labels,
}

impl Outline {
    /// That of a table.
    pub fn of(table: &Table) -> Self {
        Self { rows: table.rows(), shape: table.shape.clone(), labels: table.labels.select(&[]) }
    }

    /// The numbers in one sample; no more than a machine can count, if the outline comes from elsewhere.
    fn width(&self) -> usize {
        self.shape.iter().fold(1, |product: usize, size| product.saturating_mul(*size))
    }
}

/// What a training knows of its data without seeing a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The samples to learn from.
    pub train: Outline,
    /// The samples to choose the best epoch by.
    pub valid: Outline,
    /// How the model sees the data, for those who show it other data later.
    pub lens: Lens,
    /// What stands on the model card for the data.
    pub hash: Hash,
    /// The hash of the other data that the samples to choose by come from, if they do.
    pub valid_hash: Option<Hash>,
}

/// The samples of a training as they were dealt out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deal {
    /// What is known of them.
    pub about: About,
    /// Among all numbers to learn from and to judge, the first that is none of 0, 1, 2 and so on, and the largest; as bits.
    extremes: Vec<u32>,
    /// The files that they come from.
    prints: Prints,
    /// For each shard, its samples in the order in which the first epoch takes them.
    shards: Vec<Vec<Entry>>,
    /// The samples to judge, a piece for each chunk of them.
    chunks: Vec<Entry>,
}

/// A piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    hash: Hash,
    rows: usize,
    bytes: u64,
}

/// Why dealt samples can't be had. They can be dealt again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DealtError {
    /// A file is gone or can't be read.
    #[error("the dealt samples in `{}` can't be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A file does not hold what it should.
    #[error("the dealt samples in `{}` are damaged", .0.display())]
    Damaged(PathBuf),
    /// A file of the data set is not the one any more that they come from.
    #[error("`{0}` was changed since its samples were dealt out")]
    Stale(String),
}

impl From<DealtError> for Failure {
    fn from(error: DealtError) -> Self {
        Self::new(Kind::WorkerLost, error.to_string()).help(
            "the next round deals them out again; if that is of no use, see that the disk has space and no faults",
        )
    }
}

/// What a dealer deals out.
pub struct Cards<'a> {
    /// What is known of the samples.
    pub about: &'a About,
    /// Those to learn from.
    pub train: &'a Table,
    /// Those to judge.
    pub valid: &'a Table,
    /// For each shard, its rows in the order in which the first epoch takes them.
    pub shards: &'a [Vec<usize>],
    /// How many samples are judged together.
    pub chunk: usize,
    /// The files that all come from.
    pub prints: Prints,
}

/// Where the dealt samples of a run's trainings lie, in a folder each.
pub fn folder(run: &Path) -> PathBuf {
    run.join("dealt")
}

/// What the samples of a training are found by: its data, its seed and its shards. The data can't change within a run.
pub fn key(train: &Train) -> Hash {
    let shards = wire::shards(&train.batch, train.shards);
    let about = format!("{FORMAT} {:?} {:?} {:?} {shards}", train.data, train.valid, train.seed);
    Hash::of(about.as_bytes())
}

impl Deal {
    /// Writes the pieces that a folder lacks, and the list of all last. Files lie in `workshop`, a folder of the same file
    /// system, while they are not whole.
    ///
    /// # Errors
    /// When a folder can't be written.
    pub fn write(cards: Cards, folder: &Path, workshop: &Path) -> io::Result<Self> {
        let Cards { about, train, valid, shards, chunk, prints } = cards;
        fs::create_dir_all(folder)?;
        fs::create_dir_all(workshop)?;
        let mut encoder = piece::Encoder::default();
        let mut piece = |table: &Table, rows: &[usize]| -> io::Result<Entry> {
            let bytes = encoder.encode(table, rows);
            let entry = Entry { hash: Hash::of(&bytes), rows: rows.len(), bytes: bytes.len() as u64 };
            let path = folder.join(entry.hash.to_string());
            if !fs::read(&path).is_ok_and(|found| found == bytes) {
                put(&path, workshop, &bytes)?;
            }
            Ok(entry)
        };
        let rows = (PIECE / train.width().max(1)).max(1);
        let shards = shards.iter().map(|shard| shard.chunks(rows).map(|rows| piece(train, rows)).collect());
        let shards = shards.collect::<io::Result<_>>()?;
        let judged: Vec<usize> = (0..valid.rows()).collect();
        let chunks = judged.chunks(chunk.max(1)).map(|rows| piece(valid, rows)).collect::<io::Result<_>>()?;
        let extremes = extremes(train.features.iter().chain(&valid.features));
        let extremes = extremes.into_iter().map(f32::to_bits).collect();
        let deal = Self { about: about.clone(), extremes, prints, shards, chunks };
        let list = serde_json::to_vec(&deal)?;
        put(&folder.join(LIST), workshop, &[Hash::of(&list).as_bytes(), list.as_slice()].concat())?;
        Ok(deal)
    }

    /// The deal in a folder, if its data is what it was.
    ///
    /// # Errors
    /// When it is gone or damaged, or a file of the data set has changed.
    pub fn read(folder: &Path) -> Result<Self, DealtError> {
        let path = folder.join(LIST);
        let bytes = read(&path)?;
        let list = bytes.split_first_chunk().and_then(|(hash, list): (&[u8; 32], _)| {
            (Hash::of(list).as_bytes() == hash).then(|| serde_json::from_slice::<Self>(list).ok())?
        });
        let deal = list.filter(Self::is_even).ok_or(DealtError::Damaged(path))?;
        deal.check()?;
        Ok(deal)
    }

    /// Whether its data is what it was.
    ///
    /// # Errors
    /// When a file of the data set has changed.
    pub fn check(&self) -> Result<(), DealtError> {
        match self.prints.iter().find(|print| !print.is_current()) {
            Some(print) => Err(DealtError::Stale(print.name.clone())),
            None => Ok(()),
        }
    }

    /// Whether all pieces lie in a folder, in their length.
    pub fn is_whole(&self, folder: &Path) -> bool {
        let is_there = |entry: &Entry| fs::metadata(path(folder, entry)).is_ok_and(|about| about.len() == entry.bytes);
        self.entries().all(is_there)
    }

    /// How many shards there are.
    pub const fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The bytes of all pieces.
    pub fn bytes(&self) -> u64 {
        self.entries().map(|entry| entry.bytes).sum()
    }

    /// Numbers that an embedding can look up if it can look up all.
    pub fn extremes(&self) -> Vec<f32> {
        self.extremes.iter().map(|bits| f32::from_bits(*bits)).collect()
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.shards.iter().flatten().chain(&self.chunks)
    }

    /// Whether all pieces of a shard but the last have as many rows, so that a row is found by division.
    fn is_even(&self) -> bool {
        let is_even = |pieces: &[Entry]| {
            let size = pieces.first().map_or(0, |first| first.rows);
            pieces.iter().rev().skip(1).all(|piece| piece.rows == size)
                && pieces.last().is_none_or(|last| (1..=size).contains(&last.rows))
        };
        self.shards.iter().all(|pieces| is_even(pieces)) && is_even(&self.chunks)
    }
}

/// Where a piece lies.
fn path(folder: &Path, entry: &Entry) -> PathBuf {
    folder.join(entry.hash.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, DealtError> {
    fs::read(path).map_err(|error| DealtError::Unreadable { path: path.to_owned(), reason: error.to_string() })
}

/// Writes a file that is there whole or not at all. One that a loss of power damages is made again.
fn put(path: &Path, workshop: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = new_file(workshop)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// The first number that is none of 0, 1, 2 and so on, if there is one, and the largest of those that are.
fn extremes<'f>(features: impl Iterator<Item = &'f f32>) -> Vec<f32> {
    let (mut odd, mut largest) = (None, None);
    for value in features {
        if value.fract() == 0.0 && *value >= 0.0 {
            largest = largest.max(Some(value.to_bits()));
        } else {
            odd = odd.or(Some(*value));
        }
    }
    odd.into_iter().chain(largest.map(f32::from_bits)).collect()
}
