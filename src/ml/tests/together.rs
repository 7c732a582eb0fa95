//! Several workers come to the same bits as one, in one round or in many.

use super::{
    resuming::{attempt, job, learn, made, work},
    *,
};
use crate::{
    data::dealt::Hand,
    expr::{Expr, Native, Var},
    ml::{Lesson, Part as TrainingPart, Whole, checkpoint, deal},
    store::{Memory, ParameterStore},
    sync::{Membership, Peers},
    wire::{Done, Every, Exchange, Failure, Horizon, Outcome, Progress, Round, RoundId, Staged, Train},
};
use std::{
    path::Path,
    sync::{Arc, Barrier, Mutex, atomic::AtomicBool},
    thread,
    time::Duration,
};

/// A round by some workers who have all samples: what came of it, and what the first told.
fn round(job: &Train, folder: &Path, number: u32, of: usize, until: Option<u64>) -> (Option<Done>, Vec<Round>) {
    let (table, about) = made();
    let lesson = Lesson::Whole(Whole { about: &about, train: &table, valid: &table });
    round_on(job, folder, number, &vec![&lesson; of], until)
}

/// The same, each with its samples.
fn round_on(
    job: &Train,
    folder: &Path,
    number: u32,
    lessons: &[&Lesson],
    until: Option<u64>,
) -> (Option<Done>, Vec<Round>) {
    let of = lessons.len();
    let store: Arc<dyn ParameterStore> = Arc::new(Memory::default());
    let rounds = Mutex::new(Vec::new());
    let done = thread::scope(|scope| {
        let worker = |rank: usize| {
            let (store, rounds) = (&store, &rounds);
            scope.spawn(move || {
                let membership = Membership {
                    training: "together".into(),
                    round: number.into(),
                    rank,
                    of,
                    copy: 0,
                    exchange: Exchange::ScatterReduce,
                    codec: job.averaging.codec,
                    silence: Duration::from_secs(30),
                    build: "one".into(),
                };
                let mut peers = Peers::join(membership, store.clone()).unwrap();
                let round = RoundId { attempt: 1, number };
                let (replan, decides) = (job.team.replan, rank == 0);
                let mut part = TrainingPart { group: &mut peers, round, until, replan, decides };
                let mut report = |progress| {
                    if let Progress::Round(round) = progress {
                        rounds.lock().unwrap().push(round);
                    }
                };
                let outcome = learn(job, lessons[rank], folder, &mut part, &AtomicBool::new(false), &mut report);
                peers.leave().unwrap();
                outcome
            })
        };
        let workers: Vec<_> = (0..of).map(worker).collect();
        let mut outcomes = workers.into_iter().map(|worker| worker.join().unwrap().unwrap());
        let first = outcomes.next();
        assert!(outcomes.all(|outcome| outcome == Outcome::Left));
        match first {
            Some(Outcome::Done(done)) => Some(done),
            _ => None,
        }
    });
    (done, rounds.into_inner().unwrap())
}

pub(super) fn alone(job: &Train, folder: &Path) -> Result<Done, Failure> {
    attempt(job, folder, false)
}

/// Doubles are slower and faster than each other, so that their clocks differ; what they give may not.
#[test]
fn doubles_go_the_way_of_who_has_none() {
    let often = crate::units::Duration::from_millis(1);
    let job = jobs().remove(0);
    let job = Train { team: crate::wire::Team { checkpoint: Some(Every::Time(often)), ..job.team.clone() }, ..job };
    for number in 1..=5 {
        let folder = tempfile::tempdir().unwrap();
        let wanted = alone(&job, folder.path()).unwrap().output;
        checkpoint::remove(folder.path());
        let store: Arc<dyn ParameterStore> = Arc::new(Memory::default());
        let (job, folder, store, all_came) = (&job, folder.path(), &store, &Barrier::new(3));
        let member = move |rank: usize, copy: u32| {
            let membership = Membership {
                training: "doubles".into(),
                round: number.into(),
                rank,
                of: 2,
                copy,
                exchange: Exchange::ParameterServer,
                codec: job.averaging.codec,
                silence: Duration::from_secs(3),
                build: "one".into(),
            };
            let mut peers = Peers::join(membership, store.clone()).unwrap();
            all_came.wait();
            let round = RoundId { attempt: 1, number };
            let mut part = TrainingPart { group: &mut peers, round, until: None, replan: None, decides: rank == 1 };
            let outcome = work(job, folder, &mut part, &AtomicBool::new(false), &mut |_| {});
            let _ = peers.leave();
            outcome
        };
        let done = thread::scope(|scope| {
            let seats = [(0, 0), (0, 1), (1, 0)].map(|(rank, copy)| scope.spawn(move || member(rank, copy)));
            let [one, double, other] = seats.map(|seat| seat.join().unwrap());
            assert_eq!(other, Ok(Outcome::Left));
            // The slower of the two may find that the others have gone on.
            [one, double].into_iter().find_map(|outcome| match outcome {
                Ok(Outcome::Done(done)) => Some(done),
                _ => None,
            })
        });
        assert_eq!(done.unwrap().output, wanted);
    }
}

fn optimizer(name: &str, args: &[(&str, f64)]) -> Call {
    let usual =
        [("lr", 0.05), ("momentum", 0.0), ("beta1", 0.9), ("beta2", 0.999), ("eps", 1e-8), ("weight_decay", 0.01)];
    Call::new(name, usual.iter().chain(args).map(|(name, value)| ((*name).into(), Value::Float(*value))).collect())
}

/// Trainings with dropout, batch norm, a schedule, the best epoch, and batches that leave some shards without samples.
fn jobs() -> Vec<Train> {
    let base = || Train { batch: Staged { first: 16, later: vec![(3, 8)] }, shards: Some(8), ..job(None) };
    let mut nesterov = optimizer("sgd", &[("momentum", 0.9)]);
    nesterov.args.insert("nesterov".into(), Value::Bool(true));
    let early = Expr::native(Native::Ge, vec![Expr::Var(Var::EPOCH), Expr::Const(Value::Int(4))]);
    vec![
        base(),
        Train { optimizer: optimizer("sgd", &[]), schedule: None, until: Some(early), ..base() },
        Train { optimizer: optimizer("sgd", &[("momentum", 0.9)]), ..base() },
        Train { optimizer: nesterov, horizon: Horizon::Steps(11), ..base() },
        Train { optimizer: optimizer("adamw", &[]), ..base() },
    ]
}

#[test]
fn any_number_of_workers_comes_to_the_same_bits() {
    for job in jobs() {
        let folder = tempfile::tempdir().unwrap();
        let one = alone(&job, folder.path()).unwrap();
        for of in [1, 2, 4, 8] {
            let (done, rounds) = round(&job, folder.path(), 1, of, None);
            let done = done.unwrap();
            // Weights and the card are named by the hash of what they hold.
            assert_eq!((&done.output, &done.trained), (&one.output, &one.trained), "{of} workers: {}", job.optimizer);
            assert_eq!((rounds.len(), rounds[0].workers, rounds[0].laps.len()), (1, of, of));
        }
    }
}

#[test]
fn rounds_of_other_workers_come_to_the_same_bits() {
    for job in jobs() {
        let job = Train { team: crate::wire::Team { replan: Some(Every::Steps(3)), ..job.team.clone() }, ..job };
        let folder = tempfile::tempdir().unwrap();
        let one = alone(&job, folder.path()).unwrap();
        let mut steps = 0;
        let mut generator = Seed::new(8).generator();
        for number in 1.. {
            let of = 1 << generator.below(4);
            let (done, rounds) = round(&job, folder.path(), number, of, None);
            let [from, to] = rounds[0].steps;
            assert_eq!((rounds[0].number, from), (number, steps));
            assert!(to <= from + 3);
            steps = to;
            if let Some(done) = done {
                assert!(number > 3);
                assert_eq!((&done.output, &done.trained), (&one.output, &one.trained), "{}", job.optimizer);
                break;
            }
        }
    }
}

#[test]
fn a_round_ends_after_the_epochs_that_it_is_for() {
    let (job, folder) = (jobs().remove(0), tempfile::tempdir().unwrap());
    let (done, rounds) = round(&job, folder.path(), 1, 2, Some(2));
    assert_eq!((done, rounds[0].epochs), (None, [0, 2]));
    // What was to be done is done already.
    let (done, rounds) = round(&job, folder.path(), 2, 4, Some(1));
    assert_eq!((done, rounds[0].epochs), (None, [2, 2]));
}

/// The samples of a training, dealt out, and empty hands for so many workers.
fn hands(job: &Train, folder: &Path, of: usize) -> Vec<Hand> {
    let (table, about) = made();
    let whole = Whole { about: &about, train: &table, valid: &table };
    deal(job, &whole, Vec::new(), &folder.join("dealt"), folder).unwrap();
    (0..of).map(|_| Hand::open(&folder.join("dealt")).unwrap()).collect()
}

#[test]
fn workers_that_have_only_their_own_samples_come_to_the_same_bits() {
    for job in jobs() {
        let folder = tempfile::tempdir().unwrap();
        let one = alone(&job, folder.path()).unwrap();
        for of in [1, 2, 4, 8] {
            let hands = hands(&job, folder.path(), of);
            let lessons: Vec<Lesson> = hands.iter().map(Lesson::Dealt).collect();
            let (done, _) = round_on(&job, folder.path(), 1, &lessons.iter().collect::<Vec<_>>(), None);
            let done = done.unwrap();
            assert_eq!((&done.output, &done.trained), (&one.output, &one.trained), "{of} workers: {}", job.optimizer);
            // Eight pieces to learn from and one to judge.
            let fetched: Vec<u64> = hands.iter().map(|hand| hand.fetched().pieces).collect();
            assert_eq!(fetched.iter().sum::<u64>(), 9);
            assert!(fetched.iter().all(|pieces| [8 / of as u64, 8 / of as u64 + 1].contains(pieces)), "{fetched:?}");
        }
    }
}

#[test]
fn who_goes_on_within_an_epoch_has_its_samples() {
    let job = Train {
        team: crate::wire::Team { replan: Some(Every::Steps(3)), ..jobs()[0].team.clone() },
        ..jobs().remove(0)
    };
    let folder = tempfile::tempdir().unwrap();
    let one = alone(&job, folder.path()).unwrap();
    for number in 1.. {
        let of = [2, 4, 8][number as usize % 3];
        let hands = hands(&job, folder.path(), of);
        let lessons: Vec<Lesson> = hands.iter().map(Lesson::Dealt).collect();
        let (done, _) = round_on(&job, folder.path(), number, &lessons.iter().collect::<Vec<_>>(), None);
        if let Some(done) = done {
            assert!(number > 3);
            assert_eq!((done.output, done.trained), (one.output, one.trained));
            break;
        }
    }
}
