//! Reading a run's log bit by bit: that of a large run need not fit into memory.

use super::{Runs, RunsError};
use crate::{
    schedule::{Notice, Time},
    units::Duration,
};
use rusqlite::params;

/// A place in the log of a run, before which all was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(i64);

impl Runs {
    /// Tells what the user was told in a run, in order; where kinds of notices are named, of these only.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn each_notice(&self, id: &str, kinds: &[&str], tell: impl FnMut(Time, Notice)) -> Result<(), RunsError> {
        self.notices_after(id, Place::default(), kinds, tell).map(drop)
    }

    /// The same from a place on; gives the place from which to read next.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn notices_after(
        &self,
        id: &str,
        mut place: Place,
        kinds: &[&str],
        mut tell: impl FnMut(Time, Notice),
    ) -> Result<Place, RunsError> {
        let mut select = self.database.prepare_cached(
            "select rowid, at, notice from notices where run = ?1 and rowid > ?2 \
             and (?3 is null or notice ->> 'event' in (select value from json_each(?3))) order by rowid",
        )?;
        let kinds = if kinds.is_empty() { None } else { Some(serde_json::to_string(kinds)?) };
        let mut rows = select.query(params![id, place.0, kinds])?;
        while let Some(row) = rows.next()? {
            place = Place(row.get(0)?);
            let notice = serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
            tell(Time(Duration::from_millis(row.get(1)?)), notice);
        }
        Ok(place)
    }
}
