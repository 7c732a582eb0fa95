//! Where the workers of a training meet. The address may hold a password, so it is never shown: nor is what is wrong with it.

use crate::{
    cli::{Exit, complain},
    wire::Secret,
};
use std::convert::Infallible;

/// The variable of the environment that holds the address.
pub const VARIABLE: &str = "SMLT_STORE";

/// How an address begins.
const SCHEMES: [&str; 4] = ["redis://", "rediss://", "s3://", "file:///"];

/// The address as it was given. It is checked later: what is refused here would be shown.
pub fn address(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// Whether there is an address: a variable that is empty counts as one that is not set.
pub fn is_given(store: &Secret) -> bool {
    !store.reveal().is_empty()
}

/// Refuses an address of no kind that there is.
pub fn check(store: Option<&Secret>) -> Result<(), Exit> {
    let is_known = |store: &Secret| SCHEMES.iter().any(|scheme| store.reveal().starts_with(scheme));
    if store.is_none_or(|store| !is_given(store) || is_known(store)) {
        return Ok(());
    }
    let schemes = SCHEMES.map(|scheme| format!("`{scheme}…`")).join(", ");
    complain(format_args!(
        "error: `--store`, or the variable {VARIABLE}, is not the address of a store\nhelp: it begins with one of {schemes}"
    ));
    Err(Exit::Usage)
}
