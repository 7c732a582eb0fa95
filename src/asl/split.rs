//! Where a workflow is too large for one state machine, and how it is cut into several: parts of a series, branches and
//! bodies run in executions of their own.
//!
//! What is cut off is settled before any state is made, by what its states may take at most.

use super::{Barrier, MAX_EVENTS, Shape, calls::is_glue, compose, items::few, reads};
use crate::{
    expr::Expr,
    graph::{Node, NodeKind, Region, Search, Trial},
    limits::MAX_ROUNDS,
    value::Value,
};
use petgraph::graph::NodeIndex;
use std::collections::{BTreeSet, HashMap};

/// How large a state machine may become before it is cut up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The bytes of its definition.
    pub bytes: usize,
    /// The events of an execution of it: attempts that come to nothing are not among them.
    pub events: u64,
}

impl Default for Options {
    /// What leaves room for names and attempts.
    fn default() -> Self {
        Self { bytes: 600_000, events: MAX_EVENTS * 2 / 5 }
    }
}

/// What states take at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub bytes: usize,
    pub events: u64,
}

impl Cost {
    const fn new(bytes: usize, events: u64) -> Self {
        Self { bytes, events }
    }

    const fn and(self, other: Self) -> Self {
        Self::new(self.bytes.saturating_add(other.bytes), self.events.saturating_add(other.events))
    }

    const fn fits(self, options: &Options) -> bool {
        self.bytes <= options.bytes && self.events <= options.events
    }

    fn most(self, other: Self) -> Self {
        Self::new(self.bytes.max(other.bytes), self.events.max(other.events))
    }
}

/// What a call of a worker takes, besides its path and what it reads.
const CALL: Cost = Cost::new(1000, 5);
/// A choice, with what becomes of a failure.
const CHOICE: Cost = Cost::new(500, 4);
/// A scope with limits, which may be skipped.
const LIMITS: Cost = Cost::new(1500, 12);
/// An execution of its own: its call, whether it has failed, what it gives.
const EXECUTION: Cost = Cost::new(1800, 12);
/// What stands around items, beside their part.
const ITEMS: Cost = Cost::new(3500, 25);
/// The events of asking a search for trials, and of the map that does them.
const ASK: u64 = 14;

/// How often a search is asked for trials: where they are not known before it runs, as often as is usual at most.
fn asks<B>(search: &Search<B>) -> u64 {
    let trials = match &search.strategy {
        Expr::Const(Value::Std(strategy)) => strategy.args.get("trials").and_then(Value::as_int),
        _ => None,
    };
    let parallel = search.parallel.as_ref().map_or(Some(4), |parallel| parallel.as_const()?.as_int());
    let (trials, parallel) = (trials.unwrap_or(500).max(1) as u64, parallel.unwrap_or(4).max(1) as u64);
    // Trials that climb rungs are asked for about twice.
    trials.div_ceil(parallel).saturating_mul(2) + 1
}

/// The events of rounds in an execution of their own.
const BATCH: u64 = EXECUTION.events + 6;
/// What reading a variable takes.
const READ: usize = 120;

/// Nodes that run one after another, side by side, or in an execution of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Node(NodeIndex),
    Series(Vec<Cut>),
    Parallel(Vec<Cut>),
    Apart(Box<Cut>),
}

impl Cut {
    /// All nodes in it.
    pub fn nodes(&self) -> Vec<NodeIndex> {
        match self {
            Self::Node(node) => vec![*node],
            Self::Series(parts) | Self::Parallel(parts) => parts.iter().flat_map(Self::nodes).collect(),
            Self::Apart(cut) => cut.nodes(),
        }
    }
}

/// How a region runs.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub cut: Cut,
    pub barriers: Vec<Barrier>,
    cost: Cost,
    /// Whether all of it runs in an execution of its own.
    pub apart: bool,
}

/// How the rounds of a `repeat` run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rounds {
    /// The most that one execution does.
    pub most: u64,
    /// Whether there may be more of them.
    pub more: bool,
    /// Whether there may be no more.
    pub few: bool,
    /// The most executions that another one begins in their place.
    pub executions: u64,
    /// How often that is done over, one in the other.
    pub levels: u32,
}

/// How all regions of a workflow run.
#[derive(Debug)]
pub(super) struct Split {
    options: Options,
    regions: HashMap<*const Region, Planned>,
    /// What the largest machine takes.
    pub most: Cost,
}

impl Split {
    /// Cuts a workflow up.
    pub fn of(root: &Region, options: Options) -> Self {
        let mut this = Self { options, regions: HashMap::new(), most: Cost::default() };
        let cost = this.region(root);
        this.most = this.most.most(cost);
        this
    }

    /// How a region runs.
    pub fn planned(&self, region: &Region) -> Option<&Planned> {
        self.regions.get(&std::ptr::from_ref(region))
    }

    /// How the rounds of a `repeat` run.
    pub fn rounds(&self, times: &Expr, body: &Region) -> Rounds {
        let body = self.planned(body).map_or(EXECUTION, |planned| planned.cost);
        self.rounds_of(times, body)
    }

    fn rounds_of(&self, times: &Expr, body: Cost) -> Rounds {
        let known = match times {
            Expr::Const(Value::Int(times)) => Some((*times).clamp(0, MAX_ROUNDS) as u64),
            _ => None,
        };
        let (times, half) = (known.unwrap_or(MAX_ROUNDS as u64), self.options.events / 2);
        let most = (half / round(body).events).max(1);
        // Two at least, so that they come to an end.
        let executions = (half / BATCH).max(2);
        let mut levels = 0;
        let mut reached = most;
        while reached < times {
            reached = reached.saturating_mul(executions);
            levels += 1;
        }
        Rounds { most, more: levels > 0, few: known.is_none_or(|times| times <= most), executions, levels }
    }

    fn region(&mut self, region: &Region) -> Cost {
        let costs: Vec<Cost> = region.dag.node_weights().map(|node| self.node(node)).collect();
        let (shape, barriers) = compose(region, &|node| is_glue(&region.dag[node].kind));
        let (cut, cost) = self.shape(shape, &costs);
        let mut of_result = BTreeSet::new();
        let result = region.result.as_ref().map(|result| &result.node);
        result.into_iter().for_each(|result| result.free_vars(&mut |var| of_result.extend([var])));
        let cost = cost.and(call(of_result.len(), 0));
        self.regions.insert(std::ptr::from_ref(region), Planned { cut, barriers, cost, apart: false });
        cost
    }

    fn shape(&mut self, shape: Shape, costs: &[Cost]) -> (Cut, Cost) {
        match shape {
            Shape::Node(node) => (Cut::Node(node), costs[node.index()]),
            Shape::Series(parts) => {
                let parts = parts.into_iter().map(|part| self.shape(part, costs)).collect();
                self.group(parts, Cut::Series, |_| Cost::default())
            }
            Shape::Parallel(parts) => {
                let parts = parts.into_iter().map(|part| self.shape(part, costs)).collect();
                self.group(parts, Cut::Parallel, |count| Cost::new(READ * count, 4))
            }
        }
    }

    /// Parts that run together, if they are not too large; or else in groups, each in an execution of its own.
    fn group(
        &mut self,
        mut parts: Vec<(Cut, Cost)>,
        make: fn(Vec<Cut>) -> Cut,
        around: fn(usize) -> Cost,
    ) -> (Cut, Cost) {
        loop {
            let count = parts.len();
            let total = parts.iter().fold(around(count), |sum, (_, cost)| sum.and(*cost));
            let all_apart = parts.iter().all(|(cut, _)| matches!(cut, Cut::Apart(_)));
            if total.fits(&self.options) || count == 1 || (count == 2 && all_apart) {
                return (make(parts.into_iter().map(|(cut, _)| cut).collect()), total);
            }
            let mut groups: Vec<(Vec<(Cut, Cost)>, Cost)> = Vec::new();
            for part in parts {
                match groups.last_mut() {
                    Some((group, sum)) if sum.and(part.1).fits(&self.options) => {
                        *sum = sum.and(part.1);
                        group.push(part);
                    }
                    // What can't be put together otherwise is put together two by two, so that there are fewer each time.
                    Some((group, _)) if all_apart && group.len() == 1 => group.push(part),
                    _ => {
                        let sum = around(1).and(part.1);
                        groups.push((vec![part], sum));
                    }
                }
            }
            parts = groups.into_iter().map(|(group, _)| self.apart(group, make)).collect();
        }
    }

    /// A group in an execution of its own; one that is so already stays.
    fn apart(&mut self, mut group: Vec<(Cut, Cost)>, make: fn(Vec<Cut>) -> Cut) -> (Cut, Cost) {
        if group.len() == 1 && matches!(group[0].0, Cut::Apart(_)) {
            return group.remove(0);
        }
        let cost = group.iter().fold(Cost::default(), |sum, (_, cost)| sum.and(*cost)).and(EXECUTION);
        self.most = self.most.most(cost);
        let mut cuts: Vec<Cut> = group.into_iter().map(|(cut, _)| cut).collect();
        let cut = if cuts.len() == 1 { cuts.remove(0) } else { make(cuts) };
        let width = cut.nodes().len().min(cost.bytes / READ);
        (Cut::Apart(Box::new(cut)), EXECUTION.and(Cost::new(width * READ, 0)))
    }

    fn node(&mut self, node: &Node) -> Cost {
        let mut own = BTreeSet::new();
        reads::each_own_expr(&node.kind, &mut |expr| expr.free_vars(&mut |var| own.extend([var])));
        let mut call = call(own.len(), node.path.len());
        if node.limits.deadline.is_some() || node.limits.budget.is_some() {
            call = call.and(LIMITS);
        }
        match &node.kind {
            NodeKind::Value(_) | NodeKind::Assert { .. } | NodeKind::Fail(_) => call,
            NodeKind::Inspect(_) | NodeKind::Run(_) | NodeKind::Evaluate(_) => call,
            // It may be called again every quarter of an hour for days.
            NodeKind::Train(_) => call.and(ITEMS).and(Cost::new(READ * own.len() + 1000, 1000)),
            NodeKind::Search(search) => {
                let trial = match &search.trial {
                    Trial::Train(_) => call.and(ITEMS),
                    Trial::Steps { body, .. } => self.elsewhere(body),
                };
                call.and(ITEMS).and(Cost::new(trial.bytes + READ * own.len(), ASK * asks(search)))
            }
            NodeKind::Group(body) | NodeKind::Call { body, .. } => call.and(self.region(body)),
            NodeKind::If { then, otherwise, .. } => {
                let all = [Some(&**then), otherwise.as_deref()];
                self.several(all.into_iter().flatten(), call.and(CHOICE), |a, b| a.max(b))
            }
            NodeKind::Try { body, catches } => {
                let all = std::iter::once(&**body).chain(catches.iter().map(|catch| &catch.body));
                self.several(all, call.and(CHOICE), u64::saturating_add)
            }
            NodeKind::For { list, body, .. } => match few(list) {
                None => call.and(ITEMS).and(Cost::new(self.elsewhere(body).bytes, 0)),
                Some(count) => {
                    let each = self.region(body);
                    let all = |each: Cost| Cost::new(each.bytes, (each.events + 4).saturating_mul(count as u64));
                    let cost = call.and(ITEMS).and(all(each));
                    if cost.fits(&self.options) {
                        return cost;
                    }
                    call.and(ITEMS).and(all(self.send(body)))
                }
            },
            NodeKind::Repeat { times, body, .. } => {
                let each = self.region(body);
                let (rounds, round) = (self.rounds_of(times, each), round(each));
                let all = Cost::new(round.bytes, round.events.saturating_mul(rounds.most)).and(call);
                let mut cost = call;
                if rounds.few {
                    cost = cost.and(all);
                }
                if rounds.more {
                    self.most = self.most.most(all.and(EXECUTION));
                    let batches = Cost::new(READ * reads::of_region(body).len(), BATCH * rounds.executions);
                    cost = Cost { events: cost.events.max(batches.events), ..cost.and(EXECUTION).and(batches) };
                }
                cost
            }
        }
    }

    /// A region that runs in executions of its own anyway.
    fn elsewhere(&mut self, region: &Region) -> Cost {
        let cost = self.region(region);
        self.most = self.most.most(Cost::new(0, cost.events));
        cost
    }

    /// Several regions of one node, of which the largest are cut off until all have room.
    fn several<'r>(
        &mut self,
        regions: impl Iterator<Item = &'r Region>,
        around: Cost,
        events: fn(u64, u64) -> u64,
    ) -> Cost {
        let mut all: Vec<(&Region, Cost)> = regions.map(|region| (region, self.region(region))).collect();
        loop {
            let sum = all.iter().fold(Cost::default(), |sum, (_, cost)| {
                Cost::new(sum.bytes + cost.bytes, events(sum.events, cost.events))
            });
            let cost = around.and(sum);
            let largest = all.iter_mut().filter(|(region, _)| !self.is_apart(region));
            let largest = largest.max_by_key(|(_, cost)| (cost.bytes, cost.events));
            match largest {
                Some(largest) if !cost.fits(&self.options) && largest.1.bytes > 2 * EXECUTION.bytes => {
                    largest.1 = self.send(largest.0);
                }
                _ => return cost,
            }
        }
    }

    fn is_apart(&self, region: &Region) -> bool {
        self.planned(region).is_some_and(|planned| planned.apart)
    }

    /// Lets a region run in an execution of its own.
    fn send(&mut self, region: &Region) -> Cost {
        if let Some(planned) = self.regions.get_mut(&std::ptr::from_ref(region)) {
            planned.apart = true;
            self.most = self.most.most(planned.cost.and(EXECUTION));
        }
        EXECUTION.and(Cost::new(READ * reads::of_region(region).len(), 0))
    }
}

/// A round, with what stands around its body.
const fn round(body: Cost) -> Cost {
    body.and(CALL).and(CHOICE).and(CHOICE)
}

fn call(reads: usize, path: usize) -> Cost {
    CALL.and(Cost::new(READ * reads + 2 * path, 0))
}
