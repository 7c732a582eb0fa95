//! How long the ways through a graph are, counted in steps: what the longest one leads through is best begun first.

use super::{NodeKind, Region, Trial};
use crate::{expr::Expr, value::Value};
use petgraph::graph::NodeIndex;
use serde::{Deserialize, Serialize};

/// What lies on the longest way through a node to the end of its region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The steps of the node itself, one after another.
    pub own: u64,
    /// The steps that follow it.
    pub after: u64,
}

impl Way {
    /// The steps from the beginning of the node on.
    pub const fn steps(self) -> u64 {
        self.own.saturating_add(self.after)
    }
}

impl Region {
    /// Measures the ways of its nodes, those of the regions below first.
    pub fn measure(&mut self) {
        let mut ways = vec![Way::default(); self.dag.node_count()];
        // A node reads what stands before it, so that what follows a node is measured before it.
        for index in (0..ways.len()).rev() {
            let node = NodeIndex::new(index);
            let after = self.dag.neighbors(node).map(|next| ways[next.index()]).map(Way::steps).max();
            ways[index] = Way { own: self.dag[node].kind.length(), after: after.unwrap_or(0) };
        }
        self.ways = ways;
    }

    /// The way of a node.
    pub fn way(&self, node: NodeIndex) -> Way {
        self.ways.get(node.index()).copied().unwrap_or_default()
    }

    /// The steps on the longest way through it.
    pub fn length(&self) -> u64 {
        self.ways.iter().map(|way| way.steps()).max().unwrap_or(0)
    }
}

impl NodeKind {
    /// The steps that it takes one after another. Items of a `for` and trials of a search count once, since they may run
    /// side by side.
    fn length(&self) -> u64 {
        match self {
            Self::Value(_) | Self::Assert { .. } | Self::Fail(_) => 0,
            Self::Inspect(_) | Self::Run(_) | Self::Train(_) | Self::Evaluate(_) => 1,
            Self::Search(search) => match &search.trial {
                Trial::Steps { body, .. } => body.length(),
                Trial::Train(_) => 1,
            },
            Self::For { body, .. } | Self::Group(body) | Self::Try { body, .. } | Self::Call { body, .. } => {
                body.length()
            }
            Self::If { then, otherwise, .. } => {
                then.length().max(otherwise.as_ref().map_or(0, |otherwise| otherwise.length()))
            }
            Self::Repeat { times: Expr::Const(Value::Int(times)), body, .. } => {
                body.length().saturating_mul((*times).try_into().unwrap_or(0))
            }
            Self::Repeat { body, .. } => body.length(),
        }
    }
}
