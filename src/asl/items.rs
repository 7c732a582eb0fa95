//! What runs in an execution of its own, once for each item of a list.

use super::{
    emitter::Emitter,
    flow::{Next, Out, Source},
    limits::raise,
    machine::{Catcher, Does, Machine, ProcessorConfig, Rule, States},
};
use crate::{
    expr::{Expr, Var},
    value::Value,
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

/// The items up to which a map works on them within its execution.
pub(super) const INLINE: usize = 40;

/// How many items a list has whose items run within the execution of their map.
pub(super) fn few(list: &Expr) -> Option<usize> {
    let count = match list {
        Expr::Const(Value::List(items)) => items.len(),
        Expr::List(items) => items.len(),
        _ => return None,
    };
    (count <= INLINE).then_some(count)
}

/// What an item is given, and what it gives.
pub(super) struct Given<'a> {
    /// What it is given.
    pub selector: &'a mut Map<String, Json>,
    /// The variables that take it.
    pub begin: Vec<(String, Json)>,
    /// What it gives besides its result, however it ends.
    pub kept: Map<String, Json>,
    /// What its result is called.
    pub result: &'static str,
}

impl Emitter<'_> {
    /// Fails as something in an execution of its own did, whose failure an expression tells if there is one, or goes on
    /// to `next`.
    pub fn unless_failed(&mut self, failed: &str, shown: &str, states: &mut States, next: Next) -> Next {
        let done = self.land(states, next, shown);
        let fail = self.names.state(&format!("{shown}: failed"));
        states.put_first(fail.clone(), raise(failed).alone());
        let check = self.names.state(&format!("{shown}: all well?"));
        let rule = Rule { condition: format!("{{% $exists({failed}) %}}"), next: fail };
        self.choose(states, check.clone(), None, vec![rule], done);
        Next::State(check)
    }

    /// A machine for each item of a map, in an execution of its own. That sees no variable of the one that begins it, so
    /// it is given those in `reads`; and it gives a failure like a value, since the map would forget which it was.
    pub fn apart(
        &mut self,
        reads: BTreeSet<Var>,
        title: &str,
        given: Given,
        body: impl FnOnce(&mut Self, &mut States) -> Next,
    ) -> Machine {
        let Given { selector, mut begin, kept, result } = given;
        let mut around = Vec::new();
        let mut values = Map::new();
        for var in reads {
            let Some(variable) = self.bound.get(&var).cloned() else { continue };
            let inner = self.bind(var, &variable);
            values.insert(variable.clone(), json!(format!("{{% ${variable} %}}")));
            begin.push((inner, json!(format!("{{% $states.input.around.{variable} %}}"))));
            around.push((var, variable));
        }
        self.side_by_side(values.len());
        if !values.is_empty() {
            selector.insert("around".into(), values.into());
        }
        let run = self.run.clone();
        selector.entry("run").or_insert_with(|| json!(format!("{{% ${run} %}}")));
        self.run = self.names.variable("run");
        begin.push((self.run.clone(), json!("{% $states.input.run %}")));
        let fences = self.fences.clone();
        if let Some(outside) = &fences {
            let inner = self.names.variable("limits");
            selector.insert("limits".into(), json!(format!("{{% ${outside} %}}")));
            begin.push((inner.clone(), json!("{% $states.input.limits %}")));
            self.fences = Some(inner);
        }
        let mut steps = States::default();
        let first = body(self, &mut steps);
        let branch = self.machine(steps, first, title);
        (self.run, self.fences) = (run, fences);
        self.bound.extend(around);
        let mut states = States::default();
        let failed = self.names.state(&format!("{title}: failed"));
        let ends = Next::End(Out::Value(Source::Literal(json!("{% $states.input %}"))));
        let failed = self.put(&mut states, failed, None, Does::Pass, Vec::new(), ends);
        let failed = self.land(&mut states, failed, title);
        let with = |name: &str, value: &str| {
            let mut output = kept.clone();
            output.insert(name.to_owned(), json!(value));
            Json::from(output)
        };
        let catch = Catcher {
            error_equals: vec!["States.ALL"],
            assign: Map::new(),
            output: Some(with("failed", "{% $states.errorOutput %}")),
            next: failed,
        };
        let tried = self.names.state(&format!("{title}: tried"));
        let value = Next::End(Out::Value(Source::Literal(with(result, "{% $states.result[0] %}"))));
        let does = Does::Parallel { branches: vec![branch], catch: vec![catch] };
        let next = self.put(&mut states, tried, None, does, Vec::new(), value);
        let begun = self.names.state(title);
        let next = self.put(&mut states, begun, None, Does::Pass, begin, next);
        let config = ProcessorConfig::Distributed { execution_type: "STANDARD" };
        Machine { processor_config: Some(config), ..self.machine(states, next, title) }
    }
}
