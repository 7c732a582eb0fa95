//! Every way of exchange through every store that several processes can share: one list of what it comes to and moves.

use crate::{
    blobs,
    conformance::{key, terms},
    redis_server, s3_server,
};
use smlt::{
    store::{Memory, ParameterStore, open, serve},
    sync::{Bucket, Group, Membership, Peers, SyncError, aggregate, tree_sum},
    wire::{BUILD, Codec, Exchange, Load},
};
use std::{
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

/// A silence that no test lives to see.
const LONG: Duration = Duration::from_secs(600);

/// Opens the store once more, as another worker would.
type Open<'a> = &'a (dyn Fn() -> Arc<dyn ParameterStore> + Sync);

/// The workers of a round.
#[derive(Clone, Copy)]
pub struct Setup {
    pub of: usize,
    pub round: u64,
    pub exchange: Exchange,
    pub codec: Codec,
    pub silence: Duration,
}

impl Setup {
    fn membership(self, rank: usize) -> Membership {
        let Self { of, round, exchange, codec, silence } = self;
        let build = BUILD.to_owned();
        Membership { training: "training".to_owned(), round, rank, of, copy: 0, exchange, codec, silence, build }
    }

    /// What each worker comes to, as a thread with a store of its own.
    pub fn run<T: Send>(self, open: Open, work: impl Fn(Peers, &dyn ParameterStore) -> T + Sync) -> Vec<T> {
        thread::scope(|scope| {
            let work = &work;
            let worker = |rank| {
                scope.spawn(move || {
                    let store = open();
                    work(Peers::join(self.membership(rank), Arc::clone(&store)).unwrap(), &*store)
                })
            };
            let workers: Vec<_> = (0..self.of).map(worker).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        })
    }

    /// The same with an aggregator, where the way needs one.
    fn run_all<T: Send>(self, open: Open, work: impl Fn(Peers, &dyn ParameterStore) -> T + Sync) -> Vec<T> {
        thread::scope(|scope| {
            let needs = self.exchange.parties(self.of as u64) > self.of as u64;
            let sum = || aggregate(self.membership(self.of), open(), &AtomicBool::new(false));
            let aggregator = needs.then(|| scope.spawn(sum));
            let done = self.run(open, work);
            assert_eq!(aggregator.map_or(Ok(()), |thread| thread.join().unwrap()), Ok(()));
            done
        })
    }
}

/// A worker's row, whose sum depends on the order of the workers.
pub fn row(rank: usize, length: usize) -> Vec<f32> {
    let number = |place: usize| ((place * 7919 + rank * 104_729) % 1009) as f32 / 3.0 * 10_f32.powi(rank as i32 % 5);
    (0..length).map(number).collect()
}

/// What every row of some workers comes to.
pub fn wanted(of: usize, length: usize) -> Vec<u32> {
    bits(&tree_sum((0..of).map(|rank| row(rank, length)).collect()))
}

pub fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|number| number.to_bits()).collect()
}

/// Sums the rows of all workers.
pub fn sum(peers: &mut Peers, row: Vec<f32>) -> Result<Vec<f32>, SyncError> {
    peers.begin(Bucket { row, exact: false });
    Ok(peers.finish()?.remove(0))
}

/// Holds the sums of a round to those of the tree, and what each worker moves for each to the formula. Gives what all
/// parties move.
fn hold_round(setup: Setup, open: Open) -> Load {
    let (of, exchange) = (setup.of, setup.exchange);
    let width = if setup.codec == Codec::F32 { 4 } else { 2 };
    let lengths = [0, 1, of + 1, 1000];
    setup.run_all(open, |mut peers, store| {
        let rank = peers.rank();
        for length in lengths {
            let before = store.traffic();
            let sum = sum(&mut peers, row(rank, length)).unwrap();
            let after = store.traffic();
            if setup.codec == Codec::F32 {
                assert_eq!(bits(&sum), wanted(of, length), "{exchange:?}: worker {rank} of {of}, {length} numbers");
            }
            let moved = Load {
                up: after.up - before.up,
                down: after.down - before.down,
                puts: after.puts - before.puts,
                gets: after.gets - before.gets,
            };
            let load = exchange.load(of as u64, rank as u64, length as u64, width);
            assert_eq!(moved, load, "{exchange:?}: worker {rank} of {of}, {length} numbers");
        }
        peers.leave().unwrap();
    });
    let mut all = Load::default();
    for party in 0..exchange.parties(of as u64) {
        lengths.iter().for_each(|length| all += exchange.load(of as u64, party, *length as u64, width));
    }
    all
}

/// All checks, for so many workers.
fn hold(counts: &[usize], open: Open) {
    for exchange in Exchange::ALL {
        let round = |of, codec| hold_round(Setup { of, round: 1, exchange, codec, silence: LONG }, open);
        for of in counts {
            round(*of, Codec::F32);
        }
        round(3, Codec::Bf16);
    }
}

#[test]
fn through_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path().join("store"), Arc::new(Memory::default())).unwrap();
    hold(&[1, 2, 3, 5, 8, 11, 17], &|| open(&server.address(), terms("a")).unwrap());
}

#[test]
fn through_redis() {
    let server = redis_server::Server::start(&[]);
    hold(&[2, 5, 8], &|| open(&format!("redis://{}", server.address), terms("a")).unwrap());
    assert_eq!(server.ask(&["DBSIZE"]), "0");
}

#[test]
fn through_several_nodes_of_redis() {
    let servers = [(); 3].map(|()| redis_server::Server::start(&[]));
    let hosts = servers.each_ref().map(|server| server.address.to_string());
    hold(&[2, 5], &|| open(&format!("redis://{}", hosts.join(",")), terms("a")).unwrap());
}

#[test]
fn through_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    hold(&[2, 5], &|| open(&format!("file://{}", folder.path().display()), terms("a")).unwrap());
}

/// How often a bucket is asked for a blob in so long a time, at most: after growing pauses, and then twice a second.
fn looks(time: Duration) -> u64 {
    13 + (2.0 * time.as_secs_f64()) as u64
}

/// The same for an aggregator, which begins anew ten times a second.
fn glances(time: Duration) -> u64 {
    8 + (80.0 * time.as_secs_f64()) as u64
}

#[test]
fn through_a_bucket() {
    let server = s3_server::Server::start();
    hold(&[5], &|| Arc::new(blobs::in_bucket(&server, "bucket", terms("a")).unwrap()));
    // Beside what the stores count: what the server says that it was asked for.
    for exchange in Exchange::ALL {
        let run = format!("counted-{}", exchange.name());
        let began = Instant::now();
        let setup = Setup { of: 2, round: 1, exchange, codec: Codec::F32, silence: LONG };
        let all = hold_round(setup, &|| Arc::new(blobs::in_bucket(&server, "bucket", terms(&run)).unwrap()));
        let took = began.elapsed();
        let answered = |method, status| server.answered(method, status, &format!("/{run}/training/1/exact/"));
        assert_eq!([answered("PUT", 200), answered("GET", 200)], [all.puts, all.gets], "{exchange:?}");
        // Two workers wait for one blob at a time, an aggregator for two until all have left.
        let by_aggregator = if exchange == Exchange::InStore { 2 * glances(took) } else { 0 };
        let (vain, most) = (answered("GET", 404), all.gets * looks(took) + by_aggregator);
        assert!(vain <= most, "{exchange:?}: asked {vain} times in vain, {most} at most");
    }
}

#[test]
fn a_bucket_is_not_asked_more_often_than_is_said() {
    let server = s3_server::Server::start();
    let store = blobs::in_bucket(&server, "bucket", terms("a")).unwrap();
    let time = Duration::from_secs(3);
    assert_eq!(store.get(&[key("never")], time).unwrap(), [None]);
    let asked = server.answered("GET", 404, "/round/never");
    assert!((5..=looks(time)).contains(&asked), "{asked}");
}
