//! From a checked workflow to its graph.

use super::{Edge, Graph, Node, NodeKind, Region};
use crate::{
    check::program::{Body, Stmt, StmtKind, Workflow},
    expr::{Expr, Var},
    source::{Name, Source},
};
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The graph of a workflow whose declaration stands in `source`.
pub fn build(workflow: &Workflow, source: &Source) -> Graph {
    let lines = Lines::of(source);
    let path = workflow.name.to_string();
    Graph {
        workflow: workflow.name.clone(),
        file: source.name.clone(),
        doc: workflow.doc.clone(),
        params: workflow.params.clone(),
        limits: workflow.limits.clone(),
        output: workflow.output.clone(),
        root: region(&workflow.body, &path, &lines),
        span: workflow.span,
    }
}

fn region(body: &Body, path: &str, lines: &Lines) -> Region {
    let mut region = Region { result: body.result.clone(), ..Region::default() };
    let mut names = Names::default();
    let mut defined: HashMap<Var, NodeIndex> = HashMap::new();
    for stmt in &body.stmts {
        let name = names.name(stmt);
        let path = format!("{path}/{name}");
        let mut reads = BTreeSet::new();
        free_vars(stmt, &mut reads);
        let kind = kind(stmt, &path, lines);
        let (limits, line) = (stmt.limits.clone(), lines.line(stmt.span.start));
        let node = Node { name, path, var: stmt.var, kind, limits, line, span: stmt.span };
        let index = region.dag.add_node(node);
        for read in &reads {
            if let Some(source) = defined.get(read) {
                region.dag.add_edge(*source, index, Edge::Value);
            }
        }
        for after in &stmt.after {
            if let Some(source) = defined.get(after).filter(|_| !reads.contains(after)) {
                region.dag.add_edge(*source, index, Edge::Order);
            }
        }
        defined.insert(stmt.var, index);
    }
    region
}

fn kind(stmt: &Stmt, path: &str, lines: &Lines) -> NodeKind {
    let child = |body: &Body, name: &str| Box::new(region(body, &format!("{path}{name}"), lines));
    match &stmt.kind {
        StmtKind::Value(value) => NodeKind::Value(value.clone()),
        StmtKind::Assert { cond, message } => NodeKind::Assert { cond: cond.clone(), message: message.clone() },
        StmtKind::Inspect(dataset) => NodeKind::Inspect(dataset.clone()),
        StmtKind::Run(run) => NodeKind::Run(run.clone()),
        StmtKind::Train(train) => NodeKind::Train(train.clone()),
        StmtKind::Evaluate(evaluate) => NodeKind::Evaluate(evaluate.clone()),
        StmtKind::Search(search) => NodeKind::Search(search.clone()),
        StmtKind::For { item, list, body } => NodeKind::For { item: *item, list: list.clone(), body: child(body, "") },
        StmtKind::If { cond, then, otherwise } => NodeKind::If {
            cond: cond.clone(),
            then: child(then, "/then"),
            otherwise: otherwise.as_ref().map(|body| child(body, "/else")),
        },
        StmtKind::Group(body) => NodeKind::Group(child(body, "")),
    }
}

/// The variables that a statement reads and does not bind itself.
fn free_vars(stmt: &Stmt, reads: &mut BTreeSet<Var>) {
    let mut visit = |expr: &Expr| expr.free_vars(&mut |var| reads.extend([var]));
    match &stmt.kind {
        StmtKind::Value(expr) | StmtKind::Inspect(expr) => visit(expr),
        StmtKind::Assert { cond, message } => {
            visit(cond);
            message.iter().for_each(visit);
        }
        // A task's script reads its parameters, which no other expression can name.
        StmtKind::Run(run) => run.args.iter().for_each(|(_, _, expr)| visit(expr)),
        StmtKind::Train(train) => train.each_expr(&mut visit),
        StmtKind::Evaluate(evaluate) => {
            [&evaluate.model, &evaluate.data, &evaluate.metrics].into_iter().for_each(visit)
        }
        StmtKind::Search(search) => {
            visit(&search.strategy);
            search.parallel.iter().chain(&search.seed).for_each(&mut visit);
            search.space.iter().for_each(|dimension| visit(&dimension.distribution));
            search.trial.each_expr(&mut visit);
        }
        StmtKind::For { list, body, .. } => {
            visit(list);
            body_vars(body, reads);
        }
        StmtKind::If { cond, then, otherwise } => {
            visit(cond);
            body_vars(then, reads);
            otherwise.iter().for_each(|body| body_vars(body, reads));
        }
        StmtKind::Group(body) => body_vars(body, reads),
    }
}

/// What a body reads. It may hold variables of its own as well: no other region defines those.
fn body_vars(body: &Body, reads: &mut BTreeSet<Var>) {
    for stmt in &body.stmts {
        free_vars(stmt, reads);
        reads.extend(&stmt.after);
    }
    body.result.iter().for_each(|result| result.node.free_vars(&mut |var| reads.extend([var])));
}

/// Gives nodes names that stay the same while other parts of the file change.
#[derive(Default)]
struct Names(BTreeMap<Name, usize>);

impl Names {
    fn name(&mut self, stmt: &Stmt) -> Name {
        let base: Name = match (&stmt.name, &stmt.kind) {
            (Some(name), _) => name.clone(),
            (None, StmtKind::Value(_)) => "value".into(),
            (None, StmtKind::Assert { .. }) => "assert".into(),
            (None, StmtKind::Inspect(Expr::Dataset(name, _))) => format!("inspect.{name}").into(),
            (None, StmtKind::Inspect(_)) => "inspect".into(),
            (None, StmtKind::Run(run)) => run.task.clone(),
            (None, StmtKind::Train(_)) => "train".into(),
            (None, StmtKind::Evaluate(_)) => "evaluate".into(),
            (None, StmtKind::Search(_)) => "search".into(),
            (None, StmtKind::For { .. }) => "for".into(),
            (None, StmtKind::If { .. }) => "if".into(),
            (None, StmtKind::Group(_)) => "group".into(),
        };
        let count = self.0.entry(base.clone()).or_default();
        *count += 1;
        match *count {
            1 => base,
            count => format!("{base}.{count}").into(),
        }
    }
}

/// Where the lines of a file start.
struct Lines(Vec<usize>);

impl Lines {
    fn of(source: &Source) -> Self {
        Self(source.text.match_indices('\n').map(|(at, _)| at).collect())
    }

    fn line(&self, offset: u32) -> u32 {
        self.0.partition_point(|newline| *newline < offset as usize) as u32 + 1
    }
}
