//! Trainings by several worker processes: whoever trains, and whatever becomes of them, the weights are the same bits.

mod inexact;
mod limits;
mod losses;
mod samples;
mod stores;
mod storm;

use crate::project::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// A training of four workers for some seconds; `SETTINGS` stands for more of its settings.
const TEAM: &str = r#"
import std/models.{mlp}
import std/sync.{all_to_all, auto, bf16, every, in_store, parameter_server, schedule, scatter_reduce, two_level}

dataset digits {
  source: "data/digits.csv.gz"
  format: csv(header: false)
  label: "column64"
  split { train: 80%, valid: 10%, test: 10%, seed: 7 }
  scale: 0.0625
}

type Report = { accuracy: Float, epochs: Int, told: Int, weights: Artifact }

workflow main(epochs: Int = 4) -> Report {
  let net = train mlp(inputs: 64, hidden: 128, classes: 10) {
    data: digits
    epochs: epochs
    shards: 8
    SETTINGS
  }
  let score = evaluate net.model() { data: digits.test, metrics: [accuracy] }
  Report(accuracy: score.accuracy, epochs: net.epochs, told: len(net.history), weights: net.weights)
}
"#;

/// Epochs that take some seconds.
const LONG: &str = "250";

/// A project whose file `team.smlt` has some settings in its training.
fn team(settings: &str) -> Project {
    Project::with("team.smlt", &TEAM.replace("SETTINGS", settings))
}

/// What a single worker comes to after so many epochs.
fn alone(epochs: &str) -> (Json, Vec<u8>) {
    team("workers: 1").result(&["team.smlt", "--epochs", epochs])
}

/// The program with a folder for temporary files that is the project's own.
fn command(project: &Project, args: &[&str]) -> Command {
    let temporary = temporary(project);
    fs::create_dir_all(&temporary).unwrap();
    let mut command = project.command(args);
    command.env("TMPDIR", temporary);
    command
}

fn temporary(project: &Project) -> PathBuf {
    project.path("temporary")
}

fn start(project: &Project, args: &[&str]) -> Child {
    let args = [args, &["--quiet", "--out", "result.json"]].concat();
    command(project, &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The result of a run that was started, which must succeed.
fn finished(project: &Project, run: Child) -> (Json, Vec<u8>) {
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    project.read_result()
}

fn events(project: &Project, kind: &str) -> Vec<Json> {
    project.events().into_iter().filter(|event| event["event"] == kind).collect()
}

fn wait_for_epoch(project: &Project, epoch: u64) {
    wait_until("some epochs are over", || {
        // A run that has not entered itself into the list has none.
        !project.runs().is_empty() && events(project, "epoch").iter().any(|event| event["epoch"] == epoch)
    });
}

/// Starts a long training with some more arguments, and kills smltc in the middle of it.
fn kill_in_training(project: &Project, args: &[&str]) {
    let mut run = start(project, &[&["run", "team.smlt", "--epochs", LONG], args].concat());
    wait_for_epoch(project, 20);
    run.kill().unwrap();
    run.wait().unwrap();
    wait_until("no process is left", || processes_in(project.folder()).is_empty());
}

/// The processes that train for a run: each has a keeper between it and the run.
fn workers(run: &Child) -> Vec<Pid> {
    let mut workers: Vec<Pid> =
        children(run.id()).iter().flat_map(|keeper| children(keeper.as_raw_nonzero().get().cast_unsigned())).collect();
    workers.sort_by_key(|worker| worker.as_raw_nonzero());
    workers
}

fn strike(worker: Pid, signal: Signal) {
    // It may be gone already.
    let _ = kill_process(worker, signal);
}

fn checkpoints(project: &Project) -> Vec<PathBuf> {
    let mut found = files(&project.path(".smlt/runs"));
    found.retain(|path| path.extension().is_some_and(|end| end == "checkpoint"));
    found.sort();
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Nothing is left of a run that is over.
fn leaves_nothing(project: &Project) {
    wait_until("no process is left", || processes_in(project.folder()).is_empty());
    assert_eq!(checkpoints(project), [] as [PathBuf; 0]);
    let temporary = fs::read_dir(temporary(project)).into_iter().flatten().flatten();
    assert_eq!(temporary.map(|entry| entry.path()).collect::<Vec<_>>(), [] as [PathBuf; 0]);
}

#[test]
fn the_example_loses_a_worker_and_not_a_bit() {
    let calm = Project::new().result(&["elastic.smlt", "--workers", "1", "--mishap", "false", "--no-cache"]);
    let project = Project::new();
    let run = start(&project, &["run", "elastic.smlt"]);
    assert!(finished(&project, run) == calm);
    let rounds = events(&project, "round_done");
    let mut numbers: Vec<u64> = rounds.iter().map(|round| round["round"]["workers"].as_u64().unwrap()).collect();
    numbers.dedup();
    assert_eq!(numbers, [2, 4, 1]);
    assert_eq!(events(&project, "round_lost").len(), 1);
    assert_eq!(events(&project, "step_retried").len(), 0);
    leaves_nothing(&project);
}

#[test]
fn each_exchange_comes_to_the_same_bits() {
    let wanted = alone("4");
    for way in ["auto", "scatter_reduce", "all_to_all", "parameter_server", "in_store", "two_level"] {
        let project = team(&format!("workers: 4\n    sync: {way}()"));
        assert!(project.result(&["team.smlt"]) == wanted, "{way}");
        leaves_nothing(&project);
    }
}

#[test]
fn trials_of_a_search_have_workers_too() {
    let text = r#"
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

type Report = { lr: Float, value: Float, weights: Artifact }

workflow main() -> Report {
  let best = search mlp(inputs: 64, hidden: 32, classes: 10) {
    data: digits
    maximize: valid.accuracy
    strategy: random(trials: 4)
    epochs: 3
    workers: 2
    space { lr: log_uniform(1e-3, 3e-2) }
  }
  Report(lr: best.params.lr, value: best.value, weights: best.weights)
}
"#;
    let of = |workers| Project::with("search.smlt", text).result(&["search.smlt", "--workers", workers]);
    let project = Project::with("search.smlt", text);
    assert!(project.result(&["search.smlt"]) == of("1"));
    assert_eq!(events(&project, "round_done").len(), 4);
    leaves_nothing(&project);
}

#[test]
fn a_deadline_keeps_the_best_so_far() {
    let text = TEAM
        .replace("SETTINGS", "workers: schedule([2, 4], at: [20])")
        .replace("workflow main", "@deadline(6s)\nworkflow main");
    let project = Project::with("team.smlt", &text);
    let (result, _) = project.result(&["team.smlt", "--epochs", "1000000"]);
    assert!(result["accuracy"].as_f64().unwrap() > 0.8, "{result}");
    assert_eq!(result["epochs"], result["told"]);
    leaves_nothing(&project);
}
