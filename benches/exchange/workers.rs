//! What a worker process of the bench does.

use redis::{Connection, pipe};
use smlt::{
    store::{Key, Terms, open},
    sync::{Bucket, Group, Membership, Peers},
    wire::{Codec, Cut, Exchange},
};
use std::{
    fmt, io,
    time::{Duration, Instant},
};

/// Numbers of a bucket, as a training has them.
const BUCKET: usize = 1 << 20;

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
    let gradient = vec![1.0_f32; task.bytes / 4];
    let mut sum = || {
        for bucket in gradient.chunks(BUCKET) {
            peers.begin(Bucket { row: bucket.to_vec(), exact: false });
        }
        peers.finish().map(drop).map_err(io::Error::other)
    };
    sum()?;
    timed(task, sum)?;
    peers.leave().map_err(io::Error::other)
}

/// Puts and gets the same number of blobs of the same sizes, and waits for nobody.
fn copies(task: &Task) -> io::Result<()> {
    let client = redis::Client::open(task.address()).map_err(io::Error::other)?;
    let mut redis = client.get_connection().map_err(io::Error::other)?;
    let mut copy = || copy(task, &mut redis).map_err(io::Error::other);
    copy()?;
    timed(task, copy)
}

fn copy(task: &Task, redis: &mut Connection) -> redis::RedisResult<()> {
    let cut = Cut { length: task.bytes as u64 / 4, parts: task.of as u64 };
    let size = |part: usize| (cut.start(part as u64 + 1) - cut.start(part as u64)) as usize * 4;
    let key = |what: &str, part: usize| format!("{what}/{}/{part}", task.rank);
    let others = || (0..task.of).filter(|other| *other != task.rank);
    // A part of each other worker up, one's own part of each other down, then its sum up and those of the others down.
    for (what, up) in [("own", others().collect()), ("sum", vec![task.rank])] {
        let mut put = pipe();
        for part in up {
            put.set(key(what, part), vec![1_u8; size(part)]).ignore();
        }
        put.exec(redis)?;
        let mut get = pipe();
        for part in others() {
            get.get(if what == "own" { key(what, part) } else { key(what, task.rank) });
        }
        get.query::<Vec<Vec<u8>>>(redis)?;
    }
    Ok(())
}

/// Does something as often as told, once all are ready, and says how many seconds it took.
fn timed(task: &Task, mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    println!("ready");
    io::stdin().read_line(&mut String::new())?;
    let since = Instant::now();
    for _ in 0..task.times {
        work()?;
    }
    println!("{}", since.elapsed().as_secs_f64());
    Ok(())
}
