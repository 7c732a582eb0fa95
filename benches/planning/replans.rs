//! How many workers a training goes on with, replayed on measured steps. Rounds that only try and changes of the workers count
//! in what all of it takes and costs.
//!
//! What is thought of the steps beforehand is wrong in each replay: the curve of BERT-medium has about half of the computing
//! that another table of the same model has. A third of that and three times as much are thought of too.

use crate::{MODELS, Model, SYSTEMS, exchange, table::Table, verdict};
use smlt::{
    forecast::{Belief, Decision, Limits, Remaining, Seen},
    prices::Prices,
    seed::{Generator, Seed},
    units::Size,
    wire::Goal,
};
use std::{fs, hint::black_box, io, path::Path, time::Instant};

/// What a worker of the case study had.
const MEMORY: Size = Size::from_mib(4096);
/// Steps of the case study.
const STEPS: f64 = 300.0;
/// Seconds of computing of one worker in a step of BERT-medium, as `iteration_time.csv` has it.
const COMPUTE: f64 = 786.0;
/// Of it, what is thought.
const THOUGHT: [f64; 3] = [0.3, 1.0, 3.0];
/// Seconds until another team trains: the slowest of a hundred cold starts, 0.35 s with a deviation of 0.4 in the logarithm,
/// takes 0.9 s, and then 165 MB of parameters are read at 90 MB/s, beside the data.
const CHANGE: f64 = 3.0;
const TRY_STEPS: f64 = 2.0;
const TRIES: u32 = 5;
/// How far a made-up round is off.
const NOISE: f64 = 0.02;
const SEEDS: u64 = 20;

pub fn print(folder: &Path) -> io::Result<()> {
    let table = Table::read(folder, "comm_per_iteration.csv")?;
    cases(folder, &table)?;
    println!();
    batches(folder, &table)?;
    println!();
    decisions(&table);
    Ok(())
}

/// A training that is decided on again and again.
struct Training<'t> {
    /// What a sample is thought to take beforehand.
    sample: f64,
    exchange: &'t dyn Fn(u32) -> f64,
    candidates: Vec<u32>,
    rate: f64,
    goal: Goal,
    limits: Limits,
}

/// How it went so far.
#[derive(Default)]
struct Course {
    seen: Vec<Seen>,
    now: Option<u32>,
    tried: Vec<u32>,
    changes: u32,
    seconds: f64,
    dollars: f64,
}

impl Training<'_> {
    /// Trains for so many steps, each of which takes `step` seconds with so many workers.
    fn run(&self, course: &mut Course, steps: f64, batch: f64, mut step: impl FnMut(u32) -> f64) {
        let mut left = steps;
        course.tried.clear();
        while left > 0.0 {
            let decision = self.decide(course, left, batch);
            if course.now != Some(decision.workers) {
                course.changes += 1;
                course.spend(decision.workers, CHANGE, self.rate);
            }
            let round = match decision.tries {
                true => TRY_STEPS.min(left),
                false if left < 4.0 * TRY_STEPS => left,
                false => (left / 4.0).ceil(),
            };
            let seconds = step(decision.workers);
            course.spend(decision.workers, seconds * round, self.rate);
            course.tried.extend(decision.tries.then_some(decision.workers));
            course.now = Some(decision.workers);
            course.seen.push(Seen { workers: decision.workers, batch, seconds, exchanging: None });
            left -= round;
        }
    }

    fn decide(&self, course: &Course, steps: f64, batch: f64) -> Decision {
        let belief = Belief::new(Some(self.sample), self.exchange, &course.seen);
        let remaining = Remaining {
            steps,
            batch,
            now: course.now,
            change: CHANGE,
            rate: self.rate,
            try_steps: TRY_STEPS,
            tries: TRIES.saturating_sub(course.tried.len() as u32),
        };
        let limits = Limits {
            seconds: self.limits.seconds.map(|most| most - course.seconds),
            dollars: self.limits.dollars.map(|most| most - course.dollars),
        };
        Decision::of(&belief, &self.candidates, &remaining, limits, self.goal).expect("there are candidates")
    }
}

impl Course {
    fn spend(&mut self, workers: u32, seconds: f64, rate: f64) {
        self.seconds += seconds;
        self.dollars += seconds * f64::from(workers) * rate;
    }

    fn settled(&self) -> u32 {
        self.now.expect("there was a round")
    }

    /// Who was tried, in order.
    fn tries(&self) -> String {
        let tried: Vec<String> = self.tried.iter().map(u32::to_string).collect();
        format!("{} ({})", tried.len(), tried.join(", "))
    }
}

fn rate() -> f64 {
    Prices::embedded().rate(MEMORY).to_f64()
}

/// The exchange of SMLT with a model, by the link that is fitted to it.
fn exchange_of(table: &Table, model: &'static Model) -> impl Fn(u32) -> f64 {
    let smlt = &SYSTEMS[0];
    let link = exchange::link(table, model, smlt);
    move |workers| smlt.exchange.time(workers.into(), model.bytes, link)
}

/// The curve of BERT-medium, without limits and with those of the case study.
fn cases(folder: &Path, table: &Table) -> io::Result<()> {
    let curve = Curve::read(folder)?;
    let (best, least) = curve.best();
    let exchange = exchange_of(table, &MODELS[1]);
    let free = Limits::default();
    let cases = [
        ("no limit", Goal::MinTime, free),
        ("60 minutes", Goal::MinCost, Limits { seconds: Some(3600.0), ..free }),
        ("$50", Goal::MinTime, Limits { dollars: Some(50.0), ..free }),
    ];
    println!("The best of the curve is {least:.3} s with {best} workers.\n");
    println!("| case | computing thought | settled for | above the best | tried | changes | all told, s | $ | goal |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, goal, limits) in cases {
        for thought in THOUGHT {
            let candidates = curve.0.iter().map(|(workers, _)| *workers).collect();
            let training =
                Training { sample: thought * COMPUTE, exchange: &exchange, candidates, rate: rate(), goal, limits };
            let mut course = Course::default();
            training.run(&mut course, STEPS, 1.0, |workers| curve.step(workers));
            let above = curve.step(course.settled()) / least - 1.0;
            let (wanted, met) = match name {
                "no limit" => ("within 1 %, 5 tries", above <= 0.01 && course.tried.len() <= 5),
                "60 minutes" => ("$12.30 in 3600 s", course.dollars <= 12.3 && course.seconds <= 3600.0),
                _ => ("2800 s, $50", course.seconds <= 2800.0 && course.dollars <= 50.0),
            };
            println!(
                "| {name} | {thought} × {COMPUTE} s | {} | {:.1} % | {} | {} | {:.0} | {:.2} | {wanted}: {} |",
                course.settled(),
                100.0 * above,
                course.tries(),
                course.changes,
                course.seconds,
                course.dollars,
                verdict(met)
            );
        }
    }
    Ok(())
}

/// Seconds of a step for each number of workers.
struct Curve(Vec<(u32, f64)>);

impl Curve {
    fn read(folder: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(folder.join("bo_curves.csv"))?;
        let row = |line: &str| {
            let mut fields = line.split(',').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        let rows = text.lines().skip(1).map(|line| row(line).ok_or_else(|| io::Error::other(format!("`{line}`?"))));
        rows.collect::<io::Result<_>>().map(Self)
    }

    fn step(&self, workers: u32) -> f64 {
        self.0.iter().find(|(of, _)| *of == workers).map_or(f64::INFINITY, |(_, seconds)| *seconds)
    }

    fn best(&self) -> (u32, f64) {
        self.0.iter().copied().min_by(|(_, a), (_, b)| a.total_cmp(b)).expect("the curve has points")
    }
}

/// The batch grows while a training runs. The table has no curve, so that one is made up for each batch.
fn batches(folder: &Path, table: &Table) -> io::Result<()> {
    let exchange = exchange_of(table, &MODELS[0]);
    let stages = Stage::read(folder, &exchange)?;
    println!("| batch | best with | fixed team | SMLT settled for |\n| --- | --- | --- | --- |");
    for stage in &stages {
        println!(
            "| {} | {} workers | {:.2} | {:.2} |",
            stage.batch,
            stage.best(&exchange).0,
            stage.throughput(FIXED, &exchange),
            stage.batch / stage.best(&exchange).1
        );
    }
    println!();
    println!(
        "| computing thought | batch | throughput all told, mean | below the best, largest | tries, most | goal |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for thought in THOUGHT {
        let mut results = vec![Vec::new(); stages.len()];
        for seed in 0..SEEDS {
            let mut random = Seed::new(seed).child("replans").generator();
            let training = Training {
                sample: thought * stages[0].computing,
                exchange: &exchange,
                candidates: candidates().collect(),
                rate: rate(),
                goal: Goal::MinTime,
                limits: Limits::default(),
            };
            let mut course = Course::default();
            for (stage, results) in stages.iter().zip(&mut results) {
                let before = course.seconds;
                training
                    .run(&mut course, stage.steps, stage.batch, |workers| stage.noisy(workers, &exchange, &mut random));
                let below = 1.0 - stage.best(&exchange).1 / stage.step(course.settled(), &exchange);
                let mean = stage.steps * stage.batch / (course.seconds - before);
                results.push((mean, below, course.tried.len()));
            }
        }
        for (stage, results) in stages.iter().zip(&results) {
            let mean = results.iter().map(|(mean, ..)| mean).sum::<f64>() / SEEDS as f64;
            let below = results.iter().map(|(_, below, _)| *below).fold(0.0, f64::max);
            let tries = results.iter().map(|(.., tries)| *tries).max().unwrap_or(0);
            println!(
                "| {thought} × | {} | {mean:.2} | {:.1} % | {tries} | 2 %, 5 tries: {} |",
                stage.batch,
                100.0 * below,
                verdict(below <= 0.02 && tries <= 5)
            );
        }
    }
    Ok(())
}

/// The fixed team; the table does not tell how many they were.
const FIXED: u32 = 80;
/// Samples of an epoch; the table does not tell of those either.
const EPOCH: f64 = 51_200.0;

/// A batch, and the two factors of the formula with it: with the fixed team there is its measured throughput, and with the
/// best there is that of SMLT. Another batch has other factors, as no formula has the fixed team lose with a larger one.
struct Stage {
    batch: f64,
    steps: f64,
    /// Seconds of one sample on a worker.
    computing: f64,
    /// What the seconds of an exchange are multiplied with.
    factor: f64,
}

impl Stage {
    fn read(folder: &Path, exchange: &dyn Fn(u32) -> f64) -> io::Result<Vec<Self>> {
        let text = fs::read_to_string(folder.join("dynamic_batching.csv"))?;
        // Of each row: the epoch, the throughputs of the fixed team and of SMLT, and the batch.
        let rows: Vec<Vec<f64>> =
            text.lines().skip(1).map(|line| line.split(',').filter_map(|field| field.parse().ok()).collect()).collect();
        let mut stages = Vec::new();
        for rows in rows.chunk_by(|a, b| a[1] == b[1]) {
            let [first, .., last] = rows else { continue };
            let steps = (last[0] - first[0] + 1.0) * EPOCH / last[3];
            stages.push(Self::with(last[3], steps, last[1], last[2], exchange));
        }
        Ok(stages)
    }

    /// The more computing there is to an exchange, the more the best team is ahead of the fixed one.
    fn with(batch: f64, steps: f64, fixed: f64, best: f64, exchange: &dyn Fn(u32) -> f64) -> Self {
        let (mut low, mut high) = (-20.0_f64, 20.0_f64);
        let at = |ratio: f64| Self { batch, steps, computing: ratio.exp() / batch, factor: 1.0 };
        for _ in 0..100 {
            let middle = (low + high) / 2.0;
            let stage = at(middle);
            // With little computing, fewer are better.
            let (workers, step) = stage.best(exchange);
            let ahead = stage.step(FIXED, exchange) / step;
            match workers < FIXED || (workers > FIXED && ahead < best / fixed) {
                true => low = middle,
                false => high = middle,
            }
        }
        let stage = at((low + high) / 2.0);
        let scale = batch / fixed / stage.step(FIXED, exchange);
        Self { computing: stage.computing * scale, factor: scale, ..stage }
    }

    fn step(&self, workers: u32, exchange: &dyn Fn(u32) -> f64) -> f64 {
        self.computing * self.batch / f64::from(workers) + self.factor * exchange(workers)
    }

    fn noisy(&self, workers: u32, exchange: &dyn Fn(u32) -> f64, random: &mut Generator) -> f64 {
        self.step(workers, exchange) * (NOISE * random.normal()).exp()
    }

    fn throughput(&self, workers: u32, exchange: &dyn Fn(u32) -> f64) -> f64 {
        self.batch / self.step(workers, exchange)
    }

    fn best(&self, exchange: &dyn Fn(u32) -> f64) -> (u32, f64) {
        let all = candidates().map(|workers| (workers, self.step(workers, exchange)));
        all.min_by(|(_, a), (_, b)| a.total_cmp(b)).expect("there are candidates")
    }
}

/// Two hundred, as far as Lambda starts at once.
fn candidates() -> impl Iterator<Item = u32> {
    (1..=200).map(|index| 5 * index)
}

/// How long one decision takes.
fn decisions(table: &Table) {
    const SEEN: u32 = 20;
    const TIMES: usize = 100;
    const MOST_MS: f64 = 20.0;
    let exchange = exchange_of(table, &MODELS[1]);
    let training = Training {
        sample: COMPUTE,
        exchange: &exchange,
        candidates: candidates().collect(),
        rate: rate(),
        goal: Goal::MinTime,
        limits: Limits { seconds: Some(3600.0), dollars: Some(50.0) },
    };
    let seen = |round: u32| {
        let workers = 10 + 9 * round;
        let (computing, exchanging) = (COMPUTE / 2.0 / f64::from(workers), 1.2 * exchange(workers));
        Seen { workers, batch: 1.0, seconds: computing + exchanging, exchanging: Some(exchanging) }
    };
    let course = Course { seen: (0..SEEN).map(seen).collect(), now: Some(10), ..Course::default() };
    let mut times: Vec<f64> = (0..TIMES)
        .map(|_| {
            let start = Instant::now();
            black_box(training.decide(black_box(&course), STEPS, 1.0));
            1e3 * start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (median, largest) = (times[TIMES / 2], times[TIMES - 1]);
    println!(
        "| candidates | rounds seen | a decision, median, ms | largest, ms | goal |\n| --- | --- | --- | --- | --- |"
    );
    println!(
        "| {} | {SEEN} | {median:.2} | {largest:.2} | {MOST_MS} ms: {} |",
        training.candidates.len(),
        verdict(median <= MOST_MS)
    );
}
