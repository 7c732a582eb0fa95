//! The trials of a search, as a state machine hands them out and takes them back.

use super::{Answer, Carried, Caught, Rung};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A trial, or a rung of one, that is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errand {
    /// Its part of the path, such as `trial[7]/rung[0]`.
    pub name: String,
    /// What it chose, by the variables' keys.
    pub choices: BTreeMap<String, Carried>,
    /// The seed of all that it does, as text.
    pub seed: String,
    /// The epochs of a whole training, and where it pauses, if there are rungs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<(u64, Rung)>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    /// The errand's name.
    pub name: String,
    /// What a training came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// The value that steps came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Carried>,
    /// Why it came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Caught>,
}
