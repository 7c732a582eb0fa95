//! The samples of a training, dealt out to its shards for those who train.

use super::{Shuffle, Whole, setup, unusable};
use crate::{
    data::{
        Prints,
        dealt::{Cards, Deal},
    },
    ml::shards::CHUNK,
    wire::{Failure, Train},
};
use std::path::Path;

/// Writes the samples of a training into a folder, each shard's in the order in which its first epoch takes them. They come
/// from the files of `prints`; what is written lies in `workshop` while it is not whole.
///
/// # Errors
/// When the batches can't be cut into the shards, or a folder can't be written.
pub fn deal(job: &Train, whole: &Whole, prints: Prints, folder: &Path, workshop: &Path) -> Result<Deal, Failure> {
    let Whole { about, train, valid } = whole;
    let all = setup::shards(job)?;
    let shuffle = Shuffle::new(about.train.rows, all, job.seed);
    let order = |shard| shuffle.numbers(shard, &shuffle.epoch(shard, 1));
    let shards: Vec<Vec<usize>> = (0..all).map(order).collect();
    let cards = Cards { about, train, valid, shards: &shards, chunk: CHUNK, prints };
    Deal::write(cards, folder, workshop).map_err(|error| {
        let message = format!("the samples can't be dealt out to the workers: {error}");
        unusable(message, "check the disk's space and rights").into()
    })
}
