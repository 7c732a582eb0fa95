//! An account in the emulated cloud, and the program as someone at a command line uses it.

use serde_json::{Value as Json, json};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};
use tempfile::TempDir;

/// An account, and a folder with a project.
pub struct Account {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub address: String,
    folder: TempDir,
}

/// What the program has said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Account {
    /// An account in which nothing is, and a project with this workflow and the data of the examples.
    pub fn new(workflow: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/aws/bin/python");
        assert!(python.exists(), "`tests/run` installs what the emulated cloud needs");
        let folder = tempfile::tempdir().unwrap();
        let (project, image) = (folder.path().join("project"), folder.path().join("image"));
        fs::create_dir(&project).unwrap();
        fs::create_dir(&image).unwrap();
        for shared in ["data", "scripts"] {
            symlink(root.join("examples").join(shared), project.join(shared)).unwrap();
        }
        // A worker as it is built for tests is too large to be sent.
        let worker = folder.path().join("worker");
        fs::write(&worker, format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_smlt-worker"))).unwrap();
        fs::set_permissions(&worker, fs::Permissions::from_mode(0o755)).unwrap();
        let mut process = Command::new(python)
            .arg(root.join("tests/aws/server.py"))
            .args([folder.path().join("calls"), image])
            .env("LIMIT", "20")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        answers.read_line(&mut address).unwrap();
        let orders = process.stdin.take();
        let account = Self { process, orders, answers, address: address.trim().to_owned(), folder };
        account.write(workflow);
        account
    }

    /// A file of the project.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("project").join(name)
    }

    /// Writes the workflow file.
    pub fn write(&self, workflow: &str) {
        fs::write(self.path("main.smlt"), workflow).unwrap();
    }

    /// Runs the program in the project's folder.
    pub fn smltc(&self, words: &[&str]) -> Said {
        let output = self.command(words).output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The program with the account's credentials.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut smltc = Command::new(env!("CARGO_BIN_EXE_smltc"));
        smltc
            .args(words)
            .current_dir(self.path(""))
            .env("HOME", self.folder.path())
            .env("AWS_ACCESS_KEY_ID", "DEPLOYER")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ENDPOINT_URL", &self.address)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null());
        smltc
    }

    /// Deploys the workflow with the worker of the tests.
    pub fn deploy(&self, more: &[&str]) -> Said {
        let worker = self.folder.path().join("worker").display().to_string();
        self.smltc(&[&["deploy", "main.smlt", "--worker", &worker], more].concat())
    }

    /// Lets requests fail that name an action of a service, such as `iam PutRolePolicy`, until `None` is given.
    pub fn fail(&self, what: Option<&str>) {
        let file = self.folder.path().join("fail");
        match what {
            Some(what) => fs::write(file, what).unwrap(),
            None => fs::remove_file(file).unwrap(),
        }
    }

    /// Fills the image of the functions that run commands.
    pub fn fill_image(&self) {
        let image = self.folder.path().join("image");
        assert_eq!(self.smltc(&["build", "main.smlt", "--out", image.to_str().unwrap()]).code, 0);
        fs::copy(self.folder.path().join("worker"), image.join("bootstrap")).unwrap();
    }

    /// The calls that roles had to be allowed.
    pub fn calls(&self) -> Vec<Json> {
        let text = fs::read_to_string(self.folder.path().join("calls")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Does something as someone else in the account.
    pub fn aws(&mut self, service: &str, method: &str, arguments: &Json) -> Json {
        writeln!(self.orders.as_ref().unwrap(), "{}", json!([service, method, arguments])).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(answer.get("error"), None, "{service} {method}");
        answer
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // It ends its workers when its input ends.
        drop(self.orders.take());
        let _ = self.process.wait();
    }
}

impl Said {
    /// Fails unless it went well.
    #[track_caller]
    pub fn well(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    /// Fails unless it ended so, and said this.
    #[track_caller]
    pub fn ended(self, code: i32, said: &str) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(self.err.contains(said), "`{said}` is not in:\n{}", self.err);
        self
    }
}
