//! The template of all that a workflow needs in the cloud.

use crate::{compare, each_file, open};
use libtest_mimic::{Failed, Trial};
use smlt::{
    asl, check, graph,
    stack::{self, Stack},
};
use std::path::Path;

pub fn trials(folder: &Path) -> Vec<Trial> {
    each_file(folder, template)
}

fn template(path: &Path) -> Result<(), Failed> {
    let files = open(path);
    let program = check::check(&files).value;
    let workflow = program.workflows.iter().find(|workflow| &*workflow.name == "main");
    let graph = graph::build(workflow.ok_or("the file has no workflow `main`")?, &files);
    let compiled = asl::compile(&graph).value.ok_or("it has no state machine")?;
    let stack = Stack::new(graph.workflow, &compiled);
    compare(&path.with_extension("template.yaml"), &stack::template(&stack))
}
