//! A bucket on its way: what a worker gives of it to the others, and takes from them.

use super::{
    Member, SyncError,
    codec::Form,
    sum::{Row, sum},
};
use crate::{store::Key, wire::Cut};
use bytes::Bytes;
use std::ops::Range;

/// What a blob of a bucket is.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// Numbers of one worker.
    Own,
    /// Sums over a group of workers.
    Partial,
    /// Sums over all workers.
    Sum,
}

/// The name of a blob among those of a bucket.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub what: What,
    /// The rank that gives it.
    pub from: usize,
    /// The part of the row that it holds.
    pub part: usize,
}

/// The post of one bucket.
pub(super) struct Post<'m> {
    member: &'m Member,
    form: Form,
    /// Which bucket it is among those that are exact, or those that are not.
    index: u64,
    /// What lies in the store until all have got it.
    pub given: Vec<Key>,
}

impl<'m> Post<'m> {
    pub fn new(member: &'m Member, form: Form, index: u64) -> Self {
        Self { member, form, index, given: Vec::new() }
    }

    pub fn rank(&self) -> usize {
        self.member.own.rank
    }

    pub fn of(&self) -> usize {
        self.member.own.of
    }

    /// The key of a blob. The aggregator knows no more of a bucket than whether its numbers are written in the codec.
    pub fn key(&self, name: Name) -> Key {
        let form = if self.form == Form::F32 { "exact" } else { "coded" };
        let what = match name.what {
            What::Own => "own",
            What::Partial => "partial",
            What::Sum => "sum",
        };
        self.member.key(&[&form, &self.index, &what, &name.from, &name.part])
    }

    /// Gives numbers to whoever wants them, in one go.
    pub fn give<'r>(&mut self, blobs: impl IntoIterator<Item = (Name, &'r [f32])>) -> Result<(), SyncError> {
        let blobs: Vec<(Key, Bytes)> =
            blobs.into_iter().map(|(name, row)| (self.key(name), self.form.encode(row))).collect();
        if !blobs.is_empty() {
            self.given.extend(blobs.iter().map(|(key, _)| key.clone()));
            self.member.store.put(&blobs)?;
        }
        Ok(())
    }

    /// Takes numbers from others, each blob into its place in `row`.
    pub fn fill(
        &self,
        row: &mut [f32],
        places: impl IntoIterator<Item = (Name, Range<usize>)>,
    ) -> Result<(), SyncError> {
        let places: Vec<(Name, Range<usize>)> = places.into_iter().collect();
        let wanted: Vec<(usize, Key)> = places.iter().map(|(name, _)| (name.from, self.key(*name))).collect();
        for ((name, place), bytes) in places.into_iter().zip(self.member.wait(&wanted)?) {
            self.read(name.from, &bytes, &mut row[place])?;
        }
        Ok(())
    }

    /// For each of `parts`, the sum over what the workers of `from` give of it. The worker's own lies in `row`.
    pub fn sums(
        &self,
        what: What,
        from: &[usize],
        parts: &[(usize, Range<usize>)],
        row: &[f32],
    ) -> Result<Vec<Vec<f32>>, SyncError> {
        let names = parts.iter().flat_map(|(part, _)| from.iter().map(|from| Name { what, from: *from, part: *part }));
        let wanted: Vec<_> = names.filter(|n| n.from != self.rank()).map(|name| (name.from, self.key(name))).collect();
        let mut blobs = self.member.wait(&wanted)?.into_iter();
        let sum = |(_, place): &(usize, Range<usize>)| {
            let own = |rank| if rank == self.rank() { Some(Row::Own(&row[place.clone()])) } else { None };
            let rows: Vec<Row> =
                from.iter().filter_map(|rank| own(*rank).or_else(|| blobs.next().map(Row::Given))).collect();
            sum(self.form, &rows, place.len()).map_err(|(index, reason)| self.garbled(from[index], reason))
        };
        parts.iter().map(sum).collect()
    }

    /// Numbers of its own as the others see them.
    pub fn as_given(&self, numbers: Vec<f32>) -> Vec<f32> {
        self.form.as_given(numbers)
    }

    fn read(&self, from: usize, bytes: &[u8], numbers: &mut [f32]) -> Result<(), SyncError> {
        self.form.decode(bytes, numbers).map_err(|reason| self.garbled(from, reason))
    }

    fn garbled(&self, from: usize, reason: String) -> SyncError {
        SyncError::Garbled { rank: from + 1, of: self.of(), reason }
    }
}

/// The part `index` of a row of `length` numbers that is cut into `parts`.
pub(super) fn part(length: usize, parts: usize, index: usize) -> Range<usize> {
    let cut = Cut { length: length as u64, parts: parts as u64 };
    // Both are at most `length`.
    cut.start(index as u64) as usize..cut.start(index as u64 + 1) as usize
}
