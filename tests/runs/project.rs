//! A project in a folder of its own, and the processes of the runs in it.

use rustix::process::{Pid, test_kill_process};
use serde_json::Value as Json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A project of its own, with copies of the examples.
pub struct Project(TempDir);

impl Project {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"), folder.path());
        Self(folder)
    }

    pub fn with(file: &str, text: &str) -> Self {
        let project = Self::new();
        fs::write(project.path(file), text).unwrap();
        project
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smltc"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub fn smltc(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The result of a run that must succeed, and the bytes of its weights.
    pub fn result(&self, args: &[&str]) -> (Json, Vec<u8>) {
        let output = self.smltc(&[&["run"], args, &["--quiet", "--out", "result.json"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.read_result()
    }

    pub fn read_result(&self) -> (Json, Vec<u8>) {
        let result: Json = serde_json::from_slice(&fs::read(self.path("result.json")).unwrap()).unwrap();
        let weights = self.path(result["weights"]["path"].as_str().unwrap());
        (result, fs::read(weights).unwrap())
    }

    /// Starts a run, and waits until `ready` holds of its folder and its worker processes.
    pub fn start(&self, args: &[&str], ready: impl Fn(&[Pid]) -> bool) -> Child {
        let run = self.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("the run is under way", || ready(&children(run.id())));
        run
    }

    /// The latest run, with its events.
    pub fn show(&self) -> Json {
        let output = self.smltc(&["show", "--json"]);
        let told = || String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}, {}: {}", output.status, told()))
    }

    /// All runs, the latest first.
    pub fn runs(&self) -> Vec<Json> {
        let output = self.smltc(&["runs", "--json"]);
        serde_json::Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect()
    }

    pub fn state(&self) -> String {
        self.show()["state"].as_str().unwrap().to_owned()
    }

    /// The events of the latest run.
    pub fn events(&self) -> Vec<Json> {
        serde_json::from_value(self.show()["events"].take()).unwrap()
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            _ if path.ends_with(".smlt") => {}
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The processes that a process has started, by what the system says of each.
pub fn children(parent: u32) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        if fields[0] != "Z" && fields[1] == parent.to_string() {
            found.extend(Pid::from_raw(id));
        }
    }
    found
}

/// The processes that have to do with a folder: they run in it, or their environment or command line names it.
pub fn processes_in(folder: &Path) -> Vec<Pid> {
    let folder = folder.to_str().unwrap().as_bytes();
    let names =
        |file: PathBuf| fs::read(file).is_ok_and(|bytes| bytes.windows(folder.len()).any(|window| window == folder));
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let process = entry.path();
        let works_there =
            fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.as_os_str().as_encoded_bytes().starts_with(folder));
        if works_there || names(process.join("environ")) || names(process.join("cmdline")) {
            found.extend(Pid::from_raw(id));
        }
    }
    found
}

pub fn is_alive(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    let is_zombie = stat.is_ok_and(|stat| stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'));
    test_kill_process(process).is_ok() && !is_zombie
}

pub fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// A training that lasts a few seconds at least, with a result that tells whether it was disturbed.
pub const LONG: &str = r#"
import std/models.{mlp}

dataset digits {
  source: "data/digits.csv.gz"
  format: csv(header: false)
  label: "column64"
  split { train: 70%, valid: 15%, test: 15%, seed: 7 }
  scale: 0.0625
}

type Report = { epochs: Int, weights: Artifact }

workflow main(epochs: Int = 40) -> Report {
  let net = train mlp(inputs: 64, hidden: 256, classes: 10) { data: digits, epochs: epochs }
  Report(epochs: net.epochs, weights: net.weights)
}
"#;
