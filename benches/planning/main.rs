//! How near what a plan reckons with comes to what others measured: `cargo bench --bench planning`. Prints tables in Markdown.
//!
//! The tables of SMLT (arXiv 2205.01853) carry no licence, so that they are not part of this repository: they are read from
//! the folder that `SMLT_DATA` names, or from `../shared/data`.

mod cost;
mod exchange;
mod fleets;
mod replans;
mod table;

use smlt::wire::Exchange;
use std::{
    env, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    // `cargo test --all-targets` runs benches too.
    if !env::args().any(|arg| arg == "--bench") {
        println!("benches are run by `cargo bench`");
        return Ok(());
    }
    // One part alone: `cargo bench --bench planning -- replans`.
    let wanted = |part: &str| env::args().skip(1).all(|arg| arg.starts_with('-') || arg == part);
    if wanted("fleets") {
        fleets::print()?;
        println!();
    }
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = env::var_os("SMLT_DATA").map_or_else(usual, PathBuf::from).join("smlt");
    if !folder.is_dir() {
        println!("nothing to compare with: there are no measured tables in {}", folder.display());
        return Ok(());
    }
    if wanted("exchange") {
        exchange::print(&folder)?;
        println!();
    }
    if wanted("cost") {
        cost::print(&folder)?;
        println!();
    }
    if wanted("replans") {
        replans::print(&folder)?;
    }
    Ok(())
}

/// A model that was measured.
struct Model {
    /// As the tables call it.
    id: &'static str,
    name: &'static str,
    /// The bytes of its gradient.
    bytes: u64,
}

const MODELS: [Model; 2] = [
    Model { id: "resnet50", name: "ResNet-50", bytes: 102_200_000 },
    // 41,373,184 parameters: 8 layers of width 512, and 30,522 tokens.
    Model { id: "bert_medium", name: "BERT-medium", bytes: 4 * 41_373_184 },
];

/// A system that was measured.
struct System {
    /// As the tables call it.
    id: &'static str,
    name: &'static str,
    /// The way of exchange that is most like its own.
    exchange: Exchange,
    /// The nodes of its store.
    nodes: u64,
}

const SYSTEMS: [System; 3] = [
    System { id: "smlt", name: "SMLT", exchange: Exchange::ScatterReduce, nodes: 5 },
    // Its server is no worker but a machine of its own, through which all bytes go.
    System { id: "cirrus", name: "Cirrus", exchange: Exchange::InStore, nodes: 1 },
    // S3 spreads objects over more nodes than an exchange has objects.
    System { id: "siren", name: "Siren", exchange: Exchange::AllToAll, nodes: u64::MAX },
];

/// Each system with each model.
fn groups() -> impl Iterator<Item = (&'static Model, &'static System)> {
    MODELS.iter().flat_map(|model| SYSTEMS.iter().map(move |system| (model, system)))
}

/// How far the prediction is from what was measured, as a share of it.
fn error(predicted: f64, measured: f64) -> f64 {
    (predicted / measured - 1.0).abs()
}

fn mean(errors: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = errors.fold((0.0, 0), |(sum, count), error| (sum + error, count + 1));
    sum / f64::from(count)
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}
