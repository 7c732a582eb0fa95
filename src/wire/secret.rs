use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The value of a secret. It is known to the program that was started with it, to the worker whose job names it, and to
/// that job's command; it is in no event and no file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// Secrets by name.
pub type Secrets = BTreeMap<String, Secret>;

impl Secret {
    /// A secret with this value.
    pub const fn new(value: String) -> Self {
        Self(value)
    }

    /// The value.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
