//! What a step needs and what it costs: the resources that it is given when it names none, and the price of using them.

mod prices;

pub use prices::{PriceError, Prices};

use crate::{graph::NodeKind, limits::Limits, units::Size};

/// The resources that an attempt at a step is given, and charged for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resources {
    /// Its memory.
    pub memory: Size,
    /// Its processors.
    pub cpu: f64,
}

impl Resources {
    /// What a step asks for, or else what its kind usually needs: 2 GiB to hold a model and its data, 1 GiB for the rest.
    pub fn of(kind: &NodeKind, limits: &Limits) -> Self {
        let memory = match kind {
            NodeKind::Train(_) | NodeKind::Search(_) | NodeKind::Evaluate(_) => Size::from_mib(2048),
            _ => Size::from_mib(1024),
        };
        Self { memory: limits.memory.unwrap_or(memory), cpu: limits.cpu.unwrap_or(1.0) }
    }
}
