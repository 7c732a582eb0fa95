//! How near what a plan reckons with comes to what others measured, and how well searches choose: `cargo bench --bench
//! planning`, or with the name of a part behind `--`. Prints tables in Markdown.
//!
//! The measured tables carry no licence, so that they are not part of this repository: they are read from the folder that
//! `SMLT_DATA` names, or from `../shared/data`.

mod cost;
mod exchange;
mod fleets;
mod lynceus;
mod predictions;
mod replans;
mod table;

use smlt::wire::Exchange;
use std::{
    env, io,
    path::{Path, PathBuf},
};

/// The parts, each by its name on the command line, with the folder of measured tables that it needs, and what prints it.
type Part = (&'static str, Option<&'static str>, fn(&Path) -> io::Result<()>);

const PARTS: [Part; 6] = [
    ("exchange", Some("smlt"), exchange::print),
    ("cost", Some("smlt"), cost::print),
    ("replans", Some("smlt"), replans::print),
    ("lynceus", Some("lynceus"), lynceus::print),
    ("fleets", None, |_| fleets::print()),
    ("predictions", None, |_| predictions::print()),
];

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().collect();
    // `cargo test --all-targets` runs benches too.
    if !args.iter().any(|arg| arg == "--bench") {
        println!("benches are run by `cargo bench`");
        return Ok(());
    }
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = env::var_os("SMLT_DATA").map_or_else(usual, PathBuf::from);
    let is_named = |part: &str| args.iter().any(|arg| arg == part);
    let all = !PARTS.iter().any(|(part, ..)| is_named(part));
    for (part, folder, print) in PARTS {
        if !all && !is_named(part) {
            continue;
        }
        let folder = folder.map(|folder| data.join(folder));
        match &folder {
            Some(folder) if !folder.is_dir() => {
                println!("{part}: there are no measured tables in {}", folder.display());
            }
            folder => print(folder.as_deref().unwrap_or(&data))?,
        }
        println!();
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
