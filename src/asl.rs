//! From the task graph to a state machine of AWS Step Functions, and to the book that tells its workers what to do.
//!
//! Control belongs to the machine: what runs after what, side by side, for each item, again and again, after a failure.
//! Whatever computes a value belongs to workers, so that a value has the same bits here and there: between two steps a
//! worker computes all that is to be computed in one call.

mod calls;
mod compose;
mod emitter;
mod failures;
mod flow;
mod items;
mod kinds;
mod limits;
pub mod machine;
mod names;
mod path;
mod reads;
mod refusals;
mod room;
mod search;
mod training;

pub use compose::{Barrier, Shape, compose};

use crate::{
    diagnostic::{Diagnostic, Outcome},
    graph::Graph,
    step::Book,
};
use emitter::Emitter;
use machine::Machine;
use std::collections::BTreeSet;

/// What a workflow becomes in the cloud.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The state machine. It calls the function of workers with 1024 MiB by the name `${Worker1024}`.
    pub machine: Machine,
    /// What it calls them for.
    pub book: Book,
    /// The memory of these functions, in MiB.
    pub memory: BTreeSet<u64>,
    /// Where steps wait for more than they read: the path of the region, and the barrier.
    pub barriers: Vec<(String, Barrier)>,
}

/// The bytes that the definition of a state machine may have.
pub const MAX_DEFINITION: usize = 1 << 20;

/// Compiles a workflow; there is a message for all that a state machine can't do yet.
pub fn compile(graph: &Graph) -> Outcome<Option<Compiled>> {
    let mut diagnostics: Vec<Diagnostic> = refusals::find(graph);
    let compiled = diagnostics.is_empty().then(|| Emitter::compile(graph));
    // With the end of its line.
    let size = compiled.as_ref().map_or(0, |compiled| compiled.machine.to_json(false).len() + 1);
    diagnostics.extend((size > MAX_DEFINITION).then(|| refusals::too_large(graph, size)));
    let value = compiled.filter(|_| diagnostics.is_empty());
    Outcome { value, diagnostics }
}

impl Machine {
    /// Its definition, on many lines for people or on one.
    pub fn to_json(&self, pretty: bool) -> String {
        let json = if pretty { serde_json::to_string_pretty(self) } else { serde_json::to_string(self) };
        // All keys are texts, and all numbers finite.
        json.unwrap_or_default()
    }
}
