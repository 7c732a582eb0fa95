use super::*;
use crate::{
    cache::Entry,
    schedule::StepPath,
    units::{Duration, Size},
    value::{Artifact, Fields, Value},
    wire::{Command, Program, Trained, Word},
};
use std::fs;
use tempfile::TempDir;

/// A project with a script and a cache.
struct Project(TempDir);

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("script.sh"), "true").unwrap();
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("cache.db")
    }

    fn objects(&self) -> Objects {
        Objects::open(self.0.path().join("objects"))
    }

    fn session(&self, run: &str, reads: bool) -> Session {
        Session::open(&self.path(), run, self.0.path(), self.objects(), reads).unwrap()
    }

    /// Lets a run begin the step, and come to `done` where it is not served; gives the run that served it.
    fn run(&self, name: &str, launch: &Launch, done: &Done) -> Option<String> {
        let mut session = self.session(name, true);
        let served = step(&mut session, launch, done);
        session.close().1.unwrap();
        served
    }

    fn entries(&self) -> Vec<Entry> {
        Cache::open(&self.path()).unwrap().entries().unwrap()
    }

    fn finding(&self, run: &str) -> Finding {
        Cache::open(&self.path()).unwrap().findings(run).unwrap().pop().unwrap().1
    }
}

fn step(session: &mut Session, launch: &Launch, done: &Done) -> Option<String> {
    match session.begin(launch) {
        Begin::Served(served) => {
            assert_eq!(*served.done, *done);
            Some(served.run)
        }
        Begin::Run => {
            session.done(&launch.attempt, done);
            None
        }
        Begin::Read(_) => panic!("there is little to read"),
    }
}

fn launch(cache: Option<Caching>) -> Launch {
    let command = Command {
        program: Program::Args(["sh", "script.sh"].map(|word| Word::Text(word.into())).into()),
        inputs: Fields::new(),
        output: Type::Record(Arc::new([("n".into(), Type::Int)].into())),
        env: Vec::new(),
        secrets: [].into(),
    };
    Launch {
        attempt: Attempt { step: StepPath("main/a".into()), number: 1 },
        op: Op::Command(Box::new(command)),
        memory: Size::from_mib(1),
        memory_limit: None,
        cpu: 1.0,
        timeout: None,
        time_left: None,
        money_left: None,
        cache,
    }
}

fn done(value: Value) -> Done {
    Done { output: Value::Record([("n".into(), value)].into()), trained: None, elapsed: Duration::from_millis(5) }
}

#[test]
fn a_result_serves_the_next_run() {
    let (project, done) = (Project::new(), done(Value::Int(1)));
    assert_eq!(project.run("one", &launch(None), &done), None);
    assert_eq!(project.run("two", &launch(None), &done), Some("one".into()));
    assert_eq!(project.finding("one"), Finding::Nothing);
    assert!(matches!(project.finding("two"), Finding::Served { run, .. } if run == "one"));
    assert!(Cache::open(&project.path()).unwrap().parts("two", "main/a").unwrap().is_some());
    let [entry] = project.entries().try_into().unwrap();
    assert_eq!((&*entry.kind, &*entry.step, &*entry.run), ("run", "main/a", "one"));
}

#[test]
fn a_result_serves_no_longer_than_it_may() {
    let (project, done) = (Project::new(), done(Value::Int(1)));
    let within = |ms| launch(Some(Caching::Within(Duration::from_millis(ms))));
    project.run("one", &launch(None), &done);
    assert_eq!(project.run("two", &within(60 * 60 * 1000), &done), Some("one".into()));
    let database = Cache::open(&project.path()).unwrap().database;
    database.execute("update entries set made = made - 7200000", []).unwrap();
    assert_eq!(project.run("three", &within(60 * 60 * 1000), &done), None);
    assert!(matches!(project.finding("three"), Finding::Old { run, .. } if run == "one"));
    assert_eq!(project.run("four", &within(60 * 60 * 1000), &done), Some("three".into()), "the new one took its place");
}

#[test]
fn off_neither_takes_nor_gives() {
    let (project, done) = (Project::new(), done(Value::Int(1)));
    assert_eq!(project.run("one", &launch(Some(Caching::Off)), &done), None);
    assert!(project.entries().is_empty());
    project.run("two", &launch(None), &done);
    assert_eq!(project.run("three", &launch(Some(Caching::Off)), &done), None);
    assert_eq!(project.finding("three"), Finding::Off);
}

#[test]
fn what_is_run_for_its_effect_serves_only_when_asked_to() {
    let (project, done) = (Project::new(), done(Value::Int(1)));
    let effect = |cache| {
        let mut launch = launch(cache);
        let Op::Command(command) = &mut launch.op else { unreachable!() };
        command.output = Type::Record(Arc::default());
        launch
    };
    for cache in [None, Some(Caching::Within(Duration::from_millis(1_000_000)))] {
        assert_eq!(project.run("one", &effect(cache), &done), None);
        assert_eq!(project.run("two", &effect(cache), &done), None);
        assert_eq!(project.finding("two"), Finding::Effect);
    }
    assert_eq!(project.run("three", &effect(Some(Caching::On)), &done), None);
    assert_eq!(project.run("four", &effect(Some(Caching::On)), &done), Some("three".into()));
}

#[test]
fn without_reading_new_results_are_kept() {
    let project = Project::new();
    project.run("one", &launch(None), &done(Value::Int(1)));
    let mut session = project.session("two", false);
    assert_eq!(step(&mut session, &launch(None), &done(Value::Int(2))), None);
    let (tally, written) = session.close();
    written.unwrap();
    assert_eq!(tally, Tally { steps: 1, served: 0 });
    assert_eq!(project.finding("two"), Finding::Ignored);
    assert_eq!(project.run("three", &launch(None), &done(Value::Int(2))), Some("two".into()));
}

#[test]
fn what_fails_or_is_cut_short_is_not_kept() {
    let project = Project::new();
    let trained = |cut| Trained { objective: None, epochs: 1, checkpoint: None, cut };
    project.run("one", &launch(None), &Done { trained: Some(trained(true)), ..done(Value::Int(1)) });
    assert!(project.entries().is_empty());
    let mut session = project.session("two", true);
    assert!(matches!(session.begin(&launch(None)), Begin::Run));
    session.failed(&launch(None).attempt);
    session.done(&launch(None).attempt, &done(Value::Int(1)));
    session.close().1.unwrap();
    assert!(project.entries().is_empty());
    project.run("three", &launch(None), &Done { trained: Some(trained(false)), ..done(Value::Int(1)) });
    assert_eq!(project.entries().len(), 1);
}

#[test]
fn a_result_of_a_script_that_changed_meanwhile_is_not_kept() {
    let project = Project::new();
    let mut session = project.session("one", true);
    assert!(matches!(session.begin(&launch(None)), Begin::Run));
    fs::write(project.0.path().join("script.sh"), "fals").unwrap();
    session.done(&launch(None).attempt, &done(Value::Int(1)));
    session.close().1.unwrap();
    assert!(project.entries().is_empty());
}

#[test]
fn a_result_whose_files_are_gone_or_damaged_does_not_serve() {
    let project = Project::new();
    let make = || project.objects().put_bytes("a", b"whole").unwrap();
    let artifact: Artifact = make();
    let done = done(Value::List(vec![Value::Artifact(Box::new(artifact.clone()))]));
    project.run("one", &launch(None), &done);
    assert_eq!(Cache::open(&project.path()).unwrap().references().unwrap(), [artifact.hash].into());
    assert_eq!(project.run("two", &launch(None), &done), Some("one".into()));
    fs::write(project.objects().path(&artifact), "part").unwrap();
    assert_eq!(project.run("three", &launch(None), &done), None);
    assert!(matches!(project.finding("three"), Finding::Lost { run } if run == "one"));
    make();
    assert_eq!(project.run("four", &launch(None), &done), Some("three".into()));
    fs::remove_file(project.objects().path(&artifact)).unwrap();
    assert_eq!(project.run("five", &launch(None), &done), None);
}

#[test]
fn a_file_that_is_no_cache_is_told_of() {
    let project = Project::new();
    fs::write(project.path(), "this is no database, and long enough to be taken for one that is damaged".repeat(20))
        .unwrap();
    let error = Session::open(&project.path(), "one", project.0.path(), project.objects(), true).err().unwrap();
    assert!(matches!(error, CacheError::Database(_)), "{error}");
    fs::remove_file(project.path()).unwrap();
    Cache::open(&project.path()).unwrap().database.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Cache::open(&project.path()), Err(CacheError::Version)));
}

#[test]
fn what_nobody_refers_to_is_forgotten() {
    let (project, done) = (Project::new(), done(Value::Int(1)));
    project.run("one", &launch(None), &done);
    let mut cache = Cache::open(&project.path()).unwrap();
    cache.forget_runs_but(&["other".to_owned()].into()).unwrap();
    assert_eq!(cache.findings("one").unwrap(), []);
    assert_eq!(cache.entries().unwrap().len(), 1);
    assert_eq!(project.run("two", &launch(None), &done), Some("one".into()));
    assert!(cache.parts("two", "main/a").unwrap().is_some(), "a result keeps what it was made from");
    cache.drop_entries([cache.entries().unwrap()[0].key]).unwrap();
    assert_eq!(project.run("three", &launch(None), &done), None);
}
