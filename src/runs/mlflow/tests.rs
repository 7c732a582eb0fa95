use super::*;
use crate::{
    runs::tests::project,
    schedule::{Notice, Verdict},
    wire::EpochMetrics,
};
use std::fs;

/// The files of a store with their contents, by their paths from its only experiment.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let experiment = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut folders = vec![experiment.clone()];
    while let Some(next) = folders.pop() {
        for path in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(&experiment).unwrap().display().to_string();
                    found.insert(name, fs::read_to_string(path).unwrap());
                }
            }
        }
    }
    found
}

fn epoch(epoch: u64, loss: f64) -> Notice {
    let train = BTreeMap::from([("loss".to_owned(), loss)]);
    let metrics = EpochMetrics { epoch, of: 2, train, valid: BTreeMap::new() };
    Notice::Epoch { step: StepPath("main/net".into()), metrics }
}

#[test]
fn a_run_is_exported_while_it_goes_on_and_again_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::of(folder.path());
    let recorder = project(folder.path(), &["a"]).record("a");
    let step = StepPath("main/net".into());
    let at = |ms| Time(Duration::from_millis(ms));
    recorder.notice(at(10), &Notice::StepStarted { step, kind: "train".into(), attempt: 1 });
    recorder.notice(at(20), &epoch(1, 0.5));
    let target = folder.path().join("mlruns");
    let export = || {
        let runs = Runs::existing(&home).unwrap().unwrap();
        let run = runs.find(None).unwrap().unwrap();
        let project = Path::new("/project");
        let what = Export { runs: &runs, home: &home, project, experiment: "a: main", user: "ada" };
        (super::export(&what, &run, &target).unwrap(), files(&target))
    };
    while Runs::existing(&home).unwrap().unwrap().metrics("a").unwrap().is_empty() {
        std::thread::yield_now();
    }

    let (nested, first) = export();
    assert_eq!(nested, 1);
    let (whole, net) = (id("a "), id("a main/net"));
    assert_eq!(first[&format!("{whole}/params/trials")], "3");
    assert_eq!(first[&format!("{net}/metrics/train.loss")], "21 0.5 1\n");
    assert_eq!(first[&format!("{net}/tags/mlflow.parentRunId")], whole);
    assert!(first[&format!("{whole}/meta.yaml")].contains("end_time: null\n"));
    assert!(first[&format!("{net}/meta.yaml")].contains("start_time: 11\n"));

    recorder.notice(at(30), &epoch(2, f64::NAN));
    recorder.end(at(40), Money::ZERO, &Verdict::Cancelled).unwrap();
    let (nested, second) = export();
    assert_eq!(nested, 1);
    assert_eq!(first.keys().collect::<Vec<_>>(), {
        let costs = ["smltc.cost_usd", "smltc.seconds"].map(|name| format!("{whole}/metrics/{name}"));
        second.keys().filter(|path| !costs.contains(path)).collect::<Vec<_>>()
    });
    assert_eq!(second[&format!("{net}/metrics/train.loss")], "21 0.5 1\n31 NaN 2\n");
    assert!(second[&format!("{whole}/meta.yaml")].contains("status: 5\n"));
    assert_eq!(export().1, second, "a third time changes nothing");
}

fn id(path: &str) -> String {
    blake3::hash(path.as_bytes()).to_hex()[..32].to_owned()
}

#[test]
fn a_step_belongs_to_the_nearest_run_around_it() {
    let around: Vec<&str> = ancestors("main/best/trial[3]/net").collect();
    assert_eq!(around, ["main/best/trial[3]", "main/best", "main"]);
    assert_eq!(trial(&StepPath("main/best/trial[3]".into())), Some((StepPath("main/best".into()), 3)));
    assert_eq!(trial(&StepPath("main/best/trial[3]/net".into())), None);
}
