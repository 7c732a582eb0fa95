use super::{
    Exit, foresee,
    foresee::{Known, ends, money, time},
};
use crate::{
    plan::Plan,
    schedule::Time,
    seed::Seed,
    simulate::{Slowdown, Sorted, Tally},
    units::Duration,
};
use serde_json::{Value as Json, json};
use std::ffi::OsString;

/// Simulate many runs of a workflow: how their times and costs are spread, and how they end.
///
/// Like `smltc plan`, which tells more of the steps. Runs are simulated with the scheduler that real ones have, with failures,
/// stragglers and the limits of the workflow; nothing is run and nothing is spent.
#[derive(clap::Args)]
#[command(override_usage = "smltc simulate [OPTIONS] FILE [WORKFLOW] [--PARAMETER VALUE]...")]
pub struct Args {
    #[command(flatten)]
    of: foresee::Common,
    /// From this moment of each run on, such as 30s, all becomes slower
    #[arg(long, value_name = "TIME", requires = "slow_by")]
    slow_from: Option<Duration>,
    /// All takes so many times as long from then on
    #[arg(long, value_name = "TIMES", value_parser = times, requires = "slow_from")]
    slow_by: Option<f64>,
}

/// Runs when nothing is said.
const RUNS: u32 = 1000;
/// The lines of a histogram, and the length of its longest bar.
const BARS: (usize, usize) = (10, 40);

/// A factor of time.
fn times(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|times| (0.01..=1e6).contains(times))
        .ok_or_else(|| "a number from 0.01 on, such as 2".into())
}

/// Runs `smltc simulate` with the whole command line.
pub fn main(words: &[OsString]) -> Exit {
    tell(words).unwrap_or_else(|exit| exit)
}

fn tell(words: &[OsString]) -> Result<Exit, Exit> {
    let (args, subject) = foresee::parse(words, "simulate", |args: &Args| &args.of)?;
    let runs = args.of.runs.unwrap_or(RUNS) as usize;
    let factor = args.slow_by.unwrap_or(1.0);
    let slowdown = args.slow_from.map(|from| Slowdown { from: Time(from), factor });
    let known = subject.known()?;
    // Nobody knows beforehand that all will become slow.
    let matters = foresee::matters(&subject.prepared.graph, &subject.options);
    let plan = if matters { known.before(&subject.args, &subject.options).plan() } else { Plan::default() };
    let known = known.with_slowdown(slowdown);
    let (tally, is_guessed) = known.ask(&subject.args, &subject.options, |question| {
        let tally = question.by(plan, |planned| planned.tally(runs, Seed::new(args.of.seed)));
        (tally, question.foresight.has_guessed())
    });
    match args.of.json {
        true => super::say(format_args!("{}\n", to_json(&known, &tally))),
        false => print(&known, &tally, is_guessed),
    }
    Ok(foresee::exit(tally.ends(), tally.failure(), is_guessed))
}

fn print(known: &Known, tally: &Tally, is_guessed: bool) {
    let graph = &known.prepared.graph;
    super::say(format_args!("{} on {}\n", graph.workflow, known.platform.name));
    let blamed = tally.blamed().first().map(|(path, _)| *path);
    super::say(format_args!("{}\n", foresee::limits(graph, tally.ends(), blamed)));
    histogram("time", &tally.seconds(), &time);
    histogram("cost", &tally.dollars(), &money);
    if let Some((step, failure)) = tally.failure() {
        super::say(format_args!("\n{}\n", foresee::failed_step(step, failure, is_guessed)));
    }
}

/// How often numbers lie where.
fn histogram(name: &str, numbers: &Sorted, words: &dyn Fn(f64) -> String) {
    let quantile = |share| words(numbers.quantile(share));
    super::say(format_args!(
        "\n{name}: {} in the middle; 9 of 10 at most {}, 99 of 100 at most {}\n",
        quantile(0.5),
        quantile(0.9),
        quantile(0.99)
    ));
    let (least, most) = (numbers.quantile(0.0), numbers.quantile(1.0));
    let width = (most - least) / BARS.0 as f64;
    if width <= 0.0 {
        return;
    }
    let runs = numbers.numbers().len() as f64;
    let until = |bar: usize| if bar == BARS.0 { 1.0 } else { numbers.within(least + width * bar as f64) };
    let mut bars: Vec<(String, f64)> = Vec::new();
    let mut before = 0.0;
    for bar in 1..=BARS.0 {
        let (label, share) = (words(least + width * bar as f64), until(bar) - before);
        before += share;
        match bars.last_mut() {
            // Ends that read the same are one.
            Some((last, sum)) if *last == label => *sum += share,
            _ => bars.push((label, share)),
        }
    }
    let longest = bars.iter().map(|(_, share)| *share).fold(0.0, f64::max);
    let room = bars.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    for (label, share) in &bars {
        let bar = "█".repeat((share / longest * BARS.1 as f64).round() as usize);
        super::say(format_args!("  ≤ {label:>room$}  {:>5.0}  {bar}\n", share * runs));
    }
}

fn to_json(known: &Known, tally: &Tally) -> Json {
    json!({
        "workflow": known.prepared.graph.workflow,
        "on": known.platform.name,
        "runs": tally.runs(),
        "ends": ends(tally.ends()),
        "seconds": tally.seconds().numbers(),
        "dollars": tally.dollars().numbers(),
        "blamed": tally.blamed().iter().map(|(path, runs)| json!({ "step": path, "runs": runs })).collect::<Vec<_>>(),
    })
}
