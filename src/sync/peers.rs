//! Workers that talk through a parameter store.

use super::{
    Bucket, Group, Member, Membership, SyncError, all_to_all, codec::Form, in_store, join::join, lanes::Lanes,
    parameter_server, post::Post, pulse::Pulse, scatter_reduce, top_k::thin, two_level,
};
use crate::{
    store::{Key, ParameterStore},
    wire::{Codec, Exchange},
};
use bytes::Bytes;
use std::{
    mem,
    sync::{Arc, atomic::Ordering::SeqCst, mpsc::Receiver},
    time::{Duration, Instant},
};

/// How many buckets are on their way at once.
const LANES: usize = 3;

/// What a bucket has come to.
struct Outcome {
    sum: Result<Vec<f32>, SyncError>,
    /// What was left out of it.
    left: Vec<f32>,
    /// What lies in the store for it.
    given: Vec<Key>,
}

/// The workers of a round, which talk through a store. When it is dropped without having left, it is to the others as if it
/// had died.
pub struct Peers {
    member: Arc<Member>,
    lanes: Lanes,
    pulse: Option<Pulse>,
    /// The buckets that were begun since the last turn.
    begun: Vec<Receiver<Outcome>>,
    /// How many buckets were begun, coded and exact ones.
    counts: [u64; 2],
    /// How often all gave to all.
    gathers: u64,
    /// Whether all gave to all after the last bucket had begun: that bucket's end then does not tell that all have got it.
    gathered_since: bool,
    /// What was left out of each bucket of a turn. It begins anew with each round.
    left: Vec<Vec<f32>>,
    /// What was given in the last turn: once the next is done, all have got it.
    given: Vec<Key>,
    waited: Duration,
}

impl Peers {
    /// Joins a round, as soon as all others have come.
    ///
    /// # Errors
    /// When one does not come, or is of another build; when the round was abandoned or the store can't be used.
    pub fn join(membership: Membership, store: Arc<dyn ParameterStore>) -> Result<Self, SyncError> {
        let member = Arc::new(Member::new(membership, store));
        let pulse = Some(join(&member)?);
        Ok(Self {
            member,
            lanes: Lanes::open(LANES),
            pulse,
            begun: Vec::new(),
            counts: [0; 2],
            gathers: 0,
            gathered_since: false,
            left: Vec::new(),
            given: Vec::new(),
            waited: Duration::ZERO,
        })
    }

    /// Gives up a round: all its workers stop as soon as they hear of it.
    ///
    /// # Errors
    /// When the store can't be used.
    pub fn abandon(store: &dyn ParameterStore, training: &str, round: u64) -> Result<(), SyncError> {
        Ok(store.put(&[(Key::new(&[&training, &round, &"abandoned"]), Bytes::new())])?)
    }

    /// Leaves after the last turn, as all do. The first worker waits until the others have left, and clears the round away.
    ///
    /// # Errors
    /// When one of the others is lost before it has left; the round is then left to the store's expiry.
    pub fn leave(mut self) -> Result<(), SyncError> {
        let member = Arc::clone(&self.member);
        member.check()?;
        let left = |rank: usize| member.key(&[&"left", &rank]);
        let own = left(member.own.rank);
        // Nothing may be put after what is cleared by another.
        self.lanes.close();
        if member.own.rank == 0 {
            member.store.put(&[(own, Bytes::new())])?;
            let others: Vec<_> = (1..member.own.of).map(|rank| (rank, left(rank))).collect();
            member.wait(&others).inspect_err(|error| member.fail(error.clone()))?;
            drop(self.pulse.take());
            member.store.clear(&member.key(&[]))?;
            return Ok(());
        }
        drop(self.pulse.take());
        member.store.put(&[(own, Bytes::new())])?;
        let hello = member.key(&[&"hello", &member.own.rank]);
        if member.store.get(&[hello], Duration::ZERO)?.iter().all(Option::is_none) {
            // Its double has left before, and the round is cleared.
            member.fail(SyncError::Superseded);
        }
        Ok(())
    }

    /// Waits with nothing else to do.
    fn turn<T>(&mut self, wait: impl FnOnce(&mut Self) -> Result<T, SyncError>) -> Result<T, SyncError> {
        let since = Instant::now();
        self.member.waits.store(true, SeqCst);
        let done = wait(self).inspect_err(|error| self.member.fail(error.clone()));
        self.member.turn.fetch_add(1, SeqCst);
        self.member.waits.store(false, SeqCst);
        self.waited += since.elapsed();
        done
    }

    /// After a turn in which `given` was given: what was given in the one before has been got by all.
    fn forget(&mut self, given: Vec<Key>) {
        let old = mem::replace(&mut self.given, given);
        if !old.is_empty() {
            let member = Arc::clone(&self.member);
            // Not to be waited for.
            drop(self.lanes.run(move || member.store.remove(&old).map_err(|error| member.fail(error.into()))));
        }
    }

    /// All outcomes of the buckets that were begun.
    fn outcomes(&mut self) -> Vec<Outcome> {
        mem::take(&mut self.begun).into_iter().filter_map(|outcome| outcome.recv().ok()).collect()
    }
}

/// Sums a bucket over all workers, in one of the lanes.
fn exchange(member: &Member, bucket: Bucket, index: u64, mut left: Vec<f32>) -> Outcome {
    let form = Form::of(member.own.codec, bucket.exact);
    let mut row = bucket.row;
    if let (Form::Sparse, Codec::TopK(share)) = (form, member.own.codec) {
        thin(&mut row, &mut left, share.to_f64());
    }
    let mut post = Post::new(member, form, index);
    let sum = if member.own.of == 1 {
        Ok(post.as_given(row))
    } else {
        match member.own.exchange {
            Exchange::ScatterReduce => scatter_reduce::sum(&mut post, row),
            Exchange::ParameterServer => parameter_server::sum(&mut post, row),
            Exchange::InStore => in_store::sum(&mut post, row),
            Exchange::TwoLevel => two_level::sum(&mut post, row),
            Exchange::AllToAll => all_to_all::sum(&mut post, row),
        }
    };
    // The other lanes need not wait any longer.
    let sum = sum.inspect_err(|error| member.fail(error.clone()));
    Outcome { sum, left, given: post.given }
}

impl Group for Peers {
    fn rank(&self) -> usize {
        self.member.own.rank
    }

    fn of(&self) -> usize {
        self.member.own.of
    }

    fn begin(&mut self, bucket: Bucket) {
        let (member, place) = (Arc::clone(&self.member), self.begun.len());
        let left = self.left.get_mut(place).map(mem::take).unwrap_or_default();
        let count = &mut self.counts[usize::from(Form::of(member.own.codec, bucket.exact) == Form::F32)];
        let index = *count;
        *count += 1;
        self.gathered_since = false;
        self.begun.push(self.lanes.run(move || exchange(&member, bucket, index, left)));
    }

    fn finish(&mut self) -> Result<Vec<Vec<f32>>, SyncError> {
        if self.begun.is_empty() {
            return self.member.check().map(|()| Vec::new());
        }
        let begun = self.begun.len();
        let outcomes = self.turn(|peers| Ok(peers.outcomes()))?;
        let (mut sums, mut given) = (Vec::with_capacity(begun), Vec::new());
        self.left.clear();
        for outcome in outcomes {
            sums.push(outcome.sum);
            self.left.push(outcome.left);
            given.extend(outcome.given);
        }
        match sums.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(sums) if sums.len() == begun => {
                if self.gathered_since {
                    self.given.extend(given);
                } else {
                    self.forget(given);
                }
                Ok(sums)
            }
            not_all => {
                // Others may still want it.
                self.given.extend(given);
                not_all.and(Err(SyncError::Abandoned))
            }
        }
    }

    fn gather(&mut self, own: Bytes) -> Result<Vec<Bytes>, SyncError> {
        let (rank, of) = (self.rank(), self.of());
        let index = self.gathers;
        self.gathers += 1;
        let key = |rank: usize| self.member.key(&[&"all", &index, &rank]);
        let mut blobs = vec![(key(rank), own.clone())];
        let others: Vec<_> = (0..of).filter(|other| *other != rank).map(|other| (other, key(other))).collect();
        if others.is_empty() {
            blobs.clear();
        }
        let mut all = self.turn(|peers| {
            peers.member.store.put(&blobs)?;
            peers.member.wait(&others)
        })?;
        all.insert(rank, own);
        self.forget(blobs.into_iter().map(|(key, _)| key).collect());
        self.gathered_since = true;
        Ok(all)
    }

    fn waited(&mut self) -> Duration {
        mem::take(&mut self.waited)
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // For the lanes alone: they have nothing left to wait for.
        self.member.fail(SyncError::Abandoned);
        self.lanes.close();
        drop(self.pulse.take());
        if self.member.check() == Err(SyncError::Superseded) {
            // What a double gives after the others have gone on is cleared by nobody else.
            let mut keys = mem::take(&mut self.given);
            keys.extend(self.outcomes().into_iter().flat_map(|outcome| outcome.given));
            keys.extend(["beat", "left"].map(|name| self.member.key(&[&name, &self.rank()])));
            // What can't be removed goes by expiry.
            let _ = self.member.store.remove(&keys);
        }
    }
}
