use super::*;
use crate::{
    schedule::{Mark, StepPath},
    value::Value,
};

fn run(id: &str) -> Run {
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

#[test]
fn a_run_is_found_by_the_start_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let runs = Runs::open(&Home::of(folder.path())).unwrap();
    for id in ["20260101-a", "20260101-b", "20270101-c"] {
        runs.enter(&run(id)).unwrap();
    }
    assert_eq!(runs.find(Some("2027")).unwrap().unwrap().id, "20270101-c");
    assert_eq!(runs.find(Some("2026")).unwrap().unwrap_err().len(), 2);
    assert_eq!(runs.find(Some("x")).unwrap().unwrap_err(), Vec::<String>::new());
    assert_eq!(runs.find(None).unwrap().unwrap().id, "20270101-c");
}

#[test]
fn a_log_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::of(folder.path());
    let runs = Runs::open(&home).unwrap();
    runs.enter(&run("one")).unwrap();
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
    runs.enter(&run("one")).unwrap();
    runs.database.execute("update runs set born = born + 1", []).unwrap();
    assert_eq!(runs.find(None).unwrap().unwrap().state, RunState::Interrupted);
}
