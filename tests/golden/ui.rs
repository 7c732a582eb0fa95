//! What the compiler says of a file.

use crate::{compare, each_file, entries, open, stem};
use libtest_mimic::{Failed, Trial};
use smlt::{
    asl, check,
    diagnostic::{Code, Severity, Style, render},
    graph,
    source::World,
};
use std::{collections::BTreeSet, path::Path};

pub fn trials(folder: &Path) -> Vec<Trial> {
    let mut trials = each_file(folder, diagnostics);
    let folder = folder.to_owned();
    trials.push(Trial::test("ui: every code has a case", move || every_code(&folder)));
    trials
}

fn diagnostics(path: &Path) -> Result<(), Failed> {
    let files = open(path);
    let mut outcome = check::check(&files);
    // What a target can't do is found once all else is right.
    if stem(path).starts_with("E06") && outcome.is_ok() {
        let graphs = outcome.value.workflows.iter().map(|workflow| graph::build(workflow, &files));
        outcome.diagnostics.extend(graphs.flat_map(|graph| asl::compile(&graph).diagnostics));
    }
    let said = render(&outcome.diagnostics, &|file| files.source(file), Style::Plain);
    let name = stem(path);
    let wanted = name.split('-').next().unwrap();
    let codes: BTreeSet<&str> = outcome.diagnostics.iter().map(|diagnostic| diagnostic.code.name()).collect();
    if wanted != "ok" && !codes.contains(wanted) {
        return Err(format!("{wanted} is not among {codes:?}:\n{said}").into());
    }
    if wanted == "ok" && outcome.diagnostics.iter().any(|diagnostic| diagnostic.severity() == Severity::Error) {
        return Err(said.into());
    }
    compare(&path.with_extension("stderr"), &said)
}

fn every_code(folder: &Path) -> Result<(), Failed> {
    let names: Vec<String> = entries(folder).iter().map(|path| stem(path)).collect();
    let without: Vec<&str> = Code::ALL
        .iter()
        .map(|code| code.name())
        .filter(|code| !names.iter().any(|name| name.starts_with(code)))
        .collect();
    if without.is_empty() { Ok(()) } else { Err(format!("no case for {without:?}").into()) }
}
