//! The Python package `smlt`, by itself and in a run.

use crate::project::*;
use serde_json::Value as Json;
use std::{env, fs, path::Path, process::Command};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_package_keeps_what_it_promises() {
    let output = Command::new("python3")
        .args(["-W", "error", "-m", "unittest", "tests.test_smlt"])
        .current_dir(root().join("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("\nOK"), "{told}");
}

#[test]
fn the_package_has_the_version_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        ("python/pyproject.toml", format!("version = \"{version}\"")),
        ("python/smlt/__init__.py", format!("__version__ = \"{version}\"")),
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.lines().any(|found| found == line), "{file} lacks {line}");
    }
}

const TASK: &str = r#"
task try_it(lr: Float) -> { lr: Float, file: String } {
  command: ["python3", "program.py"]
}
type Found = { lr: Float, file: String }
workflow main() -> Found { run try_it(0.5) }
"#;

const PROGRAM: &str = r#"
import smlt
@smlt.task
def main(lr: float):
    print("no end of line", end="")
    smlt.metric("loss", lr, step=1)
    return {"lr": lr, "file": smlt.__file__}
main()
"#;

#[test]
fn every_command_can_import_it_but_not_in_the_place_of_ones_own() {
    let project = Project::with("main.smlt", TASK);
    fs::write(project.path("program.py"), PROGRAM).unwrap();
    let file = |own: Option<&Path>| {
        let mut run = project.command(&["run", "main.smlt", "--json", "--no-cache"]);
        run.env_remove("PYTHONPATH");
        if let Some(own) = own {
            run.env("PYTHONPATH", own);
        }
        let output = run.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let text = String::from_utf8(output.stdout).unwrap();
        let events: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let metric = events.iter().find(|event| event["event"] == "metric").unwrap();
        assert_eq!((&metric["name"], &metric["at_step"], &metric["value"]), (&"loss".into(), &1.into(), &0.5.into()));
        let result = &events.last().unwrap()["result"];
        assert_eq!(result["lr"], 0.5);
        result["file"].as_str().unwrap().to_owned()
    };
    let embedded = project.folder().canonicalize().unwrap().join(".smlt/python/smlt/__init__.py");
    assert_eq!(Path::new(&file(None)), embedded);
    let own = root().join("python");
    assert_eq!(Path::new(&file(Some(&own))), own.join("smlt/__init__.py"));
    // What another version of the program has left is replaced.
    fs::write(&embedded, "raise SystemExit('old')").unwrap();
    assert_eq!(Path::new(&file(None)), embedded);
}

#[test]
fn a_loop_ends_before_its_deadline() {
    let text = r#"
task wait() -> { steps: Int } { command: ["python3", "program.py"] }
@deadline(4s)
workflow main() -> Int { let waited = run wait() waited.steps }
"#;
    let project = Project::with("main.smlt", text);
    let program = "import smlt, time\nsteps = 0\nwhile not smlt.should_stop():\n    time.sleep(0.1)\n    steps += 1\nsmlt.result(steps=steps)\n";
    fs::write(project.path("program.py"), program).unwrap();
    let output = project.smltc(&["run", "main.smlt", "--quiet"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let steps: u32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert!((1..40).contains(&steps), "{steps}");
}

#[test]
fn a_scikit_learn_model_is_tuned() {
    let python = root().join("target/python/bin");
    assert!(python.join("python3").exists(), "`tests/run` installs scikit-learn");
    let path = env::join_paths([python].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap()))).unwrap();
    let project = Project::new();
    let found = |jobs: &str| -> Json {
        let args = ["run", "forest.smlt", "--trials", "8", "--jobs", jobs, "--quiet", "--out", "result.json"];
        let output = project.command(&args).env("PATH", &path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&fs::read(project.path("result.json")).unwrap()).unwrap()
    };
    let result = found("1");
    assert!(result["accuracy"].as_f64().unwrap() >= 0.93, "{result}");
    assert!(result["model"]["bytes"].as_u64().unwrap() > 10_000, "{result}");
    let metrics =
        project.events().into_iter().filter(|event| event["event"] == "metric" && event["name"] == "log_loss");
    assert!(metrics.count() >= 8 * 2);
    assert_eq!(result["log_loss"], found("2")["log_loss"]);
}
