//! Signs of life: each worker counts in the store, and looks whether the others' counts move, by its own clock alone.

use super::{Member, SyncError};
use crate::store::Key;
use bytes::Bytes;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::Ordering::SeqCst,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// What a worker says at each beat. Copies of one rank say it under one key, so that the rank lives while one of them does.
struct Beat {
    copy: u32,
    count: u64,
    /// How many turns it has done.
    turn: u64,
    /// Whether it only waits for the others.
    waits: bool,
}

impl fmt::Display for Beat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.copy, self.count, self.turn, u8::from(self.waits))
    }
}

impl Beat {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut words = str::from_utf8(bytes).ok()?.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (copy, count, turn, waits) = (number()?, number()?, number()?, number()?);
        Some(Self { copy: copy.try_into().ok()?, count, turn, waits: waits == 1 })
    }
}

/// What was last heard of another.
struct Heard {
    rank: usize,
    bytes: Bytes,
    moved: Instant,
    turn: u64,
    waits: bool,
    /// Whether it has said goodbye.
    left: bool,
}

/// The thread that beats, until it is dropped.
pub(super) struct Pulse {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Goes on after the first beat, which the worker itself has put.
    pub fn start(member: Arc<Member>) -> Self {
        let (stop, stopped) = channel();
        let run = move || {
            let mut heard = Vec::new();
            for count in 1.. {
                if stopped.recv_timeout(member.period()) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                // After a failure it beats on, so that nobody takes it for the one that was lost.
                let beaten = member.store.put(&[beat(&member, count)]).map_err(SyncError::from);
                if let Err(error) = beaten.and_then(|()| look(&member, &mut heard)) {
                    member.fail(error);
                }
            }
        };
        Self { stop: Some(stop), thread: Some(thread::spawn(run)) }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic of it was told where it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// What a worker says of itself.
pub(super) fn beat(member: &Member, count: u64) -> (Key, Bytes) {
    let (turn, waits) = (member.turn.load(SeqCst), member.waits.load(SeqCst));
    let beat = Beat { copy: member.own.copy, count, turn, waits };
    (key(member, member.own.rank), beat.to_string().into())
}

/// Where a rank beats.
pub(super) fn key(member: &Member, rank: usize) -> Key {
    member.key(&[&"beat", &rank])
}

/// Looks after the others.
fn look(member: &Member, heard: &mut Vec<Heard>) -> Result<(), SyncError> {
    let others: Vec<usize> = member.others().collect();
    let mut keys: Vec<Key> = others.iter().map(|rank| key(member, *rank)).collect();
    keys.push(member.key(&[&"abandoned"]));
    let mut found = member.store.get(&keys, Duration::ZERO)?;
    if found.pop().flatten().is_some() {
        return Err(SyncError::Abandoned);
    }
    let now = Instant::now();
    for (rank, bytes) in others.iter().zip(&found) {
        match bytes {
            Some(bytes) => hear(member, heard, *rank, bytes, now)?,
            // It came with a beat, so that it is long gone if none is found any more.
            None if member.met.load(SeqCst) && heard.iter().all(|heard| heard.rank != *rank) => {
                heard.push(Heard { rank: *rank, bytes: Bytes::new(), moved: now, turn: 0, waits: false, left: false });
            }
            None => {}
        }
    }
    let (turn, of) = (member.turn.load(SeqCst), member.own.of);
    let is_worker = |heard: &&Heard| heard.rank < of;
    // All but a double could not have got there without this worker.
    if heard.iter().filter(is_worker).any(|heard| member.own.rank < of && heard.turn >= turn + 2) {
        return Err(SyncError::Superseded);
    }
    let waits = heard.iter().filter(is_worker).all(|heard| heard.turn > turn || heard.turn == turn && heard.waits);
    member.all_wait.store(waits && member.waits.load(SeqCst), SeqCst);
    let silence = member.own.silence;
    let silent = |heard: &&mut Heard| !heard.left && now.duration_since(heard.moved) >= silence;
    // The one that fell silent first is why others may have.
    while let Some(first) = heard.iter_mut().filter(silent).min_by_key(|heard| heard.moved) {
        let said_goodbye = member.store.get(&[member.key(&[&"left", &first.rank])], Duration::ZERO)?;
        first.left = said_goodbye.iter().any(Option::is_some);
        if !first.left {
            let is_cleared = others.iter().zip(&found).any(|(rank, beat)| *rank == first.rank && beat.is_none());
            let gone = SyncError::Silent { rank: first.rank + 1, of, silence };
            // Who dies leaves its last beat; that of a round whose workers have all left is cleared away.
            return Err(if is_cleared { SyncError::Superseded } else { gone });
        }
    }
    Ok(())
}

fn hear(member: &Member, heard: &mut Vec<Heard>, rank: usize, bytes: &Bytes, now: Instant) -> Result<(), SyncError> {
    let known = heard.iter_mut().find(|heard| heard.rank == rank);
    if known.as_ref().is_some_and(|known| known.bytes == bytes) {
        return Ok(());
    }
    let reason = || "its beat is no count".to_owned();
    let beat =
        Beat::parse(bytes).ok_or_else(|| SyncError::Garbled { rank: rank + 1, of: member.own.of, reason: reason() })?;
    let (turn, waits) = (beat.turn, beat.waits);
    let news = Heard { rank, bytes: bytes.clone(), moved: now, turn, waits, left: false };
    match known {
        Some(known) => *known = news,
        None => heard.push(news),
    }
    Ok(())
}
