//! The first worker sums all of the gradient (Cirrus; Carreira, Fonseca, Tumanov, Zhang and Katz, 2019).
//!
//! For the first worker, and for each other one:
//!
//! - up: `G`; `G`
//! - down: `(n−1)·G`; `G`
//! - requests: 1 blob put, `n−1` got; 1 put, 1 got
//! - time: `max(G/b, (n−1)·G/B(n−1)) + (n−1)·max(G/b, G/B(n−1)) + max(G/b, G/B) + max(G/b, (n−1)·G/B) + 4·L`, with `B(k)` as
//!   in `wire/load.rs`

use super::{
    SyncError,
    post::{Name, Post, What},
};

pub(super) fn sum(post: &mut Post, mut row: Vec<f32>) -> Result<Vec<f32>, SyncError> {
    let (rank, whole) = (post.rank(), 0..row.len());
    let sum = Name { what: What::Sum, from: 0, part: 0 };
    if rank > 0 {
        post.give([(Name { what: What::Own, from: rank, part: 0 }, &*row)])?;
        post.fill(&mut row, [(sum, whole)])?;
        return Ok(row);
    }
    let everyone: Vec<usize> = (0..post.of()).collect();
    for summed in post.sums(What::Own, &everyone, &[(0, whole)], &row)? {
        post.give([(sum, &*summed)])?;
        row = post.as_given(summed);
    }
    Ok(row)
}
