//! What an execution's history tells, in the words of a run on this machine.

use super::executions::millis;
use crate::{
    prices::Prices,
    schedule::{Notice, StepPath, Time},
    units::{Duration, Money, Size},
    value::{Fields, Value},
    wire::{Carried, Caught, Charge, Failure, Kind, Stored},
};
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A reader of a history, event by event.
pub struct Story {
    started: i64,
    prices: Prices,
    /// The kinds of steps, by the names of their states.
    kinds: HashMap<String, String>,
    /// Where each event stands.
    places: HashMap<i64, Place>,
    /// The steps under way: when each began, and how often it was tried.
    open: BTreeMap<StepPath, (i64, u32)>,
    /// The latest failure of each of them, which may be followed by another attempt.
    failed: BTreeMap<StepPath, (i64, Caught)>,
    spent: Money,
    /// The steps that are told of by the history itself: those outside of maps that run as executions of their own.
    own: HashSet<String>,
    /// The calls that the ledger has told of.
    charged: HashSet<String>,
    last: i64,
}

/// Where something happens.
#[derive(Clone, Debug, Default)]
struct Place {
    /// The items around it: the map and the item's number.
    items: Vec<(String, i32)>,
    /// The state.
    state: Option<String>,
    /// The memory of the function that is called.
    memory: Option<u64>,
}

impl Place {
    /// The path of the step that the state is, if it is one.
    fn step(&self) -> Option<StepPath> {
        let state = self.state.as_deref().filter(|state| !state.contains(": "))?;
        let mut path = state.to_owned();
        // The innermost item's map has the longest name.
        for (map, index) in self.items.iter().rev() {
            if let Some(below) = path.strip_prefix(&**map) {
                path = format!("{map}[{index}]{below}");
            }
        }
        Some(StepPath(path.into()))
    }
}

/// What a function answers to a state machine.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    more: bool,
    #[serde(default)]
    vars: BTreeMap<String, Option<Carried>>,
}

impl Story {
    /// Of a run that began then, by its definition.
    pub fn new(started: i64, definition: &Json) -> Self {
        let (mut kinds, mut own) = (HashMap::new(), HashSet::new());
        look(definition, true, &mut kinds, &mut own);
        Self {
            started,
            prices: Prices::embedded(),
            kinds,
            own,
            charged: HashSet::new(),
            places: HashMap::new(),
            open: BTreeMap::new(),
            failed: BTreeMap::new(),
            spent: Money::ZERO,
            last: 0,
        }
    }

    /// The number of the last event that was read.
    pub const fn last(&self) -> i64 {
        self.last
    }

    /// What the ledger of the run tells besides: what all calls have cost, and steps in executions of their own, whose
    /// histories are not read.
    pub fn charged(&mut self, charges: Vec<Charge>) -> Vec<(Time, Notice)> {
        let mut notices = Vec::new();
        for charge in charges {
            if !self.charged.insert(charge.call) {
                continue;
            }
            let cost = Money::new(Decimal::new(charge.nanos, 9));
            self.spent = Money::new(self.spent.dollars() + cost.dollars());
            let at = Time(Duration::from_millis(charge.at.saturating_sub(self.started).max(0)));
            notices.push((at, Notice::Spent { total: self.spent }));
            if charge.kind == Charge::PART || self.own.contains(&plain(&charge.path)) {
                continue;
            }
            let (step, elapsed) = (StepPath(charge.path.into()), Duration::from_millis(charge.amount));
            let began = Time(at.0.checked_sub(elapsed).unwrap_or_default());
            let kind = charge.kind.into();
            notices.push((began, Notice::StepStarted { step: step.clone(), kind, attempt: 1 }));
            // The ledger does not know its value.
            let value = Value::Record(Fields::new());
            notices.push((at, Notice::StepDone { step, elapsed, cost, value }));
        }
        notices
    }

    /// What the calls of functions have cost so far.
    pub const fn spent(&self) -> Money {
        self.spent
    }

    /// What an event tells.
    pub fn read(&mut self, event: &HistoryEvent) -> Vec<(Time, Notice)> {
        let (id, time) = (event.id(), millis(Some(event.timestamp())));
        self.last = id;
        let mut place = self.places.get(&event.previous_event_id()).cloned().unwrap_or_default();
        let mut notices = Vec::new();
        use HistoryEventType as Type;
        if let Some(entered) = event.state_entered_event_details() {
            place.state = Some(entered.name().to_owned());
        }
        match event.r#type() {
            Type::MapIterationStarted => {
                if let Some(item) = event.map_iteration_started_event_details() {
                    let name = item.name().unwrap_or_default().to_owned();
                    place.items.retain(|(map, _)| *map != name);
                    place.items.push((name, item.index()));
                }
            }
            Type::TaskScheduled => {
                let parameters = event.task_scheduled_event_details().map(|details| details.parameters());
                place.memory = parameters.and_then(memory);
                if let Some(step) = place.step() {
                    notices.extend(self.begin(&step, place.state.as_deref().unwrap_or_default(), time));
                }
            }
            Type::TaskSucceeded => {
                let output = event.task_succeeded_event_details().and_then(|details| details.output());
                let answered = output.and_then(|output| serde_json::from_str::<Answered>(output).ok());
                if let Some(step) = place.step() {
                    notices.extend(self.done(&step, answered, place.memory, time));
                }
            }
            Type::TaskFailed | Type::TaskTimedOut | Type::TaskStartFailed | Type::TaskSubmitFailed => {
                let said = event.task_failed_event_details().map(|details| (details.error(), details.cause()));
                let said = said
                    .or_else(|| event.task_timed_out_event_details().map(|details| (details.error(), details.cause())));
                let (error, cause) = said.unwrap_or_default();
                let caught = Caught {
                    error: error.unwrap_or("States.Timeout").to_owned(),
                    cause: cause.unwrap_or_default().to_owned(),
                };
                if let Some(step) = place.step() {
                    self.failed.insert(step, (time, caught));
                }
            }
            Type::TaskStateAborted => {
                if let Some(step) = place.step().filter(|step| self.open.remove(step).is_some()) {
                    notices.push(Notice::StepStopped { step });
                }
            }
            _ => {}
        }
        if let Some(exited) = event.state_exited_event_details() {
            place.items.retain(|(map, _)| map != exited.name());
            place.memory = None;
        }
        // What follows a failure is another attempt at once, or the failure stands.
        if !matches!(event.r#type(), Type::TaskScheduled | Type::TaskFailed | Type::TaskTimedOut)
            && let Some(before) = self.places.get(&event.previous_event_id())
            && let Some(step) = before.step()
            && let Some((_, caught)) = self.failed.remove(&step)
        {
            self.open.remove(&step);
            let (_, failure) = caught.read(&step.0);
            notices.push(Notice::StepFailed { step, failure });
        }
        self.places.insert(id, place);
        let at = Time(Duration::from_millis(time.saturating_sub(self.started).max(0)));
        notices.into_iter().map(|notice| (at, notice)).collect()
    }

    fn begin(&mut self, step: &StepPath, state: &str, time: i64) -> Vec<Notice> {
        let kind = self.kinds.get(state).map_or("step", |kind| &**kind).into();
        let mut notices = Vec::new();
        let (began, attempt) = match self.open.get(step) {
            None => (time, 1),
            Some((began, attempts)) => match self.failed.remove(step) {
                // It goes on from a checkpoint.
                None => return notices,
                Some((failed, caught)) => {
                    let attempt = attempts + 1;
                    let after = Duration::from_millis(time.saturating_sub(failed));
                    let (_, failure) = caught.read(&step.0);
                    notices.push(Notice::StepRetried { step: step.clone(), failure, attempt, after, memory: None });
                    (*began, attempt)
                }
            },
        };
        self.open.insert(step.clone(), (began, attempt));
        notices.push(Notice::StepStarted { step: step.clone(), kind, attempt });
        notices
    }

    fn done(&mut self, step: &StepPath, answered: Option<Answered>, memory: Option<u64>, time: i64) -> Vec<Notice> {
        if answered.as_ref().is_some_and(|answered| answered.payload.more) {
            return Vec::new();
        }
        let Some((began, _)) = self.open.remove(step) else { return Vec::new() };
        let elapsed = Duration::from_millis(time.saturating_sub(began).max(0));
        let cost = self.prices.attempt(Size::from_mib(memory.unwrap_or(0)), elapsed);
        let value = answered.and_then(|answered| answered.payload.vars.into_values().next().flatten());
        // One that is too large for a machine is too large for a line.
        let mut recall = |_: &Stored| Err(Failure::new(Kind::TaskFailed, "it is stored"));
        let value = value.and_then(|carried| carried.value(&mut recall).ok()).unwrap_or(Value::None);
        vec![Notice::StepDone { step: step.clone(), elapsed, cost, value }]
    }
}

/// The memory of the function that is called, which its name ends with.
fn memory(parameters: &str) -> Option<u64> {
    let parameters: Json = serde_json::from_str(parameters).ok()?;
    parameters["FunctionName"].as_str()?.rsplit('-').next()?.parse().ok()
}

/// The path of a step without the numbers of items, trials and rounds, as states are named.
fn plain(path: &str) -> String {
    let part = |part: &str| part.split('[').next().unwrap_or_default().to_owned();
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The kinds of steps: what the comments of states end with; and the states that run in the execution itself.
fn look(json: &Json, here: bool, kinds: &mut HashMap<String, String>, own: &mut HashSet<String>) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| look(item, here, kinds, own)),
        Json::Object(fields) => {
            let here = here && fields.get("ProcessorConfig").is_none_or(|config| config["Mode"] != "DISTRIBUTED");
            for (name, state) in fields.get("States").and_then(Json::as_object).into_iter().flatten() {
                let comment = state["Comment"].as_str().and_then(|comment| comment.rsplit(": ").next());
                kinds.extend(comment.map(|kind| (name.clone(), kind.to_owned())));
                own.extend(here.then(|| name.clone()));
            }
            fields.values().for_each(|field| look(field, here, kinds, own));
        }
        _ => {}
    }
}
