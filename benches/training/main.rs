//! What a training step takes beside PyTorch, and what cutting a batch into shards costs: `cargo bench --bench training`.
//! Prints tables in Markdown.
//!
//! Times are those that a processor worked, so that other programs hardly touch them. PyTorch is measured where `benches/peers.sh torch` has installed it.

#[path = "../measure.rs"]
#[allow(dead_code, reason = "processes are what the other benches measure")]
mod measure;
mod models;
#[path = "../peers.rs"]
#[allow(dead_code, reason = "PyTorch writes nothing into a home folder")]
mod peers;

use measure::{shown, verdict};
use models::{MODELS, Model};
use smlt::ml::{Cut, Pace, pace};
use std::{env, io, path::Path, process::Command, time::Duration};

/// How often both are measured, in turn, so that both see the same other work on the machine.
const ROUNDS: usize = 5;

fn main() -> io::Result<()> {
    // `cargo test --all-targets` runs benches too.
    if !env::args().any(|arg| arg == "--bench") {
        println!("benches are run by `cargo bench`");
        return Ok(());
    }
    // candle's own threads would stand in for what is one thread here, as they would in a worker, which is started so too.
    if env::var_os("RAYON_NUM_THREADS").is_none() {
        let mut again = Command::new(env::current_exe()?);
        let status = again.args(env::args_os().skip(1)).env("RAYON_NUM_THREADS", "1").status()?;
        return if status.success() { Ok(()) } else { Err(io::Error::other(format!("it ended with {status}"))) };
    }
    // One table alone: `cargo bench --bench training -- shards`.
    let wanted = |table: &str| env::args().skip(1).all(|arg| arg.starts_with('-') || arg == table);
    if wanted("torch") {
        beside_torch()?;
    }
    if wanted("shards") {
        shards()?;
    }
    Ok(())
}

/// The steps of some layers on a batch; the first ones, which warm up, are left out.
fn own(model: &Model, batch: usize, cut: Cut) -> io::Result<Vec<Pace>> {
    let table = models::batch(model.input, batch);
    let paces = pace(&(model.layers)(), &models::adam(), &table, cut, model.steps + 2, &busy);
    Ok(paces.map_err(|failure| io::Error::other(failure.to_string()))?.split_off(2))
}

/// The time that a processor has worked for this thread.
fn busy() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live variable of this function.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The same steps in PyTorch: forward, backward and optimizer.
fn torch(python: &Path, model: &Model) -> io::Result<Vec<[Duration; 3]>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/training/steps.py");
    let shape: Vec<String> = model.input.iter().map(ToString::to_string).collect();
    let mut command = Command::new(python);
    command.arg(script).args([model.torch, &shape.join("x")]);
    command.args([model.batch.to_string(), (model.steps + 2).to_string()]);
    let output = command.output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let step = |line: &str| {
        let times: Vec<Duration> =
            line.split(' ').filter_map(|us| us.parse().ok()).map(Duration::from_micros).collect();
        times.try_into().map_err(|_| io::Error::other(format!("`{line}` is not three times")))
    };
    text.lines().skip(2).map(step).collect()
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn middle(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// Steps beside PyTorch's, on one thread.
fn beside_torch() -> io::Result<()> {
    println!(
        "| one step, one thread | gradient | optimizer | step | PyTorch: forward, backward, optimizer | step | PyTorch / own |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (model, goal) in MODELS.iter().zip([0.9, 0.7, 0.7]) {
        let python = peers::program("torch", "python");
        let (mut own_all, mut torch_all, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let mine = own(model, model.batch, Cut::Whole)?;
            let theirs = python.as_deref().map(|python| torch(python, model)).transpose()?.unwrap_or_default();
            let times = median(theirs.iter().map(|step| step.iter().sum())).as_secs_f64();
            ratios.push(times / median(mine.iter().map(Pace::step)).as_secs_f64());
            own_all.extend(mine);
            torch_all.extend(theirs);
        }
        let part = |index: usize| shown(median(torch_all.iter().map(|step| step[index])));
        let theirs = match python {
            Some(_) => {
                let whole = shown(median(torch_all.iter().map(|step| step.iter().sum())));
                let ratio = middle(ratios);
                let goal = verdict(&format!("{ratio:.2} of {goal}"), ratio >= goal);
                format!("{}, {}, {} | {whole} | {goal}", part(0), part(1), part(2))
            }
            None => "not installed: `benches/peers.sh torch` | | ".to_owned(),
        };
        println!(
            "| {}, batch {} | {} | {} | {} | {theirs} |",
            model.name,
            model.batch,
            shown(median(own_all.iter().map(|pace| pace.gradient))),
            shown(median(own_all.iter().map(|pace| pace.update))),
            shown(median(own_all.iter().map(Pace::step))),
        );
    }
    println!();
    Ok(())
}

/// A batch in shards against the same batch in one piece, on one worker with one thread.
fn shards() -> io::Result<()> {
    println!("| one step | in one piece | in shards | more |");
    println!("| --- | --- | --- | --- |");
    for (model, batch) in [(0, 128), (0, 256), (0, 1024), (1, 128), (1, 256)] {
        let model = &MODELS[model];
        let (mut whole, mut cut, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let pair = [Cut::Whole, Cut::Shards(8)].map(|cut| own(model, batch, cut));
            let [one, many] = pair.map(|paces| paces.map(|paces| median(paces.iter().map(Pace::step))));
            let (one, many) = (one?, many?);
            ratios.push(many.as_secs_f64() / one.as_secs_f64() - 1.0);
            whole.push(one);
            cut.push(many);
        }
        let more = middle(ratios) * 100.0;
        let goal = verdict(&format!("{more:.0} % of 10 %"), more <= 10.0);
        let (whole, cut) = (shown(median(whole.into_iter())), shown(median(cut.into_iter())));
        println!("| {}, batch {batch} | {whole} | {cut} | {goal} |", model.name);
    }
    Ok(())
}
