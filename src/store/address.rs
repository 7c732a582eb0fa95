//! The addresses of parameter stores.

use super::{ParameterError, ParameterStore, Redis, Served, Terms};
use std::sync::Arc;

/// Why a parameter store can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The address is none.
    #[error(
        "the address of the parameter store is not understood: {fault}; it is one of {}",
        FORMS.join(", ")
    )]
    Address {
        /// What is wrong with it. The address is not repeated, for it may hold a password.
        fault: String,
    },
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] ParameterError),
}

const FORMS: [&str; 5] = [
    "unix:///PATH",
    "redis://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]",
    "rediss://… for TLS",
    "file:///PATH",
    "s3://BUCKET[/PREFIX][?endpoint=URL]",
];

/// Opens the parameter store at an address.
///
/// # Errors
/// When the address is none, or the store can't be used.
pub fn open(address: &str, terms: Terms) -> Result<Arc<dyn ParameterStore>, OpenError> {
    let fault = |fault: &str| OpenError::Address { fault: fault.to_owned() };
    let (scheme, rest) = address.split_once("://").ok_or_else(|| fault("it has no `://`"))?;
    match scheme {
        "unix" if rest.starts_with('/') => Ok(Arc::new(Served::connect(rest, terms)?)),
        "unix" => Err(fault("its path does not begin with `/`")),
        "redis" | "rediss" => {
            let redis = Redis::parse(address, terms).map_err(|fault| OpenError::Address { fault })?;
            redis.knock()?;
            Ok(Arc::new(redis))
        }
        #[cfg(feature = "s3")]
        "file" if rest.starts_with('/') => Ok(Arc::new(super::Blobs::in_folder(rest, terms)?)),
        #[cfg(feature = "s3")]
        "file" => Err(fault("its path does not begin with `/`")),
        #[cfg(feature = "s3")]
        "s3" => {
            let remote = super::Remote::at(rest, terms.retry).map_err(|error| fault(&error.reason))?;
            Ok(Arc::new(super::Blobs::new(remote, terms)?))
        }
        #[cfg(not(feature = "s3"))]
        "file" | "s3" => Err(fault("this smltc was built without the feature `s3`")),
        _ => Err(fault(&format!("there is no kind of store `{scheme}`"))),
    }
}
