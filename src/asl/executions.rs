//! Parts of a workflow that are machines of their own, because one would be too large.

use super::{
    emitter::{Emitter, Inward, Place, Within},
    flow::{Next, Out, Source, Target},
    items::Given,
    machine::{Does, Machine, States},
    reads,
    split::Cut,
};
use crate::{expr::Var, graph::Region, wire::key};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

impl Emitter<'_> {
    /// Runs a machine in an execution of its own, before `next`: fields of its value go to variables. A failure comes out
    /// as if it had been here.
    #[expect(clippy::too_many_arguments)]
    pub fn execute(
        &mut self,
        machine: Machine,
        mut input: Map<String, Json>,
        name: String,
        comment: Option<String>,
        taken: &[(String, String)],
        shown: &str,
        states: &mut States,
        next: Next,
    ) -> Next {
        let comment_of = format!("{}: {name}", self.graph.file);
        let language = Some("JSONata");
        self.machines.push(Machine {
            comment: Some(comment_of),
            processor_config: None,
            query_language: language,
            ..machine
        });
        // The first is the workflow's.
        let number = self.machines.len() + 1;
        // By this the console knows one from the other.
        input.insert("AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID".into(), json!("{% $states.context.Execution.Id %}"));
        self.side_by_side(taken.len());
        let came = self.names.variable("came");
        let mut done = next;
        if !taken.is_empty() {
            let whole = |field: &str| if field.is_empty() { String::new() } else { format!(".{field}") };
            let assign = taken
                .iter()
                .map(|(field, variable)| (variable.clone(), json!(format!("{{% ${came}.value{} %}}", whole(field)))));
            let results = self.names.state(&format!("{name}: results"));
            done = self.put(states, results, None, Does::Pass, assign.collect(), done);
        }
        let check = self.unless_failed(&format!("${came}.failed"), shown, states, done);
        let does = Does::Task {
            resource: "arn:aws:states:::states:startExecution.sync:2",
            arguments: json!({ "StateMachineArn": format!("${{Machine{number}}}"), "Input": input }),
            timeout_seconds: None,
            retry: Vec::new(),
        };
        self.put(states, name, comment, does, vec![(came, json!("{% $states.result.Output %}"))], check)
    }

    /// A part of a region, in an execution of its own, before `next`.
    pub(super) fn cut_off(
        &mut self,
        within: &Within,
        place: &Place,
        cut: Cut,
        states: &mut States,
        next: Next,
    ) -> Next {
        let nodes = cut.nodes();
        let (mut reads, mut own) = (BTreeSet::new(), BTreeSet::new());
        for node in nodes.iter().map(|node| &within.region.dag[*node]) {
            reads.extend(reads::of_node(&node.kind));
            own.extend(reads::own_of_node(node));
        }
        let live = self.live(within, &nodes);
        let title = format!("{}: {}", place.path.shown, self.title_of(within, &nodes));
        let (machine, input) = self.part(&reads - &own, &title, place, |this, inside, steps| {
            let Inward { around, fields } = this.inward(within, &nodes, &live);
            let first = this.series(within, inside, cut, None, steps, Next::End(Out::Fields(fields)));
            this.bound.extend(around);
            first
        });
        let taken: Vec<(String, String)> = live.into_iter().map(|var| (key(var), self.variable(var))).collect();
        let name = self.names.state(&title);
        self.execute(machine, input, name, None, &taken, &title, states, next)
    }

    /// A region, in an execution of its own, before `next`.
    pub(super) fn region_apart(
        &mut self,
        region: &Region,
        place: &Place,
        target: &Target,
        states: &mut States,
        mut next: Next,
    ) -> Next {
        let title = format!("{}: apart", place.path.shown);
        let reads = &reads::of_region(region) - &reads::own_of_region(region);
        let (machine, input) = self.part(reads, &title, place, |this, inside, steps| {
            this.region_here(region, inside, &Target::Out, steps, Next::End(Out::Fields(Vec::new())))
        });
        let variable = match target {
            Target::New(variable) | Target::Old(variable) => Some(variable.clone()),
            Target::Out => Some(self.names.variable("value")),
            Target::Nowhere => None,
        };
        if let (Target::Out, Some(variable)) = (target, &variable) {
            next = Next::End(Out::Value(Source::Variable(variable.clone())));
        }
        let taken: Vec<(String, String)> = variable.into_iter().map(|variable| (String::new(), variable)).collect();
        let name = self.names.state(&title);
        self.execute(machine, input, name, None, &taken, &title, states, next)
    }

    /// A machine for what stands at a place, and what it is given.
    fn part(
        &mut self,
        reads: BTreeSet<Var>,
        title: &str,
        place: &Place,
        body: impl FnOnce(&mut Self, &Place, &mut States) -> Next,
    ) -> (Machine, Map<String, Json>) {
        let here = self.names.variable("path");
        let mut input = Map::from_iter([("path".to_owned(), place.path.to_json())]);
        let begin = vec![(here.clone(), json!("{% $states.input.path %}"))];
        let inside = Place { path: place.path.held_by(&here), ..place.clone() };
        let given = Given { selector: &mut input, begin, kept: Map::new(), result: "value" };
        let machine = self.apart(reads, title, given, |this, steps| body(this, &inside, steps));
        (machine, input)
    }
}
