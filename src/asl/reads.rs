//! What the nodes of a graph read.

use crate::{
    expr::{Expr, Var},
    graph::{Node, NodeKind, Region, Trial},
};
use std::collections::BTreeSet;

/// The variables that a node reads, those of the regions inside of it among them.
pub(super) fn of_node(kind: &NodeKind) -> BTreeSet<Var> {
    let mut reads = BTreeSet::new();
    each_expr(kind, &mut |expr| expr.free_vars(&mut |var| reads.extend([var])));
    reads
}

/// The variables that a region reads.
pub(super) fn of_region(region: &Region) -> BTreeSet<Var> {
    let mut reads = BTreeSet::new();
    each_in_region(region, &mut |expr| expr.free_vars(&mut |var| reads.extend([var])));
    reads
}

/// The variables that a region and those inside of it give values to.
pub(super) fn own_of_region(region: &Region) -> BTreeSet<Var> {
    region.dag.node_weights().flat_map(own_of_node).collect()
}

/// The variables that a node and the regions inside of it give values to.
pub(super) fn own_of_node(node: &Node) -> BTreeSet<Var> {
    let mut own = BTreeSet::from([node.var]);
    node.kind.each_own_var(&mut |var| own.extend([var]));
    node.kind.regions().for_each(|region| own.extend(own_of_region(region)));
    own
}

/// Calls `visit` on each expression of a node and of the regions inside of it.
fn each_expr(kind: &NodeKind, visit: &mut dyn FnMut(&Expr)) {
    each_own_expr(kind, visit);
    kind.regions().for_each(|region| each_in_region(region, visit));
}

/// Calls `visit` on each expression of a node itself, but for those over variables of their own.
pub(super) fn each_own_expr(kind: &NodeKind, visit: &mut dyn FnMut(&Expr)) {
    match kind {
        NodeKind::Value(expr) | NodeKind::Inspect(expr) => visit(expr),
        NodeKind::Assert { cond, message } => {
            visit(cond);
            message.iter().for_each(visit);
        }
        NodeKind::Run(run) => run.args.iter().for_each(visit),
        NodeKind::Fail(_) => {}
        NodeKind::Train(train) => train.each_expr(visit),
        NodeKind::Evaluate(evaluate) => {
            [&evaluate.model, &evaluate.data, &evaluate.metrics].into_iter().for_each(visit);
        }
        NodeKind::Search(search) => {
            visit(&search.strategy);
            search.parallel.iter().chain(&search.seed).for_each(&mut *visit);
            for dimension in &search.space {
                visit(&dimension.distribution);
                dimension.cond.iter().for_each(&mut *visit);
            }
            if let Trial::Train(train) = &search.trial {
                train.each_expr(visit);
            }
        }
        NodeKind::For { list: expr, .. } | NodeKind::If { cond: expr, .. } => visit(expr),
        NodeKind::Group(_) | NodeKind::Try { .. } => {}
        NodeKind::Repeat { times, carried, cond, .. } => {
            visit(times);
            carried.iter().map(|(_, start)| start).chain(cond).for_each(visit);
        }
        NodeKind::Call { args, .. } => args.iter().for_each(|(_, arg)| visit(arg)),
    }
}

fn each_in_region(region: &Region, visit: &mut dyn FnMut(&Expr)) {
    region.dag.node_weights().for_each(|node| each_expr(&node.kind, visit));
    region.result.iter().for_each(|result| visit(&result.node));
}
