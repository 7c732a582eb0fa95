//! Trainings: calls that go on where the last one stopped, and rounds of several workers.

use super::{
    emitter::{Emitter, Place},
    failures,
    flow::{Next, Out, Source},
    items::Given,
    machine::{Does, Rule, States},
};
use crate::{
    graph::{Node, Train},
    step::Work,
    wire::Relay,
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

/// The trial that a training is.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// The variable that tells of it.
    pub errand: String,
    /// The variable that takes the worker's answer.
    pub answer: String,
}

impl Emitter<'_> {
    /// A training, which may be a trial of a search.
    pub(super) fn train(
        &mut self,
        node: &Node,
        train: &Train,
        place: &Place,
        trial: Option<&Trial>,
        states: &mut States,
        next: Next,
    ) -> Next {
        let more = self.names.variable(&format!("{}_goes_on", node.name));
        let mut assign: Vec<(String, Json)> = match trial {
            Some(trial) => vec![(trial.answer.clone(), json!("{% $states.result.Payload %}"))],
            None => self.taken(node).into_iter().collect(),
        };
        assign.push((more.clone(), json!("{% $states.result.Payload.more %}")));
        let mut extra = Map::new();
        if let Some(trial) = trial {
            extra.insert("errand".into(), json!(format!("{{% ${} %}}", trial.errand)));
        }
        let done = self.land(states, next, &place.path.shown);
        let choice = self.names.state(&format!("{}: done?", place.path.shown));
        let again = |next: String| vec![Rule { condition: format!("{{% ${more} %}}"), next }];
        let name = self.names.state(&place.path.shown);
        let work = Work::Train(Box::new(train.clone()));
        let retries = self.retries(place);
        if train.team.workers.is_none() && train.team.replan.is_none() {
            self.choose(states, choice.clone(), None, again(name.clone()), done);
            let task = self.call(node, work, place, extra, retries);
            return self.put(states, name, self.comment(node), task, assign, Next::State(choice));
        }
        let variable = |this: &mut Self, of: &str| this.names.variable(&format!("{}_{of}", node.name));
        let (relay, standing, places) = (variable(self, "relay"), variable(self, "standing"), variable(self, "places"));
        let round = self.round(node, &work, place, &extra, &places, states, (&relay, &standing), &name);
        self.choose(states, choice.clone(), None, again(round), done);
        extra.insert("relay".into(), json!(format!("{{% ${relay} %}}")));
        assign.push((standing, json!("{% $states.result.Payload.standing %}")));
        assign.push((places, json!("{% $append([], $states.result.Payload.places) %}")));
        let task = self.call(node, work, place, extra, retries);
        let plan = self.put(states, name, self.comment(node), task, assign, Next::State(choice));
        let begin = self.names.state(&format!("{}: first round", place.path.shown));
        // It has numbers and texts only.
        let nothing = serde_json::to_value(Relay::default()).unwrap_or_default();
        self.put(states, begin, None, Does::Pass, vec![(relay, nothing)], plan)
    }

    /// A round: its workers, side by side. None is called again, for the others would not wait for it.
    #[expect(clippy::too_many_arguments)]
    fn round(
        &mut self,
        node: &Node,
        work: &Work,
        place: &Place,
        extra: &Map<String, Json>,
        places: &str,
        states: &mut States,
        (relay, standing): (&str, &str),
        plan: &str,
    ) -> String {
        let title = format!("{}: worker", place.path.shown);
        let mut reads = BTreeSet::new();
        work.each_expr(&mut |expr| expr.free_vars(&mut |var| reads.extend([var])));
        let (path, seat) = (self.names.variable("path"), self.names.variable("place"));
        let mut begin =
            vec![(path.clone(), json!("{% $states.input.path %}")), (seat.clone(), json!("{% $states.input.place %}"))];
        let mut selector = Map::from_iter([
            ("path".to_owned(), place.path.to_json()),
            ("place".to_owned(), json!("{% $states.context.Map.Item.Value %}")),
        ]);
        let mut inner = Map::from_iter([("place".to_owned(), json!(format!("{{% ${seat} %}}")))]);
        for (name, value) in extra {
            let variable = self.names.variable(name);
            selector.insert(name.clone(), value.clone());
            begin.push((variable.clone(), json!(format!("{{% $states.input.{name} %}}"))));
            inner.insert(name.clone(), json!(format!("{{% ${variable} %}}")));
        }
        let kept = Map::from_iter([("place".to_owned(), json!(format!("{{% ${seat} %}}")))]);
        let inside = Place { path: place.path.held_by(&path), ..place.clone() };
        let given = Given { selector: &mut selector, begin, kept, result: "answer" };
        let machine = self.apart(reads, &title, given, |this, steps| {
            let task = this.call(node, work.clone(), &inside, inner, vec![failures::busy()]);
            let name = this.names.state(&title);
            let answer = Next::End(Out::Value(Source::Literal(json!("{% $states.result.Payload %}"))));
            this.put(steps, name, None, task, Vec::new(), answer)
        });
        let does = Does::Map {
            items: format!("{{% ${places} %}}"),
            item_selector: selector.into(),
            max_concurrency: None,
            item_processor: Box::new(machine),
        };
        let name = self.names.state(&format!("{}: round", place.path.shown));
        let came = json!({ "standing": format!("{{% ${standing} %}}"), "parts": "{% $append([], $states.result) %}" });
        self.put(states, name.clone(), None, does, vec![(relay.to_owned(), came)], Next::State(plan.to_owned()));
        name
    }
}
