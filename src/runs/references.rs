//! Which stored files the runs of a project refer to.

use super::{Runs, RunsError};
use crate::value::Hash;
use std::collections::BTreeSet;

impl Runs {
    /// The hashes of all stored files that an argument, an event, a notice or a result of any run names.
    ///
    /// # Errors
    /// When the logs can't be read.
    pub fn references(&self) -> Result<BTreeSet<Hash>, RunsError> {
        let mut found = BTreeSet::new();
        for column in [
            "args from runs",
            "verdict from runs where verdict is not null",
            "event from events",
            "notice from notices",
        ] {
            let mut select = self.database.prepare(&format!("select {column}"))?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                found.extend(Hash::all_in(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?));
            }
        }
        Ok(found)
    }
}
