//! Keeps the secrets of a command out of what it says.

use crate::wire::{Progress, Secrets};
use serde_json::Value as Json;
use std::borrow::Cow;

/// What stands in the place of a secret.
const STARS: &str = "***";

/// What is shorter would hide half of every text, and is no secret.
const LEAST: usize = 4;

/// The texts that must not be seen: the secrets, and the lines of those that have several.
pub(super) struct Mask(Vec<String>);

impl Mask {
    pub fn of(secrets: &Secrets) -> Self {
        let values = secrets.values().map(|secret| secret.reveal());
        let mut texts: Vec<String> =
            values.flat_map(str::lines).map(str::trim).filter(|text| text.len() >= LEAST).map(str::to_owned).collect();
        // One may be a part of another.
        texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        texts.dedup();
        Self(texts)
    }

    /// A text without the secrets.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.0 {
            if text.contains(secret) {
                text = text.replace(secret, STARS).into();
            }
        }
        text
    }

    /// An event without them.
    pub fn hide_in(&self, event: Progress) -> Progress {
        match event {
            Progress::Log(line) => Progress::Log(self.hide(&line).into_owned()),
            Progress::Metric { name, step, value } => {
                Progress::Metric { name: self.hide(&name).into_owned(), step, value }
            }
            event => event,
        }
    }

    /// Whether a text of a result, or the name of a field, holds one of them.
    pub fn is_in(&self, json: &Json) -> bool {
        let holds = |text: &str| self.0.iter().any(|secret| text.contains(secret));
        match json {
            Json::String(text) => holds(text),
            Json::Array(items) => items.iter().any(|item| self.is_in(item)),
            Json::Object(fields) => fields.iter().any(|(name, value)| holds(name) || self.is_in(value)),
            // A secret of digits alone may be written as a number.
            Json::Number(number) => self.0.contains(&number.to_string()),
            Json::Null | Json::Bool(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Secret;
    use serde_json::json;

    fn mask(values: &[&str]) -> Mask {
        let secret = |value: &&str| ((*value).to_owned(), Secret::new((*value).to_owned()));
        Mask::of(&values.iter().map(secret).collect())
    }

    #[test]
    fn every_occurrence_is_hidden_the_longest_first() {
        let mask = mask(&["abcd", "abcdef", "no"]);
        assert_eq!(mask.hide("abcdef abcd xabcdx no"), "*** *** x***x no");
    }

    #[test]
    fn each_line_of_a_secret_is_one() {
        let mask = mask(&["-----BEGIN-----\r\nMIIEvQ\n\n}\n"]);
        assert_eq!(mask.hide("key: MIIEvQ }"), "key: *** }");
    }

    #[test]
    fn a_result_is_searched_to_its_ends() {
        let mask = mask(&["abcd", "12345"]);
        for holding in [json!({ "a": [{ "b": "xabcdx" }] }), json!({ "abcd": 1 }), json!([12345])] {
            assert!(mask.is_in(&holding), "{holding}");
        }
        assert!(!mask.is_in(&json!({ "a": ["abc", 123_456, null, true] })));
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::new("abcd".into())), "***");
    }
}
