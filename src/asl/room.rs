//! What a state has room for: 256 KiB. Workers store what is larger than their run allows, and what a machine itself puts
//! together is given to a worker to be stored.

use super::{
    calls::SMALL,
    emitter::{Emitter, Place},
    failures,
    flow::{Next, Source, answered, literal},
    machine::{Rule, States},
};
use crate::{
    expr::Expr,
    graph::{NodeKind, Region},
    step::Entry,
    wire::RunFacts,
};
use serde_json::{Map, Value as Json, json};

/// The bytes that the values of a state may take together; the rest is for what stands around them.
const STATE: usize = 200 << 10;

impl Emitter<'_> {
    /// Takes note that so many values stand in one state.
    pub fn side_by_side(&mut self, count: usize) {
        self.widest = self.widest.max(count);
    }

    /// The bytes that each value may have, so that the widest state has room for all of its values.
    pub fn inline(&self) -> usize {
        RunFacts::inline().min(STATE / self.widest.max(1))
    }

    /// Has the value of a variable stored if it is larger than values may be, before `next`.
    pub fn fit(&mut self, variable: &str, place: &Place, states: &mut States, next: Next) -> Next {
        let shown = &place.path.shown;
        let var = self.fresh();
        self.bound.insert(var, variable.to_owned());
        let task = self.task(Entry::Store(var), &place.path, SMALL, Map::new(), None, failures::retries(None, false));
        let next = self.land(states, next, shown);
        let store = self.names.state(&format!("{shown}: store"));
        let assign = vec![(variable.to_owned(), answered(var))];
        self.put(states, store.clone(), None, task, assign, Next::State(next.clone()));
        let choice = self.names.state(&format!("{shown}: too large?"));
        let condition = format!("{{% $length($string(${variable})) > ${}.inline %}}", self.run);
        self.choose(states, choice.clone(), None, vec![Rule { condition, next: store }], next);
        Next::State(choice)
    }
}

/// The items of a list, or their places if it is stored.
pub(super) fn items(list: &Source) -> String {
    let expression = list.expression();
    // A list of one would become the one.
    let all = format!("$append([], {expression}.list)");
    match list {
        Source::Literal(_) => format!("{{% {all} %}}"),
        _ => format!("{{% $exists({expression}.`$stored`) ? [0..{expression}.count - 1] : {all} %}}"),
    }
}

/// The item at hand: what it is, or where it is stored.
pub(super) fn item(list: &Source) -> Json {
    let (list, at) = match list {
        Source::Literal(_) => return json!("{% $states.context.Map.Item.Value %}"),
        list => (list.expression(), "$states.context.Map.Item"),
    };
    json!(format!(
        "{{% $exists({list}.`$stored`) ? {{'$stored': {list}.`$stored`, 'bytes': {list}.bytes, 'at': {at}.Index}} : {at}.Value %}}"
    ))
}

/// What items know of the run that `run` tells of: that what they come to has to stand side by side.
pub(super) fn run_of_items(run: &str, list: &Source) -> Json {
    let count = match list {
        Source::Literal(list) => list["list"].as_array().map_or(1, Vec::len).max(1).to_string(),
        list => {
            let list = list.expression();
            format!("($exists({list}.`$stored`) ? {list}.count : $count({list}.list))")
        }
    };
    json!(format!("{{% $merge([${run}, {{'inline': {}}}]) %}}", inline_of(run, &count)))
}

/// The bytes that each of some values may have that stand side by side.
pub(super) fn inline_of(run: &str, count: &str) -> String {
    format!("$min([${run}.inline, $floor({STATE} / {count})])")
}

/// Whether a region's value comes from a worker that was called in it, so that it is as small as the run asks.
pub(super) fn is_called_for(region: &Region) -> bool {
    let var = match region.result.as_ref().map(|result| &result.node) {
        Some(Expr::Var(var)) => var,
        Some(Expr::Field(of, _)) => match &**of {
            Expr::Var(var) => var,
            _ => return true,
        },
        Some(Expr::Const(value)) => return literal(value).to_string().len() < RunFacts::inline() / 64,
        // There is none, or it is computed.
        _ => return true,
    };
    let is_call = |kind: &NodeKind| {
        matches!(
            kind,
            NodeKind::Value(_)
                | NodeKind::Inspect(_)
                | NodeKind::Run(_)
                | NodeKind::Train(_)
                | NodeKind::Evaluate(_)
                | NodeKind::Search(_)
        )
    };
    region.dag.node_weights().any(|node| node.var == *var && is_call(&node.kind))
}
