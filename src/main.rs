//! `smltc`: everything a person uses.

use std::process::ExitCode;

fn main() -> ExitCode {
    smlt::cli::main().into()
}
