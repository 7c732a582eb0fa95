//! How cheap a configuration a search finds among those of Casimiro et al., "Lynceus: Cost-Efficient Tuning and Provisioning
//! of Data Analytic Jobs" (ICDCS 2020): two networks trained on MNIST with TensorFlow on EC2, each in all 384 combinations of
//! eight numbers of cores, four virtual machines, three learning rates, two batch sizes, and synchronous or asynchronous
//! updates.
//!
//! A configuration costs the time that it trained until an accuracy of 0.85, times its workers and the price of their virtual
//! machine in 2018. The authors also count two helpers, a parameter server and one that measures the accuracy, so there is a
//! row with these too. A configuration that does not reach 0.85 within 10 minutes fails. A search has 20 trials, with those
//! before it learns; how good it is says the cost of its best trial over the least in the table, for 100 seeds.
//!
//! The tables are those of github.com/marialcasimiro/Lynceus-ICDCS.

use smlt::{
    expr::Var,
    search::{Ask, Dimension, Distribution, Search, Space},
    seed::Seed,
    source::Name,
    value::{Call, Fields, Value},
};
use std::{cmp::Ordering, fs, io, path::Path};

const SEEDS: u64 = 100;
const TRIALS: i64 = 20;
/// What `gp` and `tpe` have when nothing else is said.
const STARTUP: i64 = 10;
const CANDIDATES: i64 = 24;
const GOAL: f64 = 1.2;

/// The accuracy that a training must reach, and within how many seconds.
const TARGET: f64 = 0.85;
const LIMIT: f64 = 600.0;

/// Virtual machines with their cores and their price per hour.
const MACHINES: [(&str, i64, f64); 4] =
    [("t2.small", 1, 0.023), ("t2.medium", 2, 0.0464), ("t2.xlarge", 4, 0.1856), ("t2.2xlarge", 8, 0.3712)];

/// Prints the table.
pub fn print(folder: &Path) -> io::Result<()> {
    println!("| network | helpers | strategy | optimum | median | 90 % | goal |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (network, file) in [("CNN", "t2_cnn"), ("MLP", "t2_multilayer")] {
        let text = fs::read_to_string(folder.join(format!("{file}_intermediate_values.csv")))?;
        for helpers in [0, 2] {
            let table =
                Table::parse(&text, helpers).ok_or_else(|| io::Error::other("a line is not as it should be"))?;
            for strategy in ["gp", "tpe", "random"] {
                let (median, most) = table.found(strategy);
                let goal = match strategy {
                    "random" => "",
                    _ if median <= GOAL => "1.2, met",
                    _ => "1.2, missed",
                };
                println!(
                    "| {network} | {helpers} | {strategy} | ${:.5} | {median:.2} | {most:.2} | {goal} |",
                    table.optimum()
                );
            }
        }
    }
    Ok(())
}

/// Every configuration with its cost, where it does not fail.
struct Table(Vec<(Fields, Option<f64>)>);

impl Table {
    fn parse(text: &str, helpers: i64) -> Option<Self> {
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let header = lines.next()?;
        let columns = ["n_workers", "learning_rate", "batch_size", "synchronism", "training_time", "acc", "vm_flavor"];
        let places = columns.map(|column| header.iter().position(|name| *name == column));
        let row = |line: Vec<&str>| {
            let [workers, rate, batch, updates, seconds, accuracy, machine] =
                places.map(|place| place.and_then(|place| line.get(place).copied()).unwrap_or_default());
            let workers: i64 = workers.parse().ok()?;
            let (seconds, accuracy): (f64, f64) = (seconds.parse().ok()?, accuracy.parse().ok()?);
            let (_, cores, price) = MACHINES.into_iter().find(|(name, ..)| *name == machine)?;
            let params = [
                ("cores", Value::Int(workers * cores)),
                ("cores_each", Value::Int(cores)),
                ("rate", Value::Float(rate.parse().ok()?)),
                ("batch", Value::Int(batch.parse().ok()?)),
                ("updates", Value::String(updates.into())),
            ];
            let cost = seconds / 3600.0 * (workers + helpers) as f64 * price;
            let succeeds = accuracy >= TARGET && seconds <= LIMIT;
            Some((params.map(|(name, value)| (name.into(), value)).into(), succeeds.then_some(cost)))
        };
        lines.map(row).collect::<Option<_>>().map(Self)
    }

    fn optimum(&self) -> f64 {
        self.0.iter().filter_map(|(_, cost)| *cost).fold(f64::INFINITY, f64::min)
    }

    /// Its columns as dimensions, each a choice of what there is in it.
    fn space(&self) -> Space {
        let names = self.0.first().into_iter().flat_map(|(params, _)| params.keys());
        let dimension = |(name, var): (&Name, u32)| {
            let mut options: Vec<Value> = Vec::new();
            for (params, _) in &self.0 {
                if !options.contains(&params[name]) {
                    options.push(params[name].clone());
                }
            }
            // Numbers in their order; words keep theirs.
            options.sort_by(|a, b| a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal));
            Dimension { name: name.clone(), var: Var(var), distribution: Distribution::Choice(options), cond: None }
        };
        Space(names.zip(0..).map(dimension).collect())
    }

    /// The median over seeds of what a strategy finds, over the optimum, and what nine in ten stay below.
    fn found(&self, strategy: &str) -> (f64, f64) {
        let mut found: Vec<f64> = (0..SEEDS).map(|seed| self.search(strategy, seed) / self.optimum()).collect();
        found.sort_by(f64::total_cmp);
        (found[found.len() / 2], found[found.len() * 9 / 10])
    }

    /// The cost of the best trial.
    fn search(&self, strategy: &str, seed: u64) -> f64 {
        let settings = [("trials", TRIALS), ("startup", STARTUP), ("candidates", CANDIDATES)];
        let strategy = Call::new(strategy, settings.map(|(name, value)| (name.into(), Value::Int(value))).into());
        let mut search = Search::new(self.space(), &strategy, 1, Seed::new(seed), false).expect("a strategy");
        while let Ask::Run(task) = search.ask().expect("no conditions") {
            let params = &search.trials()[task.trial as usize].params;
            let cost = self.0.iter().find(|(row, _)| row == params).and_then(|(_, cost)| *cost);
            // Costs differ by factors.
            search.tell(&task, cost.map(f64::ln));
        }
        search.best().map_or(f64::INFINITY, |(_, cost)| cost.exp())
    }
}
