//! Runs whose steps declare memory and processors: what is held to it, and what runs beside what.

use crate::project::*;
use serde_json::Value as Json;
use std::fs;

/// A program that holds so many MiB for a while, itself or in a process with a session of its own, and tells from when to
/// when, in milliseconds.
const HOLD: &str = r#"
import json, os, subprocess, sys, time

began = time.time_ns() // 1_000_000
if "--apart" in sys.argv:
    here = [sys.executable, __file__] + [word for word in sys.argv[1:] if word != "--apart"]
    sys.exit(subprocess.run(here, start_new_session=True).returncode)
held = bytearray(b"x") * (int(sys.argv[1]) << 20)
time.sleep(float(sys.argv[2]))
ended = time.time_ns() // 1_000_000
with open(os.environ["SMLT_OUT"], "w") as out:
    json.dump({"mib": len(held) >> 20, "began": began, "ended": ended}, out)
"#;

const TASK: &str = r#"
type Held = { mib: Int, began: Int, ended: Int }
"#;

fn project(workflow: &str) -> Project {
    let project = Project::with("main.smlt", &format!("{TASK}{workflow}"));
    fs::write(project.path("hold.py"), HOLD).unwrap();
    project
}

/// The last line of a run with `--json`: how it ended.
fn end(project: &Project, args: &[&str]) -> Json {
    let output = project.smltc(&[&["run", "main.smlt", "--json"], args].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(last).unwrap()
}

#[test]
fn a_command_over_its_memory_is_stopped_and_the_failure_can_be_caught() {
    let project = project(
        r#"
        task hold(mib: Int, how: String) -> Held {
          command: ["python3", "hold.py", "{mib}", if mib > 100 then "60" else "0.3", how]
          memory: 100MiB
        }
        workflow main(mib: Int, how: String = "--here") -> String {
          try {
            let held = run hold(mib, how)
            "{held.mib} MiB"
          } catch OutOfMemory as error {
            error.message
          }
        }
        "#,
    );
    let over = "it used more than the 100MiB of memory that it declares";
    for (args, result) in [
        (["--mib", "10", "--how", "--here"], "10 MiB"),
        (["--mib", "300", "--how", "--here"], over),
        // What a command starts counts as well, wherever it went.
        (["--mib", "300", "--how", "--apart"], over),
    ] {
        let [mib, count, how, place] = args;
        let end = end(&project, &[mib, count, &format!("{how}={place}")]);
        assert_eq!(end["result"], result, "{end}");
    }
}

#[test]
fn a_command_that_ran_out_of_memory_succeeds_with_more() {
    let project = project(
        r#"
        @retry(max: 3, backoff: 1ms, on: [OutOfMemory], memory: 4.0)
        task hold() -> Held {
          command: ["python3", "hold.py", "150", "3"]
          memory: 100MiB
        }
        workflow main() -> Int {
          let held = run hold()
          held.mib
        }
        "#,
    );
    assert_eq!(end(&project, &["--memory", "2GiB"])["result"], 150);
    let events = project.events();
    let retries: Vec<&Json> = events.iter().filter(|event| event["event"] == "step_retried").collect();
    assert_eq!(retries.len(), 1);
    assert_eq!(retries[0]["failure"]["kind"], "OutOfMemory");
    assert_eq!(retries[0]["memory"], 400 << 20);
}

#[test]
fn more_memory_than_the_run_has_is_not_tried() {
    let project = project(
        r#"
        @retry(max: 3, backoff: 1ms, memory: 2.0)
        task hold() -> Held {
          command: ["python3", "hold.py", "300", "60"]
          memory: 100MiB
        }
        workflow main() -> Int {
          let held = run hold()
          held.mib
        }
        "#,
    );
    let end = end(&project, &["--memory", "150MiB"]);
    assert_eq!(end["failure"]["kind"], "OutOfMemory", "{end}");
    let events = project.events();
    let memory = events.iter().filter(|event| event["event"] == "step_retried").map(|event| &event["memory"]);
    assert_eq!(memory.collect::<Vec<_>>(), [150 << 20]);
}

#[test]
fn a_training_over_its_memory_is_stopped() {
    let project = Project::with("main.smlt", &LONG.replace("epochs: epochs }", "epochs: epochs, memory: 1MiB }"));
    let end = end(&project, &["--epochs", "100000"]);
    assert_eq!(end["failure"]["kind"], "OutOfMemory", "{end}");
}

/// The most of several stretches of time that overlap.
fn most_at_once(result: &Json) -> usize {
    let stretches: Vec<(i64, i64)> = result
        .as_array()
        .unwrap()
        .iter()
        .map(|held| (held["began"].as_i64().unwrap(), held["ended"].as_i64().unwrap()))
        .collect();
    let open_at = |at: i64| stretches.iter().filter(|(began, ended)| (*began..*ended).contains(&at)).count();
    stretches.iter().map(|(began, _)| open_at(*began)).max().unwrap()
}

#[test]
fn steps_that_do_not_fit_beside_one_another_follow_one_another() {
    let project = project(
        r#"
        task large(part: Int) -> Held { command: ["python3", "hold.py", "1", "0.4"], memory: 600MiB }
        task small(part: Int) -> Held { command: ["python3", "hold.py", "1", "0.4"], memory: 300MiB, cpu: 0.5 }
        task half(part: Int) -> Held { command: ["python3", "hold.py", "1", "0.4"], cpu: 1.5 }
        workflow larges() -> List[Held] { for part in range(4) { run large(part) } }
        workflow smalls() -> List[Held] { for part in range(6) { run small(part) } }
        workflow halves() -> List[Held] { for part in range(3) { run half(part) } }
        "#,
    );
    let most = |workflow, jobs| {
        let end = end(&project, &[workflow, "--memory", "1GiB", "--jobs", jobs]);
        most_at_once(&end["result"])
    };
    assert_eq!(most("larges", "8"), 1);
    assert!(most("smalls", "8") <= 3);
    assert_eq!(most("halves", "2"), 1);
    assert!(most("smalls", "1") <= 2);
}
