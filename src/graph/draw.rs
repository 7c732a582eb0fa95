//! Drawings of a graph: Graphviz, Mermaid, and JSON for other tools.

use super::{Edge, Graph, NodeKind, Region, Trial};
use crate::{
    elastic,
    wire::{Kind, Workers},
};
use serde_json::{Value, json};
use std::fmt::Write;

impl NodeKind {
    /// The kind in one word, as notices and drawings name it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Value(_) => "let",
            Self::Assert { .. } => "assert",
            Self::Inspect(_) => "inspect",
            Self::Run(_) => "run",
            Self::Fail(_) => "fail",
            Self::Train(_) => "train",
            Self::Evaluate(_) => "evaluate",
            Self::Search(_) => "search",
            Self::For { .. } => "for",
            Self::If { .. } => "if",
            Self::Group(_) => "group",
            Self::Try { .. } => "try",
            Self::Repeat { .. } => "repeat",
            Self::Call { .. } => "workflow",
        }
    }

    /// The kind for a drawing, with the workers of a training where they are known and not one.
    fn label(&self) -> String {
        let train = match self {
            Self::Train(train) => Some(train),
            Self::Search(search) => match &search.trial {
                Trial::Train(train) => Some(train),
                Trial::Steps { .. } => None,
            },
            _ => None,
        };
        let workers = train.and_then(|train| train.team.workers.as_ref()?.as_const());
        match workers.and_then(|workers| elastic::workers(workers).ok()) {
            Some(Workers::Staged(workers)) if workers.values().all(|workers| workers == 1) => self.word().into(),
            Some(Workers::Staged(workers)) => {
                let numbers: Vec<String> = workers.values().map(|workers| workers.to_string()).collect();
                format!("{} by {} workers", self.word(), numbers.join(", then "))
            }
            Some(Workers::Within(least, most)) => format!("{} by {least} to {most} workers", self.word()),
            None => self.word().into(),
        }
    }

    /// The regions that the node owns, each with what to call it.
    pub fn children(&self) -> Vec<(String, &Region)> {
        match self {
            Self::For { body, .. } | Self::Repeat { body, .. } => vec![("each".into(), body)],
            Self::Group(body) | Self::Call { body, .. } => vec![(String::new(), body)],
            Self::If { then, otherwise, .. } => std::iter::once(("then".into(), &**then))
                .chain(otherwise.as_deref().map(|body| ("else".into(), body)))
                .collect(),
            Self::Try { body, catches } => {
                let kinds = |kinds: &[Kind]| kinds.iter().map(Kind::to_string).collect::<Vec<_>>().join(", ");
                std::iter::once(("try".into(), &**body))
                    .chain(catches.iter().map(|catch| (format!("catch {}", kinds(&catch.kinds)), &catch.body)))
                    .collect()
            }
            Self::Search(search) => match &search.trial {
                Trial::Steps { body, .. } => vec![("trial".into(), body)],
                Trial::Train(_) => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}

/// A drawing for Graphviz.
pub fn dot(graph: &Graph) -> String {
    let mut out = String::from("digraph {\n  rankdir=LR\n  node [shape=box, style=rounded, fontname=\"sans-serif\"]\n");
    dot_region(&graph.root, 1, &mut out);
    out.push_str("}\n");
    out
}

fn dot_region(region: &Region, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    for node in region.dag.node_weights() {
        let (path, kind) = (&node.path, node.kind.label());
        let shape =
            if matches!(node.kind, NodeKind::Value(_) | NodeKind::Assert { .. }) { ", shape=plaintext" } else { "" };
        let _ = writeln!(out, "{indent}{path:?} [label=\"{}\\n{kind}\"{shape}]", node.name);
        for (name, child) in node.kind.children() {
            let label = format!("{} {name}", node.name);
            let _ = writeln!(
                out,
                "{indent}subgraph {:?} {{\n{indent}  label={:?}",
                format!("cluster_{path}/{name}"),
                label.trim()
            );
            dot_region(child, depth + 1, out);
            let _ = writeln!(out, "{indent}}}");
            if let Some(first) = child.dag.node_weights().next() {
                let _ = writeln!(out, "{indent}{path:?} -> {:?} [style=dotted, arrowhead=none]", first.path);
            }
        }
    }
    for edge in region.dag.edge_indices() {
        let Some((from, to)) = region.dag.edge_endpoints(edge) else { continue };
        let style = if region.dag[edge] == Edge::Order { " [style=dashed]" } else { "" };
        let _ = writeln!(out, "{indent}{:?} -> {:?}{style}", region.dag[from].path, region.dag[to].path);
    }
}

/// A drawing for Mermaid.
pub fn mermaid(graph: &Graph) -> String {
    let mut out = String::from("flowchart LR\n");
    mermaid_region(&graph.root, 1, &mut out);
    out
}

/// Mermaid takes letters, digits and underscores in an id.
fn mermaid_id(path: &str) -> String {
    path.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

fn mermaid_region(region: &Region, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    for node in region.dag.node_weights() {
        let (id, kind) = (mermaid_id(&node.path), node.kind.label());
        let _ = writeln!(out, "{indent}{id}[\"{}<br/><i>{kind}</i>\"]", node.name);
        for (name, child) in node.kind.children() {
            let label = format!("{} {name}", node.name);
            let body = mermaid_id(&format!("{id}_{name}_body"));
            let _ = writeln!(out, "{indent}subgraph {body} [\"{}\"]", label.trim());
            mermaid_region(child, depth + 1, out);
            let _ = writeln!(out, "{indent}end\n{indent}{id} -.- {body}");
        }
    }
    for edge in region.dag.edge_indices() {
        let Some((from, to)) = region.dag.edge_endpoints(edge) else { continue };
        let arrow = if region.dag[edge] == Edge::Order { "-.->" } else { "-->" };
        let (from, to) = (mermaid_id(&region.dag[from].path), mermaid_id(&region.dag[to].path));
        let _ = writeln!(out, "{indent}{from} {arrow} {to}");
    }
}

/// The graph for other tools.
pub fn to_json(graph: &Graph) -> Value {
    json!({ "workflow": graph.workflow, "file": graph.file, "region": json_region(&graph.root) })
}

fn json_region(region: &Region) -> Value {
    let nodes: Vec<Value> = region
        .dag
        .node_weights()
        .map(|node| {
            let children: serde_json::Map<String, Value> =
                node.kind.children().into_iter().map(|(name, child)| (name, json_region(child))).collect();
            json!({ "path": node.path, "name": node.name, "kind": node.kind.word(), "line": node.line, "regions": children })
        })
        .collect();
    let edges: Vec<Value> = region
        .dag
        .edge_indices()
        .filter_map(|edge| {
            let (from, to) = region.dag.edge_endpoints(edge)?;
            Some(json!({ "from": region.dag[from].path, "to": region.dag[to].path, "kind": region.dag[edge] }))
        })
        .collect();
    json!({ "nodes": nodes, "edges": edges })
}
