//! Names that MLflow takes: letters, digits, `_`, `-`, `.`, spaces, and slashes between parts.

use std::collections::BTreeMap;

/// The longest name of a metric or parameter.
const LONGEST: usize = 250;

/// A name of one part that MLflow takes, near to `name`.
pub(super) fn escape(name: &str) -> String {
    escaped(&name.replace('/', "_"))
}

/// A name that MLflow takes, near to `name`. No part is empty or leads out of a folder.
fn escaped(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-. /".contains(c);
    let mut text: String = name.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    text.truncate(LONGEST);
    let part = |part: &str| match part.trim_matches(' ') {
        "" | "." | ".." => "_".to_owned(),
        part => part.to_owned(),
    };
    text.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Entries under names that MLflow takes. Each has a file of its own, so that no two names may be the same, and none the
/// folder of another.
pub(super) fn keyed<T>(entries: &BTreeMap<String, T>) -> BTreeMap<String, &T> {
    let mut keyed: BTreeMap<String, &T> = BTreeMap::new();
    for (name, value) in entries {
        let key = escaped(name);
        let is_taken = |key: &String| {
            let inside = format!("{key}/");
            let folder = |(end, _): (usize, &str)| keyed.contains_key(&key[..end]);
            keyed.contains_key(key)
                || keyed.range(inside.clone()..).next().is_some_and(|(other, _)| other.starts_with(&inside))
                || key.match_indices('/').any(folder)
        };
        let candidates = [key.clone(), key.replace('/', ".")].into_iter();
        let numbered = (2..).map(|number| format!("{}-{number}", key.replace('/', ".")));
        // The numbers go on for ever, so that there is one.
        let free = candidates.chain(numbered).find(|key| !is_taken(key)).unwrap_or(key);
        keyed.insert(free, value);
    }
    keyed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_is_not_taken() {
        let names = ["valid.loss", "eval/loss", "acc %", "../x", "/a//b/", "", "ä"].map(escaped);
        assert_eq!(names, ["valid.loss", "eval/loss", "acc _", "_/x", "_/a/_/b/_", "_", "_"]);
        assert_eq!(escape("../x"), ".._x");
        assert_eq!(escaped(&"x".repeat(300)).len(), LONGEST);
    }

    #[test]
    fn each_has_a_file_of_its_own() {
        let names = ["loss", "loss/train", "loss:1", "loss;1", "a/b", "a"];
        let entries: BTreeMap<String, &str> = names.map(|name| (name.to_owned(), name)).into();
        let keys: Vec<String> = keyed(&entries).into_keys().collect();
        assert_eq!(keys, ["a", "a.b", "loss", "loss.train", "loss_1", "loss_1-2"]);
    }
}
