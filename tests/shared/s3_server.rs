//! A server that talks like S3, of a test's own, which ends with it.

use smlt::store::Remote;
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::NamedTempFile;

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server with one bucket, `bucket`.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// Where it writes a line for each request that it has answered.
    log: NamedTempFile,
}

impl Server {
    pub fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let log = NamedTempFile::new().unwrap();
        let child = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/moto/bin/moto_server"))
            .args(["--host", "127.0.0.1", "--port", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(File::options().append(true).open(log.path()).unwrap())
            .spawn()
            .expect("moto, which `tests/run` installs");
        let server = Self { child, address, log };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < PATIENCE, "moto does not come up");
            thread::sleep(Duration::from_millis(50));
        }
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(b"PUT /bucket HTTP/1.1\r\nHost: s3\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        server
    }

    /// How many requests with a method it has answered with a status, for objects whose paths hold a text.
    pub fn answered(&self, method: &str, status: u16, text: &str) -> u64 {
        let (begin, end) = (format!("{method} /"), format!("\" {status} -"));
        let log = fs::read_to_string(&self.log).unwrap();
        log.lines().filter(|line| line.contains(&begin) && line.contains(text) && line.ends_with(&end)).count() as u64
    }

    /// Where a bucket lies, as variables of the environment tell.
    pub fn environment(&self) -> [(String, String); 4] {
        let endpoint = format!("http://{}", self.address);
        let environment = [
            ("AWS_ENDPOINT_URL", &*endpoint),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "us-east-1"),
        ];
        environment.map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    /// What lies in a bucket below a prefix.
    pub fn remote(&self, bucket: &str, prefix: &str) -> Remote {
        Remote::in_bucket(bucket, prefix, self.environment(), Duration::from_secs(5)).unwrap()
    }

    pub fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
