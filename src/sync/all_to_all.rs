//! Every worker sums all of the gradient (Siren; Wang, Niu and Li, 2019).
//!
//! For each worker:
//!
//! - up: `G`
//! - down: `(n−1)·G`
//! - requests: 1 blob put, `n−1` got
//! - time: `max(G/b, n·G/B(n)) + (n−1)·max(G/b, n·G/B(n)) + 2·L`, with `B(k)` as in `wire/load.rs`

use super::{
    SyncError,
    post::{Name, Post, What},
};

pub(super) fn sum(post: &mut Post, mut row: Vec<f32>) -> Result<Vec<f32>, SyncError> {
    let (rank, whole) = (post.rank(), 0..row.len());
    post.give([(Name { what: What::Own, from: rank, part: 0 }, &*row)])?;
    let everyone: Vec<usize> = (0..post.of()).collect();
    for sum in post.sums(What::Own, &everyone, &[(0, whole)], &row)? {
        row = sum;
    }
    Ok(row)
}
