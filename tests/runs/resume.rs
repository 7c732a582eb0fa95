//! Runs that are killed, cancelled or damaged, and go on with `--resume`.

use crate::project::*;
use rustix::process::{Signal, kill_process};
use serde_json::Value as Json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Two commands, a search and a training; each command tells in a file how often it was run.
const MIXED: &str = r#"
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

task prepare(n: Int) -> { notes: Artifact } {
  shell: "echo x >> $SMLT_PROJECT/prepared; sleep 0.2; echo $n > notes; echo '\{\"notes\": \"notes\"\}' > $SMLT_OUT"
}

task count(notes: Artifact) -> { n: Int } {
  shell: "echo x >> $SMLT_PROJECT/counted; echo \"\{\\\"n\\\": $(cat $notes)\}\" > $SMLT_OUT"
}

type Report = { n: Int, lr: Float, value: Float, epochs: Int, weights: Artifact }

workflow main() -> Report {
  let prepared = run prepare(3)
  let best = search mlp(inputs: 64, hidden: 32, classes: 10) {
    data: digits
    maximize: valid.accuracy
    strategy: random(trials: 6)
    epochs: 4
    space { lr: log_uniform(1e-3, 3e-2) }
  }
  let net = train mlp(inputs: 64, hidden: 64, classes: 10) { data: digits, lr: best.params.lr, epochs: 12 }
  let counted = run count(prepared.notes)
  Report(n: counted.n, lr: best.params.lr, value: best.value, epochs: net.epochs, weights: net.weights)
}
"#;

/// A step that leaves a file, and one that waits until it may go on.
const TWO_STEPS: &str = r#"
task first() -> { file: Artifact } {
  shell: "echo x >> $SMLT_PROJECT/first; echo made > made; echo '\{\"file\": \"made\"\}' > $SMLT_OUT"
}

task second(file: Artifact) -> { lines: Int } {
  shell: "echo x >> $SMLT_PROJECT/second; while [ ! -e $SMLT_PROJECT/go ]; do sleep 0.05; done; echo \"\{\\\"lines\\\": $(wc -l < $file)\}\" > $SMLT_OUT"
}

workflow main() -> Int {
  let made = run first()
  let read = run second(made.file)
  read.lines
}
"#;

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// How often a step was begun that adds a line to a file each time.
fn times(project: &Project, file: &str) -> usize {
    fs::read_to_string(project.path(file)).unwrap_or_default().lines().count()
}

fn kill(mut run: Child) {
    run.kill().unwrap();
    run.wait().unwrap();
}

fn start(project: &Project, args: &[&str]) -> Child {
    project.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A run of two steps that was killed in its second.
fn killed_in_the_second_step() -> Project {
    let project = Project::with("two.smlt", TWO_STEPS);
    let run = start(&project, &["run", "two.smlt", "--quiet"]);
    // A kill may take along what was not written into the log yet.
    let is_logged = || project.events().iter().any(|event| event["event"] == "step_done");
    wait_until("the second step is under way", || times(&project, "second") == 1 && is_logged());
    kill(run);
    project
}

fn resumed(project: &Project) -> String {
    fs::write(project.path("go"), "").unwrap();
    let output = project.smltc(&["run", "--resume", "--quiet"]);
    assert!(output.status.success(), "{}", error_of(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

#[test]
fn a_run_that_is_killed_again_and_again_comes_to_the_same() {
    let undisturbed = Project::with("mixed.smlt", MIXED).result(&["mixed.smlt"]);

    let project = Project::with("mixed.smlt", MIXED);
    let (mut args, mut kills) = (vec!["run", "mixed.smlt", "--quiet", "--out", "result.json"], 0);
    loop {
        let mut run = start(&project, &args);
        // Later each time, so that it comes to its end on any machine.
        let patience = Duration::from_millis(150 + 100 * kills);
        let started = Instant::now();
        while run.try_wait().unwrap().is_none() && started.elapsed() < patience {
            thread::sleep(Duration::from_millis(5));
        }
        match run.try_wait().unwrap() {
            Some(status) => {
                assert!(status.success());
                break;
            }
            // Once a worker goes before its run does.
            None if kills == 1 => children(run.id()).first().iter().for_each(|worker| {
                let _ = kill_process(**worker, Signal::KILL);
            }),
            None => {}
        }
        kill(run);
        kills += 1;
        let entered = fs::exists(project.path(".smlt/runs.db")).unwrap() && !project.runs().is_empty();
        args = match entered {
            true => vec!["run", "--resume", "--quiet", "--out", "result.json"],
            false => args,
        };
    }
    // The first step alone lasts longer than the first patience.
    assert!(kills >= 1);
    let (result, weights) = project.read_result();
    assert_eq!(result, undisturbed.0);
    assert!(weights == undisturbed.1);
    assert_eq!(project.runs().len(), 1);
    let trials: Vec<Json> = project.events().into_iter().filter(|event| event["event"] == "trial").collect();
    assert_eq!(trials.len(), 6, "each trial is over once");
}

#[test]
fn what_is_done_is_not_done_again_and_the_clock_stands_still() {
    let began = Instant::now();
    let project = killed_in_the_second_step();
    assert_eq!(project.state(), "interrupted");
    thread::sleep(Duration::from_secs(1));
    assert_eq!(resumed(&project), "1\n");
    let wall = began.elapsed().as_secs_f64();
    assert_eq!((times(&project, "first"), times(&project, "second")), (1, 2));
    let run = project.show();
    assert_eq!(run["state"], "succeeded");
    assert!(run["elapsed"].as_f64().unwrap() <= wall - 1.0, "{run}");
    let events = run["events"].as_array().unwrap();
    let at: Vec<f64> = events.iter().map(|event| event["at"].as_f64().unwrap()).collect();
    assert!(at.is_sorted(), "{at:?}");
    let resumed = events.iter().find(|event| event["event"] == "run_resumed").unwrap();
    assert_eq!((&resumed["steps"], &resumed["trials"]), (&Json::from(1), &Json::from(0)));
    // Its attempt that was cut off is no failure, and no retry.
    assert!(events.iter().all(|event| event["event"] != "step_retried" && event["event"] != "step_failed"));
}

#[test]
fn a_stored_file_that_was_cut_short_is_made_again() {
    for damage in [&b"mad"[..], b"", b"ruin\n"] {
        let project = killed_in_the_second_step();
        let stored = files(&project.path(".smlt/objects"));
        assert_eq!(stored.len(), 1);
        fs::write(&stored[0], damage).unwrap();
        assert_eq!(resumed(&project), "1\n");
        assert_eq!(fs::read(&stored[0]).unwrap(), b"made\n");
        assert_eq!(times(&project, "first"), 2);
    }
}

#[test]
fn a_log_whose_end_was_lost_loses_steps_but_no_truth() {
    for share in [0, 30, 60, 95] {
        let project = killed_in_the_second_step();
        let wal = project.path(".smlt/runs.db-wal");
        let length = fs::metadata(&wal).unwrap().len();
        fs::File::options().write(true).open(&wal).unwrap().set_len(length * share / 100).unwrap();
        fs::write(project.path("go"), "").unwrap();
        let output = project.smltc(&["run", "two.smlt", "--resume", "--quiet"]);
        match output.status.code() {
            Some(0) => assert_eq!(output.stdout, b"1\n"),
            // The run itself was lost with its log.
            _ => assert!(error_of(&output).starts_with("error: there "), "{}", error_of(&output)),
        }
    }
}

#[test]
fn a_training_goes_on_from_its_checkpoint_and_begins_anew_where_that_is_damaged() {
    let args = ["long.smlt", "--epochs", "500"];
    let undisturbed = Project::with("long.smlt", LONG).result(&args);
    for is_damaged in [false, true] {
        let project = Project::with("long.smlt", LONG);
        let run = start(&project, &[&["run"], &args[..], &["--quiet"]].concat());
        let checkpoints = || {
            let mut found = files(&project.path(".smlt/runs"));
            found.retain(|path| path.extension().is_some_and(|end| end == "checkpoint"));
            found
        };
        wait_until("a checkpoint is there", || !checkpoints().is_empty());
        kill(run);
        if is_damaged {
            for path in checkpoints() {
                let bytes = fs::read(&path).unwrap();
                fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
        let output = project.smltc(&["run", "--resume", "--quiet", "--out", "result.json"]);
        assert!(output.status.success(), "{}", error_of(&output));
        assert!(project.read_result().1 == undisturbed.1);
        let begun = project.events().iter().filter(|event| event["epoch"] == 1).count();
        assert_eq!(begun, 1 + usize::from(is_damaged));
        assert_eq!(checkpoints(), Vec::<PathBuf>::new(), "they are gone with the training");
    }
}

#[test]
fn a_cancelled_run_goes_on() {
    let args = ["long.smlt", "--epochs", "100"];
    let undisturbed = Project::with("long.smlt", LONG).result(&args);
    let project = Project::with("long.smlt", LONG);
    let mut run = project.start(&[&["run"], &args[..]].concat(), |workers| !workers.is_empty());
    wait_until("an epoch is over", || project.events().iter().any(|event| event["event"] == "epoch"));
    kill_process(pid(&run), Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert_eq!(project.state(), "cancelled");
    let output = project.smltc(&["run", "long.smlt", "--resume", "--quiet", "--out", "result.json"]);
    assert!(output.status.success(), "{}", error_of(&output));
    assert!(project.read_result().1 == undisturbed.1);
    let epochs: Vec<Json> = project.events().into_iter().filter(|event| event["event"] == "epoch").collect();
    assert_eq!(epochs.len(), 100, "it stopped at a checkpoint, and no epoch was trained twice");
    assert_eq!(project.state(), "succeeded");
}

#[test]
fn a_failed_step_is_tried_again_and_what_would_fail_again_is_not() {
    let text = r#"
task first() -> { n: Int } { shell: "echo x >> $SMLT_PROJECT/first; echo '\{\"n\": 1\}' > $SMLT_OUT" }
task second(n: Int) { shell: "test -e $SMLT_PROJECT/go" }
workflow main() -> Int {
  let made = run first()
  run second(made.n)
  made.n
}
workflow sure() {
  let made = run first()
  assert made.n > 1, "too few"
}
"#;
    let project = Project::with("fails.smlt", text);
    assert_eq!(project.smltc(&["run", "fails.smlt", "main", "--quiet"]).status.code(), Some(1));
    assert_eq!(project.smltc(&["run", "--resume", "--quiet"]).status.code(), Some(1));
    assert_eq!(resumed(&project), "1\n");
    assert_eq!(times(&project, "first"), 1);

    assert_eq!(project.smltc(&["run", "fails.smlt", "sure", "--quiet"]).status.code(), Some(1));
    let output = project.smltc(&["run", "--resume"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error_of(&output).contains("it would fail again: AssertionFailed: too few"), "{}", error_of(&output));
}

#[test]
fn one_process_at_a_time_is_at_a_run() {
    let project = killed_in_the_second_step();
    let runs: Vec<Child> = (0..4)
        .map(|_| {
            project
                .command(&["run", "--resume", "--quiet"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    wait_until("the second step is under way again", || times(&project, "second") == 2);
    let ids: Vec<String> = runs.iter().map(|run| run.id().to_string()).collect();
    let under_way = project.smltc(&["run", "--resume"]);
    assert_eq!(under_way.status.code(), Some(1));
    let told = error_of(&under_way);
    assert!(told.contains("is under way in process") && ids.iter().any(|id| told.contains(id)), "{told}");
    // All but one are refused before that one ends.
    thread::sleep(Duration::from_secs(1));
    fs::write(project.path("go"), "").unwrap();
    let outputs: Vec<Output> = runs.into_iter().map(|run| run.wait_with_output().unwrap()).collect();
    let refused = |output: &&Output| {
        let error = error_of(output);
        error.contains("under way in process") || error.contains("resumed by another process")
    };
    let succeeded = outputs.iter().filter(|output| output.stdout == b"1\n").count();
    assert_eq!(succeeded + outputs.iter().filter(refused).count(), 4);
    assert_eq!(times(&project, "second"), 2);
}

#[test]
fn a_run_goes_on_only_as_it_was_begun() {
    let project = killed_in_the_second_step();
    let refusal = |args: &[&str], code: i32| {
        let output = project.smltc(&[&["run"], args].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", error_of(&output));
        error_of(&output)
    };
    let told = refusal(&["--resume", "--seed", "3"], 2);
    assert!(told.starts_with("error: `--seed` can't be given with `--resume`"), "{told}");
    let told = refusal(&["--resume", "--trials", "3"], 2);
    assert!(told.starts_with("error: `--trials` can't be given with `--resume`"), "{told}");
    let told = refusal(&["--resume", "19990101"], 1);
    assert!(told.starts_with("error: there is no run `19990101`"), "{told}");

    // Another number is another workflow; a comment is not.
    fs::write(project.path("two.smlt"), TWO_STEPS.replace("sleep 0.05", "sleep 0.06")).unwrap();
    let told = refusal(&["--resume"], 1);
    assert!(told.contains("is not what it was when the run began"), "{told}");
    fs::write(project.path("two.smlt"), format!("// Now with a word.\n{TWO_STEPS}")).unwrap();
    assert_eq!(resumed(&project), "1\n");

    // What is over already is told again.
    let output = project.smltc(&["run", "two.smlt", "--resume"]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"1\n"[..]));
    assert!(error_of(&output).contains("is over already"), "{}", error_of(&output));
}

#[test]
fn a_damaged_list_of_runs_is_told_of() {
    let project = killed_in_the_second_step();
    for damage in [&b"SQLite format 3\0 and then nothing that it should be"[..], &[7; 9000]] {
        let _ = fs::remove_file(project.path(".smlt/runs.db-wal"));
        fs::write(project.path(".smlt/runs.db"), damage).unwrap();
        for args in [&["run", "--resume"][..], &["run", "two.smlt"], &["runs"]] {
            let output = project.smltc(args);
            assert_eq!(output.status.code(), Some(1));
            let told = error_of(&output);
            assert!(told.contains("`.smlt/runs.db`") && told.contains("help: it is damaged; rename it"), "{told}");
        }
    }
}

#[test]
fn a_run_whose_log_can_not_be_written_stops_and_goes_on_later() {
    let text = r#"
task work(n: Int) -> { n: Int } { shell: "echo \"\{\\\"n\\\": $n\}\" > $SMLT_OUT" }
workflow main() -> Int {
  let done = for n in range(150) { run work(n) }
  done |> map(|one| one.n) |> sum
}
"#;
    let project = Project::with("many.smlt", text);
    // No file may grow past 160 KiB, as if the disk were full; the signal that tells of it is ignored.
    let command = format!("trap '' XFSZ; ulimit -f 320; exec {} run many.smlt", env!("CARGO_BIN_EXE_smltc"));
    let output = std::process::Command::new("sh")
        .args(["-c", &command])
        .current_dir(project.folder())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = error_of(&output);
    assert!(told.contains("error: the log of the run can't be written"), "{told}");
    assert!(told.contains("`smltc run --resume"), "{told}");
    assert_eq!(project.state(), "interrupted");
    let output = project.smltc(&["run", "--resume", "--quiet"]);
    assert!(output.status.success(), "{}", error_of(&output));
    assert_eq!(output.stdout, b"11175\n");
}

#[test]
fn a_result_for_which_there_is_no_space_is_stored_when_there_is() {
    // What the task writes is not limited, what its worker writes is.
    let text = r#"
task large() -> { file: Artifact } {
  shell: "ulimit -S -f unlimited; head -c 300000 /dev/zero > large; echo '\{\"file\": \"large\"\}' > $SMLT_OUT"
}
workflow main() -> Artifact {
  let made = run large()
  made.file
}
"#;
    let project = Project::with("large.smlt", text);
    let command = format!("trap '' XFSZ; ulimit -S -f 320; exec {} run large.smlt", env!("CARGO_BIN_EXE_smltc"));
    let output =
        std::process::Command::new("sh").args(["-c", &command]).current_dir(project.folder()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = error_of(&output);
    assert!(told.contains("the file `large` of the result can't be stored"), "{told}");
    let output = project.smltc(&["run", "--resume", "--quiet"]);
    assert!(output.status.success(), "{}", error_of(&output));
}

#[test]
fn a_project_that_can_not_be_written_is_told_of() {
    let project = Project::with("two.smlt", TWO_STEPS);
    fs::write(project.path(".smlt"), "in the way").unwrap();
    let output = project.smltc(&["run", "two.smlt"]);
    assert_eq!(output.status.code(), Some(1));
    let told = error_of(&output);
    assert!(told.contains(".smlt` can't be written") && told.contains("help: "), "{told}");
}

#[test]
fn a_terminal_is_told_of_a_run_that_was_cut_off() {
    let project = killed_in_the_second_step();
    fs::write(project.path("go"), "").unwrap();
    let seen = |project: &Project| {
        let command = format!("{} run two.smlt", env!("CARGO_BIN_EXE_smltc"));
        let output = std::process::Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .current_dir(project.folder())
            .env("TERM", "xterm-256color")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(seen(&project).contains("note: the last run was cut off; `smltc run --resume "));
    assert!(!seen(&project).contains("--resume"));
}
