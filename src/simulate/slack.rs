//! By how much a step may take longer before the whole does: the critical path method (Kelley and Walker, 1959), region by
//! region.

use super::tally::Tally;
use crate::{graph::Region, plan::plain};
use petgraph::{Direction, graph::NodeIndex};
use std::collections::BTreeMap;

/// Seconds that each step has to spare, by its path without numbers.
#[derive(Debug, Default)]
pub struct Slack(BTreeMap<String, f64>);

impl Slack {
    /// That of all steps of a region and below, when they take what they took in the middle of many runs.
    pub fn of(region: &Region, tally: &Tally) -> Self {
        let mut slack = Self::default();
        slack.add(region, 0.0, tally);
        slack
    }

    /// The seconds that a step has to spare; none where it was never done.
    pub fn get(&self, path: &str) -> Option<f64> {
        self.0.get(path).copied()
    }

    /// `around` is what the region has to spare.
    fn add(&mut self, region: &Region, around: f64, tally: &Tally) {
        let dag = &region.dag;
        let seconds: Vec<f64> = dag
            .node_weights()
            .map(|node| tally.step(&plain(&node.path)).map_or(0.0, |step| step.seconds().median()))
            .collect();
        // A node reads what stands before it: the order of the nodes is one in which they can be done.
        let longest = |direction: Direction, order: &mut dyn Iterator<Item = usize>| {
            let mut length = vec![0.0_f64; seconds.len()];
            for index in order {
                let beside = dag.neighbors_directed(NodeIndex::new(index), direction);
                let beyond = beside.map(|next| length[next.index()]).fold(0.0, f64::max);
                length[index] = seconds[index] + beyond;
            }
            length
        };
        let until = longest(Direction::Incoming, &mut (0..seconds.len()));
        let from = longest(Direction::Outgoing, &mut (0..seconds.len()).rev());
        let whole = from.iter().copied().fold(0.0, f64::max);
        for index in dag.node_indices() {
            let node = &dag[index];
            let path = plain(&node.path);
            if tally.step(&path).is_none() {
                continue;
            }
            let at = index.index();
            let own = around + whole - (until[at] + from[at] - seconds[at]);
            self.0.insert(path, own);
            node.kind.regions().for_each(|region| self.add(region, own, tally));
        }
    }
}

/// The steps from which nothing can be spared, in their order, without those that only hold others or take no time.
pub fn critical<'g>(region: &'g Region, slack: &Slack, tally: &Tally) -> Vec<&'g str> {
    let mut critical = Vec::new();
    collect(region, slack, tally, &mut critical);
    critical
}

fn collect<'g>(region: &'g Region, slack: &Slack, tally: &Tally, critical: &mut Vec<&'g str>) {
    for node in region.dag.node_weights() {
        let path = plain(&node.path);
        let takes_time = tally.step(&path).is_some_and(|step| step.seconds().median() > 0.0);
        if !takes_time || slack.get(&path).is_none_or(|slack| slack > 1e-6) {
            continue;
        }
        let mut regions = node.kind.regions().peekable();
        match regions.peek() {
            Some(_) => regions.for_each(|region| collect(region, slack, tally, critical)),
            None => critical.push(&node.path),
        }
    }
}
