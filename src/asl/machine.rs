//! State machines as Amazon States Language writes them, with JSONata and variables.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value as Json};

/// A state machine, or a part of one that runs by itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Machine {
    /// What it is, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The language of expressions; parts have that of the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_language: Option<&'static str>,
    /// After how long it is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// How the items of a map are worked on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor_config: Option<ProcessorConfig>,
    /// The state that it begins with.
    pub start_at: String,
    /// Its states.
    pub states: States,
}

impl Machine {
    /// A part of another machine.
    pub const fn part(start_at: String, states: States) -> Self {
        Self { comment: None, query_language: None, timeout_seconds: None, processor_config: None, start_at, states }
    }
}

/// States by name, in the order in which they run.
#[derive(Clone, Debug, Default)]
pub struct States {
    /// The last one first: each is made once it is known what follows.
    backwards: Vec<(String, State)>,
}

impl States {
    /// Puts a state before all others.
    pub fn put_first(&mut self, name: String, state: State) {
        self.backwards.push((name, state));
    }
}

impl Serialize for States {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.backwards.len()))?;
        for (name, state) in self.backwards.iter().rev() {
            map.serialize_entry(name, state)?;
        }
        map.end()
    }
}

/// How the items of a map are worked on.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "Mode", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProcessorConfig {
    /// Within the execution.
    Inline,
    /// In executions of their own.
    Distributed {
        /// Of which kind these are.
        #[serde(rename = "ExecutionType")]
        execution_type: &'static str,
    },
}

/// A state.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    /// Where it comes from, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What it does.
    #[serde(flatten)]
    pub does: Does,
    /// The variables that it gives values to.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub assign: Map<String, Json>,
    /// What the machine gives when it ends here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// What follows; a choice says so itself.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
}

/// What follows a state.
#[derive(Clone, Debug, Serialize)]
pub enum Then {
    /// Another.
    Next(String),
    /// Nothing: always `true`.
    End(bool),
}

/// What a state does.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "Type")]
pub enum Does {
    /// Calls a worker.
    #[serde(rename_all = "PascalCase")]
    Task {
        /// How it is called.
        resource: &'static str,
        /// With what.
        arguments: Json,
        /// How long an attempt may take.
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout_seconds: Option<u64>,
        /// When to try again.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        retry: Vec<Retrier>,
    },
    /// Nothing but giving values to variables.
    Pass,
    /// Goes one way or another.
    #[serde(rename_all = "PascalCase")]
    Choice {
        /// The ways.
        choices: Vec<Rule>,
        /// The way when no rule holds.
        default: String,
    },
    /// Runs parts side by side.
    #[serde(rename_all = "PascalCase")]
    Parallel {
        /// The parts.
        branches: Vec<Machine>,
        /// What follows a failure.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        catch: Vec<Catcher>,
    },
    /// Runs a part for each item of a list.
    #[serde(rename_all = "PascalCase")]
    Map {
        /// The list.
        items: String,
        /// What the part is given.
        item_selector: Json,
        /// How many items are under way at most.
        #[serde(skip_serializing_if = "Option::is_none")]
        max_concurrency: Option<u32>,
        /// The part.
        item_processor: Box<Machine>,
    },
    /// Fails.
    #[serde(rename_all = "PascalCase")]
    Fail {
        /// The failure's name.
        error: String,
        /// What is said of it.
        cause: String,
    },
}

impl Does {
    /// A state that says itself what follows, if anything does.
    pub fn alone(self) -> State {
        State { comment: None, does: self, assign: Map::new(), output: None, then: None }
    }
}

/// A way of a choice.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Rule {
    /// When to go it.
    pub condition: String,
    /// Where it leads.
    pub next: String,
}

/// When and how to try again.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Retrier {
    /// The failures.
    pub error_equals: Vec<&'static str>,
    /// The wait before the first time.
    pub interval_seconds: u64,
    /// How often.
    pub max_attempts: u32,
    /// What the wait is multiplied with each time.
    pub backoff_rate: f64,
    /// Whether the wait is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_strategy: Option<&'static str>,
}

/// What follows a failure.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Catcher {
    /// The failures.
    pub error_equals: Vec<&'static str>,
    /// The variables that it gives values to.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub assign: Map<String, Json>,
    /// What is given in the place of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// What follows.
    pub next: String,
}
