use super::*;
use crate::{
    plan::{Capacity, Plan},
    prices::Prices,
    schedule::{Mark, StepPath},
    seed::Seed,
    value::Value,
};

pub fn run(id: &str) -> Run {
    Run {
        id: id.into(),
        file: "a.smlt".into(),
        workflow: "main".into(),
        args: Fields::from([("trials".into(), Value::Int(3))]),
        seed: u64::MAX,
        started: 5,
        state: RunState::Running,
        elapsed: None,
        spent: None,
    }
}

pub fn recipe() -> Recipe {
    let options = Options {
        seed: Seed::new(1),
        enforce: true,
        prices: Prices::embedded(),
        run_id: "one".into(),
        capacity: Capacity::default(),
        workers: Some(4),
        plan: Plan::default(),
    };
    Recipe { files: Hash::of(b"text"), options }
}

/// The runs of a project with these in it, one after another.
pub fn project(folder: &Path, ids: &[&str]) -> Runs {
    let runs = Runs::open(&Home::of(folder)).unwrap();
    for (started, id) in (1..).zip(ids) {
        runs.enter(&Run { started, ..run(id) }, &recipe()).unwrap();
    }
    runs
}

#[test]
fn a_run_is_found_by_the_start_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let runs = project(folder.path(), &["20260101-a", "20260101-b", "20270101-c", "20270101-c-2"]);
    let id = |name: &str| runs.find(Some(name)).unwrap().map(|run| run.id);
    assert_eq!(id("20260101-b"), Ok("20260101-b".into()));
    assert_eq!(id("20270101-c"), Ok("20270101-c".into()), "the whole name of one, and how another starts");
    let ids = vec!["20260101-b".into(), "20260101-a".into()];
    assert_eq!(id("2026"), Err(NotFound::Several { name: "2026".into(), ids }));
    let near = Some("20260101-b".into());
    assert_eq!(id("20260101-x"), Err(NotFound::Unknown { name: "20260101-x".into(), near }));
    assert_eq!(id("x"), Err(NotFound::Unknown { name: "x".into(), near: None }));
}

#[test]
fn runs_are_counted_from_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let runs = project(folder.path(), &[]);
    assert_eq!(runs.find(None).unwrap().unwrap_err(), NotFound::NoRuns);
    let runs = project(folder.path(), &["20260101-a", "20260101-b"]);
    let id = |name: Option<&str>| runs.find(name).unwrap().map(|run| run.id);
    assert_eq!(id(None), Ok("20260101-b".into()));
    assert_eq!(id(Some("last")), Ok("20260101-b".into()));
    assert_eq!(id(Some("last~1")), Ok("20260101-a".into()));
    assert_eq!(id(Some("last~2")), Err(NotFound::TooFar { name: "last~2".into(), count: 2 }));
    assert!(matches!(id(Some("last~")), Err(NotFound::Unknown { .. })));
}

#[test]
fn a_query_asks_for_files_states_times_and_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let runs = project(folder.path(), &["a", "b", "c"]);
    let ids = |query: &Query| runs.select(query, 2).unwrap().into_iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(ids(&Query::default()), ["c", "b"]);
    assert_eq!(ids(&Query { until: Some(2), ..Query::default() }), ["b", "a"]);
    assert_eq!(ids(&Query { since: Some(3), ..Query::default() }), ["c"]);
    assert!(ids(&Query { file: Some("b.smlt".into()), ..Query::default() }).is_empty());
    assert!(ids(&Query { states: vec![Standing::Failed], ..Query::default() }).is_empty());
    let params = |text: &str| Query { params: vec![("trials".into(), text.into())], ..Query::default() };
    assert_eq!(ids(&params("3")).len(), 2);
    assert_eq!(ids(&params("3.0")).len(), 2);
    assert!(ids(&params("4")).is_empty());
}

#[test]
fn a_removed_run_leaves_nothing_and_one_under_way_stays() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::of(folder.path());
    project(folder.path(), &["a"]).record("a").end(Time::default(), Money::ZERO, &Verdict::Cancelled).unwrap();
    let runs = project(folder.path(), &["b"]);
    fs::create_dir_all(home.run("a").join("logs")).unwrap();
    assert_eq!(runs.remove(&home, "a").unwrap(), Removal::Removed);
    assert_eq!(runs.remove(&home, "a").unwrap(), Removal::Gone);
    assert_eq!(runs.remove(&home, "b").unwrap(), Removal::Running);
    assert!(!home.run("a").exists());
    assert_eq!(runs.list().unwrap().into_iter().map(|run| run.id).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_log_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::of(folder.path());
    let runs = Runs::open(&home).unwrap();
    runs.enter(&run("one"), &recipe()).unwrap();
    let started = Runs::existing(&home).unwrap().unwrap().find(None).unwrap().unwrap();
    assert_eq!((started.state, started.seed), (RunState::Running, u64::MAX));

    let at = Time(Duration::from_millis(7));
    let notice = Notice::Limit { scope: StepPath("main".into()), message: "nearly".into() };
    let mark = Mark { scope: StepPath("main".into()), message: "cut".into() };
    let verdict = Verdict::Succeeded { value: Value::Float(f64::INFINITY), marks: vec![mark] };
    let recorder = runs.record("one");
    recorder.event(at, &Event::Begin);
    recorder.notice(at, &notice);
    recorder.end(at, Money::ZERO, &verdict).unwrap();

    let runs = Runs::existing(&home).unwrap().unwrap();
    assert_eq!(runs.events("one").unwrap(), [(at, Event::Begin)]);
    assert_eq!(runs.notices("one").unwrap(), [(at, notice)]);
    let over = runs.find(None).unwrap().unwrap();
    assert_eq!(over.state.word(), "cut short");
    assert_eq!(over.state, RunState::Over(Box::new(verdict)));
    assert_eq!(over.elapsed, Some(at.0));
}

#[test]
fn a_run_whose_process_is_gone_was_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let runs = Runs::open(&Home::of(folder.path())).unwrap();
    runs.enter(&run("one"), &recipe()).unwrap();
    runs.database.execute("update runs set born = born + 1", []).unwrap();
    assert_eq!(runs.find(None).unwrap().unwrap().state, RunState::Interrupted);
}

#[test]
fn a_run_is_resumed_with_what_it_was_begun_with_by_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::of(folder.path());
    let mut runs = Runs::open(&home).unwrap();
    runs.enter(&run("one"), &recipe()).unwrap();
    assert_eq!(runs.recipe("one").unwrap(), recipe());
    let own = std::process::id();
    assert!(matches!(runs.take_over("one", 0, 0), Err(RunsError::Running(process)) if process == own));

    runs.database.execute("update runs set born = born + 1", []).unwrap();
    for event in 0..3 {
        let text = json(&if event == 0 { Event::Begin } else { Event::Tick }).unwrap();
        runs.database.execute("insert into events values ('one', ?, ?)", params![event, text]).unwrap();
    }
    assert!(matches!(runs.take_over("one", 2, 2), Err(RunsError::Changed)));
    runs.take_over("one", 3, 2).unwrap();
    let at = |ms| Time(Duration::from_millis(ms));
    assert_eq!(runs.events("one").unwrap(), [(at(0), Event::Begin), (at(1), Event::Tick)]);
    assert_eq!(runs.find(None).unwrap().unwrap().state, RunState::Running);
    assert!(matches!(runs.take_over("one", 2, 2), Err(RunsError::Running(_))));
}

#[test]
fn a_damaged_list_is_told_of_with_its_mend() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::of(folder.path());
    drop(Runs::open(&home).unwrap());
    fs::write(home.database(), "not a database, but long enough to hold the head of one".repeat(100)).unwrap();
    let Err(error) = Runs::open(&home) else { panic!("it was opened") };
    assert!(error.to_string().contains("it is damaged; rename it"), "{error}");
}
