//! How the nodes of a region run one after another and side by side.
//!
//! A state machine knows series and parallels alone. Every partial order that is made of these is taken apart exactly, by
//! its components: of those that are comparable, which run side by side, and of those that are not, which run one after
//! another (Valdes, Tarjan and Lawler, "The recognition of series parallel digraphs", 1982). In any other order some nodes
//! must wait for more than they read: a barrier is put where the longest way through the region grows least.

#[cfg(test)]
mod tests;

use crate::{graph::Region, source::Name};
use petgraph::{Direction, graph::NodeIndex};

/// Nodes that run one after another or side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One node.
    Node(NodeIndex),
    /// One after another.
    Series(Vec<Shape>),
    /// Side by side.
    Parallel(Vec<Shape>),
}

/// Where nodes wait for more than they read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// The nodes that are waited for.
    pub names: Vec<Name>,
    /// By how many steps the longest way grows.
    pub stretch: u64,
}

/// The shape of a region's nodes, of which some may be so small that none of them is worth a branch of its own.
pub fn compose(region: &Region, is_small: &dyn Fn(NodeIndex) -> bool) -> (Shape, Vec<Barrier>) {
    let names = region.dag.node_weights().map(|node| node.name.clone()).collect();
    let mut composer = Composer { order: Order::of(region), names, is_small, barriers: Vec::new() };
    let shape = composer.shape((0..region.dag.node_count()).collect());
    (shape, composer.barriers)
}

/// The nodes' order. They are numbered so that what one reads stands before it.
struct Order {
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
    /// Which nodes come after each, a bit for each.
    reach: Vec<Vec<u64>>,
    weight: Vec<u64>,
}

impl Order {
    fn of(region: &Region) -> Self {
        let count = region.dag.node_count();
        let neighbors = |node: usize, direction| -> Vec<usize> {
            region.dag.neighbors_directed(NodeIndex::new(node), direction).map(NodeIndex::index).collect()
        };
        let after: Vec<_> = (0..count).map(|node| neighbors(node, Direction::Outgoing)).collect();
        let mut reach = vec![vec![0; count.div_ceil(64)]; count];
        for node in (0..count).rev() {
            let (own, later) = reach.split_at_mut(node + 1);
            for next in &after[node] {
                own[node].iter_mut().zip(&later[next - node - 1]).for_each(|(word, further)| *word |= further);
                own[node][next / 64] |= 1 << (next % 64);
            }
        }
        // What takes no step takes a little time still, so that ways always grow.
        let weight = (0..count).map(|node| 1 + region.way(NodeIndex::new(node)).own.saturating_mul(1000)).collect();
        Self { before: (0..count).map(|node| neighbors(node, Direction::Incoming)).collect(), after, reach, weight }
    }
}

struct Composer<'a> {
    order: Order,
    names: Vec<Name>,
    is_small: &'a dyn Fn(NodeIndex) -> bool,
    barriers: Vec<Barrier>,
}

impl Composer<'_> {
    /// The shape of nodes in their order. Between two of them lie only others of them.
    fn shape(&mut self, nodes: Vec<usize>) -> Shape {
        if let [node] = *nodes {
            return Shape::Node(NodeIndex::new(node));
        }
        let parts = self.connected(&nodes);
        if parts.len() != 1 {
            let small = |part: &Vec<usize>| part.iter().all(|node| (self.is_small)(NodeIndex::new(*node)));
            let (small, large): (Vec<_>, Vec<_>) = parts.into_iter().partition(small);
            let mut small: Vec<usize> = small.concat();
            small.sort_unstable();
            let mut series: Vec<Shape> = small.into_iter().map(|node| Shape::Node(NodeIndex::new(node))).collect();
            let mut large: Vec<Shape> = large.into_iter().map(|part| self.shape(part)).collect();
            match large.len() {
                0 | 1 => series.append(&mut large),
                _ => series.push(Shape::Parallel(large)),
            }
            return in_series(series);
        }
        let mut stages = self.stages(&nodes);
        if stages.len() == 1 {
            stages = self.cut(&nodes).into();
        }
        in_series(stages.into_iter().map(|stage| self.shape(stage)).collect())
    }

    /// The parts between which there is no order.
    fn connected(&self, nodes: &[usize]) -> Vec<Vec<usize>> {
        let place = |node: &usize| nodes.binary_search(node).ok();
        let mut part = vec![usize::MAX; nodes.len()];
        let mut parts = Vec::new();
        for start in 0..nodes.len() {
            if part[start] != usize::MAX {
                continue;
            }
            let (number, mut open) = (parts.len(), vec![start]);
            part[start] = number;
            let mut members = Vec::new();
            while let Some(at) = open.pop() {
                members.push(nodes[at]);
                for next in self.order.before[nodes[at]].iter().chain(&self.order.after[nodes[at]]).filter_map(place) {
                    if part[next] == usize::MAX {
                        part[next] = number;
                        open.push(next);
                    }
                }
            }
            members.sort_unstable();
            parts.push(members);
        }
        parts
    }

    /// The parts of which each is wholly before the next. They follow one another in every order of the nodes.
    fn stages(&self, nodes: &[usize]) -> Vec<Vec<usize>> {
        let mut members = vec![0_u64; self.names.len().div_ceil(64)];
        nodes.iter().for_each(|node| members[node / 64] |= 1 << (node % 64));
        let words = nodes.first().map_or(0, |node| node / 64)..nodes.last().map_or(0, |node| node / 64 + 1);
        // The last of them that does not come after a node, which may be itself.
        let last_beside = |node: usize| {
            words.clone().rev().find_map(|word| {
                let beside = members[word] & !self.order.reach[node][word];
                beside.checked_ilog2().map(|bit| word * 64 + bit as usize)
            })
        };
        let mut stages = Vec::new();
        let (mut begin, mut furthest) = (0, 0);
        for (place, node) in nodes.iter().enumerate() {
            if place > furthest {
                stages.push(nodes[begin..place].to_vec());
                begin = place;
            }
            let beside = last_beside(*node).and_then(|last| nodes.binary_search(&last).ok());
            furthest = furthest.max(beside.unwrap_or(place));
        }
        stages.push(nodes[begin..].to_vec());
        stages
    }

    /// The cut into two parts, the second after the first, that lengthens the longest way least.
    fn cut(&mut self, nodes: &[usize]) -> [Vec<usize>; 2] {
        let place = |node: &usize| nodes.binary_search(node).ok();
        let way = |place_of: usize, next: &[usize], ways: &[u64]| {
            let longest = next.iter().filter_map(place).map(|next| ways[next]).max().unwrap_or(0);
            self.order.weight[nodes[place_of]].saturating_add(longest)
        };
        let (mut to, mut from) = (vec![0; nodes.len()], vec![0; nodes.len()]);
        for at in 0..nodes.len() {
            to[at] = way(at, &self.order.before[nodes[at]], &to);
        }
        for at in (0..nodes.len()).rev() {
            from[at] = way(at, &self.order.after[nodes[at]], &from);
        }
        let longest = to.iter().max().copied().unwrap_or(0);
        // Ways grow from each node to those after it, so that all of either kind are cuts.
        let early = self.best(&to, &from, longest);
        let late = self.best(&from, &to, longest);
        let (first, stretch): (Vec<bool>, u64) = match early.1 <= late.1 {
            true => (to.iter().map(|way| *way <= early.0).collect(), early.1),
            false => (from.iter().map(|way| *way > late.0).collect(), late.1),
        };
        let (before, after): (Vec<_>, Vec<_>) = nodes.iter().zip(first).partition(|(_, first)| *first);
        let only = |part: Vec<(&usize, bool)>| part.into_iter().map(|(node, _)| *node).collect::<Vec<_>>();
        let parts = [only(before), only(after)];
        let names = parts[0].iter().map(|node| self.names[*node].clone()).collect();
        self.barriers.push(Barrier { names, stretch: stretch / 1000 });
        parts
    }

    /// The bound of the ways on one side that lengthens the longest way least, and by how much.
    fn best(&self, near: &[u64], far: &[u64], longest: u64) -> (u64, u64) {
        let mut by_way: Vec<usize> = (0..near.len()).collect();
        by_way.sort_by_key(|at| near[*at]);
        let mut rest = vec![0; near.len() + 1];
        for (index, at) in by_way.iter().enumerate().rev() {
            rest[index] = far[*at].max(rest[index + 1]);
        }
        let bounds = (1..by_way.len()).filter(|index| near[by_way[*index]] > near[by_way[index - 1]]);
        let cost = |index: usize| near[by_way[index - 1]].saturating_add(rest[index]).saturating_sub(longest);
        // Of equals the one that leaves the least to do on either side.
        let best = bounds.min_by_key(|index| (cost(*index), index.abs_diff(by_way.len() / 2)));
        // Where all ways are equal nothing is ordered, and no cut is asked for.
        best.map_or((u64::MAX, u64::MAX), |index| (near[by_way[index - 1]], cost(index)))
    }
}

/// Shapes one after another, without a series inside a series.
fn in_series(shapes: Vec<Shape>) -> Shape {
    let mut flat = Vec::new();
    for shape in shapes {
        match shape {
            Shape::Series(inner) => flat.extend(inner),
            shape => flat.push(shape),
        }
    }
    match <[Shape; 1]>::try_from(flat) {
        Ok([only]) => only,
        Err(flat) => Shape::Series(flat),
    }
}
