mod codecs;
mod faults;
mod ways;

use super::*;
use crate::{
    store::{Key, Memory, ParameterStore, Traffic},
    wire::{Codec, Exchange},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, atomic::AtomicBool},
    thread,
};

/// A silence that no test lives to see.
const LONG: Duration = Duration::from_secs(60);

/// A store that tells what is in it.
#[derive(Default)]
struct Shelf {
    memory: Memory,
    keys: Mutex<BTreeSet<Key>>,
}

impl Shelf {
    fn rest(&self) -> Vec<Key> {
        self.keys.lock().unwrap().iter().cloned().collect()
    }
}

/// The store as one worker sees it: it counts what that worker moves, and loses the keys that end with something.
struct Own {
    store: Arc<Shelf>,
    moved: Mutex<Traffic>,
    loses: Option<&'static str>,
}

impl Own {
    fn open(store: &Arc<Shelf>) -> Arc<dyn ParameterStore> {
        Arc::new(Self { store: Arc::clone(store), moved: Mutex::default(), loses: None })
    }
}

impl ParameterStore for Own {
    fn put(&self, blobs: &[(Key, Bytes)]) -> Result<(), ParameterError> {
        let mut moved = self.moved.lock().unwrap();
        moved.puts += blobs.len() as u64;
        moved.up += blobs.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        let is_lost = |key: &Key| self.loses.is_some_and(|end| key.as_str().ends_with(end));
        let kept: Vec<_> = blobs.iter().filter(|(key, _)| !is_lost(key)).cloned().collect();
        let mut keys = self.store.keys.lock().unwrap();
        keys.extend(kept.iter().map(|(key, _)| key.clone()));
        self.store.memory.put(&kept)
    }

    fn get(&self, keys: &[Key], patience: Duration) -> Result<Vec<Option<Bytes>>, ParameterError> {
        let found = self.store.memory.get(keys, patience)?;
        let mut moved = self.moved.lock().unwrap();
        moved.gets += found.iter().flatten().count() as u64;
        moved.down += found.iter().flatten().map(|bytes| bytes.len() as u64).sum::<u64>();
        Ok(found)
    }

    fn remove(&self, keys: &[Key]) -> Result<(), ParameterError> {
        let mut left = self.store.keys.lock().unwrap();
        left.retain(|key| !keys.contains(key));
        self.store.memory.remove(keys)
    }

    fn clear(&self, prefix: &Key) -> Result<(), ParameterError> {
        let mut left = self.store.keys.lock().unwrap();
        left.retain(|key| !key.is_within(prefix));
        self.store.memory.clear(prefix)
    }

    fn traffic(&self) -> Traffic {
        *self.moved.lock().unwrap()
    }
}

/// Some workers of a round, as threads.
#[derive(Clone, Copy)]
struct Setup {
    of: usize,
    round: u64,
    exchange: Exchange,
    codec: Codec,
    silence: Duration,
}

impl Setup {
    fn new(of: usize, exchange: Exchange) -> Self {
        Self { of, round: 1, exchange, codec: Codec::F32, silence: LONG }
    }

    fn membership(self, rank: usize) -> Membership {
        let Self { of, round, exchange, codec, silence } = self;
        let (training, build) = ("training".to_owned(), "1.0.0".to_owned());
        Membership { training, round, rank, of, copy: 0, exchange, codec, silence, build }
    }

    fn join(self, rank: usize, store: &Arc<dyn ParameterStore>) -> Result<Peers, SyncError> {
        Peers::join(self.membership(rank), Arc::clone(store))
    }

    /// What each worker comes to, and what the aggregator does where there is one. Each has a store of its own.
    fn run<T: Send>(
        self,
        open: &(dyn Fn() -> Arc<dyn ParameterStore> + Sync),
        work: impl Fn(Peers, &dyn ParameterStore) -> T + Sync,
    ) -> (Vec<T>, Option<Result<(), SyncError>>) {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let (work, stop) = (&work, &stop);
            let worker = |rank| {
                scope.spawn(move || {
                    let store = open();
                    work(self.join(rank, &store).unwrap(), &*store)
                })
            };
            let workers: Vec<_> = (0..self.of).map(worker).collect();
            let aggregator = (self.exchange.parties(self.of as u64) > self.of as u64)
                .then(|| scope.spawn(move || aggregate(self.membership(0), open(), stop)));
            let done = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
            (done, aggregator.map(|thread| thread.join().unwrap()))
        })
    }
}

fn bits(row: &[f32]) -> Vec<u32> {
    // What is no number has many forms, and which comes out depends on the processor.
    row.iter().map(|number| if number.is_nan() { f32::NAN.to_bits() } else { number.to_bits() }).collect()
}

#[test]
fn rows_are_summed_as_a_tree() {
    // With rounding, the order shows: 2^24 + 1 is 2^24 in f32, but 2^24 + (1 + 1) is not.
    let rows = [16_777_216.0_f32, 0.0, 1.0, 1.0].map(|row| vec![row]);
    assert_eq!(tree_sum(rows.to_vec()), [16_777_218.0]);
}
