//! Cases as files: what the compiler says of each file in `tests/ui`, and the drawings of each in `tests/graph`.
//!
//! `BLESS=1` writes what is said now; the file's name still says which code must be among it.

use libtest_mimic::{Arguments, Failed, Trial};
use smlt::{
    check,
    cli::world::Files,
    diagnostic::{Code, Severity, Style, render},
    graph,
    source::World,
};
use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut trials = Vec::new();
    for path in cases(&root.join("ui")) {
        let name = stem(&path);
        trials.push(Trial::test(format!("ui/{name}"), move || on_a_large_stack(move || diagnostics(&path))));
    }
    for path in cases(&root.join("graph")) {
        let name = stem(&path);
        trials.push(Trial::test(format!("graph/{name}"), move || on_a_large_stack(move || drawings(&path))));
    }
    let ui = root.join("ui");
    trials.push(Trial::test("every code has a case", move || every_code(&ui)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder of cases is there").map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "smlt")).collect();
    cases.sort();
    cases
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

/// The file as if one stood in its folder, so that messages name it alone.
fn open(path: &Path) -> Files {
    let relative = path.strip_prefix(env::current_dir().unwrap()).unwrap_or(path);
    Files::open(relative).unwrap()
}

fn diagnostics(path: &Path) -> Result<(), Failed> {
    let files = open(path);
    let outcome = check::check(&files);
    let said = render(&outcome.diagnostics, &|file| files.source(file), Style::Plain);
    let name = stem(path);
    let wanted = name.split('-').next().unwrap();
    let codes: BTreeSet<&str> = outcome.diagnostics.iter().map(|diagnostic| diagnostic.code.name()).collect();
    if wanted != "ok" && !codes.contains(wanted) {
        return Err(format!("{wanted} is not among {codes:?}:\n{said}").into());
    }
    if wanted == "ok" && outcome.diagnostics.iter().any(|diagnostic| diagnostic.severity() == Severity::Error) {
        return Err(said.into());
    }
    compare(&path.with_extension("stderr"), &said)
}

fn drawings(path: &Path) -> Result<(), Failed> {
    let files = open(path);
    let outcome = check::check(&files);
    if !outcome.is_ok() {
        return Err(render(&outcome.diagnostics, &|file| files.source(file), Style::Plain).into());
    }
    let workflow = outcome.value.workflows.first().ok_or("the file has no workflow")?;
    let graph = graph::build(workflow, &files.source(workflow.span.file));
    compare(&path.with_extension("dot"), &graph::draw::dot(&graph))?;
    compare(&path.with_extension("mmd"), &graph::draw::mermaid(&graph))?;
    compare(&path.with_extension("json"), &format!("{:#}\n", graph::draw::to_json(&graph)))
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

fn every_code(folder: &Path) -> Result<(), Failed> {
    let names: Vec<String> = cases(folder).iter().map(|path| stem(path)).collect();
    let without: Vec<&str> = Code::ALL
        .iter()
        .map(|code| code.name())
        .filter(|code| !names.iter().any(|name| name.starts_with(code)))
        .collect();
    if without.is_empty() { Ok(()) } else { Err(format!("no case for {without:?}").into()) }
}
