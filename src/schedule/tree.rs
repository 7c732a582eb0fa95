//! The tree of what is under way: regions as they were entered, and the nodes in them that have begun.

use super::{
    Notice, Scheduler, Site, StepPath, Verdict,
    attempts::Owner,
    scope::{self, ScopeId, Scopes},
    trials::Trials,
};
use crate::{
    expr::{Context, Env, Expr, Scope, Var},
    graph::{Catch, Node, NodeKind, Region, Trial},
    limits::{Caching, Limits, Memory, Retry},
    plan::Resources,
    seed::Seed,
    step,
    units::{Duration, Money},
    value::{Fields, Value},
    wire::{Failure, Goal, Inspect, Kind, Op},
};
use petgraph::{Direction, graph::NodeIndex};

/// A region that was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InstanceId(u64);

/// A region as it was entered once: with values of its own, and those of what is around it.
#[derive(Clone, Debug)]
pub(super) struct Instance<'g> {
    pub region: &'g Region,
    path: String,
    /// The compound that it belongs to, and which of its items it is; none for the workflow itself.
    pub owner: Option<(Site, usize)>,
    pub scope: ScopeId,
    inherited: Inherited,
    env: Scope,
    /// How many nodes each node still waits for.
    waits: Vec<usize>,
    /// How many nodes are not over.
    left: usize,
    /// The steps that follow it, on the longest way to the end of the run.
    pub after: u64,
}

/// What annotations around a step say about it.
#[derive(Clone, Debug)]
pub(super) struct Inherited {
    pub retry: Option<Retry>,
    pub timeout: Option<Duration>,
    pub memory: Option<Memory>,
    pub cpu: Option<f64>,
    pub seed: Seed,
    pub cache: Option<Caching>,
    pub goal: Option<Goal>,
}

impl Inherited {
    fn inside(&self, limits: &Limits) -> Self {
        Self {
            retry: limits.retry.clone().or_else(|| self.retry.clone()),
            timeout: limits.timeout.or(self.timeout),
            memory: limits.memory.or(self.memory),
            cpu: limits.cpu.or(self.cpu),
            seed: limits.seed.map_or(self.seed, Seed::new),
            cache: limits.cache.or(self.cache),
            goal: limits.goal.or(self.goal),
        }
    }
}

/// A node that has begun.
#[derive(Clone, Debug)]
pub(super) struct Active<'g> {
    pub path: StepPath,
    pub scope: ScopeId,
    pub state: State<'g>,
}

/// What a node that has begun waits for.
#[derive(Clone, Debug)]
pub(super) enum State<'g> {
    /// A job.
    Job,
    /// The region of a branch, a group, or another workflow, or what follows a failure that was caught.
    Region,
    /// The region of a `try`.
    Try(&'g [Catch<Region>], Inherited),
    /// The rounds of a `repeat`.
    Rounds(Rounds<'g>),
    /// The items of a `for`.
    Items(Items<'g>),
    /// The trials of a search.
    Search(Box<Trials<'g>>),
}

/// The items of a `for`.
#[derive(Clone, Debug)]
pub(super) struct Items<'g> {
    item: Var,
    body: &'g Region,
    list: Vec<Value>,
    /// The items entered so far.
    begun: usize,
    results: Vec<Option<Value>>,
    over: usize,
    inherited: Inherited,
}

/// The rounds of a `repeat`.
#[derive(Clone, Debug)]
pub(super) struct Rounds<'g> {
    carried: Option<Var>,
    /// What the next round takes over.
    value: Value,
    cond: Option<&'g Expr>,
    body: &'g Region,
    times: i64,
    begun: i64,
    /// Whether a round is under way.
    busy: bool,
    inherited: Inherited,
}

/// What an expression sees from inside a region.
pub(super) struct View<'s, 'g> {
    scheduler: &'s Scheduler<'g>,
    instance: InstanceId,
    scope: ScopeId,
    /// Variables nearer than the region's, such as a trial's choices.
    nearer: Option<&'s Scope>,
}

impl Env for View<'_, '_> {
    fn var(&self, var: Var) -> Option<&Value> {
        let mut at = Some(self.instance);
        let around = std::iter::from_fn(|| {
            let instance = self.scheduler.instances.get(&at?)?;
            at = instance.owner.map(|(site, _)| site.instance);
            Some(&instance.env)
        });
        self.nearer.into_iter().chain(around).find_map(|env| env.var(var))
    }

    fn context(&self, context: Context) -> Option<Value> {
        let scheduler = self.scheduler;
        Some(match context {
            Context::Spent => Value::Money(scheduler.spent()),
            Context::Elapsed => Value::Duration(scheduler.now.0),
            Context::Remaining => Value::Duration(scheduler.scopes.time_left(self.scope, scheduler.now)?.1),
            Context::RunId => Value::String(scheduler.options.run_id.clone()),
        })
    }
}

impl<'g> Scheduler<'g> {
    /// Makes the workflow's own region, with its parameters' values.
    pub(super) fn plant(&mut self, args: Fields) {
        let mut env = Scope::default();
        for param in &self.graph.params {
            let value = args.get(&param.name).or(param.default.as_ref()).cloned();
            env.set(param.var, value.unwrap_or(Value::None));
        }
        let none = Inherited {
            retry: None,
            timeout: None,
            memory: None,
            cpu: None,
            seed: self.options.seed,
            cache: None,
            goal: None,
        };
        let inherited = none.inside(&self.graph.limits);
        self.enter(&self.graph.root, self.graph.workflow.to_string(), None, Scopes::ROOT, inherited, env);
    }

    /// The workflow's arguments.
    pub(super) fn arguments(&self) -> Fields {
        let Some(root) = self.instances.values().find(|instance| instance.owner.is_none()) else {
            return Fields::new();
        };
        let value = |var| root.env.var(var).cloned().unwrap_or(Value::None);
        self.graph.params.iter().map(|param| (param.name.clone(), value(param.var))).collect()
    }

    /// Lets the workflow's own region begin.
    pub(super) fn sprout(&mut self) {
        let root = self.instances.iter().find(|(_, instance)| instance.owner.is_none()).map(|(id, _)| *id);
        root.into_iter().for_each(|root| self.wake_nodes(root));
    }

    pub(super) fn enter(
        &mut self,
        region: &'g Region,
        path: String,
        owner: Option<(Site, usize)>,
        scope: ScopeId,
        inherited: Inherited,
        env: Scope,
    ) -> InstanceId {
        let id = InstanceId(self.id());
        let waits: Vec<usize> = region
            .dag
            .node_indices()
            .map(|node| region.dag.neighbors_directed(node, Direction::Incoming).count())
            .collect();
        let left = waits.len();
        let after = owner.map_or(0, |(site, _)| self.after(site));
        self.instances.insert(id, Instance { region, path, owner, scope, inherited, env, waits, left, after });
        id
    }

    /// Enters the one region that the node at `site` now waits for, and lets it begin.
    pub(super) fn enter_one(
        &mut self,
        site: Site,
        region: &'g Region,
        path: String,
        scope: ScopeId,
        inherited: Inherited,
        env: Scope,
    ) {
        let id = self.enter(region, path, Some((site, 0)), scope, inherited, env);
        self.wake_nodes(id);
    }

    /// Makes the nodes of a new region ready that wait for nothing; a region without nodes is over at once. They go before
    /// all others, so that of many regions one is over before the next is entered.
    pub(super) fn wake_nodes(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get(&id) else { return };
        let nodes = (0..instance.waits.len()).rev().filter(|node| instance.waits[*node] == 0);
        for node in nodes.map(NodeIndex::new) {
            self.ready.push_front(Site { instance: id, node });
        }
        if instance.left == 0 {
            self.leave(id);
        }
    }

    /// Begins every node that is ready, until none is.
    pub(super) fn settle(&mut self) {
        while let Some(site) = self.ready.pop_front() {
            self.start(site);
        }
    }

    pub(super) fn node(&self, site: Site) -> Option<&'g Node> {
        let region: &'g Region = self.instances.get(&site.instance)?.region;
        region.dag.node_weight(site.node)
    }

    pub(super) fn view<'s>(&'s self, site: Site, scope: ScopeId, nearer: Option<&'s Scope>) -> View<'s, 'g> {
        View { scheduler: self, instance: site.instance, scope, nearer }
    }

    fn start(&mut self, site: Site) {
        let (Some(instance), Some(node)) = (self.instances.get(&site.instance), self.node(site)) else { return };
        let path = StepPath(format!("{}/{}", instance.path, node.name).into());
        let inherited = instance.inherited.inside(&node.limits);
        let around = instance.scope;
        match &node.kind {
            NodeKind::Value(expr) => match self.value(site, around, expr) {
                Ok(value) => self.complete(site, value),
                Err(failure) => self.fail(site, path, failure),
            },
            NodeKind::Fail(kind) => self.fail(site, path, Failure::new(*kind, "the stub of the test fails so")),
            NodeKind::Assert { cond, message } => {
                match step::assert(cond, message.as_ref(), &self.view(site, around, None)) {
                    Ok(()) => self.complete(site, Value::None),
                    Err(failure) => self.fail(site, path, failure),
                }
            }
            kind => {
                let scope = self.scopes.open(Some(around), path.clone(), &node.limits, self.now);
                if let Err(failure) = self.begin_step(site, kind, &path, scope, inherited) {
                    self.close(scope);
                    self.active.remove(&site);
                    self.fail(site, path, failure);
                }
            }
        }
    }

    fn begin_step(
        &mut self,
        site: Site,
        kind: &'g NodeKind,
        path: &StepPath,
        scope: ScopeId,
        inherited: Inherited,
    ) -> Result<(), Failure> {
        let seed = inherited.seed.child(path);
        let activate = |this: &mut Self, state| {
            this.active.insert(site, Active { path: path.clone(), scope, state });
        };
        let resources =
            Resources::of(kind, &Limits { memory: inherited.memory, cpu: inherited.cpu, ..Limits::default() });
        let mut op = match kind {
            NodeKind::If { cond, then, otherwise } => {
                let holds = self.value(site, scope, cond)? == Value::Bool(true);
                let (region, branch) = match otherwise {
                    _ if holds => (then, "then"),
                    Some(otherwise) => (otherwise, "else"),
                    None => {
                        let value = if then.result.is_some() { Value::None } else { Value::Record(Fields::new()) };
                        self.close(scope);
                        self.complete(site, value);
                        return Ok(());
                    }
                };
                activate(self, State::Region);
                self.note_start(path, kind);
                self.enter_one(site, region, format!("{path}/{branch}"), scope, inherited, Scope::default());
                return Ok(());
            }
            NodeKind::Group(region) => {
                activate(self, State::Region);
                self.note_start(path, kind);
                self.enter_one(site, region, path.to_string(), scope, inherited, Scope::default());
                return Ok(());
            }
            NodeKind::Try { body, catches } => {
                activate(self, State::Try(catches, inherited.clone()));
                self.note_start(path, kind);
                self.enter_one(site, body, format!("{path}/try"), scope, inherited, Scope::default());
                return Ok(());
            }
            NodeKind::Call { args, body } => {
                let mut env = Scope::default();
                for (param, expr) in args {
                    env.set(param.var, step::argument(param, expr, &self.view(site, scope, None))?);
                }
                activate(self, State::Region);
                self.note_start(path, kind);
                self.enter_one(site, body, path.to_string(), scope, inherited, env);
                return Ok(());
            }
            NodeKind::Repeat { times, carried, cond, body } => {
                let times = step::times(times, &self.view(site, scope, None))?;
                let value = match carried {
                    Some((_, start)) => self.value(site, scope, start)?,
                    None => Value::Record(Fields::new()),
                };
                let carried = carried.as_ref().map(|(var, _)| *var);
                let cond = cond.as_ref();
                let rounds = Rounds { carried, value, cond, body, times, begun: 0, busy: false, inherited };
                activate(self, State::Rounds(rounds));
                self.note_start(path, kind);
                self.add_source(site, scope);
                return Ok(());
            }
            NodeKind::For { item, list, body } => {
                let Value::List(list) = self.value(site, scope, list)? else {
                    return Err(Failure::new(Kind::TaskFailed, "a `for` goes over what is not a list"));
                };
                let results = vec![None; list.len()];
                let items = Items { item: *item, body, list, begun: 0, results, over: 0, inherited };
                activate(self, State::Items(items));
                self.note_start(path, kind);
                self.add_source(site, scope);
                self.end_items(site);
                return Ok(());
            }
            NodeKind::Search(search) => {
                if let (Trial::Train(_), Some(failure)) = (&search.trial, self.options.capacity.refuses(&resources)) {
                    return Err(failure);
                }
                let trials = self.open_search(site, search, scope, resources, Inherited { seed, ..inherited })?;
                activate(self, State::Search(Box::new(trials)));
                self.note_start(path, kind);
                self.add_source(site, scope);
                self.spare_time_and_money(site, scope);
                return Ok(());
            }
            NodeKind::Inspect(data) => {
                Op::Inspect(Box::new(Inspect { data: step::dataset(data, &self.view(site, scope, None))? }))
            }
            NodeKind::Run(run) => step::command(run, &self.view(site, scope, None))?,
            NodeKind::Evaluate(evaluate) => step::evaluate(evaluate, &self.view(site, scope, None))?,
            NodeKind::Train(train) => {
                let view = self.view(site, scope, None);
                let seed = step::seed(&train.seed, &view, seed)?;
                Op::Train(Box::new(step::train(train, &view, seed, self.options.workers)?))
            }
            NodeKind::Value(_) | NodeKind::Assert { .. } | NodeKind::Fail(_) => return Ok(()),
        };
        let first = if let NodeKind::Train(train) = kind { train.team.first } else { None };
        let adapt = self.adapt(site, first, scope, inherited.goal, &resources);
        let resources = resources.settle(&mut op, &self.options.capacity, adapt);
        if let Some(failure) = self.options.capacity.refuses(&resources) {
            return Err(failure);
        }
        let (retry, timeout, cache) = (inherited.retry, inherited.timeout, inherited.cache);
        self.enqueue(Owner::Step(site), path.clone(), kind.word(), op, scope, resources, retry, timeout, cache);
        activate(self, State::Job);
        Ok(())
    }

    fn note_start(&mut self, path: &StepPath, kind: &NodeKind) {
        self.note(Notice::StepStarted { step: path.clone(), kind: kind.word().into(), attempt: 1 });
    }

    pub(super) fn value(&self, site: Site, scope: ScopeId, expr: &Expr) -> Result<Value, Failure> {
        step::value(expr, &self.view(site, scope, None))
    }

    /// Enters the next item of a `for`, if it has one and may.
    pub(super) fn pull_item(&mut self, site: Site) -> bool {
        let Some(Active { path, scope, state: State::Items(items) }) = self.active.get_mut(&site) else { return false };
        let most =
            self.scopes.get(*scope).and_then(|scope| scope.max_parallel).map_or(usize::MAX, |most| most as usize);
        if items.begun == items.list.len() || items.begun - items.over >= most {
            return false;
        }
        if let Some((_, kind)) = self.scopes.missed(*scope) {
            let (path, scope) = (path.clone(), *scope);
            let failure = self.missed_failure(scope, kind, "its last item could begin");
            self.fail(site, path, failure);
            return true;
        }
        let index = items.begun;
        items.begun += 1;
        let mut env = Scope::default();
        env.set(items.item, items.list[index].clone());
        let (path, scope, body, inherited) = (format!("{path}[{index}]"), *scope, items.body, items.inherited.clone());
        let child = self.enter(body, path, Some((site, index)), scope, inherited, env);
        self.wake_nodes(child);
        true
    }

    /// Enters the next round of a `repeat` when the one before is over, or ends it.
    pub(super) fn pull_round(&mut self, site: Site) -> bool {
        let Some(Active { path, scope, state: State::Rounds(rounds) }) = self.active.get(&site) else { return false };
        if rounds.busy {
            return false;
        }
        let (path, scope) = (path.clone(), *scope);
        if let Some((_, kind)) = self.scopes.missed(scope) {
            let failure = self.missed_failure(scope, kind, "its last round was over");
            self.fail(site, path, failure);
            return true;
        }
        let mut env = Scope::default();
        rounds.carried.into_iter().for_each(|var| env.set(var, rounds.value.clone()));
        let goes_on = match rounds.cond {
            _ if rounds.begun == rounds.times => Ok(false),
            Some(cond) => {
                step::value(cond, &self.view(site, scope, Some(&env))).map(|value| value == Value::Bool(true))
            }
            None => Ok(true),
        };
        let Some(Active { state: State::Rounds(rounds), .. }) = self.active.get_mut(&site) else { return false };
        match goes_on {
            Err(failure) => self.fail(site, path, failure),
            Ok(false) => {
                let value = std::mem::replace(&mut rounds.value, Value::None);
                self.end(site, value);
            }
            Ok(true) => {
                let path = format!("{path}[{}]", rounds.begun);
                rounds.begun += 1;
                rounds.busy = true;
                let further = rounds.body.length().saturating_mul((rounds.times - rounds.begun) as u64);
                let (body, inherited) = (rounds.body, rounds.inherited.clone());
                let round = self.enter(body, path, Some((site, 0)), scope, inherited, env);
                if let Some(round) = self.instances.get_mut(&round) {
                    round.after = round.after.saturating_add(further);
                }
                self.wake_nodes(round);
            }
        }
        true
    }

    /// Ends a `for` whose items are all over.
    fn end_items(&mut self, site: Site) {
        let Some(Active { state: State::Items(items), .. }) = self.active.get_mut(&site) else { return };
        if items.over == items.list.len() {
            let values = items.results.drain(..).map(|value| value.unwrap_or(Value::None)).collect();
            self.end(site, Value::List(values));
        }
    }

    /// A region is over: its value goes to its owner.
    fn leave(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get(&id) else { return };
        let (region, owner, scope, path) = (instance.region, instance.owner, instance.scope, instance.path.clone());
        let value = match &region.result {
            None => Ok(Value::Record(Fields::new())),
            Some(result) => self.value(Site { instance: id, node: NodeIndex::end() }, scope, &result.node),
        };
        match (value, owner) {
            (Err(failure), owner) => {
                let span = region.result.as_ref().map_or(self.graph.span, |result| result.span);
                self.fail_at(owner.map(|(site, _)| site), span, StepPath(path.into()), failure);
            }
            (Ok(value), None) => {
                self.instances.remove(&id);
                self.conclude(Verdict::Succeeded { value, marks: Vec::new() });
            }
            (Ok(value), Some((site, index))) => {
                self.instances.remove(&id);
                match self.active.get_mut(&site).map(|active| &mut active.state) {
                    Some(State::Items(items)) => {
                        items.results[index] = Some(value);
                        items.over += 1;
                        self.wake(site);
                        self.end_items(site);
                    }
                    Some(State::Rounds(rounds)) => {
                        if rounds.carried.is_some() {
                            rounds.value = value;
                        }
                        rounds.busy = false;
                        self.wake(site);
                    }
                    Some(State::Search(_)) => self.end_steps(site, &StepPath(path.into()), Ok(value)),
                    _ => self.end(site, value),
                }
            }
        }
    }

    /// A step or compound is over: its scope closes, and its value is known.
    pub(super) fn end(&mut self, site: Site, value: Value) {
        self.remove_source(site);
        if let Some(active) = self.active.remove(&site) {
            // What was stopped inside may still be dying, at a cost.
            let dying = self.scopes.accrued(active.scope, self.now);
            if let Some(scope) = self.close(active.scope) {
                let elapsed = self.now.since(scope.started);
                let cost = scope.spent.checked_add(dying).unwrap_or(scope.spent);
                let short = self.node(site).map_or(Value::None, |node| in_short(&node.kind, &value));
                self.note(Notice::StepDone { step: active.path, elapsed, cost, value: short });
            }
        }
        self.complete(site, value);
    }

    /// Closes a scope. What stopped attempts in it still cost is the parent's to bear.
    pub(super) fn close(&mut self, id: ScopeId) -> Option<scope::Scope> {
        let scope = self.scopes.close(id)?;
        if let Some(parent) = scope.parent {
            for dying in &self.dying {
                if let Some(job) = self.jobs.get_mut(dying).filter(|job| job.scope == id) {
                    job.scope = parent;
                }
            }
        }
        Some(scope)
    }

    /// A node's value is known: what waited for it alone is ready, and a region without further nodes is over.
    pub(super) fn complete(&mut self, site: Site, value: Value) {
        let Some(instance) = self.instances.get_mut(&site.instance) else { return };
        let dag = &instance.region.dag;
        instance.env.set(dag[site.node].var, value);
        let mut next: Vec<NodeIndex> = dag.neighbors(site.node).collect();
        next.sort();
        for node in next {
            let waits = &mut instance.waits[node.index()];
            *waits -= 1;
            if *waits == 0 {
                self.ready.push_back(Site { instance: site.instance, node });
            }
        }
        instance.left -= 1;
        if instance.left == 0 {
            self.leave(site.instance);
        }
    }

    /// The money spent by the whole run, with what attempts under way have cost by now.
    pub(super) fn spent(&self) -> Money {
        let ended = self.scopes.get(Scopes::ROOT).map_or(Money::ZERO, |root| root.spent);
        ended.checked_add(self.scopes.accrued(Scopes::ROOT, self.now)).unwrap_or(ended)
    }

    /// Whether a step waits, in the regions up to the one that `limit` covers, for the node at `site`.
    pub(super) fn has_followers(&self, site: Site, limit: ScopeId) -> bool {
        let mut at = Some(site);
        while let Some(site) = at {
            let Some(instance) = self.instances.get(&site.instance) else { return false };
            let dag = &instance.region.dag;
            let mut walk = petgraph::visit::Dfs::new(dag, site.node);
            while let Some(node) = walk.next(dag) {
                let pure = matches!(dag[node].kind, NodeKind::Value(_) | NodeKind::Assert { .. });
                if node != site.node && !pure {
                    return true;
                }
            }
            if instance.scope == limit {
                return false;
            }
            at = instance.owner.map(|(owner, _)| owner);
        }
        false
    }
}

/// A step's value as a report shows it: what a person would ask for first.
fn in_short(kind: &NodeKind, value: &Value) -> Value {
    let only = |names: &[&str]| {
        let field = |name: &&str| Some(((*name).into(), value.field(name)?.clone()));
        Value::Record(names.iter().filter_map(field).collect())
    };
    match kind {
        NodeKind::Train(_) => match (only(&["epochs", "best_epoch", "weights"]), value.field("metrics")) {
            (Value::Record(short), Some(Value::Record(metrics))) => {
                Value::Record(short.into_iter().chain(metrics.clone()).collect())
            }
            (short, _) => short,
        },
        NodeKind::Search(_) => only(&["params", "value"]),
        NodeKind::Inspect(_) => only(&["rows", "width", "classes"]),
        NodeKind::For { .. } => match value {
            Value::List(items) => Value::Record([("items".into(), Value::Int(items.len() as i64))].into()),
            _ => Value::None,
        },
        NodeKind::If { .. } | NodeKind::Group(_) | NodeKind::Try { .. } | NodeKind::Repeat { .. } => {
            Value::Record(Fields::new())
        }
        _ => value.clone(),
    }
}
