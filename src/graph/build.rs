//! From a checked workflow to its graph.

use super::{Edge, Graph, Node, NodeKind, Region, Trial, catch_name};
use crate::{
    check::program::{Body, Catch, Outcome, Stmt, StmtKind, Stub, Test, Workflow},
    expr::{Expr, Function, Var},
    limits::Limits,
    source::{FileId, Name, Span, Spanned, World},
};
use petgraph::graph::NodeIndex;
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The graph of a workflow of `world`.
pub fn build(workflow: &Workflow, world: &dyn World) -> Graph {
    let lines = Lines { world, ends: RefCell::default(), secrets: RefCell::default() };
    let path = workflow.name.to_string();
    let root = region(&workflow.body, &path, &lines);
    Graph {
        workflow: workflow.name.clone(),
        file: world.source(workflow.span.file).name,
        doc: workflow.doc.clone(),
        params: workflow.params.clone(),
        limits: workflow.limits.clone(),
        output: workflow.output.clone(),
        secrets: lines.secrets.into_inner(),
        root,
        span: workflow.span,
    }
}

/// The graph of a test of `world`: its stubs stand for the tasks they name, wherever those are run.
pub fn build_test(test: &Test, world: &dyn World) -> Graph {
    let mut graph = build(&test.workflow, world);
    put_stubs(&mut graph.root, &test.stubs);
    graph
}

fn put_stubs(region: &mut Region, stubs: &[Stub]) {
    for node in region.dag.node_weights_mut() {
        if let NodeKind::Run(run) = &mut node.kind
            && let Some(stub) = stubs.iter().find(|stub| stub.task == run.task.declared)
        {
            node.kind = match &stub.outcome {
                Outcome::Fails(kind) => NodeKind::Fail(*kind),
                Outcome::Gives(value) => {
                    let args = std::mem::take(&mut run.args).into_iter().take(stub.params.len()).collect();
                    let function = Function::new(run.task.name.clone(), stub.params.clone(), value.clone());
                    NodeKind::Value(Expr::Call(Arc::new(function), args))
                }
            };
        }
        node.kind.regions_mut().into_iter().for_each(|region| put_stubs(region, stubs));
    }
}

impl NodeKind {
    fn regions_mut(&mut self) -> Vec<&mut Region> {
        match self {
            Self::For { body, .. } | Self::Group(body) | Self::Repeat { body, .. } | Self::Call { body, .. } => {
                vec![body]
            }
            Self::If { then, otherwise, .. } => std::iter::once(&mut **then).chain(otherwise.as_deref_mut()).collect(),
            Self::Try { body, catches } => {
                std::iter::once(&mut **body).chain(catches.iter_mut().map(|catch| &mut catch.body)).collect()
            }
            Self::Value(_)
            | Self::Assert { .. }
            | Self::Inspect(_)
            | Self::Run(_)
            | Self::Fail(_)
            | Self::Train(_)
            | Self::Evaluate(_) => Vec::new(),
            Self::Search(search) => match &mut search.trial {
                Trial::Steps { body, .. } => vec![body],
                Trial::Train(_) => Vec::new(),
            },
        }
    }
}

fn region(body: &Body, path: &str, lines: &Lines<'_>) -> Region {
    let mut region = Region { result: body.result.as_deref().cloned(), ..Region::default() };
    let mut names = Names::default();
    let mut defined: HashMap<Var, NodeIndex> = HashMap::new();
    for stmt in &body.stmts {
        let name = names.name(stmt);
        let path = format!("{path}/{name}");
        let reads = stmt.reads();
        let kind = kind(stmt, &path, lines);
        let (limits, line) = (stmt.limits.as_deref().cloned().unwrap_or_default(), lines.line(stmt.span));
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
    region.measure();
    region
}

fn kind(stmt: &Stmt, path: &str, lines: &Lines<'_>) -> NodeKind {
    let child = |body: &Body, name: &str| Box::new(region(body, &format!("{path}{name}"), lines));
    match &*stmt.kind {
        StmtKind::Value(value) => NodeKind::Value(value.clone()),
        StmtKind::Assert { cond, message } => {
            NodeKind::Assert { cond: cond.clone(), message: message.as_deref().cloned() }
        }
        StmtKind::Inspect(dataset) => NodeKind::Inspect(dataset.clone()),
        StmtKind::Run(run) => {
            let task = &run.task;
            let is_param = |name: &&Name| task.params.iter().any(|(param, _)| param == *name);
            let named = task.secrets.iter().filter(|name| !is_param(name));
            lines.secrets.borrow_mut().extend(named.map(|name| (name.clone(), task.name.clone())));
            NodeKind::Run(run.clone())
        }
        StmtKind::Train(train) => NodeKind::Train(train.clone()),
        StmtKind::Evaluate(evaluate) => NodeKind::Evaluate(evaluate.clone()),
        StmtKind::Search(search) => {
            NodeKind::Search(Box::new(search.map(|body| region(body, &format!("{path}/trial"), lines))))
        }
        StmtKind::For { item, list, body } => NodeKind::For { item: *item, list: list.clone(), body: child(body, "") },
        StmtKind::If { cond, then, otherwise } => NodeKind::If {
            cond: cond.clone(),
            then: child(then, "/then"),
            otherwise: otherwise.as_ref().map(|body| child(body, "/else")),
        },
        StmtKind::Group(body) => NodeKind::Group(child(body, "")),
        StmtKind::Try { body, catches } => NodeKind::Try {
            body: child(body, "/try"),
            catches: catches
                .iter()
                .enumerate()
                .map(|(index, catch)| Catch {
                    kinds: catch.kinds.clone(),
                    error: catch.error,
                    body: region(&catch.body, &format!("{path}/{}", catch_name(index)), lines),
                })
                .collect(),
        },
        StmtKind::Repeat { times, carried, cond, body } => NodeKind::Repeat {
            times: times.clone(),
            carried: carried.as_deref().cloned(),
            cond: cond.as_deref().cloned(),
            body: child(body, ""),
        },
        StmtKind::Call { workflow, args } => {
            let args = workflow.params.iter().cloned().zip(args.iter().cloned()).collect();
            let body = match workflow.limits == Limits::default() {
                true => child(&workflow.body, ""),
                false => Box::new(limited(workflow, stmt.var, path, lines)),
            };
            NodeKind::Call { args, body }
        }
    }
}

/// A region with nothing but a scope, in which a workflow's own limits hold beside those of the step that runs it.
fn limited(workflow: &Workflow, var: Var, path: &str, lines: &Lines<'_>) -> Region {
    let path = format!("{path}/{}", workflow.name);
    let mut outer = Region { result: Some(Spanned::new(Expr::Var(var), workflow.span)), ..Region::default() };
    outer.dag.add_node(Node {
        name: workflow.name.clone(),
        kind: NodeKind::Group(Box::new(region(&workflow.body, &path, lines))),
        path,
        var,
        limits: workflow.limits.clone(),
        line: lines.line(workflow.span),
        span: workflow.span,
    });
    outer.measure();
    outer
}

/// Gives nodes names that stay the same while other parts of the file change.
#[derive(Default)]
struct Names(BTreeMap<Name, usize>);

impl Names {
    fn name(&mut self, stmt: &Stmt) -> Name {
        let base: Name = match (&stmt.name, &*stmt.kind) {
            (Some(name), _) => name.clone(),
            (None, StmtKind::Value(_)) => "value".into(),
            (None, StmtKind::Assert { .. }) => "assert".into(),
            (None, StmtKind::Inspect(Expr::Dataset(name, _))) => format!("inspect.{name}").into(),
            (None, StmtKind::Inspect(_)) => "inspect".into(),
            (None, StmtKind::Run(run)) => run.task.name.clone(),
            (None, StmtKind::Train(_)) => "train".into(),
            (None, StmtKind::Evaluate(_)) => "evaluate".into(),
            (None, StmtKind::Search(_)) => "search".into(),
            (None, StmtKind::For { .. }) => "for".into(),
            (None, StmtKind::If { .. }) => "if".into(),
            (None, StmtKind::Group(_)) => "group".into(),
            (None, StmtKind::Try { .. }) => "try".into(),
            (None, StmtKind::Repeat { .. }) => "repeat".into(),
            (None, StmtKind::Call { workflow, .. }) => workflow.name.clone(),
        };
        let count = self.0.entry(base.clone()).or_default();
        *count += 1;
        match *count {
            1 => base,
            count => format!("{base}.{count}").into(),
        }
    }
}

/// Where the lines of each file end.
struct Lines<'w> {
    world: &'w dyn World,
    ends: RefCell<HashMap<FileId, Vec<usize>>>,
    /// The secrets that the tasks name, which are seen on the way.
    secrets: RefCell<BTreeMap<Name, Name>>,
}

impl Lines<'_> {
    fn line(&self, span: Span) -> u32 {
        let mut ends = self.ends.borrow_mut();
        let ends = ends
            .entry(span.file)
            .or_insert_with(|| self.world.source(span.file).text.match_indices('\n').map(|(at, _)| at).collect());
        ends.partition_point(|newline| *newline < span.start as usize) as u32 + 1
    }
}
