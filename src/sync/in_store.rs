//! The store sums: an aggregator beside it takes what all workers give and gives the sums.
//!
//! For each worker, and for the aggregator:
//!
//! - up: `G`; `G`
//! - down: `G`; `n·G`
//! - requests: 1 blob put, 1 got; 1 put, `n` got
//! - time: `max(G/b, n·G/B(n)) + n·G/B(n) + G/B + max(G/b, n·G/B) + 4·L`, with `B(k)` as in `wire/load.rs`
//!
//! Redis itself could sum by a script alone. For 4 workers with 1 MB each, a script that sums in the same order, rounded to
//! `f32` after each addition, took 0.46 s in the median of 7 runs, from 0.36 s to 0.76 s, in which the server does nothing
//! else. To get the same rows, to sum them and to put the sum takes an aggregator 8 ms, from 4 ms to 13 ms. (redis-server
//! 7.0.15 on loopback, on a busy machine of 2 cores.)

use super::{
    Member, Membership, SyncError,
    codec::Form,
    join::join,
    member::Wanted,
    post::{Name, Post, What},
    pulse,
    sum::{self, Row},
};
use crate::store::{Key, ParameterStore};
use bytes::Bytes;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

pub(super) fn sum(post: &mut Post, mut row: Vec<f32>) -> Result<Vec<f32>, SyncError> {
    let (rank, of, whole) = (post.rank(), post.of(), 0..row.len());
    let sum = Name { what: What::Sum, from: of, part: 0 };
    post.give([(Name { what: What::Own, from: rank, part: 0 }, &*row)])?;
    post.fill(&mut row, [(sum, whole)])?;
    if rank == 0 {
        // The aggregator does not see when all have got its sum.
        post.given.push(post.key(sum));
    }
    Ok(row)
}

/// How long it takes at most to see that the workers have left.
const GLANCE: Duration = Duration::from_millis(100);

/// Sums for the workers of a round until they leave it or `stop` is set. The membership is that of a worker; its rank does
/// not matter.
///
/// # Errors
/// When the round can't go on, as for a worker.
pub fn aggregate(membership: Membership, store: Arc<dyn ParameterStore>, stop: &AtomicBool) -> Result<(), SyncError> {
    let of = membership.of;
    let member = Arc::new(Member::new(Membership { rank: of, ..membership }, store));
    let pulse = join(&member)?;
    // Exact buckets and those in the codec are counted apart, so that the aggregator need not know which comes next.
    let mut forms = vec![Form::F32, Form::of(member.own.codec, false)];
    forms.dedup();
    let served = thread::scope(|scope| {
        let serve = |form| {
            scope.spawn({
                let member = &member;
                move || serve(member, form, stop).inspect_err(|error| member.fail(error.clone()))
            })
        };
        let serving: Vec<_> = forms.into_iter().map(serve).collect();
        // A panic of it was told where it happened.
        serving.into_iter().try_for_each(|thread| thread.join().unwrap_or(Err(SyncError::Abandoned)))
    });
    drop(pulse);
    // The first worker clears the round when all workers have left, maybe before the last beat.
    member.store.remove(&[pulse::key(&member, of)])?;
    served
}

/// Sums the buckets of one form.
fn serve(member: &Member, form: Form, stop: &AtomicBool) -> Result<(), SyncError> {
    for index in 0.. {
        let mut post = Post::new(member, form, index);
        let rows: Vec<Key> = (0..member.own.of).map(|from| post.key(Name { what: What::Own, from, part: 0 })).collect();
        let mut rows = Wanted::new(rows.into_iter());
        while rows.look(&*member.store, member.period().min(GLANCE))?.is_some() {
            member.check()?;
            if stop.load(SeqCst) || is_over(member)? {
                return Ok(());
            }
        }
        let sum = sum_of(member, form, rows.found())?;
        post.give([(Name { what: What::Sum, from: member.own.of, part: 0 }, &*sum)])?;
    }
    Ok(())
}

/// The sum of rows of a length that only they tell.
fn sum_of(member: &Member, form: Form, blobs: Vec<Bytes>) -> Result<Vec<f32>, SyncError> {
    let garbled = |rank: usize, reason| SyncError::Garbled { rank: rank + 1, of: member.own.of, reason };
    let mut lengths = Vec::with_capacity(blobs.len());
    for (rank, blob) in blobs.iter().enumerate() {
        let length = form.count(blob).map_err(|reason| garbled(rank, reason))?;
        if let Some(first) = lengths.first().filter(|first| **first != length) {
            return Err(garbled(rank, format!("it holds {length} numbers, that of worker 1 {first}")));
        }
        lengths.push(length);
    }
    let rows: Vec<Row> = blobs.into_iter().map(Row::Given).collect();
    let length = lengths.first().copied().unwrap_or(0);
    sum::sum(form, &rows, length).map_err(|(rank, reason)| garbled(rank, reason))
}

/// Whether a worker has left, or all have and the round is cleared.
fn is_over(member: &Member) -> Result<bool, SyncError> {
    let mut keys = vec![member.key(&[&"hello", &member.own.rank])];
    keys.extend((0..member.own.of).map(|rank| member.key(&[&"left", &rank])));
    let found = member.store.get(&keys, Duration::ZERO)?;
    Ok(found[0].is_none() || found[1..].iter().any(Option::is_some))
}
