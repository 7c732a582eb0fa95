//! What a training really takes on this machine, found out by a few steps of it.

use crate::{
    data::{
        Data,
        dealt::{About, Outline},
    },
    ml::{self, Context, Lesson, Part as TrainingPart, Whole},
    store::Objects,
    sync::Alone,
    value::Part,
    wire::{Horizon, Progress, RoundId, Team, Train},
};
use std::{path::Path, sync::atomic::AtomicBool, time::Instant};

/// The epochs of a rehearsal: the first is a warm-up.
const EPOCHS: u64 = 4;

/// Seconds of a step of a training that one worker with so many threads does alone; each epoch has so many steps. What is written
/// on the way goes into `folder`. None where the training can't be done, which it will say better.
pub fn rehearse(train: &Train, data: &Data, threads: usize, steps: usize, folder: &Path) -> Option<f64> {
    let table = data.part(train.data.part, Part::Train, &data.lens).ok()?;
    let batch = usize::try_from(train.batch.first).ok()?.min(table.rows());
    let rows: Vec<usize> = (0..(batch * steps).min(table.rows())).collect();
    let steps = (rows.len() / batch.max(1)).max(1);
    let (table, valid) = (table.select(&rows), table.select(&[0]));
    let about = About {
        train: Outline::of(&table),
        valid: Outline::of(&valid),
        lens: data.lens.clone(),
        hash: data.hash,
        valid_hash: None,
    };
    let train = Train {
        horizon: Horizon::Epochs(EPOCHS),
        rung: None,
        until: None,
        objective: None,
        metrics: Vec::new(),
        init: None,
        team: Team::default(),
        ..train.clone()
    };
    let mut ends = Vec::new();
    let (draining, cut, objects) =
        (AtomicBool::new(false), AtomicBool::new(false), Objects::open(folder.join("objects")));
    let mut report = |progress| {
        if let Progress::Epoch(_) = progress {
            ends.push(Instant::now());
        }
    };
    let mut context = Context {
        threads,
        time_left: None,
        draining: &draining,
        cut: &cut,
        objects: &objects,
        scratch: folder,
        report: &mut report,
    };
    let round = RoundId { attempt: 1, number: 0 };
    let mut part = TrainingPart { group: &mut Alone::default(), round, until: None, replan: None, decides: true };
    let whole = Whole { about: &about, train: &table, valid: &valid };
    ml::train(&train, &Lesson::Whole(whole), &mut part, &mut context).ok()?;
    // Once nothing disturbed it.
    let epochs = ends.windows(2).map(|ends| ends[1].duration_since(ends[0]).as_secs_f64());
    epochs.min_by(f64::total_cmp).map(|epoch| epoch / steps as f64)
}
