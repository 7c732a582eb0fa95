//! The parameter store: where the workers of a training put blobs and get them from, which is all that they see of each
//! other.

use bytes::Bytes;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// On what terms a store is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What stands before every key: those who have another don't see each other.
    pub run: Key,
    /// How long the store keeps what nobody uses.
    pub expiry: Duration,
    /// For how long to try again what may pass by itself, such as a connection that breaks off.
    pub retry: Duration,
}

impl Terms {
    /// A day, and twenty seconds.
    pub const fn new(run: Key) -> Self {
        Self { run, expiry: EXPIRY, retry: Duration::from_secs(20) }
    }
}

/// How long a store keeps what nobody uses, when it is not told otherwise.
pub(super) const EXPIRY: Duration = Duration::from_hours(24);

/// The name of a blob. It tells the round that the blob belongs to, so that what a worker of an abandoned round still puts
/// is never found by another round.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// A key of parts that hold no `/`, from the widest to the narrowest.
    pub fn new(parts: &[&dyn fmt::Display]) -> Self {
        let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
        Self(parts.join("/").into())
    }

    /// The key as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same below `prefix`.
    pub fn below(&self, prefix: &Self) -> Self {
        Self(format!("{}/{}", prefix.0, self.0).into())
    }

    /// Whether it begins with the parts of `prefix`.
    pub fn is_within(&self, prefix: &Self) -> bool {
        self.0.strip_prefix(&*prefix.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Why a store can't be used. What may pass by itself was tried again for some time already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// It can't be reached, or broke off again and again.
    #[error("the parameter store {store} can't be reached: {reason}")]
    Unreachable {
        /// Its address, without a password.
        store: String,
        /// What the system or the store said.
        reason: String,
    },
    /// It has no room left.
    #[error("the parameter store {store} is full: {reason}")]
    Full {
        /// Its address, without a password.
        store: String,
        /// What the store said.
        reason: String,
    },
    /// It refused, or answered with what makes no sense.
    #[error("the parameter store {store} refused: {reason}")]
    Refused {
        /// Its address, without a password.
        store: String,
        /// What the store said.
        reason: String,
    },
}

impl ParameterError {
    /// What to do about it.
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "see that it runs and can be reached from here, and `smltc run --resume` goes on"
            }
            Self::Full { .. } => "give it more memory, `maxmemory` in Redis, and `smltc run --resume` goes on",
            Self::Refused { .. } => {
                "check the name, the password and what may be done with them in the address of the store"
            }
        }
    }
}

/// What went over the wire to and from a store: the blobs and their own bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of blobs put.
    pub up: u64,
    /// Bytes of blobs got.
    pub down: u64,
    /// Blobs put.
    pub puts: u64,
    /// Blobs got.
    pub gets: u64,
}

/// Counts what goes up and down.
#[derive(Debug, Default)]
pub(super) struct Meter {
    up: AtomicU64,
    down: AtomicU64,
    puts: AtomicU64,
    gets: AtomicU64,
}

impl Meter {
    /// Counts blobs that were put.
    pub(super) fn put(&self, blobs: &[(Key, Bytes)]) {
        self.up.fetch_add(blobs.iter().map(|(_, bytes)| bytes.len() as u64).sum(), Relaxed);
        self.puts.fetch_add(blobs.len() as u64, Relaxed);
    }

    /// Counts blobs that were got.
    pub(super) fn got(&self, blobs: &[Option<Bytes>]) {
        self.down.fetch_add(blobs.iter().flatten().map(|bytes| bytes.len() as u64).sum(), Relaxed);
        self.gets.fetch_add(blobs.iter().flatten().count() as u64, Relaxed);
    }

    /// What it has counted.
    pub(super) fn read(&self) -> Traffic {
        Traffic {
            up: self.up.load(Relaxed),
            down: self.down.load(Relaxed),
            puts: self.puts.load(Relaxed),
            gets: self.gets.load(Relaxed),
        }
    }
}

/// A parameter store. Everything in it goes some time after it was last used, so that an abandoned run leaves nothing.
pub trait ParameterStore: Send + Sync {
    /// Puts blobs in one go; what was under a key is replaced. Once it returns, everyone can get them.
    ///
    /// # Errors
    /// When the store can't be used.
    fn put(&self, blobs: &[(Key, Bytes)]) -> Result<(), ParameterError>;

    /// The blobs under `keys`, in their order, as soon as all are there; when `patience` has passed, those that are there.
    ///
    /// # Errors
    /// When the store can't be used.
    fn get(&self, keys: &[Key], patience: Duration) -> Result<Vec<Option<Bytes>>, ParameterError>;

    /// Removes blobs; those that are not there don't matter.
    ///
    /// # Errors
    /// When the store can't be used.
    fn remove(&self, keys: &[Key]) -> Result<(), ParameterError>;

    /// Removes all blobs whose keys begin with the parts of `prefix`.
    ///
    /// # Errors
    /// When the store can't be used.
    fn clear(&self, prefix: &Key) -> Result<(), ParameterError>;

    /// What went up and down so far.
    fn traffic(&self) -> Traffic;
}
