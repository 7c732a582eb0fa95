//! Where a machine goes, and where its values are.

use crate::{
    expr::Var,
    source::Name,
    value::Value,
    wire::{Carried, key},
};
use serde_json::{Map, Value as Json, json};

/// What follows.
#[derive(Clone, Debug)]
pub(super) enum Next {
    /// A state.
    State(String),
    /// The end of the machine, with what it gives.
    End(Out),
}

/// What a machine gives.
#[derive(Clone, Debug)]
pub(super) enum Out {
    /// The values of variables, each by its key.
    Fields(Vec<(String, String)>),
    /// A value.
    Value(Source),
}

/// Where a value is.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// In a variable of the machine.
    Variable(String),
    /// In a field of the record that a variable of the machine holds.
    Field(String, Name),
    /// Here.
    Literal(Json),
}

/// Where the value of a region goes.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// It is what the machine gives.
    Out,
    /// To a variable that nothing in the region reads.
    New(String),
    /// To a variable that the region may read.
    Old(String),
    /// Nobody wants it.
    Nowhere,
}

impl Out {
    /// What is given, where `assigned` is what the last state would give to variables.
    pub fn to_json(&self, assigned: &Map<String, Json>) -> Json {
        let value = |name: &String| assigned.get(name).cloned().unwrap_or_else(|| json!(format!("{{% ${name} %}}")));
        match self {
            Self::Fields(fields) => fields.iter().map(|(field, name)| (field.clone(), value(name))).collect(),
            Self::Value(Source::Variable(name)) => value(name),
            Self::Value(Source::Field(name, field)) => {
                let record = value(name);
                json!(format!("{{% {} %}}", field_of(inner(&record).unwrap_or_default(), field)))
            }
            Self::Value(Source::Literal(json)) => json.clone(),
        }
    }
}

impl Source {
    /// The value within an expression.
    pub fn expression(&self) -> String {
        match self {
            Self::Variable(name) => format!("${name}"),
            Self::Field(name, field) => field_of(&format!("${name}"), field),
            Self::Literal(json) => format!("({})", inner(json).unwrap_or(&json.to_string())),
        }
    }

    /// The value as a field of a state.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Literal(json) => json.clone(),
            source => json!(format!("{{% {} %}}", source.expression())),
        }
    }
}

/// The expression between the marks of a text that is one.
fn inner(json: &Json) -> Option<&str> {
    json.as_str()?.strip_prefix("{% ")?.strip_suffix(" %}")
}

/// A field of the record that an expression gives.
fn field_of(record: &str, field: &str) -> String {
    format!("{record}.record.`{field}`")
}

/// A value as a machine carries it. A text that would be taken for an expression becomes one that gives it.
pub(super) fn literal(value: &Value) -> Json {
    let json = Carried::whole(value).into_json();
    if json.to_string().contains("{%") { json!(format!("{{% {json} %}}")) } else { json }
}

/// A variable's value in the answer of a worker.
pub(super) fn answered(var: Var) -> Json {
    json!(format!("{{% $states.result.Payload.vars.{} %}}", key(var)))
}
