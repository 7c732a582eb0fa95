//! What SMLT measured with ResNet-50 on functions of a cloud (arXiv 2205.01853), at a hundredth of its bytes and of the bytes
//! a second: five Redis servers, and each worker a thread behind a narrow link.

use crate::{
    Server, median,
    shaper::{self, Shaper},
};
use smlt::{
    store::{Key, ParameterStore, Terms, open},
    sync::{Bucket, Group, Membership, Peers, SyncError, aggregate},
    wire::{Codec, Exchange, Link},
};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Barrier, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

/// The gradient, in numbers: 25.6 millions in ResNet-50.
const GRADIENT: usize = 255_500;
const NODES: usize = 5;
const LINK: Link = Link { worker: 1.52e6, store: 12.4e6, nodes: NODES as u64, latency: 1e-3 };
/// Seconds an iteration with 50 workers, as published, and the way that each of the systems goes.
const PUBLISHED: [(Exchange, &str, f64); 3] = [
    (Exchange::ScatterReduce, "SMLT", 2.65),
    (Exchange::ParameterServer, "Cirrus", 7.05),
    (Exchange::AllToAll, "Siren", 64.8),
];

pub fn print() -> io::Result<()> {
    println!(
        "\n| workers | exchange | seconds | formula | of it | goal | times scatter_reduce | published | times SMLT |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for of in [10, 20, 50] {
        let mut scatter = 0.0;
        for exchange in Exchange::ALL {
            let formula = exchange.time(of as u64, 4 * GRADIENT as u64, LINK);
            let times = if formula > 5.0 { 1 } else { 3 };
            let found = seconds(exchange, of, times)?;
            if exchange == Exchange::ScatterReduce {
                scatter = found;
            }
            let share = found / formula;
            let goal = if (0.85..=1.15).contains(&share) { "met" } else { "missed" };
            let published = PUBLISHED.iter().find(|(way, ..)| *way == exchange && of == 50);
            let published = published.map_or("| |".to_owned(), |(_, system, seconds)| {
                format!("{system} {seconds} s | {:.2} |", seconds / PUBLISHED[0].2)
            });
            println!(
                "| {of} | `{}` | {found:.2} | {formula:.2} | {share:.2} | 15 %, {goal} | {:.2} | {published}",
                exchange.name(),
                found / scatter
            );
        }
    }
    Ok(())
}

/// The seconds of an iteration, in the median of some after a first.
fn seconds(exchange: Exchange, of: usize, times: usize) -> io::Result<f64> {
    let servers = (0..NODES).map(|_| Server::start()).collect::<io::Result<Vec<Server>>>()?;
    let nodes: Vec<_> = servers.iter().map(|server| (server.address(), shaper::Link::new(LINK.store))).collect();
    let (start, stop) = (Barrier::new(of), AtomicBool::new(false));
    let membership = |rank| Membership {
        training: "replay".to_owned(),
        round: 0,
        rank,
        of,
        copy: 0,
        exchange,
        codec: Codec::F32,
        silence: Duration::from_secs(600),
        build: env!("CARGO_PKG_VERSION").to_owned(),
    };
    thread::scope(|scope| {
        let (nodes, start) = (&nodes, &start);
        let aggregator = (exchange == Exchange::InStore).then(|| {
            scope.spawn(|| {
                let way = Way::open(nodes, None)?;
                aggregate(membership(0), Arc::clone(&way.store), &stop).map_err(io::Error::other)
            })
        });
        let work = move |rank| {
            let way = Way::open(nodes, Some(shaper::Link::new(LINK.worker)))?;
            let mut peers = Peers::join(membership(rank), Arc::clone(&way.store)).map_err(io::Error::other)?;
            let mut sum = || {
                start.wait();
                let since = Instant::now();
                peers.begin(Bucket { row: vec![1.0; GRADIENT], exact: false });
                peers.finish()?;
                // Until all are through.
                start.wait();
                Ok::<_, SyncError>(since.elapsed().as_secs_f64())
            };
            let taken = (0..times).map(|_| sum()).collect::<Result<Vec<f64>, _>>().map_err(io::Error::other)?;
            peers.leave().map_err(io::Error::other)?;
            Ok::<_, io::Error>(median(taken))
        };
        let workers: Vec<_> = (0..of).map(|rank| scope.spawn(move || work(rank))).collect();
        let panicked = |_| io::Error::other("a worker panicked");
        let mut slowest = 0.0_f64;
        for worker in workers {
            slowest = slowest.max(worker.join().map_err(panicked)??);
        }
        if let Some(aggregator) = aggregator {
            aggregator.join().map_err(panicked)??;
        }
        Ok(slowest)
    })
}

/// A store as one party sees it, over its own link and those of the nodes.
struct Way {
    store: Arc<dyn ParameterStore>,
    _shapers: Vec<Shaper>,
}

impl Way {
    fn open(nodes: &[(SocketAddr, Arc<shaper::Link>)], own: Option<Arc<shaper::Link>>) -> io::Result<Self> {
        let shaper = |(server, node): &(SocketAddr, Arc<shaper::Link>)| {
            let links: Vec<_> = own.iter().chain([node]).cloned().collect();
            Shaper::start(*server, &links, Duration::from_secs_f64(LINK.latency / 2.0))
        };
        let shapers: Vec<Shaper> = nodes.iter().map(shaper).collect();
        let hosts: Vec<String> = shapers.iter().map(|shaper| shaper.address().to_string()).collect();
        let store = open(&format!("redis://{}", hosts.join(",")), Terms::new(Key::new(&[&"bench"])));
        Ok(Self { store: store.map_err(io::Error::other)?, _shapers: shapers })
    }
}
