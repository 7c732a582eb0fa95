use super::{Cloud, CloudError};
use crate::value::Hash;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The tag that tells which workflow something is of.
const WORKFLOW: &str = "smlt:workflow";
/// The tag that tells what something was made as: a hash, or that it is not yet what it is to be.
const CONTENT: &str = "smlt:content";
const UNFINISHED: &str = "unfinished";

/// Something that a deployment makes.
pub trait Resource {
    /// What it is, for people.
    fn kind(&self) -> &'static str;
    /// Its name.
    fn name(&self) -> &str;
    /// All that matters of it, as it is to be.
    fn wanted(&self) -> Json;
    /// Finds it as it is.
    ///
    /// # Errors
    /// When the cloud does not tell.
    fn find(&self, cloud: &Cloud) -> Result<Option<Found>, CloudError>;
    /// Makes it.
    ///
    /// # Errors
    /// When that fails; it may be there in part.
    fn create(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError>;
    /// Makes it what it is to be.
    ///
    /// # Errors
    /// When that fails; it may be changed in part.
    fn update(&self, cloud: &Cloud) -> Result<(), CloudError>;
    /// Gives it tags.
    ///
    /// # Errors
    /// When that fails.
    fn tag(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError>;
    /// Removes it.
    ///
    /// # Errors
    /// When that fails.
    fn remove(&self, cloud: &Cloud) -> Result<(), CloudError>;
}

/// Something as it is in the cloud.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// All that matters of it.
    pub content: Json,
}

/// The tags of what is made for a workflow.
#[derive(Clone, Debug)]
pub struct Tags {
    workflow: String,
    content: String,
}

impl Tags {
    /// Of something that is being made or changed.
    pub fn unfinished(workflow: &str) -> Self {
        Self { workflow: workflow.to_owned(), content: UNFINISHED.into() }
    }

    /// Of something that is what it is to be.
    pub fn finished(workflow: &str, content: &Json) -> Self {
        Self { workflow: workflow.to_owned(), content: hash(content) }
    }

    /// Their keys and values.
    pub fn pairs(&self) -> [(&'static str, &str); 2] {
        [(CONTENT, &self.content), (WORKFLOW, &self.workflow)]
    }
}

/// What is to be done with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is to be made.
    Create,
    /// It is to be changed.
    Update,
    /// It is as it is to be.
    Keep,
}

impl Change {
    /// What is to be done; what others have changed only when `force` is set.
    ///
    /// # Errors
    /// When it is somebody else's, or was changed by somebody else.
    pub fn of(resource: &dyn Resource, found: Option<&Found>, workflow: &str, force: bool) -> Result<Self, CloudError> {
        let Some(found) = found else { return Ok(Self::Create) };
        let (kind, name) = (resource.kind(), resource.name().to_owned());
        if found.tags.get(WORKFLOW).is_none_or(|of| of != workflow) {
            return Err(CloudError::Taken { kind, name, workflow: workflow.to_owned() });
        }
        let (wanted, is, was) = (hash(&resource.wanted()), hash(&found.content), found.tags.get(CONTENT));
        if is == wanted && was == Some(&wanted) {
            return Ok(Self::Keep);
        }
        let by_us = was.is_none_or(|was| was == UNFINISHED || *was == is) || is == wanted;
        if by_us || force { Ok(Self::Update) } else { Err(CloudError::Changed { kind, name }) }
    }
}

fn hash(content: &Json) -> String {
    Hash::of(content.to_string().as_bytes()).to_string()
}
