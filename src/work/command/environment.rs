//! The environment variables that stand for a task's parameters.

use crate::wire::is_taken_variable;
use serde_json::{Map, Value as Json};

/// A system takes variables of 128 KiB at most, and a shell takes its time with long ones.
const MAX_VARIABLE: usize = 64 << 10;

/// A variable for each single value that a variable can hold.
pub(super) fn variables(inputs: &Map<String, Json>) -> impl Iterator<Item = (&str, String)> {
    inputs.iter().filter(|(name, _)| !is_taken_variable(name)).filter_map(|(name, value)| Some((&**name, text(value)?)))
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) if text.len() > MAX_VARIABLE || text.contains('\0') => None,
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
