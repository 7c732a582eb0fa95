//! What a machine has room for.

use super::Resources;
use crate::{
    graph::{Graph, Node, NodeKind, Region, Trial},
    limits::{Limits, Memory},
    units::Size,
    wire::{Failure, Kind},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Processors, in thousandths, so that sums of them are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cpus(u64);

impl Cpus {
    /// A whole processor.
    pub const ONE: Self = Self(1000);

    /// So many processors, rounded up to a thousandth.
    pub fn new(cpus: f64) -> Self {
        // A cast stops at the ends of the range; a billion processors are more than any sum of them needs.
        Self(((cpus * 1000.0).ceil() as u64).clamp(1, 1 << 40))
    }

    /// How many that is.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} processor{}", self.to_f64(), if *self == Self::ONE { "" } else { "s" })
    }
}

/// Processors and memory: what a machine has, or what an attempt holds of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Capacity {
    /// The processors.
    pub cpus: Cpus,
    /// The memory.
    pub memory: Size,
}

impl Capacity {
    /// So many processors, one at least, and so much memory.
    pub const fn new(cpus: usize, memory: Size) -> Self {
        let cpus = if cpus == 0 { 1 } else { cpus as u64 };
        Self { cpus: Cpus(cpus.saturating_mul(1000)), memory }
    }

    /// One of so many equal shares of the processors, each of one at least, and all of the memory.
    #[must_use]
    pub fn share(self, of: usize) -> Self {
        Self { cpus: Cpus((self.cpus.0 / of.max(1) as u64).max(Cpus::ONE.0)), ..self }
    }

    /// How many workers it has room for that take so many processors each.
    pub fn room_for(&self, cpus: Cpus) -> u32 {
        u32::try_from(self.cpus.0 / cpus.0.max(1)).unwrap_or(u32::MAX)
    }

    /// What an attempt holds of this machine. Memory that is not declared is a guess, which may not keep a step from
    /// running: it counts as its processors' share of the machine at most. More workers than the machine has processors
    /// take turns.
    pub fn held_by(&self, needs: &Resources) -> Self {
        let cpus = Cpus(needs.cpus.0.saturating_mul(needs.workers.into()).min(self.cpus.0.max(needs.cpus.0)));
        let share = u128::from(self.memory.bytes()) * u128::from(cpus.0) / u128::from(self.cpus.0.max(1));
        let share = Size::from_bytes(share.try_into().unwrap_or(u64::MAX));
        let memory = needs.memory_of_all();
        Self { cpus, memory: if needs.limited { memory } else { memory.min(share) } }
    }

    /// Whether all of it can be had while `used` is in use of `whole`.
    pub fn fits(&self, used: &Self, whole: &Self) -> bool {
        let cpus = self.cpus.0.checked_add(used.cpus.0).is_some_and(|sum| sum <= whole.cpus.0);
        cpus && self.memory.checked_add(used.memory).is_some_and(|sum| sum <= whole.memory)
    }

    /// This and `other` together.
    pub fn add(&mut self, other: &Self) {
        self.cpus = Cpus(self.cpus.0.saturating_add(other.cpus.0));
        self.memory = self.memory.checked_add(other.memory).unwrap_or(Size::from_bytes(u64::MAX));
    }

    /// What is left without `other`.
    pub fn subtract(&mut self, other: &Self) {
        self.cpus = Cpus(self.cpus.0.saturating_sub(other.cpus.0));
        self.memory = self.memory.checked_sub(other.memory).unwrap_or_default();
    }

    /// Why a step can never start on this machine, if it can't.
    pub fn refuses(&self, needs: &Resources) -> Option<Failure> {
        if needs.cpus > self.cpus {
            let message = format!("it asks for {}, and the run has {}", needs.cpus, self.cpus);
            let help =
                format!("start the run with `--jobs {}`, or let the step ask for less", needs.cpus.0.div_ceil(1000));
            return Some(Failure::new(Kind::TaskFailed, message).help(help));
        }
        let memory = needs.memory_of_all();
        if needs.limited && memory > self.memory {
            let whose = if needs.workers > 1 { format!(" for {} workers", needs.workers) } else { String::new() };
            let message = format!("it asks for {memory} of memory{whose}, and the run has {}", self.memory);
            let help = format!("start the run with `--memory {memory}`, or let the step ask for less");
            return Some(Failure::new(Kind::OutOfMemory, message).help(help));
        }
        None
    }
}

/// The first step of a workflow that can never start on a machine, and why. What a run may go around is left to the run:
/// branches, and what a `try` stands around.
pub fn too_large<'g>(graph: &'g Graph, machine: &Capacity) -> Option<(&'g Node, Failure)> {
    in_region(&graph.root, &graph.limits, machine)
}

fn in_region<'g>(region: &'g Region, around: &Limits, machine: &Capacity) -> Option<(&'g Node, Failure)> {
    region.dag.node_weights().find_map(|node| {
        let limits = Limits {
            // Of a range no more is chosen than there is.
            memory: node.limits.memory.or(around.memory).map(|memory| Memory::Exactly(memory.least())),
            cpu: node.limits.cpu.or(around.cpu),
            ..Limits::default()
        };
        let itself = || Some((node, machine.refuses(&Resources::of(&node.kind, &limits))?));
        match &node.kind {
            NodeKind::For { body, .. }
            | NodeKind::Group(body)
            | NodeKind::Repeat { body, .. }
            | NodeKind::Call { body, .. } => in_region(body, &limits, machine),
            NodeKind::Inspect(_) | NodeKind::Run(_) | NodeKind::Train(_) | NodeKind::Evaluate(_) => itself(),
            NodeKind::Search(search) => match &search.trial {
                Trial::Steps { body, .. } => in_region(body, &limits, machine),
                Trial::Train(_) => itself(),
            },
            NodeKind::If { .. }
            | NodeKind::Try { .. }
            | NodeKind::Value(_)
            | NodeKind::Assert { .. }
            | NodeKind::Fail(_) => None,
        }
    })
}
