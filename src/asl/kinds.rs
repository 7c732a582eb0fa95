//! What each kind of node becomes.

use super::{
    emitter::{Emitter, Named, Place},
    failures,
    flow::{Next, Out, Source, Target, answered, literal},
    items::{Given, INLINE, few},
    limits::bounds,
    machine::{Catcher, Does, Machine, ProcessorConfig, Retrier, Rule, State, States},
    reads, room,
    rounds::Repeat,
};
use crate::{
    expr::{Expr, Var},
    graph::{Catch, Node, NodeKind, Region, catch_name},
    limits::Limits,
    plan::Resources,
    step::{Entry, Line, Step, What, Work},
    units::Size,
    value::{Fields, Value},
};
use serde_json::{Map, Value as Json, json};

/// The items of a distributed map that are under way together, where the workflow does not say.
const SIDE_BY_SIDE: u32 = 100;

/// What a node needs to be known before it runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Prepared {
    /// A condition, a list, or a number of rounds.
    value: Option<Source>,
    /// Variables that its regions read: arguments, or what a round takes over.
    bound: Vec<(Var, String)>,
}

impl Emitter<'_> {
    /// What is to be computed before a node.
    pub(super) fn prepare(&mut self, node: &Node) -> (Vec<Named>, Prepared) {
        let mut lines = Vec::new();
        let mut prepared = Prepared::default();
        let line = |var: Var, what: What, variable: &str| Named {
            line: Line { node: Some(node.name.clone()), var, what },
            variable: Some(variable.to_owned()),
        };
        match &node.kind {
            NodeKind::If { cond: expr, .. } | NodeKind::For { list: expr, .. } => {
                prepared.value = self.source(expr);
                if prepared.value.is_none() {
                    let of = if let NodeKind::If { .. } = &node.kind { "holds" } else { "items" };
                    let variable = self.names.variable(&format!("{}_{of}", node.name));
                    lines.push(line(self.fresh(), What::Value(expr.clone()), &variable));
                    prepared.value = Some(Source::Variable(variable));
                }
            }
            NodeKind::Repeat { times, carried, .. } => {
                prepared.value = match times {
                    Expr::Const(Value::Int(_)) => self.source(times),
                    _ => None,
                };
                if prepared.value.is_none() {
                    let variable = self.names.variable(&format!("{}_times", node.name));
                    lines.push(line(self.fresh(), What::Times(times.clone()), &variable));
                    prepared.value = Some(Source::Variable(variable));
                }
                if let Some((var, start)) = carried {
                    let variable = self.variable(node.var);
                    lines.push(line(*var, What::Value(start.clone()), &variable));
                    prepared.bound.push((*var, variable));
                }
            }
            NodeKind::Call { args, .. } => {
                for (param, expr) in args {
                    let variable = self.names.variable(&format!("{}_{}", node.name, param.name));
                    let what = What::Argument(Box::new(param.clone()), expr.clone());
                    lines.push(line(param.var, what, &variable));
                    prepared.bound.push((param.var, variable));
                }
            }
            _ => {}
        }
        (lines, prepared)
    }

    /// A node before `next`.
    pub(super) fn node(
        &mut self,
        node: &Node,
        mut prepared: Prepared,
        around: &Place,
        states: &mut States,
        next: Next,
    ) -> Next {
        let (path, limits) = (around.path.child(&node.name), around.limits.inside(&node.limits));
        let (scopes, outside) = (self.book.scopes.len(), self.fences.clone());
        let place = Place { limits, path, scopes, outside, followed: around.followed };
        self.bound.extend(std::mem::take(&mut prepared.bound));
        let Some(bounds) = bounds(&node.limits) else { return self.inside(node, &prepared, &place, states, next) };
        let place = Place { followed: false, ..place };
        self.within(bounds, &place, states, next, |this, states, next| {
            this.limited(node, &place, states, next, |this, states, next| {
                this.inside(node, &prepared, &place, states, next)
            })
        })
    }

    /// A node within its own limits.
    fn inside(&mut self, node: &Node, prepared: &Prepared, place: &Place, states: &mut States, next: Next) -> Next {
        let value = prepared.value.as_ref();
        match &node.kind {
            NodeKind::Inspect(data) => self.step(node, Work::Inspect(data.clone()), place, states, next),
            NodeKind::Run(run) => self.step(node, Work::Run(run.clone()), place, states, next),
            NodeKind::Evaluate(evaluate) => self.step(node, Work::Evaluate(evaluate.clone()), place, states, next),
            NodeKind::Train(train) => self.train(node, train, place, None, states, next),
            NodeKind::Search(search) => self.search(node, search, place, states, next),
            NodeKind::Group(body) | NodeKind::Call { body, .. } => {
                self.region(body, place, &self.target(node), states, next)
            }
            NodeKind::If { then, otherwise, .. } => {
                self.choice(node, value, then, otherwise.as_deref(), place, states, next)
            }
            NodeKind::For { item, body, list } => {
                let few = few(list).is_some();
                if few {
                    self.side_by_side(INLINE);
                }
                self.map(node, value, *item, body, few, place, states, next)
            }
            NodeKind::Try { body, catches } => self.attempt(node, body, catches, place, states, next),
            NodeKind::Repeat { times, carried, cond, body } => {
                let carried = carried.as_ref().map(|(var, _)| *var);
                let way = self.split.rounds(times, body);
                let repeat = Repeat { node, times: value, carried, cond: cond.as_ref(), body };
                self.repeat(&repeat, way, place, states, next)
            }
            // That was computed between steps.
            NodeKind::Value(_) | NodeKind::Assert { .. } | NodeKind::Fail(_) => next,
        }
    }

    /// Where the value of a node's region goes.
    fn target(&self, node: &Node) -> Target {
        if self.is_read(node.var) { Target::New(self.variable(node.var)) } else { Target::Nowhere }
    }

    pub(super) fn comment(&self, node: &Node) -> Option<String> {
        Some(format!("{}:{}: {}", self.graph.file, node.line, node.kind.word()))
    }

    /// A step: a call of a worker.
    fn step(&mut self, node: &Node, work: Work, place: &Place, states: &mut States, next: Next) -> Next {
        let task = self.call(node, work, place, Map::new(), self.retries(place));
        let name = self.names.state(&place.path.shown);
        let assign = self.taken(node).into_iter().collect();
        self.put(states, name, self.comment(node), task, assign, next)
    }

    /// The call of a worker for a step.
    pub(super) fn call(
        &mut self,
        node: &Node,
        work: Work,
        place: &Place,
        extra: Map<String, Json>,
        retries: Vec<Retrier>,
    ) -> Does {
        let limits = Limits { memory: place.limits.memory, cpu: place.limits.cpu, ..Limits::default() };
        let memory = Resources::of(&node.kind, &limits).memory.bytes().div_ceil(1 << 20).max(128);
        let step = Step {
            var: node.var,
            work,
            seed: place.limits.seed,
            threads: place.limits.cpu.map_or(1, |cpu| cpu.ceil() as usize).max(1),
            memory: Size::from_mib(memory),
            goal: place.limits.goal,
        };
        let timeout = place.limits.timeout.map(|timeout| (timeout.secs_f64().ceil() as u64).max(1));
        self.task(Entry::Step(step), &place.path, memory, extra, timeout, retries)
    }

    /// What takes a step's value, if anything reads it.
    pub(super) fn taken(&self, node: &Node) -> Option<(String, Json)> {
        self.is_read(node.var).then(|| (self.variable(node.var), answered(node.var)))
    }

    #[expect(clippy::too_many_arguments)]
    fn choice(
        &mut self,
        node: &Node,
        cond: Option<&Source>,
        then: &Region,
        otherwise: Option<&Region>,
        place: &Place,
        states: &mut States,
        next: Next,
    ) -> Next {
        let target = self.target(node);
        let after = match otherwise {
            Some(otherwise) => self.region(otherwise, &place.part("else"), &target, states, next.clone()),
            None => match &target {
                Target::New(variable) => {
                    let value = if then.result.is_some() { Value::None } else { Value::Record(Fields::new()) };
                    let name = self.names.state(&format!("{}: else", place.path.shown));
                    self.put(states, name, None, Does::Pass, vec![(variable.clone(), literal(&value))], next.clone())
                }
                _ => next.clone(),
            },
        };
        let default = self.land(states, after, &format!("{}/else", place.path.shown));
        let first = self.region(then, &place.part("then"), &target, states, next);
        let first = self.land(states, first, &format!("{}/then", place.path.shown));
        let cond = cond.map(Source::expression).unwrap_or_default();
        let rule = Rule { condition: format!("{{% {cond}.bool %}}"), next: first };
        let name = self.names.state(&place.path.shown);
        self.choose(states, name.clone(), self.comment(node), vec![rule], default);
        Next::State(name)
    }

    #[expect(clippy::too_many_arguments)]
    fn map(
        &mut self,
        node: &Node,
        list: Option<&Source>,
        item: Var,
        body: &Region,
        few: bool,
        place: &Place,
        states: &mut States,
        next: Next,
    ) -> Next {
        let none = Source::Literal(json!({ "list": [] }));
        let list = list.unwrap_or(&none);
        let name = self.names.state(&place.path.shown);
        let here = self.names.variable(&format!("{}_path", node.name));
        let (path, inside) = place.path.item("$states.context.Map.Item.Index", &here);
        let inside = Place { path: inside, ..place.clone() };
        let mut selector = Map::from_iter([("item".to_owned(), room::item(list)), ("path".to_owned(), path)]);
        let of_item = self.bind(item, &format!("{}_item", node.name));
        let begin = vec![(here, json!("{% $states.input.path %}")), (of_item, json!("{% $states.input.item %}"))];
        let body_of = |this: &mut Self, steps: &mut States| {
            let given = Next::End(Out::Fields(Vec::new()));
            if few || room::is_called_for(body) {
                return this.region(body, &inside, &Target::Out, steps, given);
            }
            let value = this.names.variable(&format!("{}_value", node.name));
            let given = Next::End(Out::Value(Source::Variable(value.clone())));
            let fitted = this.fit(&value, &inside, steps, given);
            this.region(body, &inside, &Target::New(value), steps, fitted)
        };
        let title = format!("{}: item", place.path.shown);
        let machine = if few {
            let mut steps = States::default();
            let first = body_of(self, &mut steps);
            let begun = self.names.state(&title);
            let first = self.put(&mut steps, begun, None, Does::Pass, begin, first);
            let machine = self.machine(steps, first, &title);
            Machine { processor_config: Some(ProcessorConfig::Inline), ..machine }
        } else {
            let own = reads::own_of_region(body);
            let reads = reads::of_region(body).into_iter().filter(|var| *var != item && !own.contains(var));
            selector.insert("run".into(), room::run_of_items(&self.run, list));
            let given = Given { selector: &mut selector, begin, kept: Map::new(), result: "value" };
            self.apart(reads.collect(), &title, given, body_of)
        };
        let does = Does::Map {
            items: room::items(list),
            item_selector: selector.into(),
            max_concurrency: node.limits.max_parallel.or((!few).then_some(SIDE_BY_SIDE)),
            item_processor: Box::new(machine),
        };
        let variable = self.is_read(node.var).then(|| self.variable(node.var));
        let next = match &variable {
            Some(variable) => self.fit(variable, place, states, next),
            None => next,
        };
        if few {
            let value = json!({ "list": "{% $append([], $states.result) %}" });
            let assign = variable.map(|variable| (variable, value)).into_iter().collect();
            return self.put(states, name, self.comment(node), does, assign, next);
        }
        let results = self.names.variable(&format!("{}_results", node.name));
        let value = json!({ "list": format!("{{% $append([], ${results}.value) %}}") });
        let assign = variable.map(|variable| (variable, value)).into_iter().collect();
        let done = self.names.state(&format!("{}: results", place.path.shown));
        let done = self.put(states, done, None, Does::Pass, assign, next);
        let failed = format!("${results}[$exists(failed)][0].failed");
        let check = self.unless_failed(&failed, &place.path.shown, states, done);
        let assign = vec![(results, json!("{% $append([], $states.result) %}"))];
        self.put(states, name, self.comment(node), does, assign, check)
    }

    /// A region, and what follows its failures.
    fn attempt(
        &mut self,
        node: &Node,
        body: &Region,
        catches: &[Catch<Region>],
        place: &Place,
        states: &mut States,
        next: Next,
    ) -> Next {
        let target = self.target(node);
        let mut tried = States::default();
        let end = Next::End(Out::Fields(Vec::new()));
        let first = self.region(body, &place.part("try"), &Target::Out, &mut tried, end);
        let branch = self.machine(tried, first, &format!("{}/try", place.path.shown));
        // What follows a failure has no limits but those around.
        let own = std::mem::replace(&mut self.fences, place.outside.clone());
        let scopes = place.scopes..self.book.scopes.len();
        let mut catchers = Vec::new();
        for (index, catch) in catches.iter().enumerate().rev() {
            let name = catch_name(index);
            let here = place.part(&name);
            let caught = self.names.variable(&format!("{}_caught", node.name));
            if let Some(var) = catch.error {
                self.bind(var, &format!("{}_error", node.name));
            }
            let mut first = self.region(&catch.body, &here, &target, states, next.clone());
            if let Some(var) = catch.error.filter(|var| self.is_read(*var)) {
                self.caught.clone_from(&caught);
                let line = Line { node: None, var, what: What::Caught };
                let tells = Named { line, variable: Some(self.variable(var)) };
                first = self.glue(&here, vec![tells], states, first);
            }
            let mut next = self.land(states, first, &here.path.shown);
            // A limit around can't be caught: beyond it there is no more time or money to go on with.
            if place.outside.is_some() && catch.kinds.iter().any(|kind| kind.is_limit()) {
                next = self.only_of(&caught, scopes.clone(), &here, states, next);
            }
            let assign = Map::from_iter([(caught, json!("{% $states.errorOutput %}"))]);
            let error_equals = catch.kinds.iter().flat_map(|kind| failures::errors(*kind)).collect();
            catchers.push(Catcher { error_equals, assign, output: None, next });
        }
        catchers.reverse();
        self.fences = own;
        let assign = match target {
            Target::New(variable) => vec![(variable, json!("{% $states.result[0] %}"))],
            _ => Vec::new(),
        };
        let name = self.names.state(&place.path.shown);
        let does = Does::Parallel { branches: vec![branch], catch: catchers };
        self.put(states, name, self.comment(node), does, assign, next)
    }

    pub(super) fn choose(
        &self,
        states: &mut States,
        name: String,
        comment: Option<String>,
        choices: Vec<Rule>,
        default: String,
    ) {
        let state = Does::Choice { choices, default }.alone();
        states.put_first(name, State { comment, ..state });
    }
}
