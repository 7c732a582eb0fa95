//! Two hundred steps whose program, workers or both are killed at random moments and whose latest files lose their ends,
//! until the run is through: the result is the one of an undisturbed run, and nothing is left behind.
//!
//! A few rounds by default; `CHAOS_ROUNDS=100 cargo test --release --test runs chaos -- --nocapture` is the long form.

use crate::project::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use smlt::seed::{Generator, Seed};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, SystemTime},
};

/// Rounds that are done when nothing is said.
const ROUNDS: u64 = 3;

/// After so many blows a run may come to its end.
const BLOWS: u32 = 8;

/// Whom a blow hits.
#[derive(Debug)]
enum Blow {
    Program,
    Worker,
    Both,
    /// Everything goes, and the file that was written last loses its end, as when the power fails.
    Power,
}

impl Blow {
    fn drawn(generator: &mut Generator) -> Self {
        match generator.below(4) {
            0 => Self::Program,
            1 => Self::Worker,
            2 => Self::Both,
            _ => Self::Power,
        }
    }
}

#[test]
fn chaos_changes_nothing() {
    let rounds = env::var("CHAOS_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let calm = project();
    let output = calm.smltc(&["run", "chaos.smlt", "--quiet", "--out", "result.json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let wanted = fs::read_to_string(calm.path("result.json")).unwrap();
    let (mut blows, mut resumed) = (0, 0);
    for round in 0..rounds {
        let project = project();
        let (hit, again) = disturbed(&project, Seed::new(round).generator());
        let result = fs::read_to_string(project.path("result.json")).unwrap();
        assert_eq!(result, wanted, "round {round} after {hit} blows");
        assert_eq!(processes_in(project.folder()), [], "round {round}");
        assert_eq!(temporary(&project.path(".smlt")), [] as [PathBuf; 0], "round {round}");
        (blows, resumed) = (blows + hit, resumed + again);
    }
    println!("{rounds} of {rounds} rounds with {blows} blows and {resumed} resumptions: the same bytes each time");
}

fn project() -> Project {
    let project = Project::new();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs/chaos"), project.folder());
    project
}

/// Runs the workflow to its end in spite of everything; gives the blows, and how often the run was resumed.
fn disturbed(project: &Project, mut generator: Generator) -> (u32, u32) {
    let (mut hit, mut resumed) = (0, 0);
    // A run that has not entered itself into the list can't be resumed.
    let mut begun = false;
    loop {
        let args: &[&str] = if begun { &["run", "--resume"] } else { &["run", "chaos.smlt"] };
        resumed += u32::from(begun);
        let mut run = project.command(&[args, &["--quiet", "--out", "result.json"]].concat());
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        while hit < BLOWS && outlives(&mut run, Duration::from_millis(50 + generator.below(600))) {
            hit += 1;
            let blow = Blow::drawn(&mut generator);
            strike(&blow, &run, project);
            if !matches!(blow, Blow::Worker) {
                break;
            }
        }
        let output = run.wait_with_output().unwrap();
        if output.status.success() {
            return (hit, resumed);
        }
        if output.status.code().is_some() {
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(thrice_lost(project), 1, "{told}");
        }
        wait_until("all processes are gone", || processes_in(project.folder()).is_empty());
        begun = !project.runs().is_empty();
    }
}

/// How many steps have failed because their worker was lost three times, which is all that may fail a run here. Such a run
/// can be resumed like one that was killed.
fn thrice_lost(project: &Project) -> usize {
    let events = project.events();
    let lost = |event: &&Json| event["failure"]["kind"] == "WorkerLost";
    let failed = events.iter().filter(|event| event["event"] == "step_failed").filter(lost);
    let retried = |step: &Json| {
        events.iter().filter(|event| event["event"] == "step_retried" && event["step"] == *step).filter(lost).count()
    };
    failed.filter(|event| retried(&event["step"]) == 2).count()
}

/// Whether a process still runs after some time.
fn outlives(run: &mut Child, time: Duration) -> bool {
    thread::sleep(time);
    run.try_wait().unwrap().is_none()
}

fn strike(blow: &Blow, run: &Child, project: &Project) {
    let keepers = children(run.id());
    let workers = keepers.iter().flat_map(|keeper| children(keeper.as_raw_nonzero().get().cast_unsigned()));
    // What has gone by itself meanwhile can't be killed.
    let kill = |process: Pid| {
        let _ = kill_process(process, Signal::KILL);
    };
    match blow {
        Blow::Program => kill(pid(run)),
        Blow::Worker => workers.take(1).for_each(kill),
        Blow::Both => {
            workers.collect::<Vec<_>>().into_iter().for_each(kill);
            kill(pid(run));
        }
        Blow::Power => {
            kill(pid(run));
            wait_until("the power is off", || {
                let left = processes_in(project.folder());
                left.iter().for_each(|process| kill(*process));
                left.is_empty()
            });
            lose_the_end(&project.path(".smlt"));
        }
    }
}

/// Takes away half of the file that was written last: a stored file, a checkpoint, or the log of the database.
fn lose_the_end(home: &Path) {
    let is_database =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "db" || extension == "db-shm");
    let written =
        |path: &PathBuf| fs::metadata(path).and_then(|about| about.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let last = files(home).into_iter().filter(|path| path.is_file() && !is_database(path)).max_by_key(written);
    if let Some(last) = last {
        let length = fs::metadata(&last).unwrap().len();
        fs::File::options().write(true).open(&last).unwrap().set_len(length / 2).unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Files of which only the half-way writing knows.
fn temporary(home: &Path) -> Vec<PathBuf> {
    let is_temporary = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp"));
    let tries = |path: &PathBuf| path.iter().any(|part| part.to_string_lossy().starts_with("try-"));
    files(home).into_iter().filter(|path| is_temporary(path) || tries(path)).collect()
}
