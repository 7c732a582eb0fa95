use crate::wire::{Exchange, Link};
use std::{cell::RefCell, collections::HashMap};

/// What exchanges over a link take. Each is reckoned once: that goes over all of its workers, and the same few are asked for in
/// every round.
pub struct Exchanges {
    link: Link,
    known: RefCell<HashMap<Key, Exchanging>>,
}

/// The way, if one is named, the workers and the bytes.
type Key = (Option<Exchange>, u32, u64);

/// What one exchange takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exchanging {
    /// The way.
    pub way: Exchange,
    /// Seconds, where nobody else uses the store.
    pub seconds: f64,
    /// Seconds for which it keeps the whole store busy.
    pub store: f64,
}

impl Exchanges {
    /// Those over such a link.
    pub fn new(link: Link) -> Self {
        Self { link, known: RefCell::default() }
    }

    /// An exchange, by the quickest way where none is named.
    pub fn of(&self, named: Option<Exchange>, workers: u32, bytes: u64) -> Exchanging {
        let reckon = || {
            let (workers, link) = (u64::from(workers), self.link);
            let way = named.unwrap_or_else(|| Exchange::choose(workers, bytes, link));
            let store = way.moved(workers, bytes) as f64 / (link.store * link.nodes.max(1) as f64);
            Exchanging { way, seconds: way.time(workers, bytes, link), store }
        };
        *self.known.borrow_mut().entry((named, workers, bytes)).or_insert_with(reckon)
    }
}
