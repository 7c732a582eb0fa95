//! The settings of a strategy, read from its call.

use super::SearchError;
use crate::value::{Call, Value};

/// The arguments of a strategy's call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings<'c>(pub &'c Call);

impl Settings<'_> {
    /// A whole number that is not below `least`.
    pub(super) fn whole(self, name: &str, least: u64) -> Result<u64, SearchError> {
        let value = self.0.args.get(name).and_then(Value::as_int).unwrap_or_default();
        u64::try_from(value).ok().filter(|value| *value >= least).ok_or_else(|| {
            SearchError::Setting(format!("`{name}` of `{}` must be at least {least}, not {value}", self.0.name))
        })
    }

    /// A whole number from 1 to that of another setting.
    pub(super) fn up_to(self, name: &str, other: &str, most: u64) -> Result<u64, SearchError> {
        let value = self.whole(name, 1)?;
        if value > most {
            let strategy = &self.0.name;
            let what = format!("`{name}` of `{strategy}` can't be above `{other}`: {value} is above {most}");
            return Err(SearchError::Setting(what));
        }
        Ok(value)
    }
}
