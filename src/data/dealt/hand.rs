//! What a worker holds of the dealt samples.

use super::{
    Deal, DealtError, Entry, Outline,
    fetch::{Fetched, Shelf},
    piece::Piece,
};
use crate::data::Table;
use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What a worker holds of the dealt samples: those of its own shards, and the chunks that it judges. They are fetched while
/// it begins to work, and kept for its next round.
#[derive(Debug)]
pub struct Hand {
    folder: PathBuf,
    deal: Deal,
    shelf: Arc<Shelf>,
}

impl Hand {
    /// An empty one, of the samples in a folder.
    ///
    /// # Errors
    /// When they are gone or damaged, or their data has changed.
    pub fn open(folder: &Path) -> Result<Self, DealtError> {
        Ok(Self { folder: folder.to_owned(), deal: Deal::read(folder)?, shelf: Arc::default() })
    }

    /// Where the samples lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is known of all samples.
    pub const fn deal(&self) -> &Deal {
        &self.deal
    }

    /// Begins to fetch some shards and chunks, as far as they are not held already, and lets go of all others. The shards'
    /// first pieces come first, as the first epoch wants them.
    pub fn want(&self, shards: Range<usize>, chunks: Range<usize>) {
        let shards = self.deal.shards.get(shards).unwrap_or_default();
        let longest = shards.iter().map(Vec::len).max().unwrap_or(0);
        let in_turn = (0..longest).flat_map(|index| shards.iter().filter_map(move |pieces| pieces.get(index)));
        let learned = in_turn.map(|entry| (*entry, self.deal.about.train.width()));
        let chunks = self.deal.chunks.get(chunks).unwrap_or_default();
        let judged = chunks.iter().map(|entry| (*entry, self.deal.about.valid.width()));
        self.shelf.fill(self.folder.clone(), learned.chain(judged).collect());
    }

    /// Some samples of shards, each named by its shard and its place in the order of the first epoch; it waits for those that
    /// are still to come.
    ///
    /// # Errors
    /// When a piece can't be had.
    pub fn samples(&self, places: impl Iterator<Item = (usize, usize)>) -> Result<Table, DealtError> {
        let (mut features, mut marks) = (Vec::new(), Vec::new());
        for (shard, place) in places {
            let (piece, row) = self.find(shard, place)?;
            piece.add_to(&mut features, row);
            marks.push(piece.mark(row));
        }
        self.table(&self.deal.about.train, features, marks)
    }

    /// The labels of such samples, as [`marks`](crate::data::Labels::marks) writes them.
    ///
    /// # Errors
    /// When a piece can't be had.
    pub fn marks(&self, places: impl Iterator<Item = (usize, usize)>) -> Result<Vec<u32>, DealtError> {
        places.map(|(shard, place)| self.find(shard, place).map(|(piece, row)| piece.mark(row))).collect()
    }

    /// The samples of some chunks that are to be judged.
    ///
    /// # Errors
    /// When a piece can't be had.
    pub fn chunks(&self, chunks: Range<usize>) -> Result<Table, DealtError> {
        let (mut features, mut marks) = (Vec::new(), Vec::new());
        for entry in self.deal.chunks.get(chunks).ok_or_else(|| self.damaged())? {
            let piece = self.shelf.wait(&entry.hash)?;
            (0..piece.rows()).for_each(|row| piece.add_to(&mut features, row));
            marks.extend((0..piece.rows()).map(|row| piece.mark(row)));
        }
        self.table(&self.deal.about.valid, features, marks)
    }

    /// The time spent in waiting for pieces since the last time it was asked.
    pub fn waited(&self) -> Duration {
        self.shelf.waited()
    }

    /// What was fetched so far.
    pub fn fetched(&self) -> Fetched {
        self.shelf.fetched()
    }

    fn find(&self, shard: usize, place: usize) -> Result<(Arc<Piece>, usize), DealtError> {
        let pieces: &[Entry] = self.deal.shards.get(shard).map_or(&[], Vec::as_slice);
        let size = pieces.first().map_or(1, |first| first.rows);
        let entry = pieces.get(place / size).filter(|entry| place % size < entry.rows);
        Ok((self.shelf.wait(&entry.ok_or_else(|| self.damaged())?.hash)?, place % size))
    }

    fn table(&self, outline: &Outline, features: Vec<f32>, marks: Vec<u32>) -> Result<Table, DealtError> {
        let labels = outline.labels.like(marks).ok_or_else(|| self.damaged())?;
        Ok(Table { features, shape: outline.shape.clone(), labels })
    }

    /// What the deal says does not fit the training.
    fn damaged(&self) -> DealtError {
        DealtError::Damaged(self.folder.join(super::LIST))
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.shelf.close();
    }
}
