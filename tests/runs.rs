//! Runs of the program itself, on real data and with real processes: results, repeatability, and what becomes of a run
//! when processes are killed.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
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
struct Project(TempDir);

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"), folder.path());
        Self(folder)
    }

    fn with(file: &str, text: &str) -> Self {
        let project = Self::new();
        fs::write(project.path(file), text).unwrap();
        project
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smltc"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn smltc(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The result of a run that must succeed, and the bytes of its weights.
    fn result(&self, args: &[&str]) -> (Json, Vec<u8>) {
        let output = self.smltc(&[&["run"], args, &["--quiet", "--out", "result.json"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.read_result()
    }

    fn read_result(&self) -> (Json, Vec<u8>) {
        let result: Json = serde_json::from_slice(&fs::read(self.path("result.json")).unwrap()).unwrap();
        let weights = self.path(result["weights"]["path"].as_str().unwrap());
        (result, fs::read(weights).unwrap())
    }

    /// Starts a run, and waits until `ready` holds of its folder and its worker processes.
    fn start(&self, args: &[&str], ready: impl Fn(&[Pid]) -> bool) -> Child {
        let run = self.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("the run is under way", || ready(&children(run.id())));
        run
    }

    fn state(&self) -> String {
        let output = self.smltc(&["show", "--json"]);
        let run: Json = serde_json::from_slice(&output.stdout).unwrap();
        run["state"].as_str().unwrap().to_owned()
    }

    /// The events of the latest run.
    fn events(&self) -> Vec<Json> {
        let output = self.smltc(&["show", "--json"]);
        let mut run: Json = serde_json::from_slice(&output.stdout).unwrap();
        serde_json::from_value(run["events"].take()).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
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

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The processes that a process has started, by what the system says of each.
fn children(parent: u32) -> Vec<Pid> {
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

fn is_alive(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    let is_zombie = stat.is_ok_and(|stat| stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'));
    test_kill_process(process).is_ok() && !is_zombie
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// A training that lasts a few seconds at least, with a result that tells whether it was disturbed.
const LONG: &str = r#"
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

#[test]
fn digits_are_told_apart() {
    let (result, _) = Project::new().result(&["digits.smlt"]);
    assert!(result["accuracy"].as_f64().unwrap() >= 0.97, "{result}");
}

#[test]
fn tumours_are_told_apart_after_a_python_program_has_prepared_the_table() {
    let (result, _) = Project::new().result(&["tumours.smlt"]);
    assert_eq!(result["rows"], 569);
    assert!(result["auc"].as_f64().unwrap() >= 0.98, "{result}");
}

#[test]
fn a_search_over_a_python_program_finds_the_same_one_and_two_at_a_time() {
    let project = Project::new();
    let found = |jobs: &str| -> Json {
        let args = ["run", "neighbours.smlt", "--trials", "12", "--jobs", jobs, "--quiet", "--out", "result.json"];
        let output = project.smltc(&args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&fs::read(project.path("result.json")).unwrap()).unwrap()
    };
    let result = found("1");
    assert!(result["accuracy"].as_f64().unwrap() >= 0.93, "{result}");
    assert_eq!(result, found("2"));
}

#[test]
fn rounds_go_on_until_the_goal_is_reached() {
    let (result, _) = Project::new().result(&["rounds.smlt"]);
    assert!(result["loss"].as_f64().unwrap() <= 0.1, "{result}");
    // Some rounds made it worse; they were undone, and the rate was halved.
    assert!(result["rate"].as_f64().unwrap() < 1.0, "{result}");
}

#[test]
fn garments_are_told_apart() {
    let folder = "/usr/share/datasets/fashion-mnist";
    assert!(Path::new(folder).exists(), "install Debian's package `dataset-fashion-mnist`, as `tests/install` does");
    let project = Project::new();
    // A short training: the whole one is in the README.
    let (result, _) = project.result(&["fashion.smlt", "--epochs", "1", "--batch", "256"]);
    assert!(result["accuracy"].as_f64().unwrap() >= 0.8, "{result}");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run =
        |args: &[&str]| Project::new().result(&[&["digits.smlt", "--trials", "4", "--epochs", "5"], args].concat());
    let one = run(&["--seed", "1", "--jobs", "1"]);
    let two = run(&["--seed", "1", "--jobs", "2"]);
    let other = run(&["--seed", "2"]);
    assert_eq!(one.1, two.1, "weights");
    assert_eq!(one.0["accuracy"], two.0["accuracy"]);
    assert_eq!(one.0["lr"], two.0["lr"]);
    assert_ne!(one.1, other.1);
    assert_ne!(one.0["lr"], other.0["lr"]);
}

#[test]
fn asynchronous_halving_gives_the_same_bytes_too() {
    let run = |jobs: &str| Project::new().result(&["tumours.smlt", "--trials", "12", "--jobs", jobs]);
    assert_eq!(run("1").1, run("2").1);
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let wide = LONG.replace("epochs: epochs }", "epochs: epochs, batch: 256 }");
    let blocks = wide
        .replace("std/models.{mlp}", "std/models.{encoder_block, residual_block}\nimport std/nn.{dense, mean_pool, reshape}")
        .replace("scale:", "shape: [1, 8, 8]\n  scale:")
        .replace("type Report", "model net = residual_block(1, 4, stride: 2) |> reshape([16, 4]) |> encoder_block(4) |> mean_pool |> dense(4, 10)\n\ntype Report")
        .replace("mlp(inputs: 64, hidden: 256, classes: 10)", "net()");
    for text in [wide, blocks] {
        let run = |processors: &str| threads(&text, processors);
        assert_eq!(run("0"), run("0,1"), "{text}");
    }
}

/// The weights of a short training with as many threads as processors may be used.
fn threads(text: &str, processors: &str) -> Vec<u8> {
    let project = Project::with("long.smlt", text);
    let status = Command::new("taskset")
        .args(["--cpu-list", processors, env!("CARGO_BIN_EXE_smltc"), "run", "long.smlt", "--epochs", "2"])
        .args(["--quiet", "--out", "result.json"])
        .current_dir(project.0.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    project.read_result().1
}

/// A table of tokens in which only the order of two of them tells the label.
#[test]
fn texts_are_told_apart_by_the_order_of_their_tokens() {
    let project = Project::with(
        "texts.smlt",
        r#"
import std/models.{text_classifier}

dataset texts {
  source: "tokens.csv"
  label: "verdict"
  split { train: 80%, test: 20% }
}

type Report = { accuracy: Float, weights: Artifact }

workflow main() -> Report {
  let net = train text_classifier(16, length: texts.width, features: 16, drop: 0.0, classes: texts.classes) {
    data: texts
    optimizer: adamw(lr: 5e-3)
    batch: 32
    epochs: 25
  }
  let score = evaluate net.model() { data: texts.test, metrics: [accuracy] }
  Report(accuracy: score.accuracy, weights: net.weights)
}
"#,
    );
    let mut tokens = String::from("verdict,t0,t1,t2,t3,t4,t5,t6,t7\n");
    for row in 0..400_u32 {
        let mut text: Vec<u32> = (0..8).map(|place| 3 + (row * 7 + place * place * 5 + row * place) % 13).collect();
        let (first, second) = (row / 2 % 4, 4 + row / 8 % 4);
        (text[first as usize], text[second as usize]) = if row % 2 == 0 { (1, 2) } else { (2, 1) };
        let text: Vec<String> = text.iter().map(u32::to_string).collect();
        tokens += &format!("{},{}\n", if row % 2 == 0 { "good" } else { "bad" }, text.join(","));
    }
    fs::write(project.path("tokens.csv"), tokens).unwrap();
    let (result, _) = project.result(&["texts.smlt"]);
    assert!(result["accuracy"].as_f64().unwrap() >= 0.95, "{result}");
}

#[test]
fn a_killed_worker_costs_a_retry_and_nothing_else() {
    let undisturbed = Project::with("long.smlt", LONG).result(&["long.smlt"]);

    let project = Project::with("long.smlt", LONG);
    let mut run =
        project.start(&["run", "long.smlt", "--quiet", "--out", "result.json"], |workers| !workers.is_empty());
    // In the middle of the training: some epochs are over, and more are to come.
    wait_until("an epoch is over", || project.events().iter().any(|event| event["event"] == "epoch"));
    let workers = children(run.id());
    assert_eq!(workers.len(), 1);
    kill_process(workers[0], Signal::KILL).unwrap();

    assert!(run.wait().unwrap().success());
    let disturbed = project.read_result();
    assert_eq!(disturbed.0["epochs"], undisturbed.0["epochs"]);
    assert_eq!(disturbed.1, undisturbed.1);
    let retries: Vec<Json> = project.events().into_iter().filter(|event| event["event"] == "step_retried").collect();
    assert_eq!(retries.len(), 1);
    assert_eq!(retries[0]["failure"]["kind"], "WorkerLost");
}

#[test]
fn a_worker_that_is_killed_again_and_again_fails_the_run() {
    let project = Project::with("long.smlt", LONG);
    let mut run = project.start(&["run", "long.smlt", "--quiet"], |workers| !workers.is_empty());
    let started = Instant::now();
    while run.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(60));
        for worker in children(run.id()) {
            // It may be gone already.
            let _ = kill_process(worker, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(run.wait().unwrap().code(), Some(1));
    assert_eq!(project.state(), "failed");
}

#[test]
fn an_interrupt_stops_a_run_in_order() {
    let project = Project::with("long.smlt", LONG);
    let mut run = project.start(&["run", "long.smlt", "--epochs", "100000"], |workers| !workers.is_empty());
    let workers = children(run.id());
    kill_process(pid(&run), Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert_eq!(project.state(), "cancelled");
    wait_until("no worker is left", || workers.iter().all(|worker| !is_alive(*worker)));
}

#[test]
fn a_killed_run_leaves_no_process_behind() {
    let text = format!(
        "{LONG}\ntask nap() {{ shell: \"echo $$ > $SMLT_PROJECT/nap; sleep 1000\" }}\nworkflow naps() {{ run nap() }}\n"
    );
    let project = Project::with("long.smlt", &text);
    let mut run = project.start(&["run", "long.smlt", "naps"], |_| project.path("nap").exists());
    wait_until("the command told its number", || {
        fs::read_to_string(project.path("nap")).is_ok_and(|id| id.ends_with('\n'))
    });
    let nap: i32 = fs::read_to_string(project.path("nap")).unwrap().trim().parse().unwrap();
    let mut processes = children(run.id());
    processes.extend(Pid::from_raw(nap));
    processes.extend(children(nap.cast_unsigned()));
    run.kill().unwrap();
    run.wait().unwrap();
    wait_until("no process is left", || processes.iter().all(|process| !is_alive(*process)));
    assert_eq!(project.state(), "interrupted");
}

#[test]
fn a_timeout_takes_all_processes_of_a_command_along() {
    let text = "@timeout(300ms)\ntask nap() { shell: \"sleep 1000 & echo $! > $SMLT_PROJECT/nap; wait\" }\nworkflow main() { run nap() }\n";
    let project = Project::with("nap.smlt", text);
    let output = project.smltc(&["run", "nap.smlt", "--quiet"]);
    assert_eq!(output.status.code(), Some(1));
    let nap: i32 = fs::read_to_string(project.path("nap")).unwrap().trim().parse().unwrap();
    wait_until("the sleeper is gone", || !is_alive(Pid::from_raw(nap).unwrap()));
}

/// The last event of a search for digits with more trials than its limits allow.
fn end_of_a_long_search(project: &Project) -> Json {
    let output = project.smltc(&["run", "digits.smlt", "--trials", "500", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn a_search_that_meets_its_deadline_keeps_the_best_and_the_workflow_goes_on() {
    let project = Project::new();
    let text = fs::read_to_string(project.path("digits.smlt")).unwrap().replace("@deadline(5min)", "@deadline(4s)");
    fs::write(project.path("digits.smlt"), text).unwrap();
    let end = end_of_a_long_search(&project);
    assert_eq!(end["status"], "succeeded");
    assert!(end["result"]["accuracy"].as_f64().unwrap() > 0.9, "{end}");
    assert!(end["at"].as_f64().unwrap() <= 5.0, "{end}");
    let marks = end["marks"].as_array().unwrap();
    assert!(marks.iter().any(|mark| mark["scope"] == "main/best"), "{end}");
    assert_eq!(project.state(), "cut short");
}

#[test]
fn a_search_that_meets_its_budget_keeps_the_best_and_the_workflow_goes_on() {
    let project = Project::new();
    let text = fs::read_to_string(project.path("digits.smlt")).unwrap().replace("$0.10", "$0.0008");
    fs::write(project.path("digits.smlt"), text).unwrap();
    let end = end_of_a_long_search(&project);
    assert!(end["cost"].as_f64().unwrap() <= 0.0008, "{end}");
    assert!(!end["marks"].as_array().unwrap().is_empty(), "{end}");
}

#[test]
fn weights_carry_their_model_card() {
    let (result, weights) = Project::with("long.smlt", LONG).result(&["long.smlt", "--epochs", "2", "--seed", "5"]);
    assert_eq!(result["weights"]["name"], "mlp.safetensors");
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&weights).unwrap();
    let card: Json = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["smltc"]).unwrap();
    assert_eq!(card["model"], "mlp");
    assert_eq!(card["parameters"], 64 * 256 + 256 + 256 * 10 + 10);
    assert_eq!(card["epochs"], 2);
    assert_eq!(card["lens"]["classes"].as_array().unwrap().len(), 10);
    assert!(card["metrics"]["valid"]["loss"].as_f64().unwrap() > 0.0);
    assert_eq!(card["data"]["hash"].as_str().unwrap().len(), 64);
    assert!(card["seed"].is_number());
    assert_eq!(card["layers"][1], "dense(bias: true, inputs: 64, outputs: 256)");
}

#[test]
fn two_programs_share_a_project() {
    let project = Project::with("long.smlt", LONG);
    let runs: Vec<Child> = (0..4)
        .map(|_| {
            project.command(&["run", "long.smlt", "--epochs", "1", "--quiet"]).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    let listed = String::from_utf8(project.smltc(&["runs", "--json"]).stdout).unwrap();
    assert_eq!(listed.lines().filter(|line| line.contains("\"succeeded\"")).count(), 4);
}

#[test]
fn a_terminal_sees_the_steps_the_trials_and_the_limits() {
    let project = Project::new();
    // `script` gives the program a terminal of its own.
    let command = format!("stty columns 200; {} run digits.smlt --trials 12 --epochs 40", env!("CARGO_BIN_EXE_smltc"));
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(project.0.path())
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
    let seen = String::from_utf8(output.stdout).unwrap();
    for wanted in ["/12 trials", "/40  train.loss", " of 5min · $", " of $0.10", "✓", "accuracy"] {
        assert!(seen.contains(wanted), "{wanted:?} is not in {seen}");
    }
}
