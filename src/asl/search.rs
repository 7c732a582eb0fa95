//! Searches: a worker says what to try next, and the machine sees to it.

use super::{
    calls::SMALL,
    emitter::{Emitter, Place},
    failures,
    flow::{Next, Out, Source, Target},
    items::Given,
    machine::{Does, Rule, States},
    reads, room,
    training::Trial as Training,
};
use crate::{
    graph::{Node, Region, Search, Trial},
    limits::Limits,
    step::{Bounds, Entry, Searching},
    wire::key,
};
use serde_json::{Map, json};
use std::collections::BTreeSet;

impl Emitter<'_> {
    /// A search, which leaves something of the time and money around it to what waits for it.
    pub(super) fn search(
        &mut self,
        node: &Node,
        search: &Search<Region>,
        place: &Place,
        states: &mut States,
        next: Next,
    ) -> Next {
        if self.fences.is_none() || !place.followed {
            return self.asking(node, search, place, states, next);
        }
        let scopes = self.book.scopes.len();
        let inside = Place { scopes, followed: false, ..place.clone() };
        self.within(Bounds::Share, place, states, next, |this, states, next| {
            this.asking(node, search, &inside, states, next)
        })
    }

    fn asking(&mut self, node: &Node, search: &Search<Region>, place: &Place, states: &mut States, next: Next) -> Next {
        let shown = place.path.shown.clone();
        let (returned, errands) = (
            self.names.variable(&format!("{}_returned", node.name)),
            self.names.variable(&format!("{}_trials", node.name)),
        );
        let ask = self.names.state(&shown);
        let choice = self.names.state(&format!("{shown}: done?"));
        let done = self.land(states, next, &shown);
        let trials = self.trials(node, search, place, &errands);
        let name = self.names.state(&format!("{shown}: trials"));
        let came = vec![(returned.clone(), json!("{% $append([], $states.result) %}"))];
        self.put(states, name.clone(), None, trials, came, Next::State(ask.clone()));
        let rule = Rule { condition: format!("{{% $exists(${errands}[0]) %}}"), next: name };
        self.choose(states, choice.clone(), None, vec![rule], done);
        let entry = Entry::Search(Searching { var: node.var, search: search.map(|_| ()), seed: place.limits.seed });
        let began = self.names.variable(&format!("{}_began", node.name));
        let extra = Map::from_iter([
            ("returned".to_owned(), json!(format!("{{% ${returned} %}}"))),
            ("began".to_owned(), json!(format!("{{% ${began} %}}"))),
        ]);
        let task = self.task(entry, &place.path, SMALL, extra, None, failures::retries(None, false));
        let mut assign = vec![(errands, json!("{% $append([], $states.result.Payload.errands) %}"))];
        assign.extend(self.taken(node));
        let ask = self.put(states, ask, self.comment(node), task, assign, Next::State(choice));
        let begin = self.names.state(&format!("{shown}: begin"));
        let begun = vec![(returned, json!([])), (began, json!("{% $states.context.State.EnteredTime %}"))];
        self.put(states, begin, None, Does::Pass, begun, ask)
    }

    /// The trials that are to be done, side by side.
    fn trials(&mut self, node: &Node, search: &Search<Region>, place: &Place, errands: &str) -> Does {
        let title = format!("{}: trial", place.path.shown);
        let (here, errand) = (self.names.variable(&format!("{}_path", node.name)), self.names.variable("errand"));
        let (path, inside) = place.path.trial("$states.context.Map.Item.Value.name", &here);
        // What stands inside draws from the search's seed.
        let inside = Place { path: inside, limits: Limits { seed: None, ..place.limits.clone() }, ..place.clone() };
        let item = "{% $states.context.Map.Item.Value %}";
        let mut selector = Map::from_iter([("errand".to_owned(), json!(item)), ("path".to_owned(), path)]);
        let run = format!(
            "{{% $merge([${}, {{'seed': $states.context.Map.Item.Value.seed, 'inline': {}}}]) %}}",
            self.run,
            room::inline_of(&self.run, &format!("$count(${errands})"))
        );
        selector.insert("run".into(), json!(run));
        let mut begin =
            vec![(here, json!("{% $states.input.path %}")), (errand.clone(), json!("{% $states.input.errand %}"))];
        for dimension in &search.space {
            let variable = self.bind(dimension.var, &dimension.name);
            begin.push((variable, json!(format!("{{% $states.input.errand.choices.{} %}}", key(dimension.var)))));
        }
        let (mut reads, mut own) = (BTreeSet::new(), BTreeSet::new());
        match &search.trial {
            Trial::Train(train) => train.each_expr(&mut |expr| expr.free_vars(&mut |var| reads.extend([var]))),
            Trial::Steps { body, .. } => {
                reads = reads::of_region(body);
                own = reads::own_of_region(body);
            }
        }
        own.extend(search.space.iter().map(|dimension| dimension.var));
        let kept = Map::from_iter([("name".to_owned(), json!(format!("{{% ${errand}.name %}}")))]);
        let result = if let Trial::Train(_) = &search.trial { "answer" } else { "value" };
        let given = Given { selector: &mut selector, begin, kept, result };
        let machine = self.apart(&reads - &own, &title, given, |this, steps| match &search.trial {
            Trial::Steps { body, .. } => {
                this.region(body, &inside, &Target::Out, steps, Next::End(Out::Fields(Vec::new())))
            }
            Trial::Train(train) => {
                let answer = this.names.variable("answer");
                let next = Next::End(Out::Value(Source::Variable(answer.clone())));
                this.train(node, train, &inside, Some(&Training { errand, answer }), steps, next)
            }
        });
        Does::Map {
            items: format!("{{% ${errands} %}}"),
            item_selector: selector.into(),
            max_concurrency: None,
            item_processor: Box::new(machine),
        }
    }
}
