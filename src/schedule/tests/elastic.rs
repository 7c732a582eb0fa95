//! What a training's settings come to in the job that a worker gets.

use super::*;
use crate::{
    elastic::tests::{schedule, std},
    graph::{Dimension, Search, Train},
    step::{Horizon, Team},
    value::{Dataset, Model, Part, Split},
    wire::{self, Averaging, Codec, Every, Exchange, Rung, Staged, Workers},
};

fn again(epochs: i64) -> Value {
    std("every", &[("time", Value::None), ("epochs", Value::Int(epochs)), ("steps", Value::None)])
}

fn two_level(every: i64, backups: i64) -> Value {
    let args = [("codec", std("bf16", &[])), ("every", Value::Int(every)), ("backups", Value::Int(backups))];
    std("two_level", &args)
}

fn dataset() -> Dataset {
    Dataset {
        name: "data".into(),
        files: Vec::new(),
        format: Call::new("csv", Fields::new()),
        label: None,
        columns: Vec::new(),
        shape: Vec::new(),
        test_files: Vec::new(),
        split: Split { train: Default::default(), valid: Default::default(), test: Default::default(), seed: 0 },
        standardize: false,
        scale: 1.0,
        part: Part::Whole,
    }
}

fn training(batch: Value, team: Team) -> Train {
    Train {
        model: Expr::Const(Value::Model(Box::new(Model::pipeline(Vec::new())))),
        data: Expr::Const(Value::Dataset(Box::new(dataset()))),
        valid: None,
        optimizer: None,
        lr: None,
        loss: None,
        schedule: None,
        batch: Some(Expr::Const(batch)),
        horizon: Horizon::Epochs(None),
        until: None,
        objective: None,
        metrics: None,
        init: None,
        seed: None,
        team,
    }
}

fn team() -> Team {
    let setting = |value| Some(Expr::Const(value));
    Team {
        workers: setting(schedule(&[2, 4, 1], &[3, 6])),
        shards: setting(Value::Int(16)),
        sync: setting(two_level(4, 3)),
        checkpoint: setting(again(2)),
        replan: setting(again(5)),
        first: None,
    }
}

/// The first training that a run of this node asks for, or why there is none.
fn asked(kind: NodeKind, workers: Option<u32>) -> Result<wire::Train, Failure> {
    let graph = graph(&[(kind, vec![], Limits::default())], Limits::default());
    let mut scheduler = Scheduler::new(&graph, Fields::new(), Options { workers, ..options(1) });
    let actions = scheduler.step(Time::default(), Event::Begin);
    let train = actions.into_iter().find_map(|action| match action {
        Action::Start(launch) => match launch.op {
            Op::Train(train) => Some(*train),
            other => panic!("{other:?}"),
        },
        _ => None,
    });
    train.ok_or_else(|| match scheduler.verdict() {
        Some(Verdict::Failed { failure, .. }) => failure.clone(),
        other => panic!("{other:?}"),
    })
}

fn train(batch: Value, team: Team, workers: Option<u32>) -> Result<wire::Train, Failure> {
    asked(NodeKind::Train(Box::new(training(batch, team))), workers)
}

#[test]
fn a_job_says_who_trains_and_how() {
    let job = train(schedule(&[64, 128], &[5]), team(), None).unwrap();
    assert_eq!(job.batch, Staged { first: 64, later: vec![(5, 128)] });
    assert_eq!(job.shards, Some(16));
    assert_eq!(job.averaging, Averaging { codec: Codec::Bf16, every: 4 });
    let wanted = wire::Team {
        workers: Workers::Staged(Staged { first: 2, later: vec![(3, 4), (6, 1)] }),
        exchange: Some(Exchange::TwoLevel),
        backups: 3,
        checkpoint: Some(Every::Epochs(2)),
        replan: Some(Every::Epochs(5)),
        adapt: None,
    };
    assert_eq!(job.team, wanted);
}

#[test]
fn a_training_that_says_nothing_has_one_worker() {
    let job = train(Value::Int(64), Team::default(), None).unwrap();
    assert_eq!((job.shards, job.averaging, job.team), (None, Averaging::EXACT, wire::Team::default()));
}

#[test]
fn the_user_sets_the_workers_of_every_training() {
    let job = train(Value::Int(64), team(), Some(2)).unwrap();
    assert_eq!(job.team.workers, Workers::Staged(Staged::fixed(2)));
    assert_eq!(job.team.backups, 1, "fewer workers have fewer doubles");
    let failure = train(Value::Int(64), Team::default(), Some(4)).unwrap_err();
    assert_eq!(failure.message, "`workers: 4` does not divide the 2 shards of this training");
    assert_eq!(failure.help.as_deref(), Some("use 1 or 2, or set `shards`"));
}

#[test]
fn the_trials_of_a_search_have_teams_in_every_rung() {
    let rate = [("low", Value::Float(0.0)), ("high", Value::Float(1.0))];
    let counts = [("trials", 2), ("max_epochs", 9), ("reduction", 3), ("min_epochs", 1)];
    let search = |batch, horizon| {
        let train = Train { horizon, ..training(batch, team()) };
        NodeKind::Search(Box::new(Search {
            space: vec![Dimension {
                name: "rate".into(),
                var: Var(99),
                distribution: Expr::Const(std("uniform", &rate)),
                cond: None,
            }],
            strategy: Expr::Const(std("asha", &counts.map(|(name, count)| (name, Value::Int(count))))),
            parallel: None,
            seed: None,
            trial: Trial::Train(Box::new(train)),
        }))
    };
    let job = asked(search(Value::Int(64), Horizon::Epochs(None)), Some(8)).unwrap();
    assert_eq!(job.rung, Some(Rung { pause_at: 1, resume: None }));
    assert_eq!(job.team.workers, Workers::Staged(Staged::fixed(8)));
    let failure = asked(search(Value::Int(72), Horizon::Epochs(None)), None).unwrap_err();
    assert_eq!(failure.message, "a batch of 72 can't be cut into 16 shards of the same size");
    let steps = Horizon::Steps(Expr::Const(Value::Int(9)));
    let failure = asked(search(Value::Int(64), steps), None).unwrap_err();
    assert_eq!(failure.message, "`asha` counts in epochs, not in `steps`");
}
