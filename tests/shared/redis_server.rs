//! A Redis server of a test's own, which ends with it.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a server may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, which keeps nothing when it ends.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    folder: TempDir,
    settings: Vec<String>,
}

impl Server {
    /// One with some settings of the command line.
    pub fn start(settings: &[&str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let folder = tempfile::tempdir().unwrap();
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let child = spawn(address, &folder, &settings);
        Self { child, address, folder, settings }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn revive(&mut self) {
        self.child = spawn(self.address, &self.folder, &self.settings);
    }

    /// What `redis-cli` says.
    pub fn ask(&self, command: &[&str]) -> String {
        let port = self.address.port().to_string();
        let said = Command::new("redis-cli").args(["-p", &port]).args(command).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    }
}

fn spawn(address: SocketAddr, folder: &TempDir, settings: &[String]) -> Child {
    let child = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--port", &address.port().to_string()])
        .args(settings)
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server, which `tests/run` installs");
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < PATIENCE, "redis-server does not come up");
        thread::sleep(Duration::from_millis(10));
    }
    child
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
