#[cfg(not(feature = "local"))]
use super::graph;
#[cfg(feature = "local")]
use super::plan_file;
use super::{Exit, check};
use crate::{
    asl::{self, Compiled},
    disk,
    graph::Graph,
    stack::{self, Stack},
    value::Hash,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// Compile a workflow for AWS Step Functions.
///
/// Writes a folder with `NAME.asl.json`, the state machine, with `NAME-2.asl.json` and so on where one would be too large;
/// `book.json`, what its workers do; `template.yaml`, all that is to be made for them, for those who deploy with
/// CloudFormation; where tasks run commands, a `Containerfile`; and `manifest.json`, what there is, with hashes. The same file
/// gives the same bytes.
#[derive(clap::Args)]
pub struct Args {
    /// The workflow file
    file: PathBuf,
    /// The workflow in it; may be left out when there is one only
    workflow: Option<String>,
    /// Give trainings the memory, and the workers to begin with, that a file of `smltc plan --on aws -o` says, or refuse where
    /// the workflow, its data or prices have changed since
    #[cfg(feature = "local")]
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// The folder to write; `build/NAME` beside the file when left out
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Tell where steps wait for more than they read, because a state machine knows no other order
    #[arg(long)]
    explain: bool,
}

pub fn main(args: &Args) -> Exit {
    #[cfg(feature = "local")]
    let opened = plan_file::open(&args.file, args.workflow.as_deref(), args.plan.as_deref());
    #[cfg(not(feature = "local"))]
    let opened = graph::open(&args.file, args.workflow.as_deref());
    let (files, graph) = match opened {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let outcome = asl::compile(&graph);
    check::report(&outcome.diagnostics, &files);
    let Some(compiled) = outcome.value else { return Exit::Failed };
    let beside = args.file.parent().unwrap_or(Path::new("")).join("build").join(&*graph.workflow);
    let folder = args.out.clone().unwrap_or(beside);
    if let Err(error) = write(&graph, &compiled, &folder) {
        super::complain(format_args!("error: `{}` can't be written: {error}", folder.display()));
        return Exit::Failed;
    }
    super::say(format_args!("{}\n", folder.display()));
    if args.explain {
        explain(&graph, &compiled);
    }
    Exit::Ok
}

/// Writes all files, each whole or not at all.
fn write(graph: &Graph, compiled: &Compiled, folder: &Path) -> io::Result<()> {
    let stack = Stack::new(graph.workflow.clone(), compiled);
    let mut files: BTreeMap<&str, String> =
        stack.machines.iter().map(|machine| (&*machine.file, machine.text.clone())).collect();
    files.insert("book.json", stack.book.clone());
    files.insert("template.yaml", stack::template(&stack));
    if stack.has_commands() {
        files.insert("Containerfile", stack::containerfile().to_owned());
    }
    let hash = |text: &String| Hash::from(blake3::hash(text.as_bytes())).to_string();
    let functions = stack
        .functions
        .iter()
        .map(|function| json!({ "name": function.logical(), "memory": function.memory, "image": function.commands }));
    let manifest = json!({
        "workflow": graph.workflow,
        "smltc": env!("CARGO_PKG_VERSION"),
        "functions": functions.collect::<Vec<_>>(),
        "machines": stack.machines.iter().map(|machine| &machine.name).collect::<Vec<_>>(),
        "files": files.iter().map(|(name, text)| (*name, hash(text))).collect::<BTreeMap<_, _>>(),
    });
    std::fs::create_dir_all(folder)?;
    for (name, text) in &files {
        disk::write_atomically(&folder.join(name), text.as_bytes())?;
    }
    disk::write_atomically(&folder.join("manifest.json"), format!("{manifest:#}\n").as_bytes())
}

/// Says where steps wait for more than they read.
fn explain(graph: &Graph, compiled: &Compiled) {
    if compiled.barriers.is_empty() {
        super::say("every step waits for what it reads, and for nothing else\n");
    }
    for (path, barrier) in &compiled.barriers {
        let names = barrier.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let longer = match barrier.stretch {
            0 => "the longest way is no longer for it".to_owned(),
            1 => "the longest way has a step more for it".to_owned(),
            more => format!("the longest way has {more} steps more for it"),
        };
        super::say(format_args!("{}: in `{path}` all that follows waits for {names}; {longer}\n", graph.file));
    }
}
