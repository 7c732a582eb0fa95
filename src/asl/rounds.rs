//! The rounds of a `repeat`: all within one execution while they are few, and many by many in executions of their own.

use super::{
    emitter::{Emitter, Named, Place},
    flow::{Next, Out, Source, Target, literal},
    items::Given,
    machine::{Does, Rule, States},
    reads,
    split::Rounds,
};
use crate::{
    expr::{Expr, Var},
    graph::{Node, Region},
    step::{Line, What},
    value::{Fields, Value},
};
use serde_json::{Map, Value as Json, json};

/// A `repeat`.
pub(super) struct Repeat<'r> {
    pub node: &'r Node,
    /// How often, at most.
    pub times: Option<&'r Source>,
    /// What a round takes over from the one before.
    pub carried: Option<Var>,
    /// What must hold for a round to begin.
    pub cond: Option<&'r Expr>,
    pub body: &'r Region,
}

/// The variables that rounds change.
#[derive(Clone)]
struct Circle {
    /// The number of the round.
    round: String,
    /// Whether what must hold does not; where nobody asks for that there is none.
    over: Option<String>,
    /// What is taken over.
    carried: Option<String>,
}

impl Emitter<'_> {
    /// The rounds of a `repeat`.
    pub(super) fn repeat(
        &mut self,
        repeat: &Repeat,
        way: Rounds,
        place: &Place,
        states: &mut States,
        mut next: Next,
    ) -> Next {
        let (shown, node) = (&place.path.shown, repeat.node);
        let carried = repeat.carried.map(|var| self.variable(var));
        if carried.is_none() && self.is_read(node.var) {
            let value = (self.variable(node.var), literal(&Value::Record(Fields::new())));
            let name = self.names.state(&format!("{shown}: value"));
            next = self.put(states, name, None, Does::Pass, vec![value], next);
        }
        let times = format!("{}.int", repeat.times.map(Source::expression).unwrap_or_default());
        let default = self.land(states, next, shown);
        let many = way.more.then(|| {
            let over = Some(self.names.variable(&format!("{}_over", node.name)));
            let circle = self.circle(repeat, over, carried.clone());
            let first = self.executions(repeat, way, way.levels, place, &circle, &times, states, default.clone());
            self.begin(&circle, json!(0), None, place, states, first)
        });
        let few = way.few.then(|| {
            let circle = self.circle(repeat, None, carried);
            let first = self.rounds(repeat, place, &circle, &times, states, default);
            self.begin(&circle, json!(0), None, place, states, first)
        });
        match (few, many) {
            (Some(few), Some(many)) => {
                let (few, many) = (self.land(states, few, shown), self.land(states, many, shown));
                let choice = self.names.state(&format!("{shown}: many?"));
                let rule = Rule { condition: format!("{{% {times} > {} %}}", way.most), next: many };
                self.choose(states, choice.clone(), None, vec![rule], few);
                Next::State(choice)
            }
            // There is one of them.
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => Next::End(Out::Fields(Vec::new())),
        }
    }

    fn circle(&mut self, repeat: &Repeat, over: Option<String>, carried: Option<String>) -> Circle {
        Circle { round: self.names.variable(&format!("{}_round", repeat.node.name)), over, carried }
    }

    /// Begins rounds at a number.
    fn begin(
        &mut self,
        circle: &Circle,
        number: Json,
        carried: Option<&str>,
        place: &Place,
        states: &mut States,
        first: String,
    ) -> Next {
        let mut assign = vec![(circle.round.clone(), number)];
        assign.extend(circle.over.clone().map(|over| (over, json!(false))));
        let given = carried.map(|given| json!(format!("{{% ${given} %}}")));
        assign.extend(circle.carried.clone().zip(given));
        let name = self.names.state(&format!("{}: first round", place.path.shown));
        self.put(states, name, None, Does::Pass, assign, Next::State(first))
    }

    /// Rounds up to a number, within an execution: the state that begins one.
    fn rounds(
        &mut self,
        repeat: &Repeat,
        place: &Place,
        circle: &Circle,
        before: &str,
        states: &mut States,
        after: String,
    ) -> String {
        let (shown, node, round) = (&place.path.shown, repeat.node, &circle.round);
        let inside = Place { path: place.path.round(round), ..place.clone() };
        let rounds = self.names.state(shown);
        let count = self.names.state(&format!("{shown}: next round"));
        let counted = vec![(round.clone(), json!(format!("{{% ${round} + 1 %}}")))];
        let again = self.put(states, count, None, Does::Pass, counted, Next::State(rounds.clone()));
        let target = circle.carried.clone().map_or(Target::Nowhere, Target::Old);
        let mut first = self.region(repeat.body, &inside, &target, states, again);
        if let Some(cond) = repeat.cond {
            let (holds, line) = match self.source(cond) {
                Some(source) => (source.expression(), None),
                None => {
                    let variable = self.names.variable(&format!("{}_holds", node.name));
                    let line = Line { node: None, var: self.fresh(), what: What::Value(cond.clone()) };
                    (format!("${variable}"), Some(Named { line, variable: Some(variable) }))
                }
            };
            let begins = self.land(states, first, shown);
            let stop = match &circle.over {
                None => after.clone(),
                Some(over) => {
                    let name = self.names.state(&format!("{shown}: over"));
                    let next = Next::State(after.clone());
                    self.put(states, name.clone(), None, Does::Pass, vec![(over.clone(), json!(true))], next);
                    name
                }
            };
            let choice = self.names.state(&format!("{shown}: goes on?"));
            let rule = Rule { condition: format!("{{% {holds}.bool %}}"), next: begins };
            self.choose(states, choice.clone(), None, vec![rule], stop);
            first = self.glue(place, line.into_iter().collect(), states, Next::State(choice));
        }
        let first = self.land(states, first, shown);
        let rule = Rule { condition: format!("{{% ${round} < {before} %}}"), next: first };
        self.choose(states, rounds.clone(), self.comment(node), vec![rule], after);
        rounds
    }

    /// Rounds up to a number, in executions one after the other: the state that begins one.
    #[expect(clippy::too_many_arguments)]
    fn executions(
        &mut self,
        repeat: &Repeat,
        way: Rounds,
        level: u32,
        place: &Place,
        circle: &Circle,
        before: &str,
        states: &mut States,
        after: String,
    ) -> String {
        let (shown, node) = (&place.path.shown, repeat.node);
        let span = way.most.saturating_mul(way.executions.saturating_pow(level - 1));
        let variable = |this: &mut Self, of: &str| this.names.variable(&format!("{}_{of}", node.name));
        let (path, from, to) = (variable(self, "path"), variable(self, "from"), variable(self, "to"));
        let round = &circle.round;
        let mut selector = Map::from_iter([
            ("path".to_owned(), place.path.to_json()),
            ("from".to_owned(), json!(format!("{{% ${round} %}}"))),
            ("to".to_owned(), json!(format!("{{% $min([${round} + {span}, {before}]) %}}"))),
        ]);
        let given = |name: &str| json!(format!("{{% $states.input.{name} %}}"));
        let mut begin = vec![(path.clone(), given("path")), (from.clone(), given("from")), (to.clone(), given("to"))];
        let taken = circle.carried.as_ref().map(|carried| {
            let taken = self.names.variable(&format!("{}_before", node.name));
            selector.insert("carried".into(), json!(format!("{{% ${carried} %}}")));
            begin.push((taken.clone(), given("carried")));
            taken
        });
        let mut reads = &reads::of_region(repeat.body) - &reads::own_of_region(repeat.body);
        repeat.cond.into_iter().for_each(|cond| cond.free_vars(&mut |var| reads.extend([var])));
        reads.retain(|var| repeat.carried != Some(*var));
        let inside = Place { path: place.path.held_by(&path), ..place.clone() };
        let title = format!("{shown}: rounds");
        let given = Given { selector: &mut selector, begin, kept: Map::new(), result: "value" };
        let machine = self.apart(reads, &title, given, |this, steps| {
            let around = repeat.carried.and_then(|var| Some((var, this.bound.get(&var)?.clone())));
            let own = repeat.carried.map(|var| this.bind(var, &node.name));
            let over = this.names.variable(&format!("{}_over", node.name));
            let circle = this.circle(repeat, Some(over.clone()), own.clone());
            let mut fields = vec![("round".to_owned(), circle.round.clone()), ("over".to_owned(), over)];
            fields.extend(own.map(|own| ("carried".to_owned(), own)));
            let end = this.land(steps, Next::End(Out::Fields(fields)), &title);
            let before = format!("${to}");
            let first = match level {
                1 => this.rounds(repeat, &inside, &circle, &before, steps, end),
                _ => this.executions(repeat, way, level - 1, &inside, &circle, &before, steps, end),
            };
            let next = this.begin(&circle, json!(format!("{{% ${from} %}}")), taken.as_deref(), &inside, steps, first);
            this.bound.extend(around);
            next
        });
        let check = self.names.state(&format!("{shown}: more rounds?"));
        let mut taken = vec![("round".to_owned(), round.clone())];
        taken.extend(circle.over.clone().map(|over| ("over".to_owned(), over)));
        taken.extend(circle.carried.clone().map(|carried| ("carried".to_owned(), carried)));
        let name = self.names.state(&title);
        let next = Next::State(check.clone());
        let task = self.execute(machine, selector, name, self.comment(node), &taken, shown, states, next);
        let task = self.land(states, task, shown);
        let goes_on = circle.over.as_ref().map_or(String::new(), |over| format!("$not(${over}) and "));
        let rule = Rule { condition: format!("{{% {goes_on}${round} < {before} %}}"), next: task };
        self.choose(states, check.clone(), None, vec![rule], after);
        check
    }
}
