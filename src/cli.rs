//! The command line: one file a subcommand, all of them thin.

mod check;
mod graph;
pub mod world;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// How the program ends: see `docs/command-line.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// The file has errors, or the run failed.
    Failed = 1,
    /// The command line can't be used.
    Usage = 2,
    /// A deadline or budget was missed.
    LimitMissed = 3,
    /// `smltc` itself is at fault.
    Internal = 70,
    /// The user stopped it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Machine-learning workflows with a deadline and a budget: write, check, run.
#[derive(Parser)]
#[command(name = "smltc", version, propagate_version = true, disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Args),
    Graph(graph::Args),
}

/// Runs the program with the command line it was started with.
pub fn main() -> Exit {
    match Args::parse().command {
        Command::Check(args) => check::main(&args),
        Command::Graph(args) => graph::main(&args),
    }
}
