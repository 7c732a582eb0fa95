use super::{Artifact, Value};
use crate::source::Name;
use serde::{Deserialize, Serialize};

/// Where a file of a dataset lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// A path or a glob, relative to the project's folder.
    Path(Name),
    /// A stored file.
    Stored(Artifact),
}

impl Location {
    /// The locations that a value names: a path, a stored file, or a list of them; `None` for any other value.
    pub fn all(value: &Value) -> Option<Vec<Self>> {
        match value {
            Value::String(path) => Some(vec![Self::Path(path.clone())]),
            Value::Artifact(artifact) => Some(vec![Self::Stored((**artifact).clone())]),
            Value::List(items) => {
                let each: Vec<Vec<Self>> = items.iter().map(Self::all).collect::<Option<_>>()?;
                Some(each.concat())
            }
            _ => None,
        }
    }
}
