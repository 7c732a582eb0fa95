use crate::wire::{Exchange, Link};
use std::{cell::RefCell, collections::HashMap};

/// What exchanges over a link take. Each is reckoned once: that goes over all of its workers, and the same few are asked for in
/// every round.
pub struct Exchanges {
    link: Link,
    known: RefCell<HashMap<Key, (Exchange, f64)>>,
}

/// The way, if one is named, the workers and the bytes.
type Key = (Option<Exchange>, u32, u64);

impl Exchanges {
    /// Those over such a link.
    pub fn new(link: Link) -> Self {
        Self { link, known: RefCell::default() }
    }

    /// The way of an exchange, which is the quickest where none is named, and its seconds.
    pub fn of(&self, named: Option<Exchange>, workers: u32, bytes: u64) -> (Exchange, f64) {
        let reckon = || {
            let way = named.unwrap_or_else(|| Exchange::choose(workers.into(), bytes, self.link));
            (way, way.time(workers.into(), bytes, self.link))
        };
        *self.known.borrow_mut().entry((named, workers, bytes)).or_insert_with(reckon)
    }
}
