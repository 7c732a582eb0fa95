//! Calls of workers: for steps, and for all that is to be computed between two of them.

use super::{
    emitter::{Emitter, Named, Place},
    failures,
    flow::{Next, answered},
    machine::{Does, Retrier, States},
    path::Path,
};
use crate::{
    graph::{Node, NodeKind},
    source::Name,
    step::{Entry, Line, What},
    wire::key,
};
use serde_json::{Map, Value as Json, json};

/// The memory of workers that only compute values, in MiB: as much as a small step has.
pub(super) const SMALL: u64 = 1024;

impl Emitter<'_> {
    /// What a node is between steps, if it is no step.
    pub fn line(&self, node: &Node) -> Option<Named> {
        let what = match &node.kind {
            NodeKind::Value(expr) => What::Value(expr.clone()),
            NodeKind::Assert { cond, message } => What::Assert { cond: cond.clone(), message: message.clone() },
            NodeKind::Fail(kind) => What::Fail(*kind),
            _ => return None,
        };
        let variable = self.is_read(node.var).then(|| self.variable(node.var));
        Some(Named { line: Line { node: Some(node.name.clone()), var: node.var, what }, variable })
    }

    /// Computes values in one call, before `next`.
    pub fn glue(&mut self, place: &Place, lines: Vec<Named>, states: &mut States, next: Next) -> Next {
        if lines.is_empty() {
            return next;
        }
        let caught = lines.iter().any(|named| matches!(named.line.what, What::Caught));
        let params = lines.iter().any(|named| matches!(named.line.what, What::Param(_)));
        let title = match &*lines.iter().filter_map(|named| named.line.node.clone()).collect::<Vec<Name>>() {
            [] if params => "parameters".to_owned(),
            [] if caught => "caught".to_owned(),
            [] => "value".to_owned(),
            [only] => only.to_string(),
            [first, .., last] if first == last => first.to_string(),
            [first, last] => format!("{first}, {last}"),
            [first, .., last] => format!("{first} … {last}"),
        };
        let assign = lines.iter().filter_map(|Named { line, variable }| Some((variable.clone()?, answered(line.var))));
        let assign = assign.collect();
        self.side_by_side(lines.len());
        let entry = Entry::Glue(lines.iter().map(|named| named.line.clone()).collect());
        let mut extra = Map::new();
        if params {
            let given = "$states.context.Execution.Input.args";
            extra.insert("args".into(), json!(format!("{{% $exists({given}) ? {given} : {{}} %}}")));
        }
        if caught {
            extra.insert("caught".into(), json!(format!("{{% ${} %}}", self.caught)));
        }
        let task = self.task(entry, &place.path, SMALL, extra, None, failures::retries(None, false));
        let name = self.names.state(&format!("{}: {title}", place.path.shown));
        self.put(states, name, None, task, assign, next)
    }

    /// The call of a worker for an entry.
    pub fn task(
        &mut self,
        entry: Entry,
        path: &Path,
        memory: u64,
        extra: Map<String, Json>,
        timeout_seconds: Option<u64>,
        retry: Vec<Retrier>,
    ) -> Does {
        self.memory.insert(memory);
        let vars: Map<String, Json> = entry
            .reads()
            .into_iter()
            .map(|var| (key(var), json!(format!("{{% ${} %}}", self.variable(var)))))
            .collect();
        self.side_by_side(vars.len());
        let mut payload = Map::from_iter([
            ("entry".to_owned(), json!(self.entry(entry))),
            ("path".to_owned(), path.to_json()),
            ("run".to_owned(), json!(format!("{{% ${} %}}", self.run))),
            ("tries".to_owned(), json!("{% $states.context.State.RetryCount %}")),
        ]);
        if let Some(fences) = &self.fences {
            payload.insert("fences".into(), json!(format!("{{% ${fences} %}}")));
        }
        if !vars.is_empty() {
            payload.insert("vars".into(), vars.into());
        }
        payload.extend(extra);
        Does::Task {
            resource: "arn:aws:states:::lambda:invoke",
            arguments: json!({ "FunctionName": format!("${{Worker{memory}}}"), "Payload": payload }),
            timeout_seconds,
            retry,
        }
    }

    /// An entry's place in the book. What is called for in several places stands there once.
    fn entry(&mut self, entry: Entry) -> usize {
        let entries = &mut self.book.entries;
        // An entry that can't be written is like no other.
        let said = serde_json::to_string(&entry).unwrap_or_else(|_| entries.len().to_string());
        *self.known.entry(said).or_insert_with(|| {
            entries.push(entry);
            entries.len() - 1
        })
    }
}

/// Whether a node needs no step of its own.
pub(super) fn is_glue(kind: &NodeKind) -> bool {
    matches!(kind, NodeKind::Value(_) | NodeKind::Assert { .. } | NodeKind::Fail(_))
}
