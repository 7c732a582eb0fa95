//! How quickly workers sum a gradient through Redis: `cargo bench --bench exchange`, or with `-- local` or `-- replay` one of
//! its two parts. Prints tables in Markdown.
//!
//! Beside it stand the same bytes put and got with no waiting for anyone, and the all-reduce of PyTorch over gloo, which
//! connects workers with each other, where `benches/peers.sh torch` has installed it.

#[path = "../peers.rs"]
mod peers;
mod replay;
#[path = "../shaper.rs"]
mod shaper;
mod workers;

use smlt::wire::Exchange;
use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use workers::Task;

const MB: usize = 1_000_000;

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().collect();
    if let Some(task) = args.get(1).and_then(|arg| Task::parse(arg)) {
        return workers::work(&task);
    }
    // `cargo test --all-targets` runs benches too.
    if !args.iter().any(|arg| arg == "--bench") {
        println!("benches are run by `cargo bench`");
        return Ok(());
    }
    let wanted = |part: &str| args.iter().any(|arg| arg == part) || !args.iter().any(|arg| PARTS.contains(&&**arg));
    if wanted("local") {
        local()?;
    }
    if wanted("replay") { replay::print() } else { Ok(()) }
}

/// The parts of the bench.
const PARTS: [&str; 2] = ["local", "replay"];

/// Processes on this machine.
fn local() -> io::Result<()> {
    println!("| gradient | workers | seconds | MB/s through Redis | raw copy | of it | goal | gloo | times gloo |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (bytes, times) in [(MB, 30), (10 * MB, 8), (100 * MB, 3)] {
        for of in [2, 4, 8] {
            row(bytes, of, times)?;
        }
    }
    Ok(())
}

fn row(bytes: usize, of: usize, times: usize) -> io::Result<()> {
    // In turn, so that all see the same other work on the machine.
    let (mut own, mut raw, mut gloo) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        own.push(through_redis("sums", bytes, of, times)?);
        raw.push(through_redis("copies", bytes, of, times)?);
        gloo.extend(through_gloo(bytes, of, times)?);
    }
    let (own, raw) = (median(own), median(raw));
    let load = |rank| Exchange::ScatterReduce.load(of as u64, rank as u64, bytes as u64 / 4, 4);
    let moved = (0..of).map(load).map(|load| load.up + load.down).sum::<u64>() as f64 / MB as f64;
    let (share, speed) = (raw / own, |seconds: f64| moved / seconds);
    let goal = if share >= 0.8 { "0.8, met" } else { "0.8, missed" };
    let gloo = if gloo.is_empty() {
        "not installed: `benches/peers.sh torch` | |".to_owned()
    } else {
        let gloo = median(gloo);
        format!("{gloo:.4} s | {:.1} |", own / gloo)
    };
    println!(
        "| {} MB | {of} | {own:.4} | {:.0} | {:.0} | {share:.2} | {goal} | {gloo}",
        bytes / MB,
        speed(own),
        speed(raw)
    );
    Ok(())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// The seconds of one exchange.
fn through_redis(what: &str, bytes: usize, of: usize, times: usize) -> io::Result<f64> {
    let server = Server::start()?;
    let program = env::current_exe()?;
    let worker = |rank| {
        let mut worker = Command::new(&program);
        let task = Task { what: what.to_owned(), port: server.port, rank, of, bytes, times };
        worker.arg(task.to_string());
        worker
    };
    Ok(together((0..of).map(worker))? / times as f64)
}

fn through_gloo(bytes: usize, of: usize, times: usize) -> io::Result<Option<f64>> {
    let Some(python) = peers::program("torch", "python") else { return Ok(None) };
    let folder = tempfile::tempdir()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/exchange/all_reduce.py");
    let worker = |rank: usize| {
        let mut worker = Command::new(&python);
        peers::at_home(&mut worker, folder.path());
        worker.arg(&script).arg(folder.path().join("meeting"));
        worker.args([rank, of, bytes, times].map(|number| number.to_string()));
        worker
    };
    Ok(Some(together((0..of).map(worker))? / times as f64))
}

/// Starts workers, lets them begin together once all are ready, and hears how long the slowest took.
fn together(workers: impl Iterator<Item = Command>) -> io::Result<f64> {
    let start = |mut worker: Command| worker.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut workers = workers.map(start).collect::<io::Result<Vec<Child>>>()?;
    let none = || io::Error::other("a worker says nothing");
    let mut said = Vec::new();
    for worker in &mut workers {
        let mut lines = BufReader::new(worker.stdout.take().ok_or_else(none)?).lines();
        lines.next().ok_or_else(none)??;
        said.push(lines);
    }
    for worker in &mut workers {
        worker.stdin.take().ok_or_else(none)?.write_all(b"go\n")?;
    }
    let mut slowest = 0.0;
    for mut lines in said {
        slowest = lines.next().ok_or_else(none)??.parse::<f64>().map_err(io::Error::other)?.max(slowest);
    }
    for worker in &mut workers {
        worker.wait()?;
    }
    Ok(slowest)
}

/// A Redis of its own.
struct Server {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Server {
    fn start() -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = tempfile::tempdir()?;
        let mut server = Command::new("redis-server");
        server.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]).current_dir(folder.path());
        let child = server.stdout(Stdio::null()).spawn()?;
        let began = Instant::now();
        while let Err(error) = TcpStream::connect(("127.0.0.1", port)) {
            if began.elapsed() > Duration::from_secs(20) {
                return Err(error);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { child, port, _folder: folder })
    }

    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
