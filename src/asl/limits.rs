//! Scopes with limits: what their workers are told of them, and what becomes of those that miss one.

use super::{
    emitter::{Emitter, Place},
    flow::{Next, Out, Source, literal},
    machine::{Catcher, Does, Machine, Rule, States},
};
use crate::{
    graph::Node,
    limits::{Limits, OnMiss},
    step::Bounds,
    value::Value,
    wire::{Fence, Kind},
};
use serde_json::{Map, json};
use std::ops::Range;

/// The kinds of failure that say that a limit was reached.
pub(super) const LIMITS: [Kind; 2] = [Kind::DeadlineExceeded, Kind::BudgetExceeded];

/// A scope as a machine knows it.
pub(super) struct Entered {
    /// Its place in the book.
    pub scope: usize,
    /// The variable that is to tell of it and of those around it.
    pub variable: String,
}

/// The limits that a scope has itself.
pub(super) fn bounds(limits: &Limits) -> Option<Bounds> {
    let Limits { deadline, budget, .. } = limits;
    limits.is_limited().then(|| Bounds::Said { deadline: deadline.clone(), budget: budget.clone() })
}

/// Whether a caught failure came of a limit of some scopes.
fn is_of(caught: &str, scopes: Range<usize>) -> String {
    let marks = scopes.map(|scope| format!("$contains(${caught}.Cause, '{}')", Fence::mark(scope)));
    marks.collect::<Vec<_>>().join(" or ")
}

impl Emitter<'_> {
    /// What is emitted in a scope with limits, and the scope, which is still to be entered.
    pub fn fenced(
        &mut self,
        bounds: Bounds,
        states: &mut States,
        next: Next,
        body: impl FnOnce(&mut Self, &mut States, Next) -> Next,
    ) -> (Next, Entered) {
        let scope = self.book.scopes.len();
        self.book.scopes.push(bounds);
        let variable = self.names.variable("limits");
        let outside = self.fences.replace(variable.clone());
        let next = body(self, states, next);
        self.fences = outside;
        (next, Entered { scope, variable })
    }

    /// The same for a part of a workflow, which enters it.
    pub fn within(
        &mut self,
        bounds: Bounds,
        place: &Place,
        states: &mut States,
        next: Next,
        body: impl FnOnce(&mut Self, &mut States, Next) -> Next,
    ) -> Next {
        let (next, entered) = self.fenced(bounds, states, next, body);
        let (scope, path) = (entered.scope, place.path.expression());
        let fence = format!("{{'scope': {scope}, 'path': {path}, 'began': $states.context.State.EnteredTime}}");
        let around = self.fences.as_ref().map_or_else(|| "[]".to_owned(), |around| format!("${around}"));
        let fences = json!(format!("{{% $append({around}, [{fence}]) %}}"));
        let name = self.names.state(&format!("{}: limits", place.path.shown));
        self.put(states, name, None, Does::Pass, vec![(entered.variable, fences)], next)
    }

    /// A node with limits of its own, whose value is `none` if it misses one that lets it be skipped.
    pub fn limited(
        &mut self,
        node: &Node,
        place: &Place,
        states: &mut States,
        next: Next,
        body: impl FnOnce(&mut Self, &mut States, Next) -> Next,
    ) -> Next {
        if !node.limits.has(OnMiss::Skip) {
            return body(self, states, next);
        }
        let around = self.variable(node.var);
        let inner = self.bind(node.var, &node.name);
        let read = self.is_read(node.var);
        let end = Next::End(match read {
            true => Out::Value(Source::Variable(inner)),
            false => Out::Fields(Vec::new()),
        });
        let mut inside = States::default();
        let first = body(self, &mut inside, end);
        let branch = self.machine(inside, first, &place.path.shown);
        self.bound.insert(node.var, around.clone());
        self.skipping(branch, read.then_some(around), place, states, next)
    }

    /// A part that is skipped if it misses a limit of the scope entered last around it.
    fn skipping(
        &mut self,
        branch: Machine,
        variable: Option<String>,
        place: &Place,
        states: &mut States,
        next: Next,
    ) -> Next {
        let shown = &place.path.shown;
        let nothing = variable.iter().map(|variable| (variable.clone(), literal(&Value::None))).collect();
        let name = self.names.state(&format!("{shown}: skipped"));
        let skipped = self.put(states, name, None, Does::Pass, nothing, next.clone());
        let skipped = self.land(states, skipped, shown);
        let caught = self.names.variable("missed");
        let check = self.only_of(&caught, place.scopes..place.scopes + 1, place, states, skipped);
        let catch = Catcher {
            error_equals: LIMITS.map(Kind::name).to_vec(),
            assign: Map::from_iter([(caught, json!("{% $states.errorOutput %}"))]),
            output: None,
            next: check,
        };
        let assign = variable.into_iter().map(|variable| (variable, json!("{% $states.result[0] %}"))).collect();
        let name = self.names.state(&format!("{shown}: may be skipped"));
        self.put(states, name, None, Does::Parallel { branches: vec![branch], catch: vec![catch] }, assign, next)
    }

    /// The state that goes on with a caught failure of a limit of some scopes, and lets that of another climb on.
    pub fn only_of(
        &mut self,
        caught: &str,
        scopes: Range<usize>,
        place: &Place,
        states: &mut States,
        next: String,
    ) -> String {
        let shown = &place.path.shown;
        let climbs = self.names.state(&format!("{shown}: failed"));
        states.put_first(climbs.clone(), raise(&format!("${caught}")).alone());
        let name = self.names.state(&format!("{shown}: own limit?"));
        let is_other = LIMITS.map(|kind| format!("${caught}.Error = '{}'", kind.name())).join(" or ");
        let own = is_of(caught, scopes);
        let condition = match own.is_empty() {
            true => format!("{{% $not({is_other}) %}}"),
            false => format!("{{% $not({is_other}) or {own} %}}"),
        };
        self.choose(states, name.clone(), None, vec![Rule { condition, next }], climbs);
        name
    }

    /// The whole of a workflow with these limits.
    pub fn bounded(
        &mut self,
        limits: &Limits,
        place: &Place,
        states: &mut States,
        body: impl FnOnce(&mut Self, &mut States) -> Next,
    ) -> Next {
        if !limits.has(OnMiss::Skip) {
            return body(self, states);
        }
        let mut inside = States::default();
        let first = body(self, &mut inside);
        let branch = self.machine(inside, first, &place.path.shown);
        let value = self.names.variable("value");
        let end = Next::End(Out::Value(Source::Variable(value.clone())));
        self.skipping(branch, Some(value), place, states, end)
    }
}

/// Fails as what an expression holds has failed.
pub(super) fn raise(failed: &str) -> Does {
    Does::Fail {
        error: format!("{{% {failed}.Error %}}"),
        cause: format!("{{% $exists({failed}.Cause) ? {failed}.Cause : '' %}}"),
    }
}
