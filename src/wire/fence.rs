use serde::{Deserialize, Serialize};

/// A scope with limits that a state machine has entered. What they are stands in the workflow's book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The place of its limits in the book.
    pub scope: usize,
    /// Its path.
    pub path: String,
    /// When it was entered, as RFC 3339 has it.
    pub began: String,
}

impl Fence {
    /// How a failure is marked that a limit of the scope has brought about, for a state machine to know it by.
    pub fn mark(scope: usize) -> String {
        format!("scope-{scope};")
    }
}
