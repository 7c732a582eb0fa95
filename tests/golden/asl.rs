//! The state machine of a workflow, and what its workers are called for.

use crate::{compare, each_file, open};
use libtest_mimic::{Failed, Trial};
use smlt::{
    asl, check,
    diagnostic::{Style, render},
    graph,
    source::World,
};
use std::path::Path;

pub fn trials(folder: &Path) -> Vec<Trial> {
    each_file(folder, machine)
}

fn machine(path: &Path) -> Result<(), Failed> {
    let files = open(path);
    let said = |diagnostics| render(diagnostics, &|file| files.source(file), Style::Plain);
    let outcome = check::check(&files);
    if !outcome.is_ok() {
        return Err(said(&outcome.diagnostics).into());
    }
    let workflow = outcome.value.workflows.iter().find(|workflow| &*workflow.name == "main");
    let compiled = asl::compile(&graph::build(workflow.ok_or("the file has no workflow `main`")?, &files));
    let machines = compiled.value.ok_or_else(|| said(&compiled.diagnostics))?.machines;
    machines.iter().zip(1..).try_for_each(|(machine, number)| {
        let file = match number {
            1 => path.with_extension("asl.json"),
            _ => path.with_extension(format!("{number}.asl.json")),
        };
        compare(&file, &(machine.to_json(true) + "\n"))
    })
}
