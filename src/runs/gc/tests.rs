use super::*;
use crate::{
    runs::tests::{project, recipe, run},
    schedule::{Notice, StepPath, Time, Verdict},
    store::Objects,
    units::Money,
    value::{Artifact, Value},
};
use std::fs::File;

/// Makes a file or folder older than what may still be wanted.
fn age(path: &Path) {
    File::open(path).unwrap().set_modified(SystemTime::now() - 2 * GRACE).unwrap();
}

fn sweep(case: &Case, runs: &Runs, dry: bool) -> Result<Freed, GcError> {
    collect(&case.home, runs, dry)
}

struct Case {
    folder: tempfile::TempDir,
    home: Home,
    objects: Objects,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::of(folder.path());
        let objects = Objects::open(home.objects());
        Self { folder, home, objects }
    }

    fn store(&self, text: &str) -> Artifact {
        let artifact = self.objects.put_bytes("a.bin", text.as_bytes()).unwrap();
        age(&self.objects.path(&artifact));
        artifact
    }

    /// A run that is over, with a stored file as its result.
    fn over(&self, id: &str, result: Artifact) -> Runs {
        let verdict = Verdict::Succeeded { value: Value::Artifact(Box::new(result)), marks: Vec::new() };
        let recorder = project(self.folder.path(), &[id]).record(id);
        recorder.end(Time::default(), Money::ZERO, &verdict).unwrap();
        Runs::existing(&self.home).unwrap().unwrap()
    }
}

#[test]
fn stored_files_go_once_no_run_names_them_and_they_are_old() {
    let case = Case::new();
    let (kept, lost) = (case.store("kept"), case.store("lost"));
    let young = case.objects.put_bytes("a.bin", b"young").unwrap();
    let runs = case.over("a", kept.clone());
    let exist = || [&kept, &lost, &young].map(|artifact| case.objects.path(artifact).exists());

    let found = sweep(&case, &runs, true).unwrap();
    assert_eq!(found.objects, Tally { count: 1, bytes: 4 });
    assert_eq!(exist(), [true; 3], "a dry run removes nothing");
    assert_eq!(sweep(&case, &runs, false).unwrap().objects, found.objects);
    assert_eq!(exist(), [true, false, true]);

    runs.remove(&case.home, "a").unwrap();
    assert_eq!(sweep(&case, &runs, false).unwrap().objects, found.objects);
    assert_eq!(exist(), [false, false, true]);
}

#[test]
fn stored_files_stay_while_the_cache_refers_to_them() {
    let case = Case::new();
    let artifact = case.store("kept");
    let runs = project(case.folder.path(), &[]);
    let mut cache = Cache::open(&case.home.cache()).unwrap();
    let key = Hash::of(b"key");
    cache.keep(key, Value::Artifact(Box::new(artifact.clone())));
    assert_eq!(sweep(&case, &runs, false).unwrap().objects.count, 0);
    assert!(case.objects.path(&artifact).exists());
    cache.drop_entries([key]).unwrap();
    assert_eq!(sweep(&case, &runs, false).unwrap().objects, Tally { count: 1, bytes: 4 });
    drop(cache);
    fs::write(case.home.cache(), "no database".repeat(1000)).unwrap();
    assert!(matches!(sweep(&case, &runs, false), Err(GcError::Cache(_))));
}

#[test]
fn what_is_stored_again_is_young_again() {
    let case = Case::new();
    let artifact = case.store("text");
    case.objects.put_bytes("b.bin", b"text").unwrap();
    let runs = project(case.folder.path(), &[]);
    assert_eq!(sweep(&case, &runs, false).unwrap().objects.count, 0);
    assert!(case.objects.path(&artifact).exists());
}

#[test]
fn folders_of_no_run_and_unfinished_files_go() {
    let case = Case::new();
    let runs = case.over("20260101-a", case.store("kept"));
    runs.enter(&run("20260101-b"), &recipe()).unwrap();
    let kept = ["20260101-a/logs", "20260101-b/work/try-x", "young/logs"];
    let lost = ["20260101-a/work/try-x", "20260101-a/dealt/x", "old/logs"];
    for path in kept.iter().chain(&lost) {
        fs::create_dir_all(case.home.run(path)).unwrap();
    }
    for path in ["20260101-a", "20260101-a/work", "20260101-a/dealt", "20260101-b/work", "old"] {
        age(&case.home.run(path));
    }
    let temporary = case.home.objects().join("ab/.tmpXYZ");
    fs::create_dir_all(temporary.parent().unwrap()).unwrap();
    fs::write(&temporary, "12345").unwrap();
    age(&temporary);

    let freed = sweep(&case, &runs, false).unwrap();
    assert_eq!(freed.folders, Tally { count: 1, bytes: 0 });
    assert_eq!(freed.unfinished, Tally { count: 3, bytes: 5 });
    assert!(kept.iter().all(|path| case.home.run(path).exists()));
    assert!(!lost.iter().any(|path| case.home.run(path).exists()) && !temporary.exists());
}

#[test]
fn the_database_gives_back_the_room_of_removed_runs() {
    let case = Case::new();
    let recorder = project(case.folder.path(), &["a"]).record("a");
    for _ in 0..1000 {
        let scope = StepPath("main".into());
        recorder.notice(Time::default(), &Notice::Limit { scope, message: "long".repeat(100) });
    }
    recorder.end(Time::default(), Money::ZERO, &Verdict::Cancelled).unwrap();
    let runs = Runs::existing(&case.home).unwrap().unwrap();
    let size = || fs::metadata(case.home.database()).unwrap().len();
    sweep(&case, &runs, false).unwrap();
    let before = size();
    runs.remove(&case.home, "a").unwrap();
    let freed = sweep(&case, &runs, false).unwrap();
    assert!(freed.database > 300_000, "{freed:?}");
    assert_eq!(size(), before - freed.database);
}
