//! The frame of a machine: regions, and what runs in them one after another and side by side.

use super::{
    Barrier, Compiled,
    calls::is_glue,
    flow::{Next, Out, Source, Target, literal},
    kinds::Prepared,
    limits::bounds,
    machine::{Does, Machine, State, States, Then},
    names::Names,
    path::Path,
    reads,
    split::{Cut, Options, Planned, Split},
};
use crate::{
    expr::{Expr, Var},
    graph::{Graph, NodeKind, Region},
    limits::Limits,
    step::{Book, Line, What},
    value::{Fields, Value},
    wire::key,
};
use petgraph::{graph::NodeIndex, visit::Dfs};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The longest that a call of a worker may last, in seconds.
const LONGEST_CALL: u64 = 900;

/// Where something stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub path: Path,
    /// What annotations around it say.
    pub limits: Limits,
    /// Whether steps wait for it, within the nearest scope that has limits.
    pub followed: bool,
    /// The scopes with limits that there were when its node was entered.
    pub scopes: usize,
    /// The variable of the limits around its node.
    pub outside: Option<String>,
}

impl Place {
    /// A part of what stands there.
    pub fn part(&self, name: &str) -> Self {
        Self { path: self.path.child(name), ..self.clone() }
    }
}

/// A line of glue, with the variable of the machine that takes its value, if one does.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub line: Line,
    pub variable: Option<String>,
}

/// A region with what reads what in it.
pub(super) struct Within<'r> {
    pub region: &'r Region,
    readers: HashMap<Var, Vec<NodeIndex>>,
    result: BTreeSet<Var>,
}

/// What nodes are called inside of a part.
pub(super) struct Inward {
    /// The variables that they had around it.
    pub around: Vec<(Var, String)>,
    /// The fields by which it hands values out, each with the variable inside of it.
    pub fields: Vec<(String, String)>,
}

/// A part of a series.
enum Piece {
    Glue(Vec<Named>),
    Node(NodeIndex, Prepared),
    Parallel(Vec<Cut>),
    Apart(Cut),
}

/// Makes a machine from its end on.
pub(super) struct Emitter<'g> {
    pub graph: &'g Graph,
    pub names: Names,
    pub book: Book,
    /// The places of its entries, by what they say.
    pub known: HashMap<String, usize>,
    /// The memory of the functions that are called, in MiB.
    pub memory: BTreeSet<u64>,
    barriers: Vec<(String, Barrier)>,
    /// The machine's variables.
    pub bound: HashMap<Var, String>,
    /// The variable that tells of the run.
    pub run: String,
    /// The variable that tells of the scopes with limits that were entered, if any was.
    pub fences: Option<String>,
    /// The variable that holds what the `catch` at hand has caught.
    pub caught: String,
    /// The variables that anything reads.
    read: HashSet<Var>,
    /// The variables of steps, whose values are records.
    records: HashSet<Var>,
    /// How the workflow is cut into machines.
    pub split: Split,
    /// The machines besides the workflow's own.
    pub machines: Vec<Machine>,
    /// The most values that stand in one state.
    pub widest: usize,
    /// The latest variable that the program does not have.
    fresh: u32,
}

impl<'g> Emitter<'g> {
    /// The whole machine.
    pub fn compile(graph: &'g Graph, options: Options) -> Compiled {
        let own = reads::own_of_region(&graph.root).into_iter();
        let mut this = Self {
            graph,
            names: Names::default(),
            book: Book::default(),
            known: HashMap::new(),
            memory: BTreeSet::new(),
            barriers: Vec::new(),
            bound: HashMap::new(),
            run: String::new(),
            fences: None,
            caught: String::new(),
            read: reads::of_region(&graph.root).into_iter().collect(),
            records: HashSet::new(),
            split: Split::of(&graph.root, options),
            machines: Vec::new(),
            widest: 1,
            fresh: own.chain(graph.params.iter().map(|param| param.var)).max().map_or(0, |var| var.0),
        };
        this.look(&graph.root);
        let machine = this.whole();
        let events = this.split.most.events;
        let machines = std::iter::once(machine).chain(this.machines).collect();
        Compiled { machines, book: this.book, memory: this.memory, barriers: this.barriers, events }
    }

    /// Takes note of the steps of a region.
    fn look(&mut self, region: &Region) {
        for node in region.dag.node_weights() {
            if let NodeKind::Inspect(_) | NodeKind::Run(_) | NodeKind::Train(_) | NodeKind::Evaluate(_) = node.kind {
                self.records.insert(node.var);
            }
            node.kind.regions().for_each(|region| self.look(region));
        }
    }

    fn whole(&mut self) -> Machine {
        let graph = self.graph;
        self.run = self.names.variable("run");
        let limits = Limits { deadline: None, budget: None, ..graph.limits.clone() };
        let path = Path::root(&graph.workflow);
        let place = Place { path, limits, followed: false, scopes: 0, outside: None };
        let params: Vec<Named> = graph
            .params
            .iter()
            .map(|param| {
                let variable = self.bind(param.var, &param.name);
                let line = Line { node: None, var: param.var, what: What::Param(Box::new(param.clone())) };
                Named { line, variable: Some(variable) }
            })
            .collect();
        let mut states = States::default();
        let end = Next::End(Out::Fields(Vec::new()));
        let body = |this: &mut Self, states: &mut States, _: Next| {
            let next = this.bounded(&graph.limits, &place, states, |this, states| {
                this.region(&graph.root, &place, &Target::Out, states, Next::End(Out::Fields(Vec::new())))
            });
            this.glue(&place, params, states, next)
        };
        let mut begun = Vec::new();
        let next = match bounds(&graph.limits) {
            Some(bounds) => {
                let (next, fence) = self.fenced(bounds, &mut states, end, body);
                let began = "{% $states.context.Execution.StartTime %}";
                let entered = json!([{ "scope": fence.scope, "path": place.path.to_json(), "began": began }]);
                begun.push((fence.variable, entered));
                next
            }
            None => body(self, &mut states, end),
        };
        let run = json!({
            "id": "{% $states.context.Execution.Name %}",
            "started": "{% $states.context.Execution.StartTime %}",
            "seed": "{% $exists($states.context.Execution.Input.seed) ? $string($states.context.Execution.Input.seed) : '0' %}",
            "inline": self.inline(),
        });
        begun.push((self.run.clone(), run));
        let begin = self.names.state(&format!("{}: begin", graph.workflow));
        let next = self.put(&mut states, begin, None, Does::Pass, begun, next);
        let deadline = graph.limits.deadline.as_ref().map(|deadline| deadline.after);
        let doc = graph.doc.as_deref().and_then(|doc| doc.lines().next());
        let comment = format!("{}: {}", graph.file, doc.unwrap_or(&graph.workflow));
        Machine {
            comment: Some(comment),
            query_language: Some("JSONata"),
            // Workers keep it; this is for what they can't know of.
            timeout_seconds: deadline.map(|deadline| deadline.secs_f64().ceil() as u64 + LONGEST_CALL),
            ..self.machine(states, next, "begin")
        }
    }

    /// A part that runs by itself.
    pub fn machine(&mut self, mut states: States, first: Next, hint: &str) -> Machine {
        let start_at = self.land(&mut states, first, hint);
        Machine::part(start_at, states)
    }

    /// Gives a variable of the program a variable of the machine.
    pub fn bind(&mut self, var: Var, name: &str) -> String {
        let variable = self.names.variable(name);
        self.bound.insert(var, variable.clone());
        variable
    }

    /// The machine's variable.
    pub fn variable(&self, var: Var) -> String {
        // What is read stands in a region around, all of whose variables are bound.
        self.bound.get(&var).cloned().unwrap_or_default()
    }

    pub fn is_read(&self, var: Var) -> bool {
        self.read.contains(&var)
    }

    /// Where the value of an expression is, if nothing has to be computed for it.
    pub fn source(&self, expr: &Expr) -> Option<Source> {
        match expr {
            Expr::Const(value) => Some(Source::Literal(literal(value))),
            Expr::Var(var) => Some(Source::Variable(self.variable(*var))),
            Expr::Field(of, name) => match **of {
                Expr::Var(var) if self.records.contains(&var) => Some(Source::Field(self.variable(var), name.clone())),
                _ => None,
            },
            _ => None,
        }
    }

    /// A region, before `next`.
    pub fn region(&mut self, region: &Region, place: &Place, target: &Target, states: &mut States, next: Next) -> Next {
        match self.split.planned(region).is_some_and(|planned| planned.apart) {
            true => self.region_apart(region, place, target, states, next),
            false => self.region_here(region, place, target, states, next),
        }
    }

    /// A region within the machine at hand.
    pub fn region_here(
        &mut self,
        region: &Region,
        place: &Place,
        target: &Target,
        states: &mut States,
        mut next: Next,
    ) -> Next {
        let result = region.result.as_ref().map(|result| &result.node);
        for node in region.dag.node_weights() {
            match (target, result) {
                (Target::New(name), Some(Expr::Var(var))) if *var == node.var => {
                    self.bound.insert(node.var, name.clone());
                }
                _ => drop(self.bind(node.var, &node.name)),
            }
        }
        let source = match result {
            None => Some(Source::Literal(literal(&Value::Record(Fields::new())))),
            Some(expr) => self.source(expr),
        };
        let mut last = None;
        match (source, target) {
            (Some(_), Target::Nowhere) => {}
            (Some(source), Target::Out) => next = Next::End(Out::Value(source)),
            (Some(Source::Variable(from)), Target::New(to) | Target::Old(to)) if from == *to => {}
            (Some(source), Target::New(to) | Target::Old(to)) => {
                let name = self.names.state(&format!("{}: value", place.path.shown));
                next = self.put(states, name, None, Does::Pass, vec![(to.clone(), source.to_json())], next);
            }
            (None, target) => {
                let variable = match target {
                    Target::New(to) | Target::Old(to) => Some(to.clone()),
                    Target::Out => Some(self.names.variable("value")),
                    // It may fail all the same.
                    Target::Nowhere => None,
                };
                if let (Target::Out, Some(variable)) = (target, &variable) {
                    next = Next::End(Out::Value(Source::Variable(variable.clone())));
                }
                let what = What::Value(result.cloned().unwrap_or(Expr::Const(Value::None)));
                last = Some(Named { line: Line { node: None, var: self.fresh(), what }, variable });
            }
        }
        let mut readers: HashMap<Var, Vec<NodeIndex>> = HashMap::new();
        for index in region.dag.node_indices() {
            for var in reads::of_node(&region.dag[index].kind) {
                readers.entry(var).or_default().push(index);
            }
        }
        let mut of_result = BTreeSet::new();
        result.into_iter().for_each(|result| result.free_vars(&mut |var| of_result.extend([var])));
        let within = Within { region, readers, result: of_result };
        // All regions of the workflow are planned.
        let Some(Planned { cut, barriers, .. }) = self.split.planned(region).cloned() else { return next };
        self.barriers.extend(barriers.into_iter().map(|barrier| (place.path.shown.clone(), barrier)));
        self.series(&within, place, cut, last, states, next)
    }

    /// A variable that no program has.
    pub fn fresh(&mut self) -> Var {
        self.fresh += 1;
        Var(self.fresh)
    }

    pub fn series(
        &mut self,
        within: &Within,
        place: &Place,
        cut: Cut,
        last: Option<Named>,
        states: &mut States,
        mut next: Next,
    ) -> Next {
        let parts = match cut {
            Cut::Series(parts) => parts,
            cut => vec![cut],
        };
        let mut pieces = Vec::new();
        let mut glue = Vec::new();
        for part in parts {
            let piece = match part {
                Cut::Node(index) => {
                    let node = &within.region.dag[index];
                    if let Some(line) = self.line(node) {
                        glue.push(line);
                        continue;
                    }
                    let (lines, prepared) = self.prepare(node);
                    glue.extend(lines);
                    Piece::Node(index, prepared)
                }
                Cut::Parallel(branches) => Piece::Parallel(branches),
                Cut::Apart(part) => Piece::Apart(*part),
                // It is flat.
                Cut::Series(_) => continue,
            };
            pieces.push(Piece::Glue(std::mem::take(&mut glue)));
            pieces.push(piece);
        }
        glue.extend(last);
        pieces.push(Piece::Glue(glue));
        for piece in pieces.into_iter().rev() {
            next = match piece {
                Piece::Glue(lines) => self.glue(place, lines, states, next),
                Piece::Node(index, prepared) => {
                    let followed = place.followed || is_followed(within.region, index);
                    let place = Place { followed, ..place.clone() };
                    self.node(&within.region.dag[index], prepared, &place, states, next)
                }
                Piece::Parallel(branches) => self.parallel(within, place, branches, states, next),
                Piece::Apart(cut) => self.cut_off(within, place, cut, states, next),
            };
        }
        next
    }

    /// Runs parts side by side, before `next`.
    fn parallel(&mut self, within: &Within, place: &Place, parts: Vec<Cut>, states: &mut States, next: Next) -> Next {
        let mut first_of_each = Vec::new();
        let (mut branches, mut assign) = (Vec::new(), Vec::new());
        for (index, part) in parts.into_iter().enumerate() {
            let nodes = part.nodes();
            first_of_each.extend(nodes.first().copied());
            let live = self.live(within, &nodes);
            // A part may not give a value to a variable of what is around it.
            let Inward { around, fields } = self.inward(within, &nodes, &live);
            let mut inside = States::default();
            let first = self.series(within, place, part, None, &mut inside, Next::End(Out::Fields(fields)));
            branches.push(self.machine(inside, first, &place.path.shown));
            self.bound.extend(around);
            assign.extend(
                live.into_iter()
                    .map(|var| (self.variable(var), json!(format!("{{% $states.result[{index}].{} %}}", key(var))))),
            );
        }
        self.side_by_side(assign.len());
        let name = self.names.state(&format!("{}: {}", place.path.shown, self.title_of(within, &first_of_each)));
        self.put(states, name, None, Does::Parallel { branches, catch: Vec::new() }, assign, next)
    }

    /// The variables of some nodes that are read elsewhere.
    pub fn live(&self, within: &Within, nodes: &[NodeIndex]) -> Vec<Var> {
        let members: HashSet<NodeIndex> = nodes.iter().copied().collect();
        let is_live = |var: &Var| {
            let readers = within.readers.get(var).into_iter().flatten();
            within.result.contains(var) || readers.into_iter().any(|reader| !members.contains(reader))
        };
        nodes.iter().map(|node| within.region.dag[*node].var).filter(is_live).collect()
    }

    /// Gives nodes variables of their own: those that they had, and the fields by which the live ones are handed out.
    pub fn inward(&mut self, within: &Within, nodes: &[NodeIndex], live: &[Var]) -> Inward {
        let live: HashSet<Var> = live.iter().copied().collect();
        let (mut around, mut fields) = (Vec::new(), Vec::new());
        for node in nodes.iter().map(|node| &within.region.dag[*node]) {
            around.push((node.var, self.variable(node.var)));
            let inner = self.bind(node.var, &node.name);
            if live.contains(&node.var) {
                fields.push((key(node.var), inner));
            }
        }
        Inward { around, fields }
    }

    /// What nodes are called together.
    pub fn title_of(&self, within: &Within, nodes: &[NodeIndex]) -> String {
        let name = |node: &NodeIndex| within.region.dag[*node].name.clone();
        match nodes {
            [] => "parallel".to_owned(),
            [only] => name(only).to_string(),
            [first, last] => format!("{} and {}", name(first), name(last)),
            [first, .., last] => format!("{} … {}", name(first), name(last)),
        }
    }

    /// A state before `next`, which gives values to variables.
    pub fn put(
        &mut self,
        states: &mut States,
        name: String,
        comment: Option<String>,
        does: Does,
        assign: Vec<(String, Json)>,
        next: Next,
    ) -> Next {
        let (assign, output, then) = match next {
            Next::State(next) => (assign.into_iter().collect(), None, Then::Next(next)),
            Next::End(out) => (Map::new(), Some(out.to_json(&assign.into_iter().collect())), Then::End(true)),
        };
        states.put_first(name.clone(), State { does, comment, assign, output, then: Some(then) });
        Next::State(name)
    }

    /// A state that `next` is, or one made for it.
    pub fn land(&mut self, states: &mut States, next: Next, hint: &str) -> String {
        match next {
            Next::State(name) => name,
            end @ Next::End(_) => {
                let name = self.names.state(&format!("{hint}: end"));
                self.put(states, name.clone(), None, Does::Pass, Vec::new(), end);
                name
            }
        }
    }
}

/// Whether steps wait for a node of a region.
fn is_followed(region: &Region, node: NodeIndex) -> bool {
    let mut walk = Dfs::new(&region.dag, node);
    while let Some(next) = walk.next(&region.dag) {
        if next != node && !is_glue(&region.dag[next].kind) {
            return true;
        }
    }
    false
}
