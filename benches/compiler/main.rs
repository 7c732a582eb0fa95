//! How quick the compiler is, and beside others: `cargo bench --bench compiler`. Prints a table in Markdown.
//!
//! Peers are measured where `benches/peers.sh` has installed them.

mod files;
#[path = "../measure.rs"]
mod measure;
#[path = "../peers.rs"]
mod peers;

use measure::{Cost, mib, ms, shown, verdict};
use std::{env, fs, io, path::Path, process::Command};

const SMLTC: &str = env!("CARGO_BIN_EXE_smltc");

/// The steps of the workflow that all peers are given.
const STEPS: usize = 1000;

fn main() -> io::Result<()> {
    // `cargo test --all-targets` runs benches too.
    if !env::args().any(|arg| arg == "--bench") {
        println!("benches are run by `cargo bench`");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    goals(folder.path())?;
    println!();
    beside_others(folder.path())?;
    println!();
    // At the end: a child's memory starts out as large as what this program then holds.
    refused(folder.path())
}

/// Runs the compiler on a file.
fn smltc(command: &[&str], path: &Path, runs: usize, status: i32) -> io::Result<Cost> {
    cost(Command::new(SMLTC).args(command).arg(path), runs, status)
}

/// The compiler alone, on files of many sizes.
fn goals(folder: &Path) -> io::Result<()> {
    println!("| what | median | least CPU | peak memory | goal |");
    println!("| --- | --- | --- | --- | --- |");
    let write = |name: &str, text: String| {
        let (path, lines) = (folder.join(name), text.lines().count() as u64);
        fs::write(&path, text).map(|()| (path, lines))
    };
    let (path, lines) = write("everyday.smlt", files::everyday())?;
    let small = smltc(&["check"], &path, 51, 0)?;
    row(&format!("`check`, {lines} lines"), &small, &verdict("5 ms", small.cpu <= ms(5)));

    let (path, _) = write("ten.smlt", files::workflow(10_000))?;
    let ten = smltc(&["check"], &path, 11, 0)?;
    row("`check`, 10,000 steps", &ten, &verdict("150 ms", ten.cpu <= ms(150)));
    let (path, _) = write("hundred.smlt", files::workflow(100_000))?;
    let hundred = smltc(&["check"], &path, 3, 0)?;
    let times = hundred.cpu.as_secs_f64() / ten.cpu.as_secs_f64();
    let goal = format!("12 times the CPU of 10,000: {times:.1}");
    row("`check`, 100,000 steps", &hundred, &verdict(&goal, times <= 12.0));

    let (path, lines) = write("lines.smlt", files::lines(100_000))?;
    let check = smltc(&["check"], &path, 3, 0)?;
    let goal = format!("1,024 bytes a line: {}", check.memory / lines);
    row("`check`, 100,000 lines", &check, &verdict(&goal, check.memory <= 1024 * lines));
    let fmt = smltc(&["fmt", "--check"], &path, 3, 0)?;
    row("`fmt`, 100,000 lines", &fmt, &verdict("1 s", fmt.cpu <= ms(1000)));
    Ok(())
}

/// What is refused for its size.
fn refused(folder: &Path) -> io::Result<()> {
    println!("| what | median | least CPU |");
    println!("| --- | --- | --- |");
    let cases = [
        ("a file of 50 MB", format!("workflow main() {{\n{}}}\n", "  let s = run work(1)\n".repeat(2_500_000))),
        ("a line of 10 MB: a sum", format!("const a = 1{}\n", " + 1".repeat(2_500_000))),
        ("a line of 10 MB: a list", format!("const a = [{}]\n", "1, ".repeat(3_300_000))),
    ];
    for (what, text) in cases {
        let path = folder.join("refused.smlt");
        fs::write(&path, text)?;
        let cost = smltc(&["check"], &path, 3, 1)?;
        println!("| `check`, {what} | {} | {} |", shown(cost.wall), shown(cost.cpu));
    }
    Ok(())
}

/// The compiler beside others, on the same workflow.
fn beside_others(folder: &Path) -> io::Result<()> {
    let (smlt, snakefile, wdl) = (folder.join("steps.smlt"), folder.join("Snakefile"), folder.join("steps.wdl"));
    fs::write(&smlt, files::smlt(STEPS))?;
    fs::write(&snakefile, files::snakemake(STEPS))?;
    fs::write(&wdl, files::wdl(STEPS))?;
    let run = |program: &Path, args: &[&str], file: Option<&Path>, runs: usize| {
        let mut command = Command::new(program);
        command.args(args).args(file);
        peers::at_home(&mut command, folder);
        cost(&mut command, runs, 0)
    };
    println!(
        "| {STEPS} steps, most with the results of two before | median | least CPU | peak memory | CPU, times `smltc` |"
    );
    println!("| --- | --- | --- | --- | --- |");
    let check = run(Path::new(SMLTC), &["check"], Some(&smlt), 21)?;
    row("`smltc check`", &check, "1");
    let graph = run(Path::new(SMLTC), &["graph", "--format", "json"], Some(&smlt), 21)?;
    row("`smltc graph`, which plans as well", &graph, "");
    let wide = |name: &'static str, args: &'static [&'static str], file: Option<&Path>, own: &Cost, goal: f64| {
        let Some(program) = peers::program(name, name) else {
            println!("| {name} | not installed: `benches/peers.sh {name}` | | | |");
            return Ok::<(), io::Error>(());
        };
        let theirs = run(&program, args, file, 3)?;
        let times = theirs.cpu.as_secs_f64() / own.cpu.as_secs_f64();
        let goal = format!("{times:.1}, goal {goal}");
        let what = format!("`{}`", [name].iter().chain(args).copied().collect::<Vec<_>>().join(" "));
        row(&format!("{what} {}", version(&program)), &theirs, &goal);
        Ok(())
    };
    wide("snakemake", &["-n", "--quiet", "all"], None, &graph, 20.0)?;
    wide("miniwdl", &["check", "--no-shellcheck"], Some(&wdl), &check, 20.0)?;
    wide("sprocket", &["-s", "check"], Some(&wdl), &check, 1.0)
}

/// The version that a program tells, without its name.
fn version(program: &Path) -> String {
    let told = Command::new(program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let told = String::from_utf8_lossy(&told);
    let word =
        told.split_whitespace().find(|word| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()));
    word.unwrap_or_default().trim_start_matches(['v', '(']).trim_end_matches([',', ')']).to_owned()
}

/// The cost of several runs of a program, after one to warm up.
fn cost(command: &mut Command, runs: usize, status: i32) -> io::Result<Cost> {
    measure::run(command, status)?;
    let runs = (0..runs).map(|_| measure::run(command, status)).collect::<io::Result<Vec<Cost>>>()?;
    Ok(Cost::of(&runs))
}

fn row(what: &str, cost: &Cost, last: &str) {
    println!("| {what} | {} | {} | {} | {last} |", shown(cost.wall), shown(cost.cpu), mib(cost.memory));
}
