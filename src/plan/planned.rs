use crate::{
    graph::{Graph, NodeKind, Region, Training},
    limits::Memory,
    units::{Duration, Money, Size},
};
use petgraph::{Direction, graph::NodeIndex};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is thought of the steps of a workflow before it runs, by their paths without the numbers of items and trials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plan(pub BTreeMap<String, Planned>);

/// What is thought of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// Seconds that it takes, each time.
    pub seconds: f64,
    /// Dollars that it costs, each time.
    pub dollars: f64,
    /// The workers that a training begins with, where they are chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// The memory of each of them, where it is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
}

impl Planned {
    /// The time that it takes.
    pub fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// What it costs.
    pub fn price(&self) -> Money {
        Money::new(Decimal::try_from(self.dollars).unwrap_or(Decimal::MAX))
    }
}

impl Plan {
    /// What is thought of a step at a path of a run.
    pub fn step(&self, path: &str) -> Option<&Planned> {
        self.0.get(&plain(path))
    }

    /// Lets the trainings of a graph have what was chosen for them, as far as the workflow leaves it open.
    pub fn settle(&self, graph: &mut Graph) {
        graph.each_training(&mut |Training { path, memory, train, .. }| {
            let Some(planned) = self.step(&path) else { return };
            if let (Some(Memory::Within(least, most)), Some(chosen)) = (&memory, planned.memory)
                && (*least..=*most).contains(&chosen)
            {
                *memory = Some(Memory::Exactly(chosen));
            }
            train.team.first = planned.workers;
        });
    }

    /// What is thought of the nodes that wait for a node, those that wait for these, and so on; none where one of them is not
    /// known.
    pub fn after(&self, region: &Region, node: NodeIndex) -> Option<Ahead> {
        if self.0.is_empty() {
            return None;
        }
        let mut whole = Ahead::default();
        // Seconds until each is over, on the longest way. A node reads what stands before it, so that it is measured after
        // what it waits for.
        let mut over = vec![None; region.dag.node_count()];
        over[node.index()] = Some(0.0);
        for index in node.index() + 1..over.len() {
            let waits = region.dag.neighbors_directed(NodeIndex::new(index), Direction::Incoming);
            let Some(begins) = waits.filter_map(|before| over[before.index()]).reduce(f64::max) else { continue };
            let node = &region.dag[NodeIndex::new(index)];
            let (seconds, dollars) = match &node.kind {
                NodeKind::Value(_) | NodeKind::Assert { .. } | NodeKind::Fail(_) => (0.0, 0.0),
                _ => self.step(&node.path).map(|step| (step.seconds, step.dollars))?,
            };
            over[index] = Some(begins + seconds);
            whole.seconds = whole.seconds.max(begins + seconds);
            whole.dollars += dollars;
        }
        Some(whole)
    }
}

/// What is thought of all that follows a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ahead {
    /// Seconds on the longest way.
    pub seconds: f64,
    /// Dollars in all.
    pub dollars: f64,
}

/// A path without the numbers in it: `main/best/trial[7]/rung[2]` is `main/best/trial/rung`.
pub fn plain(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            c if !inside => plain.push(c),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn all_items_and_trials_are_one_step() {
        assert_eq!(plain("main/best/trial[7]/rung[2]"), "main/best/trial/rung");
        assert_eq!(plain("main/each[12]/train"), "main/each/train");
    }
}
