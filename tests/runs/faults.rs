//! What becomes of a run whose processes are killed or interrupted.

use crate::project::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use std::{
    fs,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

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
