//! What a run's secrets are: read once, at its start, from a file or from the environment.

use crate::{
    graph::Graph,
    wire::{Secret, Secrets},
};
use std::{collections::BTreeMap, env, fs, io, os::unix::fs::PermissionsExt, path::Path};

/// The names of the secrets that a workflow needs, and what needs each of them.
pub fn needed(graph: &Graph) -> BTreeMap<String, String> {
    let tasks = graph.secrets.iter().map(|(name, task)| (name.to_string(), format!("the task `{task}`")));
    let params = graph.params.iter().filter(|param| param.secret);
    tasks.chain(params.map(|param| (param.variable(), format!("the parameter `{}`", param.name)))).collect()
}

/// The secrets that a workflow needs; what the file does not have comes from the environment.
///
/// # Errors
/// Says which secret is missing or can't be used, and what to do about it.
pub fn read(graph: &Graph, file: Option<&Path>) -> Result<Secrets, String> {
    let mut known = file.map_or_else(|| Ok(BTreeMap::new()), read_file)?;
    let mut secrets = Secrets::new();
    for (name, whose) in needed(graph) {
        let value = match (known.remove(&name), env::var_os(&name)) {
            (Some(value), _) => value,
            (None, Some(value)) => value
                .into_string()
                .map_err(|_| format!("the secret `{name}`, which {whose} needs, is not UTF-8 text\nhelp: encode it"))?,
            (None, None) => String::new(),
        };
        if value.trim().is_empty() {
            return Err(format!(
                "the secret `{name}` is not set, which {whose} needs\nhelp: set the environment variable `{name}`, or \
                 write a line `{name}=…` into a file and name it with `--secrets`"
            ));
        }
        secrets.insert(name, Secret::new(value));
    }
    Ok(secrets)
}

/// Reads a file of lines `NAME=value`. No message shows what stands in it.
fn read_file(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let unreadable = |error: io::Error| format!("`{}` can't be read: {error}", path.display());
    let text = fs::read_to_string(path).map_err(unreadable)?;
    if fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o077 != 0 {
        super::complain(format_args!(
            "warning: `{path}` is open to other users of this machine\nhelp: `chmod 600 {path}`",
            path = path.display()
        ));
    }
    let mut secrets = BTreeMap::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!(
                "line {number} of `{}` is no secret\nhelp: write `NAME=value`; a comment starts with `#`",
                path.display()
            ));
        };
        secrets.insert(name.trim().to_owned(), unquoted(value.trim()).to_owned());
    }
    Ok(secrets)
}

fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let path = file.path().display().to_string();
        read_file(file.path()).map(|read| read.into_iter().collect()).map_err(|error| error.replace(&path, "FILE"))
    }

    #[test]
    fn a_file_has_a_secret_a_line() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read("# keys\n\nA=1 = 2\nexport B = \"x y\"\nC='#3'\r\nD=\nE=\"\n").unwrap(),
            [pair("A", "1 = 2"), pair("B", "x y"), pair("C", "#3"), pair("D", ""), pair("E", "\"")]
        );
    }

    #[test]
    fn a_line_that_is_none_is_told_of_without_showing_it() {
        let error = read("A=1\nhunter2\n").unwrap_err();
        assert_eq!(error, "line 2 of `FILE` is no secret\nhelp: write `NAME=value`; a comment starts with `#`");
    }
}
