use crate::conformance::{self, PATIENCE, key, put, terms};
use smlt::store::{Blobs, OpenError, ParameterError, ParameterStore, Terms, open};
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tempfile::NamedTempFile;

/// A server that talks like S3, which ends with the test.
pub struct Server {
    child: Child,
    address: SocketAddr,
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

    pub fn open(&self, bucket: &str, terms: Terms) -> Result<Blobs, ParameterError> {
        let endpoint = format!("http://{}", self.address);
        let environment = [
            ("AWS_ENDPOINT_URL", &*endpoint),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "us-east-1"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Blobs::in_bucket(bucket, "some/where", environment, terms)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_folder_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("file://{}", folder.path().display());
    conformance::hold(&|| open(&address, terms("a")).unwrap());
    conformance::keeps_apart(&*open(&address, terms("a")).unwrap(), &*open(&address, terms("b")).unwrap());
}

#[test]
fn what_is_too_old_goes_when_any_run_clears_up() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("foreign"), "x").unwrap();
    let address = format!("file://{}", folder.path().display());
    put(&*open(&address, terms("abandoned")).unwrap(), "a", b"x");
    let clear = |terms| open(&address, terms).unwrap().clear(&key("a")).unwrap();
    let is_there =
        || open(&address, terms("abandoned")).unwrap().get(&[key("a")], Duration::ZERO).unwrap()[0].is_some();
    clear(terms("b"));
    assert!(is_there());
    thread::sleep(Duration::from_millis(20));
    clear(Terms { expiry: Duration::from_millis(10), ..terms("b") });
    assert!(!is_there());
    assert!(folder.path().join("foreign").exists(), "what is not its own is left alone");
}

#[test]
fn a_bucket_conforms() {
    let server = Server::start();
    conformance::hold(&|| Arc::new(server.open("bucket", terms("a")).unwrap()));
    conformance::keeps_apart(&server.open("bucket", terms("a")).unwrap(), &server.open("bucket", terms("b")).unwrap());
}

#[test]
fn a_bucket_that_is_not_there_or_dies_is_told() {
    let mut server = Server::start();
    let error = server.open("nowhere", terms("a")).err().unwrap();
    assert!(error.to_string().contains("bucket does not exist"), "{error}");
    let store = server.open("bucket", terms("a")).unwrap();
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let began = Instant::now();
    let found = store.get(&[key("a")], PATIENCE);
    assert!(matches!(&found, Err(ParameterError::Unreachable { .. })), "{found:?}");
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

#[test]
fn it_can_be_used_and_dropped_within_a_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { put(&Blobs::in_folder(folder.path().to_str().unwrap(), terms("a")).unwrap(), "a", b"x") });
}

#[test]
fn a_folder_that_can_not_be_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = open(&format!("file://{}/below", file.path().display()), terms("a")).err().unwrap();
    assert!(matches!(error, OpenError::Store(ParameterError::Refused { .. })), "{error}");
}
