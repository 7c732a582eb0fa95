use super::{Exit, world::Files};
use crate::{
    check::{self, program::Program},
    diagnostic::{Diagnostic, Severity, Style, render, sarif, to_json},
    source::{FileId, Source, World},
};
use serde_json::json;
use std::{
    collections::HashSet,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

/// Look for mistakes without running anything.
///
/// Reads each file and all that it imports, and reports every mistake it can find. Ends with 0 when there is none,
/// with 1 when there is one; warnings alone don't count.
#[derive(clap::Args)]
pub struct Args {
    /// Workflow files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    #[default]
    Human,
    /// One JSON object a line
    Json,
    /// One SARIF 2.1.0 log, for code hosts
    Sarif,
}

pub fn main(args: &Args) -> Exit {
    let mut exit = Exit::Ok;
    let mut checked: Vec<(Files, Vec<Diagnostic>)> = Vec::new();
    let mut told: HashSet<String> = HashSet::new();
    for path in &args.files {
        let Ok(files) = open(path) else {
            exit = Exit::Failed;
            continue;
        };
        let outcome = check::check(&files);
        if !outcome.is_ok() {
            exit = Exit::Failed;
        }
        let mut diagnostics = outcome.diagnostics;
        // What several files import is told of once.
        let key = |diagnostic: &Diagnostic| match args.files.as_slice() {
            [_] => format!("{diagnostic:?}"),
            _ => to_json(diagnostic, &|file| files.source(file)).to_string(),
        };
        diagnostics.retain(|diagnostic| told.insert(key(diagnostic)));
        match args.format {
            Format::Human => report(&diagnostics, &files),
            Format::Json => {
                for diagnostic in &diagnostics {
                    super::say(format_args!("{}\n", to_json(diagnostic, &|file| files.source(file))));
                }
            }
            Format::Sarif => checked.push((files, diagnostics)),
        }
    }
    if args.format == Format::Sarif {
        let sources: Vec<_> = checked.iter().map(|(files, _)| |file| files.source(file)).collect();
        let found = checked.iter().zip(&sources).flat_map(|((_, diagnostics), source)| {
            diagnostics.iter().map(move |diagnostic| (diagnostic, source as &dyn Fn(FileId) -> Source))
        });
        super::say(format_args!("{:#}\n", sarif(found)));
    }
    exit
}

/// Opens a workflow file, or says why not.
pub fn open(path: &Path) -> Result<Files, ()> {
    Files::open(path).map_err(|error| {
        super::complain(format_args!("error: {error}"));
        if path.extension().is_none() && path.with_extension("smlt").exists() {
            super::complain(format_args!("help: did you mean `{}`?", path.with_extension("smlt").display()));
        }
    })
}

/// Checks a file that is about to be used; nothing comes back when it has errors, which are reported. When `quiet`,
/// warnings are not.
pub fn program(path: &Path, json: bool, quiet: bool) -> Result<(Files, Program), Exit> {
    let files = open(path).map_err(|()| Exit::Failed)?;
    let outcome = check::check(&files);
    let ok = outcome.is_ok();
    if json {
        for diagnostic in outcome.diagnostics.iter().filter(|diagnostic| diagnostic.severity() == Severity::Error) {
            let object =
                json!({ "event": "diagnostic", "diagnostic": to_json(diagnostic, &|file| files.source(file)) });
            super::say(format_args!("{object}\n"));
        }
    } else if !(ok && quiet) {
        report(&outcome.diagnostics, &files);
    }
    if ok { Ok((files, outcome.value)) } else { Err(Exit::Failed) }
}

/// How messages look on the error stream.
pub fn style() -> Style {
    match io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        true => Style::Colored,
        false => Style::Plain,
    }
}

/// Writes messages for people to the error stream.
pub fn report(diagnostics: &[Diagnostic], files: &Files) {
    let mut text = render(diagnostics, &|file| files.source(file), style());
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity() == severity).count();
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => {}
        (0, warnings) => text.push_str(&format!("{}\n", plural(warnings, "warning"))),
        (errors, 0) => text.push_str(&format!("{}\n", plural(errors, "error"))),
        (errors, warnings) => text.push_str(&format!("{}, {}\n", plural(errors, "error"), plural(warnings, "warning"))),
    }
    // Nothing can be done about an error stream that is closed.
    let _ = io::stderr().write_all(text.as_bytes());
}
