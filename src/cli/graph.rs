use super::{Exit, check, world::Files};
use crate::{
    check::program::{Program, Workflow},
    diagnostic::similar,
    graph::{self, Graph, draw},
};
use std::path::{Path, PathBuf};

/// Draw the task graph of a workflow.
#[derive(clap::Args)]
pub struct Args {
    /// The workflow file
    file: PathBuf,
    /// The workflow in it; may be left out when there is one only
    workflow: Option<String>,
    /// What to write
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    /// For Graphviz: `smltc graph FILE | dot -Tsvg`
    #[default]
    Dot,
    /// For Mermaid, as Markdown on many sites shows it
    Mermaid,
    /// For other programs
    Json,
}

pub fn main(args: &Args) -> Exit {
    let graph = match open(&args.file, args.workflow.as_deref()) {
        Ok((_, graph)) => graph,
        Err(exit) => return exit,
    };
    match args.format {
        Format::Dot => super::say(draw::dot(&graph)),
        Format::Mermaid => super::say(draw::mermaid(&graph)),
        Format::Json => super::say(format_args!("{:#}\n", draw::to_json(&graph))),
    }
    Exit::Ok
}

/// The graph of a workflow of a file, or what to end with when there is none, which is told.
pub fn open(file: &Path, workflow: Option<&str>) -> Result<(Files, Graph), Exit> {
    let (files, program) = check::program(file, false, false)?;
    let workflow = pick(&program, workflow).map_err(|message| {
        super::complain(format_args!("error: {message}"));
        Exit::Usage
    })?;
    let graph = graph::build(workflow, &files);
    Ok((files, graph))
}

/// The workflow that is meant: by name, the only one, or `main`.
pub fn pick<'a>(program: &'a Program, name: Option<&str>) -> Result<&'a Workflow, String> {
    let workflows: Vec<&Workflow> = program.workflows.iter().map(AsRef::as_ref).collect();
    let names = || workflows.iter().map(|workflow| &*workflow.name);
    let list = || names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match (name, workflows.as_slice()) {
        (_, []) => Err("the file has no workflow\nhelp: add one: `workflow main() { … }`".into()),
        (None, [only]) => Ok(only),
        (None, _) => workflows
            .iter()
            .copied()
            .find(|workflow| &*workflow.name == "main")
            .ok_or_else(|| format!("the file has several workflows\nhelp: name one of {}", list())),
        (Some(name), _) => workflows.iter().copied().find(|workflow| &*workflow.name == name).ok_or_else(|| {
            let help = match similar(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", list()),
            };
            format!("the file has no workflow `{name}`\nhelp: {help}")
        }),
    }
}
