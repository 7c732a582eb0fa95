//! What each way of exchange moves, in formulas: to choose one, to plan with, and to hold the real ones to.
//!
//! Beside each way in `sync` they are written for a gradient of `G` bytes and `n` workers of `b` bytes a second each way, through
//! a store of `m` nodes of `B` bytes a second and `L` seconds to an answer. A blob lies on one node, so that `k` of them go
//! through at most `k` nodes, at `B(k)` = `min(k, m)·B` bytes a second together.

use super::Exchange;
use serde::{Deserialize, Serialize};
use std::{iter, ops::AddAssign};

/// What one worker moves to sum one gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes up.
    pub up: u64,
    /// Bytes down.
    pub down: u64,
    /// Blobs put.
    pub puts: u64,
    /// Blobs got.
    pub gets: u64,
}

impl AddAssign for Load {
    fn add_assign(&mut self, other: Self) {
        self.up += other.up;
        self.down += other.down;
        self.puts += other.puts;
        self.gets += other.gets;
    }
}

/// What lies between workers and their store.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Bytes a second of a worker, each way.
    pub worker: f64,
    /// Bytes a second of a node of the store.
    pub store: f64,
    /// How many nodes the store has; a blob lies on one.
    pub nodes: u64,
    /// Seconds from a request to its answer.
    pub latency: f64,
}

impl Link {
    /// What a function and its store in one region of a cloud have about: the worker's bytes and those of one store node as
    /// fitted on the measurements of SMLT (arXiv 2205.01853), and a round trip within a region.
    pub const USUAL: Self = Self { worker: 152e6, store: 1.24e9, nodes: 1, latency: 1e-3 };

    /// What processes of one machine and a store beside them have about: `docs/src/performance.md` has what was measured.
    pub const LOCAL: Self = Self { worker: 1.5e9, store: 3e9, nodes: 1, latency: 1e-4 };
}

/// Where a row is cut into parts of nearly one length.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// The length of the row.
    pub length: u64,
    /// How many parts.
    pub parts: u64,
}

impl Cut {
    /// Where part `index` begins; part `parts` would begin at the row's end.
    pub fn start(self, index: u64) -> u64 {
        // The quotient is at most `length`.
        (u128::from(self.length) * u128::from(index) / u128::from(self.parts)) as u64
    }

    /// The length of part `index`.
    fn of(self, index: u64) -> u64 {
        self.start(index + 1) - self.start(index)
    }
}

/// How many ranks a group of `two_level` has among `workers`: a power of two near the square root.
pub fn group(workers: u64) -> u64 {
    1 << workers.max(1).ilog2().div_ceil(2)
}

impl Exchange {
    /// How many take part in a sum over `workers`: they, and for `in_store` the aggregator, which comes last.
    pub fn parties(self, workers: u64) -> u64 {
        workers + u64::from(self == Self::InStore && workers > 1)
    }

    /// What a party moves to sum gradients of `numbers` numbers of `width` bytes.
    pub fn load(self, workers: u64, party: u64, numbers: u64, width: u64) -> Load {
        let mut all = Load::default();
        self.phases(workers, party, numbers, width).into_iter().for_each(|phase| all += phase);
        all
    }

    /// The bytes that all move together, into the store and out of it, to sum gradients of `bytes` bytes.
    pub fn moved(self, workers: u64, bytes: u64) -> u64 {
        let loads = (0..self.parties(workers)).map(|party| self.load(workers, party, bytes, 1));
        loads.map(|load| load.up + load.down).sum()
    }

    /// The seconds that it takes to sum gradients of `bytes` bytes. In each phase all wait for the busiest worker, or for
    /// the store, and for an answer.
    pub fn time(self, workers: u64, bytes: u64, link: Link) -> f64 {
        let parties: Vec<_> = (0..self.parties(workers)).map(|party| self.phases(workers, party, bytes, 1)).collect();
        let phase = |index: usize| {
            // What is got is what was put last.
            let puts = |index: usize| parties.iter().map(|phases| phases[index].puts).sum::<u64>();
            let blobs = (0..=index).rev().map(puts).find(|puts| *puts > 0).unwrap_or(0);
            let moved = || parties.iter().map(|phases| phases[index].up + phases[index].down);
            // The aggregator stands beside the store.
            let busiest = moved().take(workers as usize).max().unwrap_or(0) as f64 / link.worker;
            let all = moved().sum::<u64>() as f64 / (link.store * blobs.clamp(1, link.nodes.max(1)) as f64);
            let asks = parties.iter().any(|phases| phases[index].puts + phases[index].gets > 0);
            busiest.max(all) + if asks { link.latency } else { 0.0 }
        };
        (0..parties.first().map_or(0, Vec::len)).map(phase).sum()
    }

    /// The way that takes the least time, for a training that names none. `in_store` needs a process beside the store, so
    /// that it is taken only where it is named.
    pub fn choose(workers: u64, bytes: u64, link: Link) -> Self {
        let time = |way: &Self| way.time(workers, bytes, link);
        let ways = Self::ALL.into_iter().filter(|way| *way != Self::InStore);
        ways.min_by(|a, b| time(a).total_cmp(&time(b))).unwrap_or(Self::ScatterReduce)
    }

    /// What a party moves from one wait for the others to the next.
    fn phases(self, workers: u64, party: u64, numbers: u64, width: u64) -> Vec<Load> {
        if workers < 2 {
            return Vec::new();
        }
        let (others, whole) = (workers - 1, numbers * width);
        let up = |puts: u64, bytes: u64| Load { up: puts.min(1) * bytes, puts, ..Load::default() };
        let down = |gets: u64, bytes: u64| Load { down: gets.min(1) * bytes, gets, ..Load::default() };
        let none = Load::default();
        match self {
            Self::ScatterReduce => {
                let own = Cut { length: numbers, parts: workers }.of(party) * width;
                vec![up(others, whole - own), down(others, others * own), up(1, own), down(others, whole - own)]
            }
            Self::ParameterServer if party == 0 => vec![none, down(others, others * whole), up(1, whole), none],
            Self::ParameterServer => vec![up(1, whole), none, none, down(1, whole)],
            Self::InStore if party == workers => vec![none, down(workers, workers * whole), up(1, whole), none],
            Self::InStore => vec![up(1, whole), none, none, down(1, whole)],
            Self::AllToAll => vec![up(1, whole), down(others, others * whole)],
            Self::TwoLevel => {
                let parts = group(workers);
                let groups = workers.div_ceil(parts);
                let first = party / parts * parts;
                let size = parts.min(workers - first);
                let cut = Cut { length: numbers, parts };
                // The last group may be smaller; then its workers sum several parts.
                let (mut count, mut own) = (0, 0);
                for part in iter::successors(Some(party - first), |part| Some(part + size)).take_while(|p| *p < parts) {
                    count += 1;
                    own += cut.of(part) * width;
                }
                let among = |n: u64| n.min(1) * count;
                vec![
                    up(parts - count, whole - own),
                    down((size - 1) * count, (size - 1) * own),
                    up(among(groups - 1), own),
                    down((groups - 1) * count, (groups - 1) * own),
                    up(among(size - 1), own),
                    down(parts - count, whole - own),
                ]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link = Link { worker: 1e6, store: 1e9, nodes: 1, latency: 0.001 };

    #[test]
    fn formulas_come_to_what_is_counted_by_hand() {
        // 4 workers, 100 numbers of 4 bytes: each gives 3 parts and a sum, and gets 3 parts of its own and 3 sums.
        let scatter = Exchange::ScatterReduce.load(4, 1, 100, 4);
        assert_eq!(scatter, Load { up: 400, down: 600, puts: 4, gets: 6 });
        assert_eq!(Exchange::ParameterServer.load(4, 0, 100, 4), Load { up: 400, down: 1200, puts: 1, gets: 3 });
        // 5 workers in groups of 2, 2 and 1; the last has the whole row to itself, in two parts.
        assert_eq!(Exchange::TwoLevel.load(5, 4, 100, 4), Load { up: 400, down: 800, puts: 2, gets: 4 });
        let phases = [0.0003, 0.0003, 0.0001, 0.0003].map(|time| time + LINK.latency);
        assert!((Exchange::ScatterReduce.time(4, 400, LINK) - phases.iter().sum::<f64>()).abs() < 1e-12);
    }

    #[test]
    fn times_are_those_that_stand_beside_the_ways() {
        let (n, total, worker, store, latency) = (16, 4800.0_f64, 3e3, 5e3, 0.25);
        for nodes in [1, 3, 20] {
            let link = Link { worker, store, nodes, latency };
            let through = |blobs: u64| store * blobs.min(nodes) as f64;
            // What the busiest worker moves, and what all do with so many blobs.
            let max = |own: f64, all: f64, blobs: u64| (own / worker).max(all / through(blobs));
            let (part, quarter) = (total / 16.0, total / 4.0);
            let wanted = |way| match way {
                Exchange::ScatterReduce => {
                    2.0 * max(15.0 * part, 15.0 * total, 240)
                        + max(part, total, 16)
                        + max(15.0 * part, 15.0 * total, 16)
                }
                Exchange::AllToAll => 16.0 * max(total, 16.0 * total, 16),
                Exchange::ParameterServer => {
                    max(total, 15.0 * total, 15)
                        + 15.0 * max(total, total, 15)
                        + max(total, total, 1)
                        + max(total, 15.0 * total, 1)
                }
                Exchange::InStore => {
                    max(total, 16.0 * total, 16)
                        + 16.0 * total / through(16)
                        + total / store
                        + max(total, 16.0 * total, 1)
                }
                Exchange::TwoLevel => 6.0 * max(quarter, 16.0 * quarter, 48) + 8.0 * max(quarter, 16.0 * quarter, 16),
            };
            for way in Exchange::ALL {
                let turns = match way {
                    Exchange::AllToAll => 2.0,
                    Exchange::TwoLevel => 6.0,
                    _ => 4.0,
                };
                let (found, wanted) = (way.time(n, 4800, link), wanted(way) + turns * latency);
                assert!((found / wanted - 1.0).abs() < 1e-9, "{way:?} over {nodes}: {found}, not {wanted}");
            }
        }
    }

    #[test]
    fn one_blob_is_got_from_one_node() {
        let link = Link { worker: 1e9, store: 1e6, nodes: 2, latency: 0.0 };
        // 3 rows of 1000 bytes up and down, over both nodes; the sum up and 3 times down, over one.
        let time = Exchange::ParameterServer.time(4, 1000, link);
        assert!((time - (0.0015 + 0.0015 + 0.001 + 0.003)).abs() < 1e-9, "{time}");
    }

    #[test]
    fn the_way_chosen_depends_on_size_and_number() {
        assert_eq!(Exchange::choose(50, 100_000_000, LINK), Exchange::ScatterReduce);
        assert_eq!(Exchange::choose(4, 100, LINK), Exchange::AllToAll);
        assert_eq!(Exchange::choose(1, 100, LINK), Exchange::ScatterReduce);
    }
}
