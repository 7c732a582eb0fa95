//! From the task graph to a state machine of AWS Step Functions, and to the book that tells its workers what to do.
//!
//! Control belongs to the machine: what runs after what, side by side, for each item, again and again, after a failure.
//! Whatever computes a value belongs to workers, so that a value has the same bits here and there: between two steps a
//! worker computes all that is to be computed in one call.

mod calls;
mod compose;
mod emitter;
mod executions;
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
mod rounds;
mod search;
mod split;
mod training;

pub use compose::{Barrier, Shape, compose};
pub use split::Options;

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
    /// The state machine, and those that it is cut into: the second is called by the name `${Machine2}`, and each only by
    /// the first or by later ones. They call the function of workers with 1024 MiB by the name `${Worker1024}`.
    pub machines: Vec<Machine>,
    /// What it calls them for.
    pub book: Book,
    /// The memory of these functions, in MiB.
    pub memory: BTreeSet<u64>,
    /// Where steps wait for more than they read: the path of the region, and the barrier.
    pub barriers: Vec<(String, Barrier)>,
    /// The events that an execution of any of them comes to at most.
    pub events: u64,
}

/// The bytes that the definition of a state machine may have.
pub const MAX_DEFINITION: usize = 1 << 20;

/// The events that an execution may have.
pub const MAX_EVENTS: u64 = 25_000;

/// Compiles a workflow; there is a message for all that a state machine can't do yet.
pub fn compile(graph: &Graph) -> Outcome<Option<Compiled>> {
    compile_with(graph, Options::default())
}

/// Compiles a workflow into machines of which none should be larger than the options say.
pub fn compile_with(graph: &Graph, options: Options) -> Outcome<Option<Compiled>> {
    let mut diagnostics: Vec<Diagnostic> = refusals::find(graph);
    let compiled = diagnostics.is_empty().then(|| Emitter::compile(graph, options));
    diagnostics.extend(compiled.iter().filter_map(|compiled| refusals::too_large(graph, compiled)));
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
