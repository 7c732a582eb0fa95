//! The command line: one file a subcommand, all of them thin.

#[cfg(feature = "aws")]
mod account;
mod build;
#[cfg(feature = "local")]
mod cache;
#[cfg(feature = "aws")]
mod cancel;
mod check;
#[cfg(feature = "local")]
mod compare;
#[cfg(feature = "aws")]
mod deploy;
#[cfg(feature = "aws")]
mod destroy;
mod doc;
#[cfg(feature = "aws")]
mod elsewhere;
mod explain;
#[cfg(feature = "local")]
mod export;
mod fmt;
#[cfg(feature = "aws")]
mod follow;
#[cfg(feature = "local")]
mod foresee;
#[cfg(feature = "local")]
mod gc;
mod graph;
#[cfg(feature = "local")]
mod history;
#[cfg(feature = "local")]
mod json;
#[cfg(feature = "local")]
mod keeper;
#[cfg(feature = "local")]
mod logs;
#[cfg(feature = "local")]
mod metrics;
#[cfg(feature = "local")]
mod page;
#[cfg(feature = "local")]
mod params;
#[cfg(feature = "local")]
mod plan;
#[cfg(feature = "local")]
mod plan_file;
#[cfg(feature = "local")]
mod plot;
#[cfg(feature = "local")]
mod prepared;
#[cfg(feature = "local")]
mod progress;
#[cfg(feature = "local")]
mod result;
#[cfg(feature = "local")]
mod rm;
#[cfg(feature = "local")]
mod run;
#[cfg(feature = "local")]
mod runs;
#[cfg(feature = "local")]
mod secrets;
#[cfg(feature = "local")]
mod show;
#[cfg(feature = "local")]
mod simulate;
#[cfg(feature = "aws")]
mod start;
#[cfg(feature = "aws")]
mod status;
#[cfg(feature = "local")]
mod table;
#[cfg(feature = "local")]
mod teams;
#[cfg(feature = "local")]
mod test;
#[cfg(feature = "local")]
mod why;
#[cfg(feature = "local")]
mod words;
#[cfg(feature = "local")]
mod worker;
pub mod world;

use clap::{Parser, Subcommand};
use std::{
    env,
    ffi::OsString,
    fmt::Display,
    io::{self, Write},
    panic,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// Checking and evaluating recurse as deep as a file is nested, which has a limit; this is ample for it.
const STACK: usize = 256 << 20;

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
    #[cfg(feature = "local")]
    Run(run::Args),
    Check(check::Args),
    #[cfg(feature = "local")]
    Test(test::Args),
    Fmt(fmt::Args),
    Doc(doc::Args),
    Explain(explain::Args),
    Graph(graph::Args),
    #[cfg(feature = "local")]
    Plan(plan::Args),
    #[cfg(feature = "local")]
    Simulate(simulate::Args),
    Build(build::Args),
    #[cfg(feature = "aws")]
    Deploy(deploy::Args),
    #[cfg(feature = "aws")]
    Start(start::Args),
    #[cfg(feature = "aws")]
    Status(status::Args),
    #[cfg(feature = "aws")]
    Cancel(cancel::Args),
    #[cfg(feature = "aws")]
    Destroy(destroy::Args),
    #[cfg(feature = "local")]
    Runs(runs::Args),
    #[cfg(feature = "local")]
    Show(show::Args),
    #[cfg(feature = "local")]
    Why(why::Args),
    #[cfg(feature = "local")]
    Logs(logs::Args),
    #[cfg(feature = "local")]
    Compare(compare::Args),
    #[cfg(feature = "local")]
    Metrics(metrics::Args),
    #[cfg(feature = "local")]
    Result(result::Args),
    #[cfg(feature = "local")]
    Export(export::Args),
    #[cfg(feature = "local")]
    Rm(rm::Args),
    #[cfg(feature = "local")]
    Gc(gc::Args),
    #[cfg(feature = "local")]
    Cache(cache::Args),
    #[cfg(feature = "local")]
    #[command(hide = true)]
    Keeper,
    #[cfg(feature = "local")]
    #[command(hide = true)]
    Worker,
}

/// Runs the program with the command line it was started with.
pub fn main() -> Exit {
    let said = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        said(info);
        complain("smltc has failed, not your workflow; please report the lines above, with the workflow file");
    }));
    let words: Vec<OsString> = env::args_os().collect();
    let exit = match thread::Builder::new().stack_size(STACK).spawn(move || dispatch(&words)) {
        // A panic has been told of by the hook.
        Ok(thread) => thread.join().unwrap_or(Exit::Internal),
        Err(error) => {
            complain(format_args!("error: the system does not give {} MiB of stack: {error}", STACK >> 20));
            Exit::Failed
        }
    };
    heard(io::stdout().flush());
    if LOST.load(Ordering::Relaxed) && exit == Exit::Ok { Exit::Failed } else { exit }
}

fn dispatch(words: &[OsString]) -> Exit {
    #[cfg(feature = "local")]
    if words.get(1).is_some_and(|word| word == "run") {
        return run::main(words);
    }
    #[cfg(feature = "local")]
    if words.get(1).is_some_and(|word| word == "plan") {
        return plan::main(words);
    }
    #[cfg(feature = "local")]
    if words.get(1).is_some_and(|word| word == "simulate") {
        return simulate::main(words);
    }
    #[cfg(feature = "aws")]
    if words.get(1).is_some_and(|word| word == "start") {
        return start::main(words);
    }
    match Args::try_parse_from(words) {
        Err(error) => usage(&error),
        Ok(args) => match args.command {
            Command::Check(args) => check::main(&args),
            #[cfg(feature = "local")]
            Command::Test(args) => test::main(&args),
            Command::Fmt(args) => fmt::main(&args),
            Command::Doc(args) => doc::main(&args),
            Command::Explain(args) => explain::main(&args),
            Command::Graph(args) => graph::main(&args),
            #[cfg(feature = "local")]
            Command::Plan(_) => plan::main(words),
            #[cfg(feature = "local")]
            Command::Simulate(_) => simulate::main(words),
            Command::Build(args) => build::main(&args),
            #[cfg(feature = "aws")]
            Command::Deploy(args) => deploy::main(&args),
            #[cfg(feature = "aws")]
            Command::Start(_) => start::main(words),
            #[cfg(feature = "aws")]
            Command::Status(args) => status::main(&args),
            #[cfg(feature = "aws")]
            Command::Cancel(args) => cancel::main(&args),
            #[cfg(feature = "aws")]
            Command::Destroy(args) => destroy::main(&args),
            #[cfg(feature = "local")]
            Command::Run(_) => run::main(words),
            #[cfg(feature = "local")]
            Command::Runs(args) => runs::main(&args),
            #[cfg(feature = "local")]
            Command::Show(args) => show::main(&args),
            #[cfg(feature = "local")]
            Command::Why(args) => why::main(&args),
            #[cfg(feature = "local")]
            Command::Logs(args) => logs::main(&args),
            #[cfg(feature = "local")]
            Command::Compare(args) => compare::main(&args),
            #[cfg(feature = "local")]
            Command::Metrics(args) => metrics::main(&args),
            #[cfg(feature = "local")]
            Command::Result(args) => result::main(&args),
            #[cfg(feature = "local")]
            Command::Export(args) => export::main(&args),
            #[cfg(feature = "local")]
            Command::Rm(args) => rm::main(&args),
            #[cfg(feature = "local")]
            Command::Gc(args) => gc::main(&args),
            #[cfg(feature = "local")]
            Command::Cache(args) => cache::main(&args),
            #[cfg(feature = "local")]
            Command::Keeper => keeper::main(),
            #[cfg(feature = "local")]
            Command::Worker => worker::main(),
        },
    }
}

/// Whether something that was meant for the output could not be written.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes to the output.
fn say(text: impl Display) {
    heard(write!(io::stdout(), "{text}"));
}

/// Notes whether the output took what was written. A reader that has gone away, as `head` does, is no reason to fail.
fn heard(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        complain(format_args!("error: the output can't be written: {error}"));
    }
}

/// Writes a line to the error stream. Nothing can be done when that is closed.
fn complain(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints help, the version, or what is wrong with the command line.
fn usage(error: &clap::Error) -> Exit {
    // Nothing can be done about a stream that is closed.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Ok }
}
