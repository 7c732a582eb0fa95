//! The seconds of an exchange. For each system with each model a link is fitted on every other number of workers, and the
//! formulas are held to the numbers between.
//!
//! Whole exchanges are compared. Their parts can't be: SMLT's last download was timed with one reader, the way back from
//! Cirrus's server was not timed, and the seconds of Siren with ResNet-50 were derived from those of Cirrus. The fitted links
//! make up for that, so that they are no measurements of a network.

use crate::{Model, System, error, groups, mean, table::Table, verdict};
use smlt::wire::{Link, Measured};
use std::{io, path::Path};

/// How far predictions may be off in the mean.
const GOAL: f64 = 0.1;

pub fn print(folder: &Path) -> io::Result<()> {
    let table = Table::read(folder, "comm_per_iteration.csv")?;
    let groups: Vec<Group> = groups().map(|(model, system)| Group::new(&table, model, system)).collect();

    println!("| model | system | exchange | worker, MB/s | store node, GB/s | error where fitted | held out | goal |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for Group { model, system, link, rows } in &groups {
        let mean = |fitted| mean(rows.iter().filter(|row| row.fitted == fitted).map(Row::error));
        let store = link.store.is_finite().then(|| format!("{:.2}", link.store / 1e9));
        println!(
            "| {} | {} | `{}` | {:.0} | {} | {:.1} % | {:.1} % | {:.0} %, {} |",
            model.name,
            system.name,
            system.exchange.name(),
            link.worker / 1e6,
            store.as_deref().unwrap_or("not felt"),
            100.0 * mean(true),
            100.0 * mean(false),
            100.0 * GOAL,
            verdict(mean(false) <= GOAL)
        );
    }

    println!("\n| model | system | workers | measured, s | predicted, s | error | |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for Group { model, system, rows, .. } in &groups {
        for row in rows {
            println!(
                "| {} | {} | {} | {:.2} | {:.2} | {:.1} % | {} |",
                model.name,
                system.name,
                row.measured.workers,
                row.measured.seconds,
                row.predicted,
                100.0 * row.error(),
                if row.fitted { "fitted" } else { "held out" }
            );
        }
    }
    Ok(())
}

/// The link that explains every other exchange best.
pub fn link(table: &Table, model: &Model, system: &System) -> Link {
    let half: Vec<_> = measured(table, model, system).into_iter().step_by(2).collect();
    Link { nodes: system.nodes, ..Link::USUAL }.fitted(system.exchange, &half)
}

fn measured(table: &Table, model: &Model, system: &System) -> Vec<Measured> {
    let row = |(workers, seconds)| Measured { workers, bytes: model.bytes, seconds };
    table.of(model, system).into_iter().map(row).collect()
}

/// A system with a model.
struct Group {
    model: &'static Model,
    system: &'static System,
    link: Link,
    rows: Vec<Row>,
}

struct Row {
    measured: Measured,
    predicted: f64,
    fitted: bool,
}

impl Group {
    fn new(table: &Table, model: &'static Model, system: &'static System) -> Self {
        let (exchange, bytes) = (system.exchange, model.bytes);
        let measured = measured(table, model, system);
        let link = link(table, model, system);
        let row = |(index, measured): (usize, Measured)| Row {
            measured,
            predicted: exchange.time(measured.workers, bytes, link),
            fitted: index % 2 == 0,
        };
        Self { model, system, link, rows: measured.into_iter().enumerate().map(row).collect() }
    }
}

impl Row {
    fn error(&self) -> f64 {
        error(self.predicted, self.measured.seconds)
    }
}
