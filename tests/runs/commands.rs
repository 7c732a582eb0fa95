//! What a command is told and can tell: each row of the table in `docs/src/tasks.md`.

use crate::project::*;
use serde_json::{Value as Json, json};
use std::{
    fs,
    io::Write,
    os::unix::{fs::FileTypeExt, net::UnixStream},
    process::Stdio,
};

/// The result of a workflow whose only task is a Python program.
fn outcome(project: &Project) -> Json {
    let output = project.smltc(&["run", "main.smlt", "--quiet", "--out", "result.json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&fs::read(project.path("result.json")).unwrap()).unwrap()
}

/// A project with a workflow and the Python program that it runs.
fn with_program(text: &str, program: &str) -> Project {
    let project = Project::with("main.smlt", text);
    fs::write(project.path("program.py"), program).unwrap();
    project
}

/// The metrics and shares of the latest run, each with the step that told of it.
fn told(project: &Project) -> Vec<(String, Json)> {
    let of = |event: Json| match event["event"].as_str()? {
        "metric" => {
            Some((event["step"].as_str()?.to_owned(), json!([event["name"], event["at_step"], event["value"]])))
        }
        "progress" => Some((event["step"].as_str()?.to_owned(), event["share"].clone())),
        _ => None,
    };
    project.events().into_iter().filter_map(of).collect()
}

#[test]
fn parameters_reach_it_as_a_file_and_as_variables() {
    let project = with_program(
        r#"
enum Speed { Slow, Fast }
type Part = { rows: Int, note: String? }
task look(
  truth: Bool, int: Int, float: Float, text: String, wait: Duration, price: Money, size: Size, share: Percent,
  speed: Speed, table: Artifact, nothing: String?, list: List[Int], map: Map[String, Float], part: Part,
) -> { seen: String } {
  command: ["python3", "program.py", table, "data/digits.csv.gz", "{int}"]
  env { EXTRA: "{text}!" }
}
workflow main(table: Artifact) -> String {
  let part = Part(rows: 1)
  let seen = run look(
    true, 3, 0.5, "a b", 90s, $0.25, 2KiB, 50%, Fast, table, none, [1, 2], ["a": 0.5], part,
  )
  seen.seen
}
"#,
        r#"
import json, os, sys
given = json.load(open(os.environ["SMLT_IN"]))
names = [*given, "EXTRA"]
seen = {
    "given": {**given, "table": open(given["table"]).read()},
    "variables": {name: os.environ[name] for name in names if name in os.environ and name != "table"},
    "table is the same": os.environ["table"] == given["table"] == sys.argv[1],
    "file of the project": sys.argv[2] == os.path.join(os.environ["SMLT_PROJECT"], "data/digits.csv.gz"),
    "third": sys.argv[3],
    "fresh": os.listdir(".") == [".smlt-in.json"] and os.path.samefile(".", os.path.dirname(os.environ["SMLT_OUT"])),
    "input": sys.stdin.read(),
}
json.dump({"seen": json.dumps(seen)}, open(os.environ["SMLT_OUT"], "w"))
"#,
    );
    fs::write(project.path("table.csv"), "x\n1\n").unwrap();
    let args = ["run", "main.smlt", "--table", "table.csv", "--quiet"];
    let output = project.smltc(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Json = serde_json::from_slice(&output.stdout).unwrap();
    let wanted = json!({
        "given": {
            "truth": true, "int": 3, "float": 0.5, "text": "a b", "wait": 90.0, "price": 0.25, "size": 2048,
            "share": 0.5, "speed": "Fast", "table": "x\n1\n", "nothing": null, "list": [1, 2], "map": { "a": 0.5 },
            "part": { "rows": 1, "note": null },
        },
        "variables": {
            "truth": "true", "int": "3", "float": "0.5", "text": "a b", "wait": "90.0", "price": "0.25",
            "size": "2048", "share": "0.5", "speed": "Fast", "EXTRA": "a b!",
        },
        "table is the same": true, "file of the project": true, "third": "3", "fresh": true, "input": "",
    });
    assert_eq!(seen, wanted);
}

const LIMITS: &str = r#"
import json, os
left = {name: float(os.environ[variable]) if variable in os.environ else None
        for name, variable in [("deadline", "SMLT_DEADLINE"), ("budget", "SMLT_BUDGET")]}
json.dump(left, open(os.environ["SMLT_OUT"], "w"))
"#;

const LIMITED: &str = r#"
task look() -> { deadline: Float?, budget: Float? } { command: ["python3", "program.py"] }
type Left = { deadline: Float?, budget: Float? }
"#;

#[test]
fn limits_are_what_is_left_of_the_nearest() {
    let left = |annotations: &str| {
        outcome(&with_program(&format!("{LIMITED}{annotations} workflow main() -> Left {{ run look() }}"), LIMITS))
    };
    assert_eq!(left(""), json!({ "deadline": null, "budget": null }));
    let close = |found: &Json, wanted: f64| {
        let found = found.as_f64().unwrap();
        found <= wanted && found > 0.9 * wanted
    };
    let found = left("@deadline(1000s) @budget($2)");
    assert!(close(&found["deadline"], 1000.0) && close(&found["budget"], 2.0), "{found}");
    // A command that takes longer than its timeout is killed, so that is its deadline.
    let found = left("@deadline(1000s) @timeout(100s)");
    assert_eq!(found["deadline"], 100.0);
    let found = left("@deadline(100s) @timeout(1000s)");
    assert!(close(&found["deadline"], 100.0), "{found}");
}

#[test]
fn lines_of_its_output_are_events() {
    let text = "task speak() { command: [\"python3\", \"-u\", \"program.py\"] }\nworkflow main() { run speak() }\n";
    let program = r#"
import sys
print('{"progress": 0.25}')
print('{"progress": 7}', file=sys.stderr)
print('{"metric": "loss", "step": 3, "value": 0.5}')
print('{"metric": "loss", "value": "NaN"}')
print('{"metric": "no value"}')
print("words")
"#;
    let project = with_program(text, program);
    let output = project.smltc(&["run", "main.smlt", "--json"]);
    assert!(output.status.success());
    let events: Vec<Json> = told(&project).into_iter().map(|(_, event)| event).collect();
    assert_eq!(events, [json!(0.25), json!(1.0), json!(["loss", 3, 0.5]), json!(["loss", null, null])]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let log =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).filter(|event: &Json| event["event"] == "log");
    assert_eq!(log.map(|event| event["line"].clone()).collect::<Vec<_>>(), ["{\"metric\": \"no value\"}", "words"]);
}

/// Sends events to the socket by hand, over two connections, the last of them while the program is on its way out.
const SENDER: &str = r#"
import json, os, socket, sys
number = int(os.environ["number"])
os.close(1)
os.close(2)
def send(*events):
    to = socket.socket(socket.AF_UNIX)
    to.connect(os.environ["SMLT_EVENTS"])
    to.sendall("".join(json.dumps(event) + "\n" for event in events).encode())
    return to
first = send({"progress": 0.5})
for step in range(100):
    first.sendall(json.dumps({"metric": "n", "step": step, "value": number}).encode() + b"\n")
send({"progress": 1})
os._exit(0)
"#;

#[test]
fn a_socket_takes_the_events_of_programs_whose_output_is_taken() {
    let text = r#"
task send(number: Int) { command: ["python3", "program.py"] }
workflow main() { for number in [10, 11, 12, 13] { run send(number) } }
"#;
    let project = with_program(text, SENDER);
    assert!(project.smltc(&["run", "main.smlt", "--quiet", "--jobs", "2"]).status.success());
    let told = told(&project);
    for number in 0..4 {
        let step = format!("main/for[{number}]");
        let own: Vec<&Json> = told.iter().filter(|(of, _)| of.starts_with(&step)).map(|(_, event)| event).collect();
        let metrics: Vec<Json> = (0..100).map(|step| json!(["n", step, f64::from(number + 10)])).collect();
        let found: Vec<&Json> = own.iter().copied().filter(|event| event.is_array()).collect();
        assert_eq!(found, metrics.iter().collect::<Vec<_>>(), "of {step}");
        assert_eq!(own.iter().filter(|event| event.is_number()).count(), 2, "of {step}");
    }
    assert_eq!(told.len(), 4 * 102);
}

#[test]
fn a_socket_is_found_however_long_its_path_is() {
    let text = "task send(number: Int) { command: [\"python3\", \"program.py\"] }\nworkflow main() { run send(1) }\n";
    let project = Project::new();
    let deep = project.path(&"deep/".repeat(30));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("main.smlt"), text).unwrap();
    fs::write(deep.join("program.py"), SENDER).unwrap();
    let output = project.command(&["run", "main.smlt", "--json"]).current_dir(&deep).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told.lines().filter(|line| line.contains("\"metric\"")).count(), 100);
}

#[test]
fn more_connections_than_are_heard_at_once_are_heard_in_the_end() {
    let text = "task send() { command: [\"python3\", \"program.py\"] }\nworkflow main() { run send() }\n";
    let program = r#"
import os, socket
connections = []
for step in range(200):
    to = socket.socket(socket.AF_UNIX)
    to.connect(os.environ["SMLT_EVENTS"])
    # The last line needs no end.
    to.sendall(b'{"progress": 0.5}\n{"metric": "n", "step": %d, "value": 1}' % step)
    connections.append(to)
"#;
    let project = with_program(text, program);
    assert!(project.smltc(&["run", "main.smlt", "--quiet"]).status.success());
    let told = told(&project);
    assert_eq!(told.iter().filter(|(_, event)| event.is_number()).count(), 200);
    let mut steps: Vec<u64> = told.iter().filter_map(|(_, event)| event[1].as_u64()).collect();
    steps.sort_unstable();
    assert_eq!(steps, (0..200).collect::<Vec<_>>());
}

/// Waits until it may go on; the project has the path of its socket meanwhile.
const WAITER: &str = r#"
task wait() { shell: "echo $SMLT_EVENTS > socket; mv socket $SMLT_PROJECT; while [ ! -e $SMLT_PROJECT/go ]; do sleep 0.05; done" }
workflow main() { run wait() }
"#;

#[test]
fn who_stays_connected_does_not_hold_a_step_up() {
    let project = Project::with("main.smlt", WAITER);
    let run = project.start(&["run", "main.smlt", "--quiet"], |_| project.path("socket").exists());
    let path = fs::read_to_string(project.path("socket")).unwrap();
    let mut connection = UnixStream::connect(path.trim()).unwrap();
    connection.write_all(b"{\"progress\": 0.5}\n{\"progress\": 0.75}").unwrap();
    fs::write(project.path("go"), "").unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shares: Vec<Json> = told(&project).into_iter().map(|(_, share)| share).collect();
    assert_eq!(shares, [0.5, 0.75]);
    connection.write_all(b"{}").unwrap_err();
}

#[test]
fn a_run_that_is_killed_leaves_no_socket() {
    let project = Project::with("main.smlt", WAITER);
    let temporary = tempfile::tempdir().unwrap();
    let mut run = project.command(&["run", "main.smlt", "--quiet"]);
    let mut run = run.env("TMPDIR", temporary.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the command waits", || project.path("socket").exists());
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);

    fs::write(project.path("go"), "").unwrap();
    let output = project.smltc(&["run", "--resume", "--quiet"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut folders = vec![project.path(".smlt")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            assert!(!kind.is_socket(), "{} is left", entry.path().display());
            if kind.is_dir() {
                folders.push(entry.path());
            }
        }
    }
}

#[test]
fn a_checkpoint_survives_a_failure_and_the_loss_of_the_worker() {
    let text = r#"
@retry(max: 1, on: [TaskFailed])
task count() -> { rounds: Int } { command: ["python3", "program.py"] }
workflow main() -> Int { let counted = run count() counted.rounds }
"#;
    let program = r#"
import os, signal, smlt
rounds = smlt.checkpoint.load(0) + 1
smlt.checkpoint.save(rounds)
if rounds == 1:
    raise SystemExit("once")
if rounds == 2:
    os.kill(os.getppid(), signal.SIGKILL)
smlt.result(rounds=rounds)
"#;
    assert_eq!(outcome(&with_program(text, program)), 3);
}
