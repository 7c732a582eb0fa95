//! Cases as files: what the compiler says of each file in `tests/ui`, the drawings of each in `tests/graph`, the state
//! machines of each in `tests/asl`, the templates of each in `tests/stack`, what the program prints in each session in
//! `tests/cli`, and the book's pages about the standard library in `docs/src/std`.
//!
//! `BLESS=1` writes what is said now; a file's name in `tests/ui` still says which code must be among it.

mod asl;
#[cfg(feature = "local")]
mod cli;
mod graph;
mod pages;
mod stack;
mod ui;

use libtest_mimic::{Arguments, Failed, Trial};
use smlt::cli::world::Files;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

fn main() -> ExitCode {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = repository.join("tests");
    let mut trials = ui::trials(&root.join("ui"));
    trials.extend(pages::trials(&repository.join("docs/src")));
    trials.extend(graph::trials(&root.join("graph")));
    trials.extend(asl::trials(&root.join("asl")));
    trials.extend(stack::trials(&root.join("stack")));
    #[cfg(feature = "local")]
    trials.extend(cli::trials(&root.join("cli")));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A trial for each file that the compiler is to read.
fn each_file(folder: &Path, test: fn(&Path) -> Result<(), Failed>) -> Vec<Trial> {
    let kind = stem(folder);
    let trial =
        |path: PathBuf| Trial::test(format!("{kind}/{}", stem(&path)), move || on_a_large_stack(move || test(&path)));
    entries(folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "smlt")).map(trial).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder of cases is there");
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// As the program does it.
fn on_a_large_stack(test: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Result<(), Failed> {
    std::thread::Builder::new()
        .stack_size(256 << 20)
        .spawn(test)
        .unwrap()
        .join()
        .unwrap_or_else(|_| Err("it panicked".into()))
}

/// The file as if one stood in the project's folder, so that messages name its path from there.
fn open(path: &Path) -> Files {
    let relative = path.strip_prefix(env::current_dir().unwrap()).unwrap_or(path);
    Files::open(relative).unwrap()
}

fn compare(path: &Path, found: &str) -> Result<(), Failed> {
    if env::var_os("BLESS").is_some() {
        fs::write(path, found)?;
        return Ok(());
    }
    let wanted = fs::read_to_string(path).unwrap_or_default();
    if wanted == found {
        return Ok(());
    }
    let shown = path.display();
    Err(format!("{shown} says\n{wanted}\nbut now it is\n{found}\n`BLESS=1 cargo test --test golden` takes it over")
        .into())
}
