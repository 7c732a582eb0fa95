//! What the executor itself costs, and what others do: `cargo bench --bench executor`. Prints tables in Markdown.
//!
//! Peers are measured where `benches/peers.sh` has installed them.

#[path = "../measure.rs"]
mod measure;
mod others;
#[path = "../peers.rs"]
mod peers;
mod workflows;

use measure::{Cost, mib, ms, shown, verdict};
use others::{OTHERS, Other, Shape};
use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const SMLTC: &str = env!("CARGO_BIN_EXE_smltc");

/// The steps of a chain.
const CHAIN: usize = 100;

fn main() -> io::Result<()> {
    // `cargo test --all-targets` runs benches too.
    if !env::args().any(|arg| arg == "--bench") {
        println!("benches are run by `cargo bench`");
        return Ok(());
    }
    // One table alone: `cargo bench --bench executor -- spawning`.
    let wanted = |table: &str| env::args().skip(1).all(|arg| arg.starts_with('-') || arg == table);
    if wanted("alone") {
        alone()?;
    }
    if wanted("spawning") {
        spawning()?;
    }
    if wanted("others") {
        beside_others()?;
    }
    Ok(())
}

/// Runs a workflow in a folder of its own, `before` times unmeasured.
fn smltc(text: &str, options: &[&str], before: usize) -> io::Result<Cost> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("bench.smlt"), text)?;
    let mut command = Command::new(SMLTC);
    command.args(["run", "bench.smlt", "--quiet"]).args(options).current_dir(folder.path());
    for _ in 0..before {
        measure::run(&mut command, 0)?;
    }
    measure::run(&mut command, 0)
}

fn several(runs: usize, run: impl Fn() -> io::Result<Cost>) -> io::Result<Cost> {
    Ok(Cost::of(&(0..runs).map(|_| run()).collect::<io::Result<Vec<Cost>>>()?))
}

/// The executor alone, against limits.
fn alone() -> io::Result<()> {
    println!("| what | median | least CPU | peak memory | goal |");
    println!("| --- | --- | --- | --- | --- |");
    let one = several(21, || smltc(&workflows::commands(1), &[], 0))?;
    row("a run of one command, from start to end", &one, &verdict("30 ms", one.wall <= ms(30)));
    let pure = several(5, || smltc(&workflows::pure(10_000), &[], 0))?;
    row("10,000 steps without a worker", &pure, &verdict("0.5 s", pure.wall <= ms(500)));
    let cached = several(3, || smltc(&workflows::cached(10_000), &[], 1))?;
    row("10,000 commands, all from the cache", &cached, &verdict("0.5 s", cached.wall <= ms(500)));
    let many = several(3, || smltc(&workflows::pure(100_000), &[], 0))?;
    row("100,000 steps of a `for`", &many, &verdict("200 MiB", many.memory <= 200 << 20));
    let apart = several(1, || smltc(&workflows::apart(100_000), &[], 0))?;
    row("100,000 steps, each a line", &apart, &verdict("200 MiB", apart.memory <= 200 << 20));
    let mut firsts = (0..5).map(|_| first_item(100_000)).collect::<io::Result<Vec<Duration>>>()?;
    firsts.sort();
    let first = firsts[firsts.len() / 2];
    println!(
        "| the first of 100,000 items to start | {} | | | {} |\n",
        shown(first),
        verdict("0.2 s", first <= ms(200))
    );
    Ok(())
}

/// The time from the program's start until the first item of a `for` has begun.
fn first_item(items: usize) -> io::Result<Duration> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("bench.smlt"), workflows::commands(items))?;
    let mut command = Command::new(SMLTC);
    command.args(["run", "bench.smlt", "--json"]).current_dir(folder.path());
    let started = Instant::now();
    let mut run = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let lines = BufReader::new(run.stdout.take().ok_or_else(|| io::Error::other("there is no output"))?).lines();
    let mut took = None;
    for line in lines {
        if line?.contains("[0]") {
            took = Some(started.elapsed());
            break;
        }
    }
    run.kill()?;
    run.wait()?;
    took.ok_or_else(|| io::Error::other("no item began"))
}

/// Commands that do nothing, two at a time, against the least that starting them can cost.
fn spawning() -> io::Result<()> {
    println!("| commands, two at a time | `smltc` | `xargs -P2` | times |");
    println!("| --- | --- | --- | --- |");
    for (steps, runs) in [(1_000, 11), (10_000, 3)] {
        let mut pairs = Vec::new();
        for _ in 0..runs {
            // Side by side, so that both see the same other work on the machine.
            let own = smltc(&workflows::commands(steps), &["--jobs", "2"], 0)?;
            let mut xargs = Command::new("sh");
            xargs.args(["-c", &format!("seq {steps} | xargs -P2 -n1 true")]);
            pairs.push((own, measure::run(&mut xargs, 0)?));
        }
        let mut times: Vec<f64> =
            pairs.iter().map(|(own, floor)| own.wall.as_secs_f64() / floor.wall.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        let (own, floor): (Vec<Cost>, Vec<Cost>) = pairs.into_iter().unzip();
        let middle = times[times.len() / 2];
        let goal = verdict(&format!("{middle:.2} of 1.3"), middle <= 1.3);
        println!("| {steps} | {} | {} | {goal} |", shown(Cost::of(&own).wall), shown(Cost::of(&floor).wall));
    }
    println!();
    Ok(())
}

/// The same work in other programs.
fn beside_others() -> io::Result<()> {
    println!("| | at once | | times `smltc` | a chain of 100 | times `smltc` | peak memory |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let own = |steps: usize| several(5, || smltc(&workflows::commands(steps), &["--jobs", "2"], 0));
    let wide = [(1_000, own(1_000)?), (100, own(100)?)];
    let long = several(5, || smltc(&workflows::chain(CHAIN), &["--jobs", "2"], 0))?;
    for (steps, cost) in &wide {
        let (wall, memory) = (shown(cost.wall), mib(cost.memory));
        println!("| `smltc`: the command `true` | {steps} | {wall} | 1 | {} | 1 | {memory} |", shown(long.wall));
    }
    for other in &OTHERS {
        let Some(program) = peers::program(other.name, other.program) else {
            println!("| {} | not installed: `benches/peers.sh {}` | | | | | |", other.name, other.name);
            continue;
        };
        let measured = |shape| several(other.runs, || measured(other, &program, shape));
        let (fan, chain) = (measured(Shape::Fan(other.wide))?, measured(Shape::Chain(CHAIN))?);
        let times = |theirs: &Cost, own: &Cost| theirs.wall.as_secs_f64() / own.wall.as_secs_f64();
        let own = wide.iter().find(|(steps, _)| *steps == other.wide).map_or(&long, |(_, cost)| cost);
        println!(
            "| {} {}: {} | {} | {} | {:.1} | {} | {:.1} | {} |",
            other.name,
            other.version,
            other.what,
            other.wide,
            shown(fan.wall),
            times(&fan, own),
            shown(chain.wall),
            times(&chain, &long),
            mib(fan.memory)
        );
    }
    Ok(())
}

fn measured(other: &Other, program: &Path, shape: Shape) -> io::Result<Cost> {
    let folder = tempfile::tempdir()?;
    let (files, args) = (other.files)(shape);
    for (name, text) in files {
        fs::write(folder.path().join(name), text)?;
    }
    let mut command = Command::new(program);
    command.args(args).envs(other.env.iter().copied());
    peers::at_home(&mut command, folder.path());
    measure::run(&mut command, 0)
}

fn row(what: &str, cost: &Cost, last: &str) {
    println!("| {what} | {} | {} | {} | {last} |", shown(cost.wall), shown(cost.cpu), mib(cost.memory));
}
