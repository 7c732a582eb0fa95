//! A slow and distant network on one machine: a proxy before a server, whose connections share links of a set width.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Bytes that go over a link in one piece.
const PIECE: usize = 1 << 15;
/// Pieces that may be under way in one direction of a connection.
const UNDER_WAY: usize = 512;
/// By how much a link may make up for a thread that woke up too late.
const SLACK: Duration = Duration::from_millis(10);

/// A link of a set width, each direction by itself, for all connections that go over it: that of a worker, or of a server.
#[derive(Debug)]
pub struct Link {
    bytes_per_second: f64,
    /// When what has been let onto it is through: up, and down.
    free: [Mutex<Instant>; 2],
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

impl Link {
    pub fn new(bytes_per_second: f64) -> Arc<Self> {
        Arc::new(Self { bytes_per_second, free: [Instant::now(), Instant::now()].map(Mutex::new) })
    }

    /// When `bytes` that come now are through.
    fn pass(&self, bytes: usize, direction: Direction) -> Instant {
        let mut free = self.free[direction as usize].lock().unwrap();
        let start = Instant::now().checked_sub(SLACK).map_or(*free, |earliest| earliest.max(*free));
        *free = start + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        *free
    }
}

/// A proxy before a server.
#[derive(Debug)]
pub struct Shaper {
    address: SocketAddr,
    road: Arc<Road>,
}

#[derive(Debug)]
struct Road {
    server: SocketAddr,
    links: Vec<Arc<Link>>,
    latency: Duration,
    closed: AtomicBool,
    ends: Mutex<Vec<TcpStream>>,
}

impl Shaper {
    /// A way to `server` over all of `links`, on which each direction takes `latency`.
    pub fn start(server: SocketAddr, links: &[Arc<Link>], latency: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (closed, ends) = (AtomicBool::new(false), Mutex::default());
        let road = Arc::new(Road { server, links: links.to_vec(), latency, closed, ends });
        thread::spawn({
            let road = road.clone();
            move || {
                for client in listener.incoming().flatten() {
                    if road.closed.load(SeqCst) {
                        return;
                    }
                    road.join(client);
                }
            }
        });
        Self { address, road }
    }

    /// Where to connect instead of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks off all connections. New ones can be made.
    pub fn cut(&self) {
        for end in self.road.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Shaper {
    fn drop(&mut self) {
        self.road.closed.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
        self.cut();
    }
}

impl Road {
    fn join(self: &Arc<Self>, client: TcpStream) {
        // A server that is not there hangs up.
        let Ok(server) = TcpStream::connect(self.server) else { return };
        for end in [&client, &server] {
            end.set_nodelay(true).unwrap();
            self.ends.lock().unwrap().push(end.try_clone().unwrap());
        }
        let ends = [(&client, &server, Direction::Up), (&server, &client, Direction::Down)];
        for (from, to, direction) in ends {
            let (pieces, due) = sync_channel(UNDER_WAY);
            let (from, to, road) = (from.try_clone().unwrap(), to.try_clone().unwrap(), self.clone());
            thread::spawn(move || road.load(from, direction, &pieces));
            thread::spawn(move || unload(&due, to));
        }
    }

    /// Takes what comes onto the links, no faster than they are.
    fn load(&self, mut from: TcpStream, direction: Direction, pieces: &SyncSender<(Instant, Vec<u8>)>) {
        let mut piece = vec![0; PIECE];
        while let Ok(bytes @ 1..) = from.read(&mut piece) {
            let through = self.links.iter().map(|link| link.pass(bytes, direction)).max();
            let through = through.unwrap_or_else(Instant::now);
            thread::sleep(through.saturating_duration_since(Instant::now()));
            if pieces.send((through + self.latency, piece[..bytes].to_vec())).is_err() {
                return;
            }
        }
    }
}

fn unload(due: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    for (due, piece) in due {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
