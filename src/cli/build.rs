use super::{Exit, check, graph::open};
use crate::{
    asl::{self, Compiled},
    disk,
    graph::Graph,
    value::Hash,
};
use serde_json::json;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Compile a workflow for AWS Step Functions.
///
/// Writes a folder with `NAME.asl.json`, the state machine; `book.json`, what its workers do; and `manifest.json`, what they
/// need, and the hashes of both. The same file gives the same bytes.
#[derive(clap::Args)]
pub struct Args {
    /// The workflow file
    file: PathBuf,
    /// The workflow in it; may be left out when there is one only
    workflow: Option<String>,
    /// The folder to write; `build/NAME` beside the file when left out
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Tell where steps wait for more than they read, because a state machine knows no other order
    #[arg(long)]
    explain: bool,
}

pub fn main(args: &Args) -> Exit {
    let (files, graph) = match open(&args.file, args.workflow.as_deref()) {
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
    // On many lines if it is not too large then.
    let on_lines = Some(compiled.machine.to_json(true)).filter(|machine| machine.len() < asl::MAX_DEFINITION);
    let machine = on_lines.unwrap_or_else(|| compiled.machine.to_json(false)) + "\n";
    let book = serde_json::to_string(&compiled.book)? + "\n";
    let name = format!("{}.asl.json", graph.workflow);
    let hash = |text: &str| Hash::from(blake3::hash(text.as_bytes())).to_string();
    let manifest = json!({
        "workflow": graph.workflow,
        "smltc": env!("CARGO_PKG_VERSION"),
        "functions": compiled.memory.iter().map(|memory| json!({ "name": format!("Worker{memory}"), "memory": memory })).collect::<Vec<_>>(),
        "files": { &*name: hash(&machine), "book.json": hash(&book) },
    });
    std::fs::create_dir_all(folder)?;
    disk::write_atomically(&folder.join(name), machine.as_bytes())?;
    disk::write_atomically(&folder.join("book.json"), book.as_bytes())?;
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
