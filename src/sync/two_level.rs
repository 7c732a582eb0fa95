//! Workers sum within groups, and the groups among each other: nearly the bytes of `scatter_reduce` with far fewer requests.
//!
//! A group has `g` = 2^k neighbours, with `k` half of log2 `n`, so that its sum is a subtree of the fixed tree; there are
//! `h` = ⌈n/g⌉ groups. A row is cut into `g` parts. Within a group each worker sums one; it then gives that to the workers of
//! the other groups who have the same part, sums theirs, and gives the sum to its group. In a last group of `s` < `g` workers
//! each has `c` = ⌈g/s⌉ parts, elsewhere `c` = 1. For each worker, where `P` = `c·G/g`:
//!
//! - up: `(G−P) + P + P` ≈ `G·(1 + 1/g)`
//! - down: `(s−1)·P + (h−1)·P + (G−P)` ≈ `G·(2 + h/g)`
//! - requests: `(g−c) + c + c` blobs put, `(s−1)·c + (h−1)·c + (g−c)` got: about `√n` and `3·√n`
//! - time, where all groups are of one size and there are several: `2·(g−1)·max(P/b, n·P/B(n·(g−1))) + (2 + (h−1) +
//!   (g−1))·max(P/b, n·P/B(n)) + 6·L`, with `B(k)` as in `wire/load.rs`

use super::{
    SyncError,
    post::{Name, Post, What, part},
};
use crate::wire::group;
use std::ops::Range;

pub(super) fn sum(post: &mut Post, mut row: Vec<f32>) -> Result<Vec<f32>, SyncError> {
    let (rank, of, length) = (post.rank(), post.of(), row.len());
    // At most `of`.
    let parts = group(of as u64) as usize;
    let place = |index: usize| part(length, parts, index);
    let first = rank / parts * parts;
    let neighbours: Vec<usize> = (first..of.min(first + parts)).collect();
    // Who sums a part in the group that begins with a rank.
    let owner = |first: usize, part: usize| first + part % parts.min(of - first);
    let (mine, theirs): (Vec<usize>, Vec<usize>) = (0..parts).partition(|part| owner(first, *part) == rank);
    let mine: Vec<(usize, Range<usize>)> = mine.into_iter().map(|part| (part, place(part))).collect();

    let own = |part: &usize| (Name { what: What::Own, from: rank, part: *part }, &row[place(*part)]);
    post.give(theirs.iter().map(own))?;
    let mut sums = post.sums(What::Own, &neighbours, &mine, &row)?;
    if neighbours.len() < of {
        post.give(named(What::Partial, rank, &mine, &sums))?;
        for ((_, place), sum) in mine.iter().zip(sums) {
            row[place.clone()].copy_from_slice(&sum);
        }
        sums = Vec::with_capacity(mine.len());
        for part in &mine {
            let owners: Vec<usize> = (0..of).step_by(parts).map(|first| owner(first, part.0)).collect();
            sums.extend(post.sums(What::Partial, &owners, std::slice::from_ref(part), &row)?);
        }
    }
    if neighbours.len() > 1 {
        post.give(named(What::Sum, rank, &mine, &sums))?;
    }
    for ((_, place), sum) in mine.into_iter().zip(sums) {
        row[place].copy_from_slice(&post.as_given(sum));
    }
    let sum = |part: usize| (Name { what: What::Sum, from: owner(first, part), part }, place(part));
    post.fill(&mut row, theirs.into_iter().map(sum))?;
    Ok(row)
}

/// The sums of some parts under their names.
fn named<'s>(what: What, from: usize, parts: &[(usize, Range<usize>)], sums: &'s [Vec<f32>]) -> Vec<(Name, &'s [f32])> {
    parts.iter().zip(sums).map(|((part, _), sum)| (Name { what, from, part: *part }, &**sum)).collect()
}
