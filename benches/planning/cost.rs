//! The dollars of an iteration: those of the memory that its workers hold meanwhile. What the starts of workers, Redis and S3
//! cost is not in the tables.

use crate::{Model, System, error, groups, mean, table::Table, verdict};
use smlt::{prices::Prices, units::Size};
use std::{io, path::Path};

/// What each worker had: 5.875 GiB.
const MEMORY: Size = Size::from_mib(6016);

/// How far each prediction may be off.
const GOAL: f64 = 0.01;

/// Half of the last digit in the table, which alone is much of the smallest costs.
const ROUNDING: f64 = 0.000_05;

pub fn print(folder: &Path) -> io::Result<()> {
    let costs = Table::read(folder, "cost_usd.csv")?;
    let iterations = Table::read(folder, "iteration_time.csv")?;
    let exchanges = Table::read(folder, "comm_per_iteration.csv")?;
    let group = |(model, system): (&'static Model, &'static System)| {
        // With BERT-medium the exchange alone was charged.
        let (times, of) = if model.id == "bert_medium" { (&exchanges, "exchange") } else { (&iterations, "iteration") };
        (model, system, of, rows(&costs.of(model, system), &times.of(model, system)))
    };
    let groups: Vec<_> = groups().map(group).collect();

    println!("| model | system | cost of an | rows | mean error | largest | goal |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (model, system, of, rows) in &groups {
        let largest = rows.iter().map(Row::error).max_by(f64::total_cmp).unwrap_or(f64::NAN);
        println!(
            "| {} | {} | {of} | {} | {:.2} % | {:.2} % | {:.0} % each, {} |",
            model.name,
            system.name,
            rows.len(),
            100.0 * mean(rows.iter().map(Row::error)),
            100.0 * largest,
            100.0 * GOAL,
            verdict(largest <= GOAL)
        );
    }

    println!("\n| model | system | workers | measured, $ | predicted, $ | error | rounded by up to |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (model, system, _, rows) in &groups {
        for row in rows {
            println!(
                "| {} | {} | {} | {:.4} | {:.6} | {:.2} % | {:.2} % |",
                model.name,
                system.name,
                row.workers,
                row.measured,
                row.predicted,
                100.0 * row.error(),
                100.0 * ROUNDING / row.measured
            );
        }
    }
    Ok(())
}

struct Row {
    workers: u64,
    measured: f64,
    predicted: f64,
}

/// What was paid, beside what the seconds of as many workers come to.
fn rows(costs: &[(u64, f64)], times: &[(u64, f64)]) -> Vec<Row> {
    let rate = Prices::embedded().rate(MEMORY).to_f64();
    let row = |&(workers, measured): &(u64, f64)| {
        let (_, seconds) = times.iter().find(|(of, _)| *of == workers)?;
        Some(Row { workers, measured, predicted: workers as f64 * seconds * rate })
    };
    costs.iter().filter_map(row).collect()
}

impl Row {
    fn error(&self) -> f64 {
        error(self.predicted, self.measured)
    }
}
