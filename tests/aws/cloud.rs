//! A project, run on this machine and in the emulated cloud.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use smlt::{
    store::{Objects, Remote},
    value::Artifact,
    wire::{Carried, Caught},
};
use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
};
use tempfile::TempDir;

/// How a run ended: its result, or the kind of the failure, its message, and the step that failed.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Value(Json),
    Failure { kind: String, message: String, step: String },
}

/// The process that runs state machines.
pub struct Cloud {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What the cloud says of an execution.
#[derive(Debug, Deserialize)]
pub struct Execution {
    status: String,
    output: Option<String>,
    error: Option<String>,
    cause: Option<String>,
    /// How often workers were called.
    #[serde(default)]
    pub calls: u64,
    /// Where what is too large for its output is stored.
    #[serde(skip)]
    objects: PathBuf,
}

impl Cloud {
    pub fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/aws/bin/python");
        assert!(python.exists(), "`tests/run` installs what the emulated cloud needs");
        let mut process = Command::new(python)
            .arg(root.join("tests/aws/cloud.py"))
            .env("PATH", with_python())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, orders, answers }
    }

    /// Runs the workflow `main` of a project to its end. `more` says under what conditions.
    pub fn run(&mut self, project: &Project, args: &Map<String, Json>, more: &Json) -> Execution {
        self.run_built(project, &project.build(), args, more)
    }

    /// The same with what was built into a folder.
    pub fn run_built(&mut self, project: &Project, built: &Path, args: &Map<String, Json>, more: &Json) -> Execution {
        let name = |number| if number == 1 { "main.asl.json".to_owned() } else { format!("main-{number}.asl.json") };
        let files = (1..).map(|number| fs::read_to_string(built.join(name(number))));
        let definitions: Vec<String> = files.map_while(Result::ok).map(|text| functions(&text)).collect();
        let shared = project.0.path().join("cloud");
        let mut order = json!({
            "definitions": definitions,
            "book": built.join("book.json"),
            "shared": shared,
            "worker": env!("CARGO_BIN_EXE_smlt-worker"),
            "input": { "args": args },
        });
        order.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        writeln!(self.orders, "{order}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let said = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Execution { objects: project.0.path().join("cloud/objects"), ..said }
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A definition whose functions have names.
pub fn functions(definition: &str) -> String {
    let mut pieces = definition.split("${");
    let named = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(named, |text, piece| text + &piece.replacen('}', "", 1))
}

impl Execution {
    pub fn end(&self) -> End {
        if self.status == "SUCCEEDED" {
            let text = self.output.as_deref().unwrap();
            let carried: Carried = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let value = carried.value(&mut |stored| {
                let artifact = Artifact { name: "value".into(), hash: stored.hash, bytes: stored.bytes };
                let bytes = Objects::open(&self.objects).read(&artifact).unwrap();
                Ok(Arc::new(serde_json::from_slice(&bytes).unwrap()))
            });
            return End::Value(value.unwrap().to_json());
        }
        let (error, cause) = (self.error.clone().unwrap_or_default(), self.cause.clone().unwrap_or_default());
        assert_eq!(self.status, "FAILED", "{error}: {cause}");
        let (step, failure) = Caught { error, cause }.read("?");
        End::Failure { kind: failure.kind.name().to_owned(), message: failure.message, step }
    }
}

/// Where programs are looked for: Python with scikit-learn first.
fn with_python() -> OsString {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin");
    assert!(python.join("python3").exists(), "`tests/run` installs scikit-learn");
    env::join_paths([python].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap()))).unwrap()
}

/// A folder with a workflow and what it needs.
pub struct Project(TempDir);

impl Project {
    /// With the text of its workflow, and with the data of the examples.
    pub fn new(workflow: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        fs::create_dir(&project).unwrap();
        fs::write(project.join("main.smlt"), workflow).unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        for shared in ["data", "scripts"] {
            symlink(examples.join(shared), project.join(shared)).unwrap();
        }
        fs::create_dir(folder.path().join("cloud")).unwrap();
        symlink(&project, folder.path().join("cloud/project")).unwrap();
        Self(folder)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join("project").join(file)
    }

    /// Puts its files into a bucket.
    pub fn upload(&self, remote: &Remote) {
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(self.path(&folder)).unwrap() {
                let name = format!("{folder}{}", entry.unwrap().file_name().to_string_lossy());
                match self.path(&name).is_dir() {
                    true if name.starts_with('.') => {}
                    true => folders.push(name + "/"),
                    false => assert!(remote.send(&name, &self.path(&name)).unwrap()),
                }
            }
        }
    }

    pub fn build(&self) -> PathBuf {
        let built = self.0.path().join("built");
        let mut smltc = Command::new(env!("CARGO_BIN_EXE_smltc"));
        let output = smltc.arg("build").arg(self.path("main.smlt")).arg("--out").arg(&built).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        built
    }

    /// Runs it on this machine.
    pub fn run(&self, args: &Map<String, Json>) -> End {
        let mut smltc = Command::new(env!("CARGO_BIN_EXE_smltc"));
        smltc.arg("run").arg("main.smlt").args(["--json", "--no-cache"]).current_dir(self.path(""));
        smltc.env("PATH", with_python());
        for (name, value) in args {
            smltc.arg(format!("--{name}")).arg(value.to_string());
        }
        let output = smltc.output().unwrap();
        let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
        let told: Json = serde_json::from_str(&last)
            .unwrap_or_else(|error| panic!("{error}: {last}{}", String::from_utf8_lossy(&output.stderr)));
        let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
        match &told["failure"] {
            Json::Null => End::Value(without_paths(&told["result"])),
            failure => End::Failure {
                kind: text(&failure["kind"]),
                message: text(&failure["message"]),
                step: text(&told["step"]),
            },
        }
    }
}

/// A result whose stored files have no place, which is another in the cloud.
fn without_paths(json: &Json) -> Json {
    match json {
        Json::Array(items) => items.iter().map(without_paths).collect(),
        Json::Object(fields) if fields.contains_key("hash") => fields
            .iter()
            .filter(|(name, _)| *name != "path")
            .map(|(name, field)| (name.clone(), field.clone()))
            .collect(),
        Json::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), without_paths(field))).collect(),
        other => other.clone(),
    }
}

/// How a workflow ends here and there.
pub fn both(cloud: &mut Cloud, workflow: &str, args: &Json) -> (End, End) {
    let project = Project::new(workflow);
    let args = args.as_object().cloned().unwrap_or_default();
    let here = project.run(&args);
    (here, cloud.run(&project, &args, &json!({})).end())
}

/// Runs a workflow here and there, which must come to the same.
pub fn same(cloud: &mut Cloud, workflow: &str, args: &Json) -> End {
    let (here, there) = both(cloud, workflow, args);
    assert_eq!(there, here, "{workflow}");
    here
}
