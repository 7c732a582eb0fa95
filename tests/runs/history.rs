//! What is told of past runs and of those under way: logs as they are written, and what MLflow reads of an export.

use crate::project::*;
use rustix::process::{Signal, kill_process};
use serde_json::{Value as Json, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

/// A command that writes a line, waits for a file called `go`, writes another, and fails the first time.
const TALK: &str = r#"
@retry(max: 1, backoff: 10ms)
task talk() {
  shell: "echo one; while [ ! -e $SMLT_PROJECT/go ]; do sleep 0.01; done; echo two; [ -e $SMLT_CHECKPOINT/tried ] || \{ touch $SMLT_CHECKPOINT/tried; exit 1; \}"
}

workflow main() { run talk() }
"#;

/// Starts a run of [`TALK`], and waits until its command has written something.
fn talking(project: &Project) -> Child {
    let run = project.command(&["run", "talk.smlt", "--quiet"]).stdout(Stdio::null()).spawn().unwrap();
    wait_until("the command has written a line", || project.smltc(&["logs", "talk"]).stdout == b"one\n");
    run
}

/// Follows the log of the command, and waits until its first line is there.
fn follow(project: &Project) -> (Child, BufReader<ChildStdout>) {
    let mut tail = project.command(&["logs", "-f", "talk"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    assert_eq!(first, "one\n");
    (tail, lines)
}

fn rest(mut lines: impl Read) -> String {
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn a_log_is_followed_until_its_step_is_over() {
    let project = Project::with("talk.smlt", TALK);
    let mut run = talking(&project);
    let (mut tail, lines) = follow(&project);
    fs::write(project.path("go"), "").unwrap();
    assert_eq!(rest(lines), "two\n==> attempt 2 <==\none\ntwo\n");
    assert!(tail.wait().unwrap().success());
    assert!(run.wait().unwrap().success());
    assert_eq!(project.smltc(&["logs", "talk", "-f", "-n", "1"]).stdout, b"two\n==> attempt 2 <==\ntwo\n");
}

#[test]
fn a_log_is_followed_no_longer_than_its_run_lives() {
    let project = Project::with("talk.smlt", TALK);
    let mut run = talking(&project);
    let (mut tail, lines) = follow(&project);
    kill_process(pid(&run), Signal::KILL).unwrap();
    run.wait().unwrap();
    assert_eq!(rest(lines), "");
    assert!(tail.wait().unwrap().success());
    assert_eq!(project.state(), "interrupted");
}

#[test]
fn a_run_under_way_is_not_removed() {
    let project = Project::with("talk.smlt", TALK);
    let mut run = talking(&project);
    for args in [&["rm", "last"][..], &["rm", "last", "--dry-run"]] {
        let output = project.smltc(args);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("is under way and stays"));
    }
    assert!(project.smltc(&["rm", "--keep", "0"]).stdout.is_empty());
    assert!(project.smltc(&["gc"]).status.success());
    fs::write(project.path("go"), "").unwrap();
    assert!(run.wait().unwrap().success());
    assert!(project.smltc(&["rm", "last"]).status.success());
    assert!(fs::read_dir(project.path(".smlt/runs")).unwrap().next().is_none());
}

/// What MLflow reads in a folder.
fn mlflow(folder: &Path) -> Vec<Json> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/mlflow/bin/python");
    assert!(python.exists(), "install PyPI's `mlflow-skinny` into `target/mlflow`, as `tests/run` does");
    let output = Command::new(python).arg(root.join("tests/runs/read_mlflow.py")).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A search, a training of its best, a command with a metric under a name that MLflow would refuse.
const SEARCH: &str = r#"
import std/models.{mlp}
import std/search.{random}
import std/space.{log_uniform}

dataset digits {
  source: "data/digits.csv.gz"
  format: csv(header: false)
  label: "column64"
  split { train: 70%, valid: 15%, test: 15%, seed: 7 }
  scale: 0.0625
}

task weigh() { shell: "echo '\{\"metric\": \"size: all\", \"step\": 7, \"value\": 2.5\}'" }

type Report = { accuracy: Float, weights: Artifact }

workflow main(trials: Int = 3) -> Report {
  run weigh()
  let best = search mlp(inputs: 64, hidden: 8, classes: 10) {
    data: digits
    epochs: 2
    minimize: valid.loss
    strategy: random(trials: trials)
    space { lr: log_uniform(1e-3, 1e-1) }
  }
  let score = evaluate best.model() { data: digits.test, metrics: [accuracy] }
  Report(accuracy: score.accuracy, weights: best.weights)
}
"#;

#[test]
fn mlflow_reads_what_is_exported() {
    let project = Project::with("search.smlt", SEARCH);
    let (result, weights) = project.result(&["search.smlt", "--seed", "3"]);
    let export = || {
        let output = project.smltc(&["export", "last", "--mlflow", "mlruns"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        mlflow(&project.path("mlruns"))
    };
    let runs = export();
    assert_eq!(runs.len(), 5, "the run, three trials and the command: {runs:#?}");
    let named = |name: &str| runs.iter().find(|run| run["name"] == name).unwrap_or_else(|| panic!("{name}: {runs:#?}"));
    let events = project.events();

    let whole = runs.iter().find(|run| run["tags"]["mlflow.parentRunId"].is_null()).unwrap();
    assert_eq!(whole["experiment"], "search.main");
    assert_eq!(whole["status"], "FINISHED");
    assert_eq!(whole["params"], json!({ "seed": "3", "trials": "3" }));
    assert_eq!(whole["metrics"]["accuracy"], result["accuracy"]);
    assert_eq!(whole["metrics"]["score.accuracy"], result["accuracy"]);
    assert_eq!(whole["files"]["weights/mlp.safetensors"], weights.len());
    assert!(whole["files"]["result.json"].as_u64().unwrap() > 0);
    assert!(whole["tags"]["mlflow.source.name"].as_str().unwrap().ends_with("/search.smlt"));
    assert!(whole["start"].as_i64() < whole["end"].as_i64());

    for event in events.iter().filter(|event| event["event"] == "trial") {
        let trial = named(&format!("best/trial[{}]", event["trial"]));
        assert_eq!(trial["tags"]["mlflow.parentRunId"], whole["id"]);
        assert_eq!(trial["status"], "FINISHED");
        assert_eq!(trial["metrics"]["objective"], event["value"]);
        assert_eq!(trial["params"]["lr"].as_str().unwrap().parse::<f64>().ok(), event["params"]["lr"].as_f64());
        let losses = trial["histories"]["valid.loss"].as_array().unwrap();
        assert_eq!(losses.iter().map(|point| point[0].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
        assert!(losses.iter().all(|point| point[2].as_i64() >= whole["start"].as_i64()));
    }
    let best: Vec<&Json> = runs.iter().filter(|run| run["tags"]["smltc.best"] == "true").collect();
    assert_eq!(best.len(), 1);
    let size = &named("weigh")["histories"]["size_ all"][0];
    assert_eq!([&size[0], &size[1]], [&json!(7), &json!(2.5)]);

    assert_eq!(export(), runs, "exported again");
}
