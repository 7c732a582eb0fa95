//! Secrets reach the commands that name them, and nothing else: no file, no log, no other command.

use crate::project::*;
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const TOKEN: &str = "hush-4f7c21d9";
const KEY: &str = "-----BEGIN KEY-----\nMIIEvQhush\n-----END KEY-----";

/// Says its secrets in every way that a program can.
const LEAK: &str = r#"
import json, os, smlt, socket, sys, time
secrets = [os.environ["token"], os.environ["API_KEY"]]
for secret in secrets:
    print("said:", secret, secret[:-1])
    print(secret, file=sys.stderr, flush=True)
    smlt.metric(secret, 1.0)
    print(json.dumps({"metric": secret, "value": 2}), flush=True)
to = socket.socket(socket.AF_UNIX)
to.connect(os.environ["SMLT_EVENTS"])
to.sendall(("over the socket: " + secrets[0] + "\n").encode())
to.close()
assert not any(secrets[0] in open(os.environ["SMLT_IN"]).read() for secret in secrets)
print("over", flush=True)
how = os.environ["how"]
if how == "fails":
    sys.exit(3)
waiting = os.path.join(os.environ["SMLT_PROJECT"], "waiting")
if how == "waits" and not os.path.exists(waiting):
    open(waiting, "w").close()
    time.sleep(1000)
smlt.result(length=len(secrets[0]), note=secrets[1] if how == "returns" else "fine")
"#;

const TEXT: &str = r#"
type Told = { length: Int, note: String }

task leak(how: String, @secret token: String) -> Told {
  command: ["python3", "program.py"]
  secrets: ["API_KEY"]
}

task look() -> { seen: String } {
  shell: "env > env.txt; printf '\{\"seen\": \"%s\"\}' \"$(grep -c -e hush -e API_KEY env.txt || true)\" > $SMLT_OUT"
}

workflow part(how: String, @secret key: String) -> Int {
  let told = run leak(how, token: key)
  told.length
}

workflow main(how: String = "ends", @secret token: String) -> Int {
  let seen = run look()
  assert seen.seen == "0", "a task that names no secret sees {seen.seen}"
  run part(how, key: token)
}

@stub(look, seen: "0")
@stub(leak, |how, _token| Told(length: len([how]), note: how))
test "secrets are not needed" {
  let length = run main(how: "ends")
  assert length > 0
}
"#;

fn project() -> Project {
    let project = Project::with("main.smlt", TEXT);
    fs::write(project.path("program.py"), LEAK).unwrap();
    project
}

fn command(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env("TOKEN", TOKEN).env("API_KEY", KEY);
    command
}

fn run(project: &Project, how: &str) -> Output {
    command(project, &["run", "main.smlt", "--how", how, "--json"]).output().unwrap()
}

/// The texts that must not be found.
fn hidden() -> Vec<&'static str> {
    [TOKEN].into_iter().chain(KEY.lines()).collect()
}

fn assert_silent(what: &str, bytes: &[u8]) {
    for secret in hidden() {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "`{secret}` is in {what}: {}", String::from_utf8_lossy(bytes));
    }
}

/// No file of the project, by name or by what it holds, tells a secret.
fn assert_nothing_is_left(project: &Project) {
    let mut folders: Vec<PathBuf> = vec![project.folder().to_owned()];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert_silent("a path", path.as_os_str().as_bytes());
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                count += 1;
                assert_silent(&path.display().to_string(), &fs::read(&path).unwrap());
            }
        }
    }
    assert!(count > 10);
    assert!(project.path(".smlt/runs.db").exists());
}

fn says(output: &[u8], text: &str) {
    let output = String::from_utf8_lossy(output);
    assert!(output.contains(text), "{text:?} is not in {output}");
}

#[test]
fn a_run_that_succeeds_keeps_them() {
    let project = project();
    let output = run(&project, "ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_silent("the output", &output.stdout);
    assert_silent("the error stream", &output.stderr);
    // All was said, but for the secrets.
    for text in
        ["said: *** hush-4f7c21d", "over the socket: ***", "\"name\":\"***\"", &format!("\"result\":{}", TOKEN.len())]
    {
        says(&output.stdout, text);
    }
    assert_nothing_is_left(&project);
    for args in [&["show"][..], &["show", "--json"], &["runs"]] {
        assert_silent("what is told afterwards", &project.smltc(args).stdout);
    }
}

#[test]
fn a_run_that_fails_keeps_them() {
    let project = project();
    let output = command(&project, &["run", "main.smlt", "--how", "fails"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_silent("the output", &[output.stdout, output.stderr.clone()].concat());
    says(&output.stderr, "the last lines of its log:");
    says(&output.stderr, "    ***");
    assert_nothing_is_left(&project);
}

#[test]
fn a_result_that_holds_one_is_refused() {
    let project = project();
    let output = run(&project, "returns");
    assert_eq!(output.status.code(), Some(1));
    says(&output.stdout, "the result holds a secret");
    assert_silent("the output", &[output.stdout, output.stderr].concat());
    assert_nothing_is_left(&project);
}

#[test]
fn a_killed_run_leaves_none_behind() {
    let project = project();
    let mut run = command(&project, &["run", "main.smlt", "--how", "waits", "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the command waits", || project.path("waiting").exists());
    // What the worker was started with can be read by every process of the user.
    for worker in children(run.id()) {
        let folder = format!("/proc/{}", worker.as_raw_nonzero());
        assert_silent("the worker's environment", &fs::read(Path::new(&folder).join("environ")).unwrap());
        assert_silent("the worker's arguments", &fs::read(Path::new(&folder).join("cmdline")).unwrap());
    }
    run.kill().unwrap();
    run.wait().unwrap();
    assert_nothing_is_left(&project);

    // They are to be given again, in the same ways.
    let output = project.smltc(&["run", "--resume", "--quiet"]);
    assert_eq!(output.status.code(), Some(2));
    says(&output.stderr, "the secret `API_KEY` is not set");
    let output = command(&project, &["run", "--resume", "--quiet"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), TOKEN.len().to_string());
    assert_nothing_is_left(&project);
}

#[test]
fn a_file_may_hold_them() {
    let project = project();
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("secrets.env");
    fs::write(&file, format!("# for the tests\nTOKEN='{TOKEN}'\nAPI_KEY = {TOKEN}2\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let given = |file: &Path| {
        let words = ["run", "main.smlt", "--quiet", "--secrets"].map(OsStr::new);
        // What the file says counts before the environment.
        project.command(&[]).args(words).arg(file).env("TOKEN", "other").output().unwrap()
    };
    let output = given(&file);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), TOKEN.len().to_string());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_nothing_is_left(&project);
    let output = project.command(&["run", "--resume", "--quiet", "--secrets"]).arg(&file).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), TOKEN.len().to_string());

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let output = given(&file);
    assert!(output.status.success());
    says(&output.stderr, "is open to other users of this machine");
}

#[test]
fn tests_need_none() {
    let output = project().smltc(&["test", "main.smlt"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
