//! What a step needs: the resources that it is given when it names none, and the room that a machine has for them.

mod capacity;
mod planned;

pub use capacity::{Capacity, Cpus, too_large};
pub use planned::{Ahead, Plan, Planned, plain};

use crate::{
    graph::NodeKind,
    limits::{Limits, Memory},
    units::Size,
    wire::{Adapt, Op, Staged, Workers, shards},
};

/// The resources that an attempt at a step is given, and charged for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resources {
    /// Its memory.
    pub memory: Size,
    /// Whether the workflow declares that memory: it is then held to it.
    pub limited: bool,
    /// Its processors.
    pub cpus: Cpus,
    /// How many workers have as much, each.
    pub workers: u32,
}

impl Resources {
    /// What a step asks for, or else what its kind usually needs: 2 GiB to hold a model and its data, 1 GiB for the rest.
    pub fn of(kind: &NodeKind, limits: &Limits) -> Self {
        let memory = match kind {
            NodeKind::Train(_) | NodeKind::Search(_) | NodeKind::Evaluate(_) => Size::from_mib(2048),
            _ => Size::from_mib(1024),
        };
        Self {
            memory: limits.memory.map_or(memory, Memory::most),
            limited: limits.memory.is_some(),
            cpus: limits.cpu.map_or(Cpus::ONE, Cpus::new),
            workers: 1,
        }
    }

    /// The same for what is to be done, which may take several workers. Of a range of them it is settled here how many,
    /// unless that is to be found out on the way: only where it changes no bit of the result.
    #[must_use]
    pub fn settle(self, op: &mut Op, machine: &Capacity, adapt: Option<Adapt>) -> Self {
        let Op::Train(train) = op else { return self };
        let (shards, room) = (shards(&train.batch, train.shards), machine.room_for(self.cpus));
        if let Workers::Within(least, _) = train.team.workers {
            let most = train.team.workers.after(0, shards, room);
            train.team.adapt = adapt.filter(|_| least < most && train.averaging.is_exact());
            train.team.workers = match train.team.adapt {
                Some(_) => Workers::Within(least, most),
                None => Workers::Staged(Staged::fixed(most)),
            };
        }
        let most = train.team.workers.fitting(shards).last().copied().unwrap_or(1);
        Self { workers: most.saturating_add(train.team.backups).max(1), ..self }
    }

    /// The memory of all its workers.
    pub fn memory_of_all(&self) -> Size {
        Size::from_bytes(self.memory.bytes().saturating_mul(self.workers.into()))
    }
}
