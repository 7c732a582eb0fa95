use super::{Exit, check, world::workflow_files};
use crate::{
    diagnostic::render,
    disk,
    format::format,
    source::{FileId, Source},
};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Lay files out in the one style.
///
/// Files are rewritten in place; folders are searched for `.smlt` files; `-` reads from the input and writes to the
/// output. A file with syntax errors is left as it is. Ends with 1 when there is such a file, and with `--check` when a
/// file would change.
#[derive(clap::Args)]
pub struct Args {
    /// Files, folders, or `-` for the input
    #[arg(default_value = ".", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only say which files would change
    #[arg(long)]
    check: bool,
}

/// What became of a file.
enum Outcome {
    Same,
    Changed,
    Failed,
}

pub fn main(args: &Args) -> Exit {
    let (mut changed, mut failed) = (0, false);
    for path in &args.paths {
        let files = match workflow_files(path) {
            Ok(files) => files,
            Err(error) => {
                super::complain(format_args!("error: `{}` can't be read: {error}", path.display()));
                failed = true;
                continue;
            }
        };
        for file in files {
            match one(&file, args.check) {
                Outcome::Same => {}
                Outcome::Changed => changed += 1,
                Outcome::Failed => failed = true,
            }
        }
    }
    if failed || args.check && changed > 0 { Exit::Failed } else { Exit::Ok }
}

fn one(path: &Path, check: bool) -> Outcome {
    let from_input = path == Path::new("-");
    let shown = path.strip_prefix(".").unwrap_or(path);
    let name = if from_input { "<input>".into() } else { shown.display().to_string() };
    let failed = |error: io::Error| {
        super::complain(format_args!("error: `{name}`: {error}"));
        Outcome::Failed
    };
    let mut bytes = Vec::new();
    let read =
        if from_input { io::stdin().read_to_end(&mut bytes).map(drop) } else { fs::read(path).map(|all| bytes = all) };
    let text = match read.and_then(|()| String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text")))
    {
        Ok(text) => text,
        Err(error) => return failed(error),
    };
    let formatted = match format(FileId(0), &text) {
        Ok(formatted) => formatted,
        Err(diagnostics) => {
            let source = Source { name, text: text.into() };
            super::complain(render(&diagnostics, &|_| source.clone(), check::style()).trim_end());
            return Outcome::Failed;
        }
    };
    let outcome = if formatted == text { Outcome::Same } else { Outcome::Changed };
    match (from_input, check, &outcome) {
        (true, false, _) => super::say(formatted),
        (_, true, Outcome::Changed) => super::say(format_args!("{name}\n")),
        (false, false, Outcome::Changed) => {
            if let Err(error) = disk::replace(path, formatted.as_bytes()) {
                return failed(error);
            }
        }
        _ => {}
    }
    outcome
}
