//! The trainings of a task graph, wherever they stand in it.

use super::{Graph, NodeKind, Region, Train, Trial};
use crate::{
    limits::{Limits, Memory},
    wire::Goal,
};

/// A training, or what all trials of a search do that are trainings.
pub struct Training<'a> {
    /// Its path in a plan.
    pub path: String,
    /// What it makes least of: what is said, or else what the limits around it ask for. With a deadline that is the cost.
    pub goal: Goal,
    /// The memory of each worker.
    pub memory: &'a mut Option<Memory>,
    /// Its settings.
    pub train: &'a mut Train,
}

impl Graph {
    /// Calls `visit` on each training.
    pub fn each_training(&mut self, visit: &mut dyn FnMut(Training)) {
        let around = self.limits.clone();
        in_region(&mut self.root, &around, visit);
    }
}

fn in_region(region: &mut Region, around: &Limits, visit: &mut dyn FnMut(Training)) {
    for node in region.dag.node_weights_mut() {
        let mut inside = around.inside(&node.limits);
        inside.deadline = inside.deadline.or_else(|| around.deadline.clone());
        inside.budget = inside.budget.or_else(|| around.budget.clone());
        let memory = &mut node.limits.memory;
        match &mut node.kind {
            NodeKind::Train(train) => {
                visit(Training { path: node.path.clone(), goal: goal(&inside), memory, train });
            }
            NodeKind::Search(search) => match &mut search.trial {
                Trial::Train(train) => {
                    visit(Training { path: format!("{}/trial", node.path), goal: goal(&inside), memory, train });
                }
                Trial::Steps { body, .. } => in_region(body, &inside, visit),
            },
            NodeKind::For { body, .. }
            | NodeKind::Group(body)
            | NodeKind::Repeat { body, .. }
            | NodeKind::Call { body, .. } => in_region(body, &inside, visit),
            NodeKind::If { then, otherwise, .. } => {
                in_region(then, &inside, visit);
                otherwise.iter_mut().for_each(|body| in_region(body, &inside, visit));
            }
            NodeKind::Try { body, catches } => {
                in_region(body, &inside, visit);
                catches.iter_mut().for_each(|catch| in_region(&mut catch.body, &inside, visit));
            }
            NodeKind::Value(_)
            | NodeKind::Assert { .. }
            | NodeKind::Inspect(_)
            | NodeKind::Run(_)
            | NodeKind::Fail(_)
            | NodeKind::Evaluate(_) => {}
        }
    }
}

fn goal(limits: &Limits) -> Goal {
    limits.goal.unwrap_or(match (&limits.deadline, &limits.budget) {
        (Some(_), _) => Goal::MinCost,
        (None, Some(_)) => Goal::MinTime,
        (None, None) => Goal::Balanced,
    })
}
