//! What memory trainings are given where the workflow leaves a choice: each amount is tried in simulated runs of the whole
//! workflow, so that what else there is counts, the time to spare above all. Of several trainings one is chosen for after the
//! other.

use super::{Question, SURE};
use crate::{
    graph::{Graph, Training},
    limits::{Limits, Memory},
    plan::{Plan, Planned},
    seed::Seed,
    units::Size,
    wire::Goal,
};
use std::{cmp::Ordering, collections::BTreeMap};

/// What one amount of memory comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// The memory of each worker.
    pub memory: Size,
    /// Seconds of a run, in the middle.
    pub seconds: f64,
    /// Dollars of a run, in the middle.
    pub dollars: f64,
    /// The share of runs in which the limits held.
    pub kept: f64,
    /// Whether the training could be done with it.
    pub serves: bool,
}

/// What was chosen for a training, and out of what.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What it makes least of within the limits.
    pub goal: Goal,
    /// The memory that was chosen; none where no amount serves.
    pub memory: Option<Size>,
    /// All that was tried, the least first.
    pub tried: Vec<Tried>,
}

/// How many amounts of memory are tried.
const AMOUNTS: u32 = 8;
/// The runs with each.
const RUNS: usize = 20;
/// Amounts are whole multiples of this.
const GRAIN: u64 = 64;

impl Question<'_> {
    /// What trainings are given, by their paths.
    pub(super) fn choices(&self, seed: Seed) -> BTreeMap<String, Choice> {
        let mut choices = BTreeMap::new();
        let Limits { deadline, budget, .. } = &self.graph.limits;
        let scarce = if deadline.is_none() && budget.is_some() { Scarce::Money } else { Scarce::Time };
        let largest = self.foresight.largest_memory().unwrap_or(self.options.capacity.memory);
        for (path, goal, least, most) in ranges(self.graph) {
            let tried: Vec<Tried> = amounts(least, most.min(largest).max(least))
                .into_iter()
                .map(|memory| {
                    let mut plan = plan(&choices);
                    plan.0.insert(path.clone(), Planned { memory: Some(memory), ..Planned::default() });
                    self.tried(&plan, memory, seed)
                })
                .collect();
            let best = tried.iter().filter(|tried| tried.serves).min_by(|a, b| better(a, b, goal, scarce));
            choices.insert(path, Choice { goal, memory: best.map(|best| best.memory), tried });
        }
        choices
    }

    fn tried(&self, plan: &Plan, memory: Size, seed: Seed) -> Tried {
        let mut graph = self.graph.clone();
        plan.settle(&mut graph);
        let tally = Question { graph: &graph, ..*self }.tally(RUNS, seed);
        let (seconds, dollars) = (tally.seconds().median(), tally.dollars().median());
        Tried { memory, seconds, dollars, kept: tally.ends().kept(), serves: tally.ends().failed == 0 }
    }
}

/// The plan that has chosen so.
pub(super) fn plan(choices: &BTreeMap<String, Choice>) -> Plan {
    let planned = |choice: &Choice| Planned { memory: choice.memory, ..Planned::default() };
    Plan(choices.iter().map(|(path, choice)| (path.clone(), planned(choice))).collect())
}

/// The trainings that leave a choice, with what they make least of and the ends of their ranges.
fn ranges(graph: &Graph) -> Vec<(String, Goal, Size, Size)> {
    let mut ranges = Vec::new();
    graph.clone().each_training(&mut |Training { path, goal, memory, .. }| {
        if let Some(Memory::Within(least, most)) = *memory {
            ranges.push((path, goal, least, most));
        }
    });
    ranges
}

/// Amounts between two, each by the same factor above the one before.
fn amounts(least: Size, most: Size) -> Vec<Size> {
    let (low, high) = (least.mib().max(1) as f64, most.mib().max(1) as f64);
    let between = (1..AMOUNTS - 1).map(|step| {
        let mib = low * (high / low).powf(f64::from(step) / f64::from(AMOUNTS - 1));
        Size::from_mib((mib as u64).next_multiple_of(GRAIN))
    });
    let mut amounts: Vec<Size> = between.filter(|amount| *amount > least && *amount < most).collect();
    amounts.extend([least, most]);
    amounts.sort();
    amounts.dedup();
    amounts
}

/// What keeps the limits comes first, and of that what serves the goal; where nothing does, what comes nearest to the limit. Of
/// equals it is the smaller.
fn better(a: &Tried, b: &Tried, goal: Goal, scarce: Scarce) -> Ordering {
    let kept = |tried: &Tried| tried.kept.min(SURE);
    let value = |tried: &Tried| match (tried.kept >= SURE, goal, scarce) {
        (true, Goal::MinCost, _) | (false, _, Scarce::Money) => tried.dollars,
        (true, Goal::MinTime, _) | (false, _, Scarce::Time) => tried.seconds,
        (true, Goal::Balanced, _) => tried.seconds * tried.dollars,
    };
    kept(b).total_cmp(&kept(a)).then(value(a).total_cmp(&value(b))).then(a.memory.cmp(&b.memory))
}

/// What is short where limits are missed: the money if there is a budget alone.
#[derive(Clone, Copy)]
enum Scarce {
    Time,
    Money,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_grow_by_the_same_factor() {
        let mib = |amounts: Vec<Size>| amounts.into_iter().map(Size::mib).collect::<Vec<_>>();
        let range = |least, most| mib(amounts(Size::from_mib(least), Size::from_mib(most)));
        assert_eq!(range(128, 10_240), [128, 256, 448, 896, 1600, 2944, 5504, 10_240]);
        assert_eq!(range(1000, 1000), [1000]);
        assert_eq!(range(1000, 1030), [1000, 1024, 1030]);
    }
}
