//! Pieces on their way to a worker, while it already works with the first.

use super::{DealtError, Entry, piece::Piece, read};
use crate::value::Hash;
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// What a worker has fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Pieces.
    pub pieces: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The pieces of a worker, those that are there and those that are to come.
#[derive(Debug, Default)]
pub struct Shelf {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Raised with every change of what is wanted: who fetches for an older one stops.
    turn: u64,
    pieces: HashMap<Hash, Arc<Piece>>,
    /// The pieces that are to come.
    coming: HashSet<Hash>,
    /// Why no more come.
    fault: Option<DealtError>,
    waited: Duration,
    fetched: Fetched,
}

impl Shelf {
    /// Lets the wanted pieces come, one after the other, and drops those that are not wanted. Each is given with the width of
    /// its samples.
    pub fn fill(self: &Arc<Self>, folder: PathBuf, mut wanted: Vec<(Entry, usize)>) {
        let mut state = self.lock();
        state.turn += 1;
        state.fault = None;
        let hashes: HashSet<Hash> = wanted.iter().map(|(entry, _)| entry.hash).collect();
        state.pieces.retain(|hash, _| hashes.contains(hash));
        state.coming = hashes.into_iter().filter(|hash| !state.pieces.contains_key(hash)).collect();
        if state.coming.is_empty() {
            return;
        }
        let mut open = state.coming.clone();
        wanted.retain(|(entry, _)| open.remove(&entry.hash));
        let (turn, shelf) = (state.turn, self.clone());
        let thread = thread::Builder::new().name("fetch".into());
        let place = folder.clone();
        if let Err(error) = thread.spawn(move || shelf.fetch(turn, &folder, &wanted)) {
            state.fault = Some(DealtError::Unreadable { path: place, reason: error.to_string() });
        }
    }

    fn fetch(&self, turn: u64, folder: &Path, wanted: &[(Entry, usize)]) {
        for (entry, width) in wanted {
            if self.lock().turn != turn {
                return;
            }
            let piece = piece(folder, entry, *width);
            let mut state = self.lock();
            if state.turn != turn {
                return;
            }
            state.coming.remove(&entry.hash);
            match piece {
                Ok(piece) => {
                    state.fetched.pieces += 1;
                    state.fetched.bytes += entry.bytes;
                    state.pieces.insert(entry.hash, Arc::new(piece));
                }
                Err(error) => {
                    state.fault = Some(error);
                    state.coming.clear();
                }
            }
            let ended = state.fault.is_some();
            drop(state);
            self.came.notify_all();
            if ended {
                return;
            }
        }
    }

    /// A piece, once it is there.
    pub fn wait(&self, hash: &Hash) -> Result<Arc<Piece>, DealtError> {
        let mut state = self.lock();
        let mut began = None;
        loop {
            if let Some(piece) = state.pieces.get(hash).cloned() {
                state.waited += began.as_ref().map_or(Duration::ZERO, Instant::elapsed);
                return Ok(piece);
            }
            if let Some(fault) = &state.fault {
                return Err(fault.clone());
            }
            if !state.coming.contains(hash) {
                let reason = "it was not asked for".into();
                return Err(DealtError::Unreadable { path: hash.to_string().into(), reason });
            }
            began.get_or_insert_with(Instant::now);
            state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The time spent in waiting since the last time it was asked.
    pub fn waited(&self) -> Duration {
        std::mem::take(&mut self.lock().waited)
    }

    pub fn fetched(&self) -> Fetched {
        self.lock().fetched
    }

    /// Lets no more come.
    pub fn close(&self) {
        self.lock().turn += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // It is changed in steps that can't panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece from its file. One that is damaged is removed, so that it is made again.
fn piece(folder: &Path, entry: &Entry, width: usize) -> Result<Piece, DealtError> {
    let path = super::path(folder, entry);
    let bytes = read(&path)?;
    let is_whole = Hash::of(&bytes) == entry.hash;
    let piece = is_whole.then(|| Piece::decode(&bytes, entry.rows, width)).flatten();
    piece.ok_or_else(|| {
        let _ = fs::remove_file(&path);
        DealtError::Damaged(path)
    })
}
