//! What a state machine can't do yet.

use super::{Compiled, MAX_DEFINITION, MAX_EVENTS};
use crate::{
    diagnostic::{Code, Diagnostic},
    graph::{Graph, Node, NodeKind, Region},
    limits::{Limits, OnMiss},
    plan::Resources,
    source::Span,
    units::Size,
};

/// The most memory that a function of AWS Lambda may have.
const MOST: Size = Size::from_mib(10_240);

/// A message for all of a workflow that has no place in a state machine yet.
pub(super) fn find(graph: &Graph) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if graph.limits.has(OnMiss::Finish) {
        found.push(refused(graph.span, FINISHES));
    }
    in_region(&graph.root, &graph.limits, &mut found);
    found
}

/// The message for a workflow of which a part is too large and can't be cut up.
pub(super) fn too_large(graph: &Graph, compiled: &Compiled) -> Option<Diagnostic> {
    // With the end of its line.
    let size = compiled.machines.iter().map(|machine| machine.to_json(false).len() + 1).max().unwrap_or(0);
    let (message, help) = if size > MAX_DEFINITION {
        (
            format!("a state machine takes {size} bytes, and may take {MAX_DEFINITION}"),
            "give a list that stands in the file as an argument, or let a step make it",
        )
    } else if compiled.events > MAX_EVENTS {
        (
            format!("an execution comes to {} events, and may come to {MAX_EVENTS}", compiled.events),
            "make a `for` of steps that are alike: its items run in executions of their own",
        )
    } else {
        return None;
    };
    Some(Diagnostic::new(Code::E0602, graph.span, message).help(help))
}

fn refused(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::E0601, span, message).help("`smltc run` does it on this machine")
}

const FINISHES: &str = "a state machine can't let steps end behind a limit yet";

fn in_region(region: &Region, around: &Limits, found: &mut Vec<Diagnostic>) {
    for node in region.dag.node_weights() {
        in_node(node, around, found);
    }
}

fn in_node(node: &Node, around: &Limits, found: &mut Vec<Diagnostic>) {
    let mut refuse = |message: &str| found.push(refused(node.span, message));
    let limits = around.inside(&node.limits);
    if limits.retry.as_ref().is_some_and(|retry| retry.memory.is_some()) {
        refuse("a state machine can't give more memory to another attempt yet");
    }
    if node.limits.has(OnMiss::Finish) {
        refuse(FINISHES);
    }
    let memory = Resources::of(&node.kind, &limits).memory;
    if memory > MOST {
        refuse(&format!("a function of AWS Lambda has at most {MOST} of memory, not {memory}"));
    }
    match &node.kind {
        NodeKind::Run(run) if !run.task.secrets.is_empty() => {
            refuse("secrets can't be given to tasks of a state machine yet");
        }
        _ => {}
    }
    node.kind.regions().for_each(|region| in_region(region, &limits, found));
}
