//! The drawings of a workflow's graph.

use crate::{compare, each_file, open};
use libtest_mimic::{Failed, Trial};
use smlt::{
    check,
    diagnostic::{Style, render},
    graph::{self, draw},
    source::World,
};
use std::path::Path;

pub fn trials(folder: &Path) -> Vec<Trial> {
    each_file(folder, drawings)
}

fn drawings(path: &Path) -> Result<(), Failed> {
    let files = open(path);
    let outcome = check::check(&files);
    if !outcome.is_ok() {
        return Err(render(&outcome.diagnostics, &|file| files.source(file), Style::Plain).into());
    }
    let workflow = outcome.value.workflows.first().ok_or("the file has no workflow")?;
    let graph = graph::build(workflow, &files);
    compare(&path.with_extension("dot"), &draw::dot(&graph))?;
    compare(&path.with_extension("mmd"), &draw::mermaid(&graph))?;
    compare(&path.with_extension("json"), &format!("{:#}\n", draw::to_json(&graph)))
}
