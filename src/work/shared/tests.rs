use super::*;
use crate::{
    store::Objects,
    types::Type,
    units,
    value::{Artifact, Call, Dataset, Fields, Location, Part, Split, Value},
    wire::{Command, Done, Op, Program, Role, Secrets, Word},
};
use std::{collections::BTreeMap, fs};
use tempfile::TempDir;

/// A bucket, and folders in which workers have parts of it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("project/a.txt", "a");
        place.write("project/data/b.txt", "b");
        place
    }

    fn path(&self, key: &str) -> PathBuf {
        self.0.path().join("bucket").join(key)
    }

    fn write(&self, key: &str, text: &str) {
        fs::create_dir_all(self.path(key).parent().unwrap()).unwrap();
        fs::write(self.path(key), text).unwrap();
    }

    fn worker(&self, name: &str, most: u64) -> Shared {
        let remote = Remote::in_folder(&self.path("")).unwrap();
        Shared::mirrored(remote, self.0.path().join(name), most).unwrap()
    }
}

/// A command with a stored file.
fn job(shared: &Shared, run: &str, file: Option<Artifact>) -> Job {
    let output = Type::record([] as [(&str, Type); 0]);
    let program = Program::Args(file.into_iter().map(Word::File).collect());
    let (inputs, env, secrets) = (Fields::new(), Vec::new(), BTreeMap::new());
    let run = shared.run(run);
    Job {
        path: "main/step".into(),
        op: Op::Command(Box::new(Command { program, inputs, output, env, secrets })),
        project: shared.project(),
        objects: shared.objects(),
        scratch: run.join("steps/step"),
        work: run.join("work"),
        run,
        log: None,
        time_left: None,
        money_left: None,
        threads: 1,
        attempt: 1,
        role: Role::Alone,
        secrets: Secrets::new(),
    }
}

fn done(output: Value) -> Result<Outcome, Failure> {
    Ok(Outcome::Done(Done { output, trained: None, elapsed: units::Duration::ZERO }))
}

/// Does nothing with what is at hand.
fn look(shared: &Shared, job: &Job) -> Result<Outcome, Failure> {
    shared.around(job, || done(Value::None))
}

/// Stores a text as a step does.
fn make(shared: &Shared, run: &str, text: &str) -> Artifact {
    let job = job(shared, run, None);
    let artifact = Objects::open(&job.objects).put_bytes("text", text.as_bytes()).unwrap();
    shared.around(&job, || done(Value::Artifact(Box::new(artifact.clone())))).unwrap();
    artifact
}

#[test]
fn facts_are_put_and_found_in_a_folder_and_elsewhere() {
    let place = Place::new();
    for shared in [Shared::in_folder(&place.path("")).unwrap(), place.worker("one", 100)] {
        assert_eq!(shared.get("runs/fox/events/2").unwrap(), None);
        shared.put("runs/fox/events/2", b"two".to_vec()).unwrap();
        shared.put("runs/fox/events/1", b"one".to_vec()).unwrap();
        assert_eq!(shared.list("runs/fox/events").unwrap(), ["runs/fox/events/1", "runs/fox/events/2"]);
        assert_eq!(shared.get("runs/fox/events/2").unwrap().unwrap(), "two");
        fs::remove_dir_all(place.path("runs")).unwrap();
    }
}

#[test]
fn a_worker_finds_the_project_as_it_was_when_the_run_began() {
    let place = Place::new();
    let worker = place.worker("one", 100);
    let read = |name: &str| fs::read_to_string(worker.project().join(name)).ok();
    look(&worker, &job(&worker, "fox", None)).unwrap();
    assert_eq!((read("a.txt").as_deref(), read("data/b.txt").as_deref()), (Some("a"), Some("b")));
    place.write("project/a.txt", "another");
    fs::remove_file(place.path("project/data/b.txt")).unwrap();
    look(&worker, &job(&worker, "fox", None)).unwrap();
    assert_eq!(read("a.txt").as_deref(), Some("a"));
    look(&worker, &job(&worker, "owl", None)).unwrap();
    assert_eq!((read("a.txt").as_deref(), read("data/b.txt")), (Some("another"), None));
}

#[test]
fn what_one_worker_stores_another_reads() {
    let place = Place::new();
    let artifact = make(&place.worker("one", 100), "fox", "what was made");
    let other = place.worker("other", 100);
    look(&other, &job(&other, "fox", Some(artifact.clone()))).unwrap();
    assert_eq!(Objects::open(other.objects()).read(&artifact).unwrap(), b"what was made");

    let third = place.worker("third", 100);
    fs::write(place.path(Objects::open("objects").path(&artifact).to_str().unwrap()), "what was mad?").unwrap();
    let failure = look(&third, &job(&third, "fox", Some(artifact))).unwrap_err();
    assert!(failure.message.contains("other bytes"), "{failure}");
}

#[test]
fn what_was_not_used_for_longest_makes_room() {
    let place = Place::new();
    let worker = place.worker("one", 40);
    let [first, second] = ["0123456789012345", "abcdefghijklmnop"].map(|text| make(&worker, "fox", text));
    let path = |artifact: &Artifact| Objects::open(worker.objects()).path(artifact);
    look(&worker, &job(&worker, "fox", Some(first.clone()))).unwrap();
    let third = make(&worker, "fox", "ABCDEFGHIJKLMNOP");
    assert_eq!([&first, &second, &third].map(|artifact| path(artifact).exists()), [true, false, true]);
    look(&worker, &job(&worker, "fox", Some(second.clone()))).unwrap();
    assert_eq!([&first, &second, &third].map(|artifact| path(artifact).exists()), [false, true, true]);

    let large = make(&place.worker("other", 100), "fox", &"large".repeat(9));
    let failure = look(&worker, &job(&worker, "fox", Some(large))).unwrap_err();
    assert!(failure.message.contains("has room for"), "{failure}");
    assert!(failure.help.unwrap().contains("ephemeral storage"));
}

#[test]
fn an_attempt_finds_what_one_before_has_left_with_another_worker() {
    let place = Place::new();
    let (one, other) = (place.worker("one", 100), place.worker("other", 100));
    let begun = job(&one, "fox", None);
    let lost = one.around(&begun, || {
        fs::create_dir_all(begun.scratch.join("deep")).unwrap();
        fs::write(begun.scratch.join("deep/state"), "half").unwrap();
        Err(Failure::new(Kind::WorkerLost, "it was stopped"))
    });
    assert_eq!(lost.unwrap_err().kind, Kind::WorkerLost);
    let again = Job { attempt: 2, ..job(&other, "fox", None) };
    let ended = other.around(&again, || {
        assert_eq!(fs::read_to_string(again.scratch.join("deep/state")).unwrap(), "half");
        fs::remove_dir_all(&again.scratch).unwrap();
        Err(Failure::new(Kind::TaskFailed, "it has removed it"))
    });
    assert_eq!(ended.unwrap_err().message, "it has removed it");
    let third = Job { attempt: 3, ..job(&one, "fox", None) };
    look(&one, &third).unwrap();
    assert!(mirror::stamps(&third.scratch).is_empty());
}

#[test]
fn what_a_step_leaves_on_the_way_outlives_its_worker() {
    let place = Place::new();
    let worker = place.worker("one", 100);
    let begun = job(&worker, "fox", None);
    let key = "runs/fox/steps/step/state";
    worker
        .around(&begun, || {
            fs::create_dir_all(&begun.scratch).unwrap();
            fs::write(begun.scratch.join("state"), "half").unwrap();
            while worker.get(key).unwrap().is_none() {
                thread::sleep(Duration::from_millis(10));
            }
            done(Value::None)
        })
        .unwrap();
}

#[test]
fn two_workers_of_one_run_may_not_learn_from_two_versions_of_a_file() {
    let place = Place::new();
    let found = |name: &str, text: &str| {
        let worker = place.worker(name, 100);
        let job = job(&worker, "fox", None);
        worker.around(&job, || {
            let file = crate::disk::write_atomically(&job.project.join("data.csv"), text.as_bytes());
            file.and_then(|()| fs::create_dir_all(&job.work)).unwrap();
            let source = crate::data::Files::find(&data(), &job.project, &Objects::open(&job.objects)).unwrap();
            let mut prints = Vec::new();
            source.main[0].read(&mut prints).unwrap();
            super::super::pins::hold(&job, &prints)?;
            done(Value::None)
        })
    };
    found("one", "1").unwrap();
    found("same", "1").unwrap();
    let failure = found("other", "2").unwrap_err();
    assert!(failure.message.contains("data.csv"), "{failure}");
}

fn data() -> Dataset {
    let part = || "50%".parse().unwrap();
    Dataset {
        name: "data".into(),
        files: vec![Location::Path("data.csv".into())],
        format: Call::new("csv", Fields::new()),
        label: None,
        columns: Vec::new(),
        shape: Vec::new(),
        test_files: Vec::new(),
        split: Split { train: part(), valid: part(), test: part(), seed: 0 },
        standardize: false,
        scale: 1.0,
        part: Part::Whole,
    }
}

#[test]
fn a_file_that_is_not_there_is_told_with_its_place() {
    let place = Place::new();
    let worker = place.worker("one", 100);
    let inspect = crate::wire::Inspect { data: data() };
    let job = Job { op: Op::Inspect(Box::new(inspect)), ..job(&worker, "fox", None) };
    let failure = look(&worker, &job).unwrap_err();
    assert!(failure.message.starts_with("`data.csv` is not in `"), "{failure}");
    assert!(failure.help.unwrap().contains("aws s3 sync"));
    // It is looked for again.
    place.write("project/data.csv", "1");
    look(&worker, &job).unwrap();
    assert!(worker.project().join("data.csv").exists());
}

#[test]
fn two_workers_of_one_machine_need_two_folders() {
    let place = Place::new();
    let _one = place.worker("one", 100);
    let remote = Remote::in_folder(&place.path("")).unwrap();
    let failure = Shared::mirrored(remote, place.0.path().join("one"), 100).err().unwrap();
    assert!(failure.help.unwrap().contains("TMPDIR"));
}

#[test]
fn an_address_that_is_none_is_told() {
    for (address, said) in [
        ("s3://", "it names no bucket"),
        ("s3://bucket?region=x", "is no `endpoint=URL`"),
        ("gs://bucket", "begins with `gs://`"),
    ] {
        let failure = Shared::open(address.as_ref()).err().unwrap();
        assert!(failure.message.contains(said), "{failure}");
        assert!(failure.help.unwrap().contains("s3://BUCKET[/PREFIX]"));
    }
}
