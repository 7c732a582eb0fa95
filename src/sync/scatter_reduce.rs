//! Each worker sums a part of the gradient for all (SMLT; Ali, Zawad, Aditya et al., 2022).
//!
//! It gives each other worker that one's part of its own gradient, sums its own part over all, gives the sum, and takes the
//! other sums. Its own part never goes through the store. For each worker, where `P` = `G/n` is its part:
//!
//! - up: `(n−1)·G/n + P` = `G`
//! - down: `(n−1)·P + (G−P)` ≈ `2·G·(n−1)/n`
//! - requests: `n` blobs put, `2·(n−1)` got
//! - time: `2·max((n−1)·P/b, (n−1)·G/B(n·(n−1))) + max(P/b, G/B(n)) + max((n−1)·P/b, (n−1)·G/B(n)) + 4·L`, with `B(k)` as in
//!   `wire/load.rs`

use super::{
    SyncError,
    post::{Name, Post, What, part},
};

pub(super) fn sum(post: &mut Post, mut row: Vec<f32>) -> Result<Vec<f32>, SyncError> {
    let (rank, of, length) = (post.rank(), post.of(), row.len());
    let others: Vec<usize> = (0..of).filter(|other| *other != rank).collect();
    let own = |to: &usize| (Name { what: What::Own, from: rank, part: *to }, &row[part(length, of, *to)]);
    post.give(others.iter().map(own))?;
    let place = part(length, of, rank);
    let everyone: Vec<usize> = (0..of).collect();
    for sum in post.sums(What::Own, &everyone, &[(rank, place.clone())], &row)? {
        post.give([(Name { what: What::Sum, from: rank, part: 0 }, &*sum)])?;
        row[place.clone()].copy_from_slice(&post.as_given(sum));
    }
    let sums = |from: usize| (Name { what: What::Sum, from, part: 0 }, part(length, of, from));
    post.fill(&mut row, others.into_iter().map(sums))?;
    Ok(row)
}
