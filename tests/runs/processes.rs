//! No process outlives its run, attempts are stopped in order, and a command that behaves badly harms nothing else.

use crate::project::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use std::{
    fs,
    io::Read,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// The variable by which the processes of a test are told from all others.
const MARK: &str = "SMLTC_TEST_MARK";

/// A project whose processes are all known.
struct Scene {
    project: Project,
    mark: String,
}

impl Scene {
    fn new(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let project = Project::with("scene.smlt", text);
        let check = project.smltc(&["check", "scene.smlt"]);
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        Self { project, mark }
    }

    /// A workflow of one task with this script, and with these annotations.
    fn script(annotations: &str, script: &str) -> Self {
        Self::task(annotations, "", script)
    }

    /// The same with a result.
    fn task(annotations: &str, result: &str, script: &str) -> Self {
        let script = script
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('{', "\\{")
            .replace('}', "\\}")
            .replace('\n', "\\n");
        let text =
            format!("{annotations}\ntask act() {result} {{ shell: \"{script}\" }}\nworkflow main() {{ run act() }}\n");
        Self::new(&text)
    }

    /// Starts a run that hears every signal, even where the tests themselves stand behind `nohup`.
    fn start(&self, args: &[&str]) -> Child {
        let mut command = Command::new("env");
        command.args(["--default-signal", env!("CARGO_BIN_EXE_smltc"), "run", "scene.smlt"]).args(args);
        command.current_dir(self.project.folder()).stdin(Stdio::null());
        command.env(MARK, &self.mark).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs to the end; the last event, and that no process is left when the program is gone.
    fn end(&self, args: &[&str]) -> Json {
        let mut command = self.project.command(&[&["run", "scene.smlt", "--json"], args].concat());
        let output = command.env(MARK, &self.mark).output().unwrap();
        assert_eq!(self.processes(), [], "processes are left");
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }

    /// The kind and the message of the failure that a run ends in.
    fn failure(&self) -> (String, String) {
        let failure = &self.end(&[])["failure"];
        let text = |name: &str| failure[name].as_str().unwrap_or_else(|| panic!("{failure}")).to_owned();
        (text("kind"), text("message"))
    }

    /// The processes that carry the mark.
    fn processes(&self) -> Vec<Pid> {
        let entry = format!("{MARK}={}", self.mark);
        let has_mark = |process: &Pid| {
            let environment = fs::read(format!("/proc/{}/environ", process.as_raw_nonzero())).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
        };
        let all = fs::read_dir("/proc").unwrap().flatten();
        let all = all.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
        all.filter(has_mark).filter(|process| is_alive(*process)).collect()
    }

    /// The processes of the program itself that were started as `smltc COMMAND`.
    fn started_as(&self, command: &str) -> Vec<Pid> {
        let is = |process: &Pid| {
            let line = fs::read(format!("/proc/{}/cmdline", process.as_raw_nonzero())).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(command.as_bytes())
        };
        self.processes().into_iter().filter(is).collect()
    }

    /// Waits until a file of the project has so many lines, and gives them.
    fn lines(&self, file: &str, count: usize) -> Vec<String> {
        let read = || fs::read_to_string(self.project.path(file)).unwrap_or_default();
        wait_until(&format!("{file} has {count} lines"), || read().lines().count() >= count && read().ends_with('\n'));
        read().lines().map(str::to_owned).collect()
    }

    /// Waits until neither the processes with the mark nor those in the file `pids` are alive.
    fn wait_until_nothing_is_left(&self) {
        wait_until("no process is left", || self.processes().is_empty());
        let pids = fs::read_to_string(self.project.path("pids")).unwrap_or_default();
        let pids: Vec<Pid> = pids.lines().filter_map(|pid| Pid::from_raw(pid.parse().unwrap())).collect();
        wait_until("no process is left that took off the mark", || pids.iter().all(|pid| !is_alive(*pid)));
    }
}

/// Starts what is hard to end, once: a child, a daemon in a session of its own that hears no signal, and one that has
/// taken off the mark, too.
const BROOD: &str = r#"cd "$SMLT_PROJECT"
test -e again && exit 0
touch again
sleep 1000 & echo $! >> pids
(setsid sh -c 'trap "" TERM HUP INT; echo $$ >> pids; while :; do sleep 1000; done' &)
(env -i setsid sh -c 'trap "" TERM HUP INT; echo $$ >> pids; while :; do sleep 1000; done' > /dev/null 2>&1 &)
wait
"#;

#[test]
fn whatever_is_killed_nothing_outlives_the_run() {
    for victims in
        [&["run"][..], &["worker"], &["keeper"], &["run", "worker"], &["run", "keeper"], &["worker", "keeper"]]
    {
        let scene = Scene::script("", BROOD);
        let mut run = scene.start(&["--quiet"]);
        scene.lines("pids", 3);
        let victims: Vec<Vec<Pid>> = victims.iter().map(|victim| scene.started_as(victim)).collect();
        assert!(victims.iter().all(|processes| processes.len() == 1), "{victims:?}");
        for victim in victims.iter().flatten() {
            // One before it may have taken it along by now.
            let _ = kill_process(*victim, Signal::KILL);
        }
        // The next attempt ends at once, so a run that lives ends well.
        let status = run.wait().unwrap();
        assert!(status.success() || status.signal() == Some(9), "{status}");
        scene.wait_until_nothing_is_left();
    }
}

#[test]
fn a_keeper_that_was_stopped_cleans_up_all_the_same() {
    for is_killed in [false, true] {
        let scene = Scene::script("", BROOD);
        let mut run = scene.start(&["--quiet"]);
        scene.lines("pids", 3);
        let keepers = scene.started_as("keeper");
        assert_eq!(keepers.len(), 1);
        kill_process(keepers[0], Signal::STOP).unwrap();
        if is_killed {
            run.kill().unwrap();
            run.wait().unwrap();
        } else {
            kill_process(pid(&run), Signal::INT).unwrap();
            let events = || scene.project.events();
            wait_until("the run has heard of it", || events().iter().any(|event| event["event"] == "stopping"));
            kill_process(pid(&run), Signal::INT).unwrap();
            assert_eq!(run.wait().unwrap().code(), Some(130));
            assert_eq!(scene.processes(), []);
        }
        scene.wait_until_nothing_is_left();
    }
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    let scene = Scene::script("", &BROOD.replace("wait\n", "sleep 0.1\n"));
    assert_eq!(scene.end(&[])["status"], "succeeded");
    scene.wait_until_nothing_is_left();
}

#[test]
fn a_command_that_is_stopped_may_write_a_checkpoint() {
    // The one who is asked to end is not the one that `smltc` has started.
    let script = r#"cd "$SMLT_PROJECT"
echo $PPID >> workers
sh -c 'trap "sleep 0.2; echo saved > saved; echo bye; exit 0" TERM; while :; do sleep 0.05; done'
"#;
    let scene = Scene::script("@timeout(2s)\n@retry(max: 1, on: [Timeout], backoff: 1ms)", script);
    let failure = &scene.end(&[])["failure"];
    assert_eq!(failure["kind"], "Timeout");
    assert_eq!(failure["message"], "it took longer than its timeout of 2s");
    let log = failure["log"].as_array().unwrap();
    assert_eq!(log.last().unwrap(), "bye");
    assert_eq!(fs::read_to_string(scene.project.path("saved")).unwrap(), "saved\n");
    // The worker has outlived its command, and did the second attempt.
    let workers = scene.lines("workers", 2);
    assert_eq!(workers[0], workers[1]);
}

#[test]
fn a_command_that_does_not_want_to_stop_is_killed() {
    let scene = Scene::script("@timeout(300ms)", "trap '' TERM INT HUP; while :; do sleep 0.1; done");
    assert_eq!(scene.failure().0, "Timeout");
}

/// Four steps, each of which ends once there is a file `go`.
const WAITING: &str = r#"
task wait(n: Int) -> { n: Int } {
  shell: "cd $SMLT_PROJECT; echo $n >> begun; while ! test -e go; do sleep 0.02; done; echo '\{\"n\": 7\}' > $SMLT_OUT"
}
workflow main() {
  for n in [1, 2, 3, 4] { run wait(n) }
}
"#;

fn told(run: &mut Child) -> String {
    let mut told = String::new();
    run.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    told
}

#[test]
fn an_interrupt_lets_what_is_under_way_end_and_begins_nothing_more() {
    let scene = Scene::new(WAITING);
    let mut run = scene.start(&["--jobs", "2"]);
    scene.lines("begun", 2);
    kill_process(pid(&run), Signal::INT).unwrap();
    wait_until("the run has heard of it", || scene.project.events().iter().any(|event| event["event"] == "stopping"));
    assert!(run.try_wait().unwrap().is_none());
    fs::write(scene.project.path("go"), "").unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let told = told(&mut run);
    assert!(told.contains("stopping: 2 steps end first; press Ctrl-C again to stop at once"), "{told}");
    assert_eq!(scene.lines("begun", 2).len(), 2);
    let events = scene.project.events();
    let done = events.iter().filter(|event| event["event"] == "step_done" && event["value"]["n"] == 7);
    assert_eq!(done.count(), 2, "{events:?}");
    assert_eq!(scene.project.state(), "cancelled");
    scene.wait_until_nothing_is_left();
}

#[test]
fn a_second_interrupt_ends_a_run_at_once() {
    let scene = Scene::script("", BROOD);
    let mut run = scene.start(&[]);
    scene.lines("pids", 3);
    kill_process(pid(&run), Signal::TERM).unwrap();
    wait_until("the run has heard of it", || scene.project.events().iter().any(|event| event["event"] == "stopping"));
    kill_process(pid(&run), Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert_eq!(scene.processes(), []);
    scene.wait_until_nothing_is_left();
    assert_eq!(scene.project.state(), "cancelled");
}

#[test]
fn a_limit_still_holds_once_a_run_is_to_stop() {
    let scene = Scene::new(&WAITING.replace("workflow main", "@deadline(5s)\nworkflow main"));
    let mut run = scene.start(&["--jobs", "2"]);
    scene.lines("begun", 2);
    kill_process(pid(&run), Signal::HUP).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let events = scene.project.events();
    assert_eq!(events.iter().filter(|event| event["event"] == "step_stopped").count(), 2, "{events:?}");
    scene.wait_until_nothing_is_left();
}

#[test]
fn an_interrupt_stops_a_training_after_an_epoch() {
    let project = Project::with("long.smlt", LONG);
    let mut run = project.start(&["run", "long.smlt", "--epochs", "100000"], |workers| !workers.is_empty());
    wait_until("an epoch is over", || project.events().iter().any(|event| event["event"] == "epoch"));
    kill_process(pid(&run), Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let events = project.events();
    let is_last = |event: &Json| event["event"] == "step_stopped" || event["event"] == "spent";
    assert!(events.last().is_some_and(is_last), "{events:?}");
    assert_eq!(project.state(), "cancelled");
}

/// What a run with this script says, with the size of the log that it leaves.
fn flooded(script: &str) -> (usize, u64) {
    let scene = Scene::script("", script);
    let output = scene.project.command(&["run", "scene.smlt", "--json"]).env(MARK, &scene.mark).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let runs = fs::read_dir(scene.project.path(".smlt/runs")).unwrap();
    let log = runs.flatten().next().unwrap().path().join("logs/main.act.1.log");
    (output.stdout.len(), fs::metadata(log).unwrap().len())
}

#[test]
fn a_command_that_writes_without_end_fills_no_disk() {
    for script in ["yes a line that nobody will read | head -c 300000000", "head -c 300000000 /dev/zero"] {
        let (shown, logged) = flooded(script);
        assert!(shown < 100 << 20, "{script}: {shown}");
        assert!((32 << 20..=64 << 20).contains(&logged), "{script}: {logged}");
    }
}

#[test]
fn a_command_that_closes_its_output_may_work_on() {
    let scene = Scene::script("", "exec > /dev/null 2>&1 < /dev/null; sleep 0.3; touch $SMLT_PROJECT/done");
    assert_eq!(scene.end(&[])["status"], "succeeded");
    assert!(scene.project.path("done").exists());
    let scene = Scene::script("", "exec >&- 2>&-; sleep 0.3; touch $SMLT_PROJECT/done");
    assert_eq!(scene.end(&[])["status"], "succeeded");
    assert!(scene.project.path("done").exists());
}

#[test]
fn what_is_no_text_is_shown_as_well_as_can_be() {
    let scene = Scene::script("", r"printf 'a\377\376b\0c\n'; exit 3");
    let failure = &scene.end(&[])["failure"];
    assert_eq!(failure["log"], serde_json::json!(["a\u{fffd}\u{fffd}b\u{0}c"]));
}

#[test]
fn a_result_that_is_none_is_told_of() {
    let cases = [
        ("echo '{\"n\": 1' > $SMLT_OUT", "the result is not JSON"),
        ("echo '{\"n\": \"one\"}' > $SMLT_OUT", "the result has the wrong type"),
        ("echo '[1]' > $SMLT_OUT", "the result has the wrong type"),
        ("yes '[' | head -n 100000 > $SMLT_OUT", "the result is not JSON"),
        ("printf '\\377' > $SMLT_OUT", "the result can't be read"),
        ("true", "the command wrote no result"),
        ("mkfifo $SMLT_OUT", "the result can't be read: it is not a plain file"),
        ("ln -s /dev/zero $SMLT_OUT", "the result can't be read: it is not a plain file"),
        ("ln -s $SMLT_OUT $SMLT_OUT", "the result can't be read"),
        ("mkdir $SMLT_OUT", "the result can't be read: it is not a plain file"),
        ("head -c 20000000 /dev/zero > $SMLT_OUT", "the result can't be read: it is larger than 16 MiB"),
        ("rm -r \"$PWD\"", "the command wrote no result"),
    ];
    for (script, wanted) in cases {
        let scene = Scene::task("", "-> { n: Int }", script);
        let (kind, message) = scene.failure();
        assert_eq!(kind, "BadResult", "{script}: {message}");
        assert!(message.starts_with(wanted), "{script}: {message}");
    }
}

#[test]
fn how_a_command_ended_is_told() {
    let told = |script: &str| Scene::script("", script).failure();
    assert_eq!(told("exit 7"), ("TaskFailed".into(), "the command ended with exit code 7".into()));
    assert_eq!(told("kill -SEGV $$"), ("TaskFailed".into(), "the command was killed by signal 11".into()));
    assert_eq!(told("kill -TERM $$"), ("TaskFailed".into(), "the command was killed by signal 15".into()));
}

#[test]
fn nobody_answers_a_command_that_asks() {
    let script = "if read answer; then exit 1; fi; if sh -c ': < /dev/tty'; then exit 2; fi; exit 0";
    assert_eq!(Scene::script("", script).end(&[])["status"], "succeeded");
}

#[test]
fn the_working_folder_goes_whatever_became_of_it() {
    for script in [
        "for n in $(seq 10000); do : > $n; done",
        "head -c 50000000 /dev/zero > large; mkdir -p a/b/c; ln -s / a/b/root; chmod 0 a",
        "here=$PWD; cd /; rm -r $here",
        "cd $SMLT_PROJECT; rm -r $OLDPWD; mkdir other",
    ] {
        let scene = Scene::script("", script);
        assert_eq!(scene.end(&[])["status"], "succeeded", "{script}");
        let runs = fs::read_dir(scene.project.path(".smlt/runs")).unwrap();
        let run = runs.flatten().next().unwrap().path();
        assert!(!run.join("work").exists(), "{script}");
        assert_eq!(fs::read_dir(run.join("steps")).unwrap().count(), 0, "{script}");
    }
}

/// Whatever one command does to its folder, the next one of the same worker finds one that is as new.
#[test]
fn each_command_has_a_fresh_folder() {
    let spoil = [
        "true",
        r"printf '\173\175' > $SMLT_OUT",
        "echo 7 > rest",
        "chmod 500 .",
        "ln $SMLT_IN $SMLT_PROJECT/linked",
        "rm $SMLT_IN; ln -s $SMLT_PROJECT/other $SMLT_IN",
        "rm -r $PWD",
        "chmod 400 $SMLT_IN",
    ];
    let script = r#"test -z "$(ls)"; test ! -e "$SMLT_OUT"; test -w .; grep -q ""spoil"" "$SMLT_IN"; eval "$spoil""#;
    let script = script.replace('\\', "\\\\").replace('"', "\\\"");
    let text = format!(
        "task act(spoil: String) {{ shell: \"{script}\" }}\nworkflow main() {{ for spoil in {spoil:?} {{ run act(spoil) }} }}\n"
    );
    let scene = Scene::new(&text);
    fs::write(scene.project.path("other"), "other").unwrap();
    let end = scene.end(&["--jobs", "1"]);
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(fs::read_to_string(scene.project.path("other")).unwrap(), "other");
    let linked = fs::read_to_string(scene.project.path("linked")).unwrap();
    assert!(linked.contains("linked"), "{linked}");
}

#[test]
fn a_parameter_does_not_change_how_programs_work() {
    let scene = Scene::new(
        r#"
task act(PATH: String, HOME: Int, LD_PRELOAD: String, long: String, short: String) -> { path: String, home: Int, long: Int } {
  shell: "test \"$short\" = short; test -z \"$\{long+set\}\"; test -z \"$\{LD_PRELOAD+set\}\"; cp $SMLT_IN in; python3 -c 'import json, os; given = json.load(open(\"in\")); json.dump(dict(path=given[\"PATH\"], home=given[\"HOME\"], long=len(given[\"long\"])), open(os.environ[\"SMLT_OUT\"], \"w\"))'"
}
workflow main(long: String) -> Int {
  let done = run act("nowhere", 7, "/nothing.so", long, "short")
  assert done.path == "nowhere" and done.home == 7
  done.long
}
"#,
    );
    let long = "x".repeat(100_000);
    let end = scene.end(&["--long", &long]);
    assert_eq!(end["result"], 100_000, "{end}");
}
