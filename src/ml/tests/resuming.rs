//! A training that is stopped at a checkpoint and taken up again ends in the same bits.

use super::*;
use crate::{
    data::{
        Lens,
        dealt::{About, Outline},
    },
    expr::{Expr, Native, Var},
    ml::{Context, Lesson, Part as TrainingPart, Whole, train},
    store::Objects,
    sync::Alone,
    units::Percent,
    value::{Artifact, Dataset, Hash, Part, Split},
    wire::{Averaging, Done, Failure, Horizon, Kind, Outcome, Progress, RoundId, Staged, Team, Train},
};
use std::{fs, path::Path, sync::atomic::AtomicBool};

/// A training with all that has a state: dropout, batch norm, Adam, a schedule, the best epoch, and an early end.
pub(super) fn job(until: Option<Expr>) -> Train {
    let numbers = [("lr", 0.02), ("beta1", 0.9), ("beta2", 0.999), ("eps", 1e-8), ("weight_decay", 0.01)];
    let adam = Call::new("adam", numbers.map(|(name, value)| (name.into(), Value::Float(value))).into());
    let dropout = Call::new("dropout", [("rate".into(), Value::Float(0.3))].into());
    let whole = Percent::new(100.into());
    Train {
        model: Model::pipeline(vec![dense(4, 8), norm("batch_norm", 8), bare("relu"), dropout, dense(8, 2)]),
        data: Dataset {
            name: "made".into(),
            files: Vec::new(),
            format: bare("csv"),
            label: None,
            columns: Vec::new(),
            shape: Vec::new(),
            test_files: Vec::new(),
            split: Split { train: whole, valid: whole, test: whole, seed: 0 },
            standardize: false,
            scale: 1.0,
            part: Part::Whole,
        },
        valid: None,
        optimizer: adam,
        loss: None,
        schedule: Some(Call::new("cosine", [("warmup".into(), Value::Float(2.0))].into())),
        batch: Staged::fixed(4),
        shards: None,
        averaging: Averaging::EXACT,
        horizon: Horizon::Epochs(9),
        until,
        metrics: vec![bare("accuracy")],
        objective: Some((Expr::Field(Box::new(Expr::Var(Var::VALID)), "accuracy".into()), true)),
        init: None,
        seed: Seed::new(11),
        rung: None,
        team: Team::default(),
    }
}

/// One attempt of a worker that trains alone; `stops` says whether the run is being stopped.
pub(super) fn attempt(job: &Train, folder: &Path, stops: bool) -> Result<Done, Failure> {
    let mut part = TrainingPart {
        group: &mut Alone::default(),
        round: RoundId::default(),
        until: None,
        replan: None,
        decides: true,
    };
    match work(job, folder, &mut part, &AtomicBool::new(stops), &mut |_| {})? {
        Outcome::Done(done) => Ok(done),
        Outcome::Left => panic!("who trains alone tells what came of it"),
    }
}

/// A worker's part in a training on made data.
pub(super) fn work(
    job: &Train,
    folder: &Path,
    part: &mut TrainingPart,
    draining: &AtomicBool,
    report: &mut dyn FnMut(Progress),
) -> Result<Outcome, Failure> {
    let (table, about) = made();
    learn(job, &Lesson::Whole(Whole { about: &about, train: &table, valid: &table }), folder, part, draining, report)
}

/// A worker's part in a training.
pub(super) fn learn(
    job: &Train,
    lesson: &Lesson,
    folder: &Path,
    part: &mut TrainingPart,
    draining: &AtomicBool,
    report: &mut dyn FnMut(Progress),
) -> Result<Outcome, Failure> {
    let (objects, scratch) = (Objects::open(folder.join("objects")), folder.join("steps"));
    let cut = &AtomicBool::new(false);
    let mut context =
        Context { threads: 2, time_left: None, objects: &objects, scratch: &scratch, draining, cut, report };
    train(job, lesson, part, &mut context)
}

/// Samples to learn from and to judge.
pub(super) fn made() -> (Table, About) {
    let mut generator = Seed::new(5).generator();
    let rows = 26;
    let features = (0..rows * 4).map(|_| generator.normal() as f32).collect();
    let indices = (0..rows).map(|_| generator.below(2) as u32).collect();
    let names = ["no", "yes"].map(str::to_owned).into();
    let table = Table { features, shape: vec![4], labels: Labels::Classes { indices, names } };
    let (train, valid) = (Outline::of(&table), Outline::of(&table));
    (table, About { train, valid, lens: Lens::default(), hash: Hash::of(b"rows"), valid_hash: None })
}

fn left(folder: &Path) -> usize {
    fs::read_dir(folder.join("steps")).map_or(0, Iterator::count)
}

#[test]
fn a_training_that_is_stopped_after_every_step_ends_in_the_same_bits() {
    let early = Expr::native(Native::Ge, vec![Expr::Var(Var::EPOCH), Expr::Const(Value::Int(6))]);
    for (until, epochs) in [(None, 9), (Some(early), 6)] {
        let job = job(until);
        let folder = tempfile::tempdir().unwrap();
        let undisturbed = attempt(&job, folder.path(), false).unwrap();
        assert_eq!(undisturbed.trained.as_ref().unwrap().epochs, epochs);

        let mut stops = 0;
        let resumed = loop {
            match attempt(&job, folder.path(), true) {
                Ok(done) => break done,
                Err(stopped) => assert_eq!(stopped.kind, Kind::WorkerLost),
            }
            stops += 1;
            assert_eq!(left(folder.path()), stops.min(2));
        };
        // Seven steps an epoch, and the epoch's end where another follows.
        assert_eq!(stops as u64, 8 * epochs - 1);
        // Weights and the card are named by the hash of what they hold.
        assert_eq!((resumed.output, resumed.trained), (undisturbed.output, undisturbed.trained));
        assert_eq!(left(folder.path()), 0);
    }
}

#[test]
fn a_checkpoint_of_other_settings_is_of_no_use() {
    let (first, folder) = (job(None), tempfile::tempdir().unwrap());
    let other = Train { seed: Seed::new(12), ..job(None) };
    let fresh = attempt(&other, tempfile::tempdir().unwrap().path(), false).unwrap();
    attempt(&first, folder.path(), true).unwrap_err();
    assert_eq!(attempt(&other, folder.path(), false).unwrap().output, fresh.output);
    let weights = |done: &Done| match done.output.field("weights") {
        Some(Value::Artifact(artifact)) => Artifact::clone(artifact),
        other => panic!("{other:?}"),
    };
    assert_ne!(weights(&attempt(&first, folder.path(), false).unwrap()), weights(&fresh));
}
