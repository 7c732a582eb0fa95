//! The programs that are compared with, where `benches/peers.sh` has installed them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A program of a peer, if it is installed.
pub fn program(peer: &str, name: &str) -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers").join(peer).join("bin").join(name);
    program.exists().then_some(program)
}

/// Keeps what a peer writes into a home folder out of the user's.
pub fn at_home(command: &mut Command, folder: &Path) {
    command.env("HOME", folder).env("XDG_CACHE_HOME", folder.join(".cache")).current_dir(folder);
}
