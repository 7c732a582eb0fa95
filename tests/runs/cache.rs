//! What was done once is not done again: what serves, and what must not.

use crate::project::*;
use rustix::process::{Signal, kill_process};
use serde_json::Value as Json;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

/// A table that a program prepares, a training on it, and a judgement of that.
const FLOW: &str = r#"
import std/models.{mlp}

dataset table(rows: Artifact) {
  source: rows
  label: "y"
  split { train: 60%, valid: 20%, test: 20%, seed: 1 }
}

task prepare(source: Uri) -> { table: Artifact } {
  command: ["python3", "scripts/prepare.py", source]
}

type Report = { accuracy: Float, weights: Artifact }

workflow main(rate: Float = 0.1) -> Report {
  let ready = run prepare("raw.csv")
  let data = table(ready.table)
  let net = train mlp(inputs: data.width, hidden: 4, classes: data.classes) {
    data: data
    epochs: 2
    optimizer: adam(lr: rate)
  }
  let score = evaluate net.model() { data: data.test, metrics: [accuracy] }
  Report(accuracy: score.accuracy, weights: net.weights)
}
"#;

/// Copies the table, and leaves a line in the file `log` whenever it is run.
const PREPARE: &str = "
import json, os, shutil, sys
import marks
project = os.environ['SMLT_PROJECT']
marks.mark(project, 'prepare')
shutil.copy(os.path.join(project, sys.argv[1]), 'table.csv')
json.dump({'table': 'table.csv'}, open(os.environ['SMLT_OUT'], 'w'))
";

const MARKS: &str = "
def mark(project, text):
    with open(project + '/log', 'a') as log:
        log.write(text + '\\n')
";

fn project(text: &str) -> Project {
    let project = Project::with("flow.smlt", text);
    fs::create_dir_all(project.path("scripts")).unwrap();
    fs::write(project.path("scripts/prepare.py"), PREPARE).unwrap();
    fs::write(project.path("scripts/marks.py"), MARKS).unwrap();
    fs::write(project.path("raw.csv"), table(100)).unwrap();
    project
}

fn table(rows: u32) -> String {
    let row =
        |row: u32| format!("{},{},{}\n", row * 7 % 13, row * 5 % 11, if row.is_multiple_of(3) { "a" } else { "b" });
    "u,v,y\n".to_owned() + &(0..rows).map(row).collect::<String>()
}

/// What a run did with its steps, and what it came to.
#[derive(Debug)]
struct Done {
    run: BTreeSet<String>,
    served: BTreeSet<String>,
    end: Json,
}

/// Runs a workflow that must succeed.
fn run(project: &Project, args: &[&str]) -> Done {
    let output = project.smltc(&[&["run", "flow.smlt", "--json"], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut done = Done { run: BTreeSet::new(), served: BTreeSet::new(), end: Json::Null };
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let event: Json = serde_json::from_str(line).unwrap();
        let step = || event["step"].as_str().unwrap().trim_start_matches("main/").to_owned();
        let is_work = || ["run", "train", "trial", "evaluate", "inspect"].contains(&event["kind"].as_str().unwrap());
        match event["event"].as_str().unwrap() {
            "step_started" if is_work() => drop(done.run.insert(step())),
            "step_served" => drop(done.served.insert(step())),
            "run_ended" => done.end = event,
            _ => {}
        }
    }
    // What had to be read first was said to have begun.
    done.run.retain(|step| !done.served.contains(step));
    done
}

fn set<const N: usize>(steps: [&str; N]) -> BTreeSet<String> {
    steps.map(str::to_owned).into()
}

fn log(project: &Project) -> Vec<String> {
    let log = fs::read_to_string(project.path("log")).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

fn append(path: &Path, text: &str) {
    fs::write(path, fs::read_to_string(path).unwrap() + text).unwrap();
}

fn why(project: &Project, step: &str) -> String {
    let output = project.smltc(&["why", step]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_second_run_has_all_from_the_first() {
    let project = project(FLOW);
    let first = run(&project, &[]);
    assert_eq!(first.run, set(["ready", "inspect", "net", "score"]));
    assert!(first.served.is_empty());
    let second = run(&project, &[]);
    assert!(second.run.is_empty(), "{:?}", second.run);
    assert_eq!(second.served, first.run);
    assert_eq!(second.end["result"], first.end["result"]);
    assert_eq!(second.end["cost"], 0.0);
    assert_eq!(log(&project), ["prepare"]);
    assert!(why(&project, "net").contains("from the cache"));
}

#[test]
fn what_changes_is_run_with_all_that_depends_on_it_and_nothing_else() {
    let project = project(FLOW);
    let all = run(&project, &[]).run;

    // The script gives the same table as before, so nothing behind it has changed.
    append(&project.path("scripts/prepare.py"), "# a comment\n");
    assert_eq!(run(&project, &[]).run, set(["ready"]));
    assert!(why(&project, "ready").contains("`scripts/prepare.py` changed"), "{}", why(&project, "ready"));
    append(&project.path("scripts/marks.py"), "# a comment\n");
    assert_eq!(run(&project, &[]).run, set(["ready"]));
    fs::write(project.path("scripts/notes.txt"), "no script").unwrap();
    assert_eq!(run(&project, &[]).run, set([]));

    assert_eq!(run(&project, &["--rate", "0.2"]).run, set(["net", "score"]));
    assert!(why(&project, "net").contains("`optimizer.lr` changed from 0.1 to 0.2"), "{}", why(&project, "net"));
    assert_eq!(run(&project, &["--seed", "1"]).run, set(["net", "score"]));
    assert!(why(&project, "net").contains("`seed` changed"), "{}", why(&project, "net"));

    fs::write(project.path("raw.csv"), table(120)).unwrap();
    assert_eq!(run(&project, &[]).run, all);
    // What was before is still known.
    fs::write(project.path("raw.csv"), table(100)).unwrap();
    assert_eq!(run(&project, &[]).run, set([]));
    assert_eq!(run(&project, &["--rate", "0.2"]).run, set([]));
}

#[test]
fn data_of_the_project_counts_with_what_is_in_it() {
    let text = FLOW
        .replace("table(rows: Artifact)", "table")
        .replace("source: rows", "source: \"raw*.csv\"")
        .replace("  let ready = run prepare(\"raw.csv\")\n  let data = table(ready.table)\n", "  let data = table\n");
    let project = project(&text);
    let all = run(&project, &[]).run;
    assert_eq!(all, set(["inspect", "net", "score"]));
    assert_eq!(run(&project, &[]).served, all);
    fs::write(project.path("raw.csv"), table(101)).unwrap();
    assert_eq!(run(&project, &[]).run, all);
    fs::write(project.path("raw-more.csv"), table(10)).unwrap();
    assert_eq!(run(&project, &[]).run, all);
    assert!(why(&project, "net").contains("`raw-more.csv` is new"), "{}", why(&project, "net"));
}

#[test]
fn trials_and_rungs_serve_too() {
    let search = |strategy: &str| {
        FLOW.replace(
            "std/models.{mlp}",
            "std/models.{mlp}\nimport std/search.{asha, random}\nimport std/space.{log_uniform}",
        )
        .replace("let net = train", "let net = search")
        .replace(
            "    epochs: 2\n",
            &format!(
                "    maximize: valid.accuracy\n    strategy: {strategy}\n    space {{ lr: log_uniform(1e-3, 1e-1) }}\n"
            ),
        )
        .replace("adam(lr: rate)", "adam(lr: space.lr)")
    };
    for strategy in ["random(trials: 3)", "asha(trials: 4, max_epochs: 4)"] {
        let project = project(&search(strategy));
        let first = run(&project, &["--jobs", "2"]);
        assert!(first.run.len() >= 6, "{:?}", first.run);
        let second = run(&project, &["--jobs", "1"]);
        assert_eq!(second.end["result"], first.end["result"]);
        let again: Vec<_> = second.run.iter().filter(|step| !step.contains("/rung[")).collect();
        assert!(again.is_empty(), "{again:?}");
        assert!(second.served.iter().any(|step| step.contains("trial[")), "{:?}", second.served);
    }
}

#[test]
fn without_the_cache_all_is_run_and_kept() {
    let project = project(FLOW);
    let all = run(&project, &[]).run;
    assert_eq!(run(&project, &["--no-cache"]).run, all);
    assert_eq!(log(&project), ["prepare", "prepare"]);
    assert!(why(&project, "net").contains("--no-cache"));
    let served = run(&project, &[]);
    assert_eq!(served.served, all);
    assert!(why(&project, "net").contains("from the cache"));
}

#[test]
fn an_annotation_decides_what_serves() {
    let text = FLOW
        .replace("task prepare", "@cache(off)\ntask prepare")
        .replace("  let net =", "  @cache(7d)\n  let net =")
        .replace("  let score =", "  @cache(1s)\n  let score =");
    let project = project(&text);
    run(&project, &[]);
    thread::sleep(Duration::from_millis(1100));
    let second = run(&project, &[]);
    assert_eq!(second.run, set(["ready", "score"]));
    assert_eq!(second.served, set(["inspect", "net"]));
    assert!(why(&project, "ready").contains("`@cache(off)`"));
    assert!(why(&project, "score").contains("more than `@cache` allows"), "{}", why(&project, "score"));
}

#[test]
fn what_is_run_for_its_effect_is_run_each_time() {
    let text = r#"
task effect() { command: ["python3", "scripts/effect.py", "effect"] }

@cache(on)
task once() { command: ["python3", "scripts/effect.py", "once"] }

workflow main() {
  run effect()
  run once()
}
"#;
    let project = project(text);
    fs::write(
        project.path("scripts/effect.py"),
        "import os, sys, marks\nmarks.mark(os.environ['SMLT_PROJECT'], sys.argv[1])\n",
    )
    .unwrap();
    run(&project, &["--jobs", "1"]);
    run(&project, &["--jobs", "1"]);
    let mut log = log(&project);
    log.sort();
    assert_eq!(log, ["effect", "effect", "once"]);
}

#[test]
fn a_failure_is_no_result() {
    let text = "task fails() -> { n: Int } { shell: \"exit 3\" }\nworkflow main() { run fails() }\n";
    let project = project(text);
    for _ in 0..2 {
        let output = project.smltc(&["run", "flow.smlt", "--quiet"]);
        assert_eq!(output.status.code(), Some(1));
    }
    assert!(why(&project, "fails").contains("there is no result of it"), "{}", why(&project, "fails"));
    assert_eq!(project.smltc(&["cache", "ls", "--json"]).stdout, b"");
}

#[test]
fn a_damaged_file_does_not_serve() {
    let project = project(FLOW);
    let first = run(&project, &[]);
    let weights = project.path(first.end["result"]["weights"]["path"].as_str().unwrap());
    let whole = fs::read(&weights).unwrap();

    // Its length tells it at once, …
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(run(&project, &[]).run, set(["net"]));
    assert_eq!(fs::read(&weights).unwrap(), whole);
    assert!(why(&project, "net").contains("gone or damaged"), "{}", why(&project, "net"));

    // … of another content only one who reads all of it.
    let mut other = whole.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(&weights, other).unwrap();
    let verified = project.smltc(&["cache", "verify"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&verified.stdout).contains("gone or damaged"));
    assert!(project.smltc(&["cache", "verify"]).status.success());
    assert_eq!(run(&project, &[]).run, set(["net"]));
    assert_eq!(fs::read(&weights).unwrap(), whole);
}

#[test]
fn a_damaged_cache_stops_no_run() {
    let project = project(FLOW);
    let first = run(&project, &[]);
    for file in [".smlt/cache.db-wal", ".smlt/cache.db-shm"] {
        let _ = fs::remove_file(project.path(file));
    }
    fs::write(project.path(".smlt/cache.db"), "no database".repeat(1000)).unwrap();
    let output = project.smltc(&["run", "flow.smlt", "--quiet"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("without the cache"));
    fs::remove_file(project.path(".smlt/cache.db")).unwrap();
    assert_eq!(run(&project, &[]).run, first.run);
}

#[test]
fn programs_share_the_cache() {
    let project = project(FLOW);
    let runs: Vec<Child> = (0..4)
        .map(|_| project.command(&["run", "flow.smlt", "--quiet"]).stdout(Stdio::null()).spawn().unwrap())
        .collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    assert_eq!(run(&project, &[]).run, set([]));
    assert!(project.smltc(&["cache", "verify"]).status.success());
    let listed = project.smltc(&["cache", "ls", "--json"]);
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), 4);
}

#[test]
fn a_killed_run_leaves_only_what_is_right() {
    let text = r#"
task count(item: Int) -> { n: Int } { command: ["python3", "scripts/count.py", "{item}"] }

workflow main() -> Int {
  let all = for item in range(40) { run count(item) }
  sum(all |> map(|one| one.n))
}
"#;
    let project = project(text);
    let script = "import json, os, sys, marks\nmarks.mark(os.environ['SMLT_PROJECT'], sys.argv[1])\njson.dump({'n': int(sys.argv[1])}, open(os.environ['SMLT_OUT'], 'w'))\n";
    fs::write(project.path("scripts/count.py"), script).unwrap();
    let mut killed = project.command(&["run", "flow.smlt", "--quiet"]).stdout(Stdio::null()).spawn().unwrap();
    wait_until("some items are over", || log(&project).len() >= 6);
    kill_process(pid(&killed), Signal::KILL).unwrap();
    killed.wait().unwrap();
    assert!(project.smltc(&["cache", "verify"]).status.success());
    let whole = run(&project, &[]);
    assert_eq!(whole.end["result"], 780);
    assert_eq!(whole.run.len() + whole.served.len(), 40);
    assert!(!whole.served.is_empty());
    assert_eq!(run(&project, &[]).served.len(), 40);
}

#[test]
fn large_files_are_read_aside() {
    let text = r#"
task size(file: Uri) -> { bytes: Int } { command: ["python3", "scripts/size.py", file] }

workflow main() -> Int {
  let size = run size("large.bin")
  size.bytes
}
"#;
    let project = project(text);
    let script =
        "import json, os, sys\njson.dump({'bytes': os.path.getsize(sys.argv[1])}, open(os.environ['SMLT_OUT'], 'w'))\n";
    fs::write(project.path("scripts/size.py"), script).unwrap();
    let mut bytes = vec![7; 3 << 20];
    fs::write(project.path("large.bin"), &bytes).unwrap();
    assert_eq!(run(&project, &[]).end["result"], 3 << 20);
    let second = run(&project, &[]);
    assert_eq!((second.served, &second.end["result"]), (set(["size"]), &Json::from(3 << 20)));
    bytes[1 << 20] = 8;
    fs::write(project.path("large.bin"), &bytes).unwrap();
    assert_eq!(run(&project, &[]).run, set(["size"]));
}

#[test]
fn only_what_no_run_needs_is_taken_away() {
    let project = project(FLOW);
    let first = run(&project, &[]);
    let weights = project.path(first.end["result"]["weights"]["path"].as_str().unwrap());
    assert!(project.smltc(&["cache", "gc", "--keep", "0B"]).status.success());
    assert!(weights.exists(), "the run refers to it");
    // The judgement has no file, and came last; all that came before the weights went with them.
    assert_eq!(run(&project, &[]).served, set(["score"]));
    let stray = project.path(".smlt/objects/.tmp-stray");
    fs::write(&stray, "left behind").unwrap();
    let old = std::time::SystemTime::now() - Duration::from_secs(7200);
    fs::File::options().append(true).open(&stray).unwrap().set_modified(old).unwrap();
    let output = project.smltc(&["cache", "gc"]);
    assert!(!stray.exists(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(weights.exists());
}

#[test]
fn a_run_goes_on_with_what_was_served() {
    // Files that a script names count, unless it names them in pieces.
    let text = r#"
task first() -> { file: Artifact } {
  shell: "at=$SMLT_PROJECT; echo first >> $\{at\}/log; echo made > made; echo '\{\"file\": \"made\"\}' > $SMLT_OUT"
}

task second(file: Artifact, n: Int) -> { lines: Int } {
  shell: "at=$SMLT_PROJECT; echo second >> $\{at\}/log; while [ ! -e $\{at\}/go ]; do sleep 0.05; done; echo \"\{\\\"lines\\\": $(wc -l < $file)\}\" > $SMLT_OUT"
}

workflow main(n: Int = 1) -> Int {
  let made = run first()
  let read = run second(made.file, n)
  read.lines
}
"#;
    let project = project(text);
    fs::write(project.path("go"), "").unwrap();
    run(&project, &[]);
    fs::remove_file(project.path("go")).unwrap();
    let count = |step: &str| log(&project).iter().filter(|line| *line == step).count();
    let resumed = |args: &[&str]| {
        fs::write(project.path("go"), "").unwrap();
        let output = project.smltc(&[&["run", "--quiet", "--resume"], args].concat());
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"1\n"[..]));
        fs::remove_file(project.path("go")).unwrap();
    };
    let cut_off = |n: &str| {
        let before = count("second");
        let mut run = project.command(&["run", "flow.smlt", "--quiet", "--n", n]).spawn().unwrap();
        wait_until("the second step is under way", || count("second") > before);
        run.kill().unwrap();
        run.wait().unwrap();
    };

    // What served before serves on, and is told of once.
    cut_off("2");
    resumed(&[]);
    assert_eq!((count("first"), count("second")), (1, 3));
    let served = project.events().into_iter().filter(|event| event["event"] == "step_served");
    assert_eq!(served.map(|event| event["step"].clone()).collect::<Vec<_>>(), ["main/made"]);

    // A step that begins again may be served meanwhile by another run; without the cache it is not.
    for (args, begun) in [(&[][..], 0), (&["--no-cache"], 1)] {
        let n = (3 + begun).to_string();
        cut_off(&n);
        let id = project.runs()[0]["run"].as_str().unwrap().to_owned();
        fs::write(project.path("go"), "").unwrap();
        run(&project, &["--n", &n]);
        let before = count("second");
        resumed(&[&[&*id], args].concat());
        assert_eq!(count("second") - before, begun);
    }
    assert_eq!(count("first"), 1);

    // A file of a served step that is damaged meanwhile is made again.
    cut_off("5");
    let stored = project.path(".smlt/objects").join(find_object(&project, "made\n"));
    fs::write(stored, "math\n").unwrap();
    resumed(&[]);
    assert_eq!(count("first"), 2);
}

/// Where the stored file with a content lies in the store.
fn find_object(project: &Project, content: &str) -> std::path::PathBuf {
    let root = project.path(".smlt/objects");
    let folders = fs::read_dir(&root).unwrap().flatten().filter_map(|folder| fs::read_dir(folder.path()).ok());
    let mut files = folders.flatten().flatten().map(|file| file.path());
    let found = files.find(|file| fs::read_to_string(file).is_ok_and(|text| text == content)).unwrap();
    found.strip_prefix(root).unwrap().to_owned()
}
