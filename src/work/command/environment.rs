//! The environment variables that stand for a task's parameters.

use serde_json::{Map, Value as Json};

/// Names that tell programs how to work: a parameter that happens to have one must not change that.
const TAKEN: [&str; 19] = [
    "BASH_ENV",
    "CDPATH",
    "DISPLAY",
    "ENV",
    "GLIBC_TUNABLES",
    "HOME",
    "IFS",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "OLDPWD",
    "PATH",
    "PS4",
    "PWD",
    "SHELL",
    "SHELLOPTS",
    "TERM",
    "TMPDIR",
    "USER",
];

/// The same for names that begin so.
const TAKEN_PREFIXES: [&str; 6] = ["DYLD_", "LC_", "LD_", "MALLOC_", "PYTHON", "SMLT_"];

/// A system takes variables of 128 KiB at most, and a shell takes its time with long ones.
const MAX_VARIABLE: usize = 64 << 10;

/// A variable for each single value that a variable can hold.
pub(super) fn variables(inputs: &Map<String, Json>) -> impl Iterator<Item = (&str, String)> {
    inputs.iter().filter(|(name, _)| !is_taken(name)).filter_map(|(name, value)| Some((&**name, text(value)?)))
}

fn is_taken(name: &str) -> bool {
    TAKEN.contains(&name) || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) if text.len() > MAX_VARIABLE || text.contains('\0') => None,
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
