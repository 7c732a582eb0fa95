//! What a worker process of the bench does.

use redis::{Connection, pipe};
use smlt::{
    store::{Key, Terms, open},
    sync::{Bucket, Group, Membership, Peers},
    wire::{Codec, Cut, Exchange},
    work::memory,
};
use std::{
    fmt, io,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// Numbers of a bucket, as a training has them.
const BUCKET: usize = 1 << 20;
/// Buckets that an exchange has under way at a time, each on a connection.
const LANES: usize = 3;

/// What a worker is told, as one argument.
pub struct Task {
    pub what: String,
    pub port: u16,
    pub rank: usize,
    pub of: usize,
    pub bytes: usize,
    pub times: usize,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, port, rank, of, bytes, times } = self;
        write!(f, "{what} {port} {rank} {of} {bytes} {times}")
    }
}

impl Task {
    pub fn parse(arg: &str) -> Option<Self> {
        let mut words = arg.split(' ');
        let what = words.next()?.to_owned();
        let port = words.next()?.parse().ok()?;
        let mut number = || words.next()?.parse().ok();
        Some(Self { what, port, rank: number()?, of: number()?, bytes: number()?, times: number()? })
    }

    fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

pub fn work(task: &Task) -> io::Result<()> {
    // As a worker of a training does.
    memory::keep();
    if task.what == "sums" { sums(task) } else { copies(task) }
}

/// Sums gradients with the others.
fn sums(task: &Task) -> io::Result<()> {
    let store = open(&task.address(), Terms::new(Key::new(&[&"bench"]))).map_err(io::Error::other)?;
    let membership = Membership {
        training: "training".to_owned(),
        round: 0,
        rank: task.rank,
        of: task.of,
        copy: 0,
        exchange: Exchange::ScatterReduce,
        codec: Codec::F32,
        silence: Duration::from_secs(60),
        build: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut peers = Peers::join(membership, store).map_err(io::Error::other)?;
    // What comes of one exchange goes into the next.
    let mut rows: Vec<Vec<f32>> = vec![1.0_f32; task.bytes / 4].chunks(BUCKET).map(<[f32]>::to_vec).collect();
    let mut sum = || {
        rows.drain(..).for_each(|row| peers.begin(Bucket { row, exact: false }));
        rows = peers.finish().map_err(io::Error::other)?;
        Ok(())
    };
    sum()?;
    timed(|| (0..task.times).try_for_each(|_| sum()))?;
    peers.leave().map_err(io::Error::other)
}

/// Puts and gets the same blobs over as many connections as an exchange has, and waits for nobody.
fn copies(task: &Task) -> io::Result<()> {
    let client = redis::Client::open(task.address()).map_err(io::Error::other)?;
    let numbers = task.bytes / 4;
    let buckets: Vec<(usize, usize)> =
        (0..numbers).step_by(BUCKET).map(|start| (start, BUCKET.min(numbers - start))).collect();
    let lanes = LANES.min(buckets.len());
    let (blob, start) = (vec![1; BUCKET * 4], Barrier::new(lanes + 1));
    let lane = |lane: usize| {
        let mut redis = client.get_connection().map_err(io::Error::other)?;
        let own = || buckets.iter().skip(lane).step_by(lanes);
        let mut copy = || own().try_for_each(|bucket| copy(task, *bucket, &blob, &mut redis)).map_err(io::Error::other);
        let ready = copy();
        start.wait();
        start.wait();
        ready.and_then(|()| (0..task.times).try_for_each(|_| copy()))
    };
    thread::scope(|scope| {
        let lane = &lane;
        let running: Vec<_> = (0..lanes).map(|index| scope.spawn(move || lane(index))).collect();
        start.wait();
        timed(|| {
            start.wait();
            let panicked = |_| io::Error::other("a lane panicked");
            running.into_iter().try_for_each(|lane| lane.join().map_err(panicked)?)
        })
    })
}

/// A bucket: a part for each other worker up, one's own part of each other down, then its sum up and those of the others down.
fn copy(task: &Task, (start, numbers): (usize, usize), blob: &[u8], redis: &mut Connection) -> redis::RedisResult<()> {
    let cut = Cut { length: numbers as u64, parts: task.of as u64 };
    let size = |part: usize| (cut.start(part as u64 + 1) - cut.start(part as u64)) as usize * 4;
    let key = |what: &str, from: usize, part: usize| format!("{what}/{start}/{from}/{part}");
    let others: Vec<usize> = (0..task.of).filter(|other| *other != task.rank).collect();
    for (what, given) in [("own", &others), ("sum", &vec![task.rank])] {
        let (mut put, mut get) = (pipe(), pipe());
        for part in given {
            put.set(key(what, task.rank, *part), &blob[..size(*part)]).ignore();
        }
        for from in &others {
            get.get(key(what, *from, if what == "own" { task.rank } else { *from }));
        }
        put.exec(redis)?;
        // From the second time on, those of the others are there.
        get.query::<Vec<Option<Vec<u8>>>>(redis)?;
    }
    Ok(())
}

/// Does something once all are ready, and says how many seconds it took.
fn timed(work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    println!("ready");
    io::stdin().read_line(&mut String::new())?;
    let since = Instant::now();
    work()?;
    println!("{}", since.elapsed().as_secs_f64());
    Ok(())
}
