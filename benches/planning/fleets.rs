//! Fleets that are simulated: whether trainings whose workers are chosen on the way keep their deadline and their budget, what
//! that costs beside the best fixed number of workers, and how long simulating takes.
//!
//! In each run the formulas are wrong in another way, which shows only in its rounds. The best fixed number is that of one who
//! knows the run beforehand.

use crate::verdict;
use smlt::{
    check,
    cli::world::Files,
    forecast::{Known, Platform},
    graph::{self, Graph},
    layers::Shape,
    plan::{Capacity, Plan},
    prices::Prices,
    schedule::{Notice, Options, Verdict},
    seed::Seed,
    simulate::{Experience, Foresight, Question, Trace, simulate},
    units::{Duration, Size},
    value::{Dataset, Fields},
    wire::{Facts, Progress},
};
use std::{fs, hint::black_box, io};

/// The most workers of each fleet. Only those numbers train that divide the shards, which are a power of two.
const FLEETS: [u32; 5] = [8, 32, 128, 256, 1024];
const RUNS: usize = 1000;
/// A limit is so many times what half of the fleet takes in the median when it works from beginning to end, or costs.
const ROOM: f64 = 1.3;
/// Samples of each worker in a step of the whole fleet, which takes it 1.5 s.
const OWN: u64 = 16;
/// Steps of an epoch, about.
const STEPS: u64 = 50;
const MEMORY: &str = "1769MiB";

pub fn print() -> io::Result<()> {
    deadlines()?;
    println!();
    budgets()?;
    println!();
    times()
}

fn deadlines() -> io::Result<()> {
    const KEPT: f64 = 0.99;
    const COST: f64 = 1.15;
    println!("| workers | deadline, s | kept | could be | mean cost, $ | times the best fixed | most | goal |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for most in FLEETS {
        let half = Subject::fleet(most, "")?.runs(Some(most / 2));
        let deadline = (ROOM * median(half.iter().map(seconds))).round();
        let fleet = Subject::fleet(most, &format!("@deadline({deadline}s)"))?;
        let chosen = fleet.runs(None);
        let fixed: Vec<Vec<Trace>> = powers(most).map(|workers| fleet.runs(Some(workers))).collect();
        let best = |run: usize| {
            fixed.iter().map(|runs| &runs[run]).filter(|run| is_whole(run)).map(dollars).min_by(f64::total_cmp)
        };
        let kept = chosen.iter().filter(|run| is_whole(run)).count() as f64;
        // Where no fixed number keeps the deadline, there is no cost to compare with.
        let both: Vec<[f64; 2]> =
            chosen.iter().enumerate().filter_map(|(run, chosen)| Some([dollars(chosen), best(run)?])).collect();
        let [cost, least] = [0, 1].map(|which| both.iter().map(|pair| pair[which]).sum::<f64>() / both.len() as f64);
        let largest = both.iter().map(|[cost, least]| cost / least).fold(0.0, f64::max);
        let runs = RUNS as f64;
        println!(
            "| 1..{most} | {deadline:.0} | {:.1} % | {:.1} % | {cost:.3} | {:.3} | {largest:.2} | {:.0} %, {COST}: {} |",
            100.0 * kept / runs,
            100.0 * both.len() as f64 / runs,
            cost / least,
            100.0 * KEPT,
            verdict(kept / runs >= KEPT && cost / least <= COST)
        );
    }
    Ok(())
}

fn budgets() -> io::Result<()> {
    println!(
        "| workers | budget, $ | within it | all epochs done | could be | largest overrun, $ | of one round of a worker | goal |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let rate = Prices::embedded().rate(MEMORY.parse().expect("a size")).to_f64();
    for most in FLEETS {
        let half = Subject::fleet(most, "")?.runs(Some(most / 2));
        let budget = (ROOM * median(half.iter().map(dollars)) * 1e3).round() / 1e3;
        let fleet = Subject::fleet(most, &format!("@budget(${budget})\n@goal(min_time)"))?;
        let runs = fleet.runs(None);
        let fixed: Vec<Vec<Trace>> = powers(most).map(|workers| fleet.runs(Some(workers))).collect();
        let could_be = (0..RUNS).filter(|run| fixed.iter().any(|runs| is_whole(&runs[*run]))).count() as f64;
        let within = runs.iter().filter(|run| dollars(run) <= budget).count() as f64;
        let whole = runs.iter().filter(|run| is_whole(run)).count() as f64;
        let overrun = |run: &Trace| (dollars(run) - budget).max(0.0);
        let largest = runs.iter().map(overrun).fold(0.0, f64::max);
        let rounds = runs.iter().map(|run| overrun(run) / (rate * longest_round(run))).fold(0.0, f64::max);
        println!(
            "| 1..{most} | {budget} | {:.1} % | {:.1} % | {:.1} % | {largest:.6} | {rounds:.3} | 1: {} |",
            100.0 * within / RUNS as f64,
            100.0 * whole / RUNS as f64,
            100.0 * could_be / RUNS as f64,
            verdict(rounds <= 1.0)
        );
    }
    Ok(())
}

/// How long simulating and planning take.
fn times() -> io::Result<()> {
    let steps = |steps: usize, step: &dyn Fn(usize) -> String| {
        let steps: String = (0..steps).map(|index| format!("  let s{index} = {}\n", step(index))).collect();
        format!("@resources(memory: {MEMORY})\nworkflow main() -> Int {{\n{steps}  s0.epochs\n}}\n")
    };
    // Chains of ten steps, side by side.
    let command = |index: usize| match index % 10 {
        0 => "run work(1)".into(),
        _ => format!("run work(s{}.rows)", index - 1),
    };
    let mixed = |workers: &'static str| {
        move |index: usize| match index % 5 {
            0 => training(workers, 256, 10),
            _ => format!("run work(s{}.{})", index / 5 * 5, "epochs"),
        }
    };
    println!("| what | CPU, s | goal |\n| --- | --- | --- |");
    let row = |what: &str, text: &str, most: f64, time: &dyn Fn(Question)| -> io::Result<()> {
        let subject = Subject::new(text, rows(256))?;
        let start = processor()?;
        subject.ask(None, time);
        let seconds = processor()? - start;
        println!("| {what} | {seconds:.2} | {most} s: {} |", verdict(seconds <= most));
        Ok(())
    };
    let simulated = |question: Question| drop(black_box(question.tally(RUNS, Seed::new(0))));
    row("1,000 runs of 100 steps, 20 of them trainings by 256 workers", &steps(100, &mixed("256")), 5.0, &simulated)?;
    let few = |question: Question| drop(black_box(question.tally(RUNS / 10, Seed::new(0))));
    let ranges = format!("@deadline(3h)\n{}", steps(100, &mixed("1..256")));
    row("100 runs of the same by 1 to 256 workers under a deadline", &ranges, 5.0, &few)?;
    let planned = |question: Question| drop(black_box(question.outlook(5, Seed::new(0))));
    let commands = steps(10_000, &command).replace("s0.epochs", "s0.rows");
    row("a plan of 10,000 steps, by 5 runs", &commands, 1.0, &planned)
}

const DECLARATIONS: &str = r#"
import std/nn.{conv2d, dense, global_avg_pool, relu}

dataset images {
  source: "images.csv"
  label: "label"
  shape: [3, 64, 64]
}

task work(input: Int) -> { rows: Int } {
  command: ["work", "{input}"]
}

model net() =
  conv2d(3, 64, padding: 1) |> relu |> conv2d(64, 64, padding: 1) |> relu |> conv2d(64, 64, padding: 1) |> relu |>
  conv2d(64, 64, padding: 1) |> relu |> global_avg_pool |> dense(64, 10)
"#;

/// A training of a fleet of so many, of which `workers` take part.
fn training(workers: &str, most: u32, epochs: u32) -> String {
    format!(
        "train net() {{ data: images, batch: {}, shards: {most}, workers: {workers}, \
         epochs: {epochs} }}",
        batch(most)
    )
}

fn batch(most: u32) -> u64 {
    OWN * u64::from(most)
}

fn rows(most: u32) -> u64 {
    STEPS * batch(most)
}

/// A workflow that is run again and again.
struct Subject {
    graph: Graph,
    rows: u64,
}

impl Subject {
    fn new(text: &str, rows: u64) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("main.smlt");
        fs::write(&file, format!("{DECLARATIONS}\n{text}"))?;
        let files = Files::open(&file).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let checked = check::check(&files);
        let workflow = checked.value.workflows.last().filter(|_| checked.is_ok());
        let workflow = workflow.ok_or_else(|| io::Error::other(format!("{:?}", checked.diagnostics)))?;
        Ok(Self { graph: graph::build(workflow, &files), rows })
    }

    /// One training by up to so many workers.
    fn fleet(most: u32, limits: &str) -> io::Result<Self> {
        let training = training(&format!("1..{most}"), most, 10);
        let text = format!(
            "{limits}\n@resources(memory: {MEMORY})\nworkflow main() -> Int {{\n  let trained = {training}\n  trained.epochs\n}}\n"
        );
        Self::new(&text, rows(most))
    }

    fn ask<T>(&self, workers: Option<u32>, ask: impl FnOnce(Question) -> T) -> T {
        let options = Options {
            seed: Seed::new(0),
            enforce: true,
            prices: Prices::embedded(),
            run_id: "simulated".into(),
            capacity: Capacity::new(100_000, Size::from_mib(1 << 40)),
            workers,
            plan: Plan::default(),
        };
        let (platform, experience) = (Platform::lambda(), Experience::default());
        let read = |_: &Dataset| {
            let facts = Facts { width: 12_288, classes: 10, rows: self.rows, columns: Vec::new(), shards: Vec::new() };
            Some(Known { facts, shape: Shape(vec![3, 64, 64]) })
        };
        let foresight = Foresight::new(&platform, None, &experience, &read);
        ask(Question { graph: &self.graph, args: &Fields::new(), options: &options, foresight: &foresight })
    }

    /// Runs with so many workers, or with those that are chosen. The same run of two numbers of workers is wrong in the same
    /// way.
    fn runs(&self, workers: Option<u32>) -> Vec<Trace> {
        self.ask(workers, |Question { graph, args, options, foresight }| {
            (0..RUNS).map(|run| simulate(graph, args, options, foresight, Seed::new(0).child(run))).collect()
        })
    }
}

/// Seconds that a processor has worked on this program, which other programs do not delay.
fn processor() -> io::Result<f64> {
    let text = fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds: Option<f64> = text.split_whitespace().next().and_then(|field| field.parse().ok());
    nanoseconds.map(|nanoseconds| nanoseconds / 1e9).ok_or_else(|| io::Error::other("no time is told"))
}

fn powers(most: u32) -> impl Iterator<Item = u32> {
    (0..=most.ilog2()).map(|power| 1 << power)
}

fn seconds(run: &Trace) -> f64 {
    run.elapsed.secs_f64()
}

fn dollars(run: &Trace) -> f64 {
    run.spent.to_f64()
}

/// Whether all was done within the limits.
fn is_whole(run: &Trace) -> bool {
    matches!(&run.verdict, Some(Verdict::Succeeded { marks, .. }) if marks.is_empty())
}

/// Seconds of the longest round of a run.
fn longest_round(run: &Trace) -> f64 {
    let begins = run.notices.iter().filter_map(|(at, notice)| match notice {
        Notice::Progress { progress: Progress::Begun(_), .. } => Some(at.0),
        _ => None,
    });
    let times: Vec<Duration> = begins.chain([run.elapsed]).collect();
    times.windows(2).map(|pair| pair[1].secs_f64() - pair[0].secs_f64()).fold(0.0, f64::max)
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
