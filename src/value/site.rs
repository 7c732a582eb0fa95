use crate::source::{Name, Span};
use std::sync::Arc;

/// Where a call was written, for messages. It is no part of the call: all sites are equal, and none is ever stored.
#[derive(Clone, Debug, Default)]
pub struct Site(Option<Arc<Written>>);

/// A call in a file.
#[derive(Debug)]
pub struct Written {
    /// The whole call.
    pub span: Span,
    /// The arguments that are written there as they are: for each its name and its place.
    pub literals: Vec<(Name, Span)>,
}

impl Site {
    /// The site of a call that stands in a file.
    pub fn new(written: Written) -> Self {
        Self(Some(Arc::new(written)))
    }

    /// The call, where it is known.
    pub fn written(&self) -> Option<&Written> {
        self.0.as_deref()
    }
}

impl PartialEq for Site {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
