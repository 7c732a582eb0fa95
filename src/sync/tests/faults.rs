//! Workers that die, come late, or are there twice; stores that lose and garble.

use super::*;
use std::{sync::Barrier, time::Instant};

const SILENCE: Duration = Duration::from_secs(1);

fn sum(peers: &mut Peers, number: f32) -> Result<Vec<Vec<f32>>, SyncError> {
    peers.begin(Bucket { row: vec![number; 4], exact: false });
    peers.finish()
}

#[test]
fn one_that_dies_is_found_by_all_others_in_less_than_twice_the_silence() {
    for exchange in Exchange::ALL {
        let store = Arc::new(Shelf::default());
        let setup = Setup { silence: SILENCE, ..Setup::new(4, exchange) };
        let (found, aggregated) = setup.run(&|| Own::open(&store), |mut peers, _| {
            sum(&mut peers, 1.0).unwrap();
            if peers.rank() == 2 {
                return None;
            }
            let since = Instant::now();
            Some((sum(&mut peers, 1.0), since.elapsed()))
        });
        let silent = SyncError::Silent { rank: 3, of: 4, silence: SILENCE };
        assert_eq!(found.iter().flatten().count(), 3);
        for (found, took) in found.into_iter().flatten() {
            assert_eq!(found, Err(silent.clone()), "{exchange:?}");
            assert!(took < SILENCE * 2, "{exchange:?}: {took:?}");
        }
        assert_eq!(aggregated.unwrap_or(Err(silent.clone())), Err(silent));
    }
}

#[test]
fn a_late_worker_of_an_abandoned_round_does_not_reach_the_next() {
    let store = Arc::new(Shelf::default());
    let setup = Setup { silence: SILENCE, ..Setup::new(2, Exchange::ScatterReduce) };
    thread::scope(|scope| {
        let open = || Own::open(&store);
        let zombie = scope.spawn(move || {
            let mut peers = setup.join(0, &open()).unwrap();
            // As long as it lasts, it gives what was of use to nobody.
            while sum(&mut peers, f32::NAN).is_ok() {}
            (sum(&mut peers, f32::NAN), peers.leave())
        });
        let mut other = setup.join(1, &open()).unwrap();
        sum(&mut other, 1.0).unwrap();
        Peers::abandon(&*open(), "training", 1).unwrap();
        assert_eq!(
            sum(&mut other, 1.0).and_then(|_| sum(&mut other, 1.0)).and_then(|_| loop_sum(&mut other)),
            Err(SyncError::Abandoned)
        );
        drop(other);
        let next = Setup { round: 2, ..setup };
        let (sums, _) = next.run(&open, |mut peers, _| {
            let sums: Vec<_> = (0..20).map(|turn| sum(&mut peers, turn as f32).unwrap().remove(0)).collect();
            peers.leave().unwrap();
            sums
        });
        for sums in sums {
            assert!((0..20).zip(sums).all(|(turn, sum)| sum == [turn as f32 * 2.0; 4]));
        }
        let (summed, left) = zombie.join().unwrap();
        assert_eq!((summed, left), (Err(SyncError::Abandoned), Err(SyncError::Abandoned)));
    });
    assert!(store.rest().iter().all(|key| key.as_str().starts_with("training/1/")));
}

fn loop_sum(peers: &mut Peers) -> Result<(), SyncError> {
    loop {
        sum(peers, 1.0)?;
    }
}

#[test]
fn a_double_may_be_quicker_slower_or_dead() {
    let store = Arc::new(Shelf::default());
    let setup = Setup { silence: SILENCE, ..Setup::new(2, Exchange::ScatterReduce) };
    let turns = 30;
    let work = |rank: usize, copy: u32, pause: Duration, end: usize| {
        let mut peers = Peers::join(Membership { copy, ..setup.membership(rank) }, Own::open(&store))?;
        for turn in 0..end {
            if turn == 3 {
                thread::sleep(pause);
            }
            assert_eq!(sum(&mut peers, turn as f32)?[0], [turn as f32 * 2.0; 4]);
            thread::sleep(Duration::from_millis(20));
        }
        if end == turns { peers.leave() } else { Ok(()) }
    };
    let late = SILENCE * 3 / 2;
    let ends = thread::scope(|scope| {
        let work = &work;
        let copies = [
            (0, 0, Duration::ZERO, turns),
            (1, 0, late, turns),
            (1, 1, Duration::ZERO, turns),
            (1, 2, Duration::ZERO, 5),
        ];
        let spawned = copies.map(|(rank, copy, pause, end)| scope.spawn(move || work(rank, copy, pause, end)));
        spawned.map(|thread| thread.join().unwrap())
    });
    // The one that slept finds that all went on without it, and leaves nothing behind; so does none of the others.
    assert_eq!(ends, [Ok(()), Err(SyncError::Superseded), Ok(()), Ok(())]);
    assert_eq!(store.rest(), []);
}

#[test]
fn a_double_that_has_heard_nobody_finds_that_all_are_gone() {
    let store = Arc::new(Shelf::default());
    let setup = Setup { silence: SILENCE, ..Setup::new(2, Exchange::ScatterReduce) };
    let all_came = Barrier::new(3);
    let work = |rank: usize, copy: u32, turns: usize| {
        let mut peers = Peers::join(Membership { copy, ..setup.membership(rank) }, Own::open(&store))?;
        all_came.wait();
        (0..turns).try_for_each(|_| sum(&mut peers, 1.0).map(drop))?;
        peers.leave()
    };
    let ends = thread::scope(|scope| {
        let work = &work;
        let copies = [(0, 0, 1), (1, 0, 1), (1, 1, 2)];
        copies.map(|(rank, copy, turns)| scope.spawn(move || work(rank, copy, turns))).map(|end| end.join().unwrap())
    });
    assert_eq!(ends, [Ok(()), Ok(()), Err(SyncError::Superseded)]);
    assert_eq!(store.rest(), []);
}

#[test]
fn what_the_store_loses_is_told() {
    let store = Arc::new(Shelf::default());
    let setup = Setup { silence: SILENCE / 5, ..Setup::new(3, Exchange::ScatterReduce) };
    let open = || -> Arc<dyn ParameterStore> {
        // What worker 2 gives to worker 3.
        Arc::new(Own { store: Arc::clone(&store), moved: Mutex::default(), loses: Some("/own/1/2") })
    };
    let (found, _) = setup.run(&open, |mut peers, _| (peers.rank(), sum(&mut peers, 1.0)));
    let lost = |rank| Err(SyncError::Lost { rank, of: 3 });
    assert_eq!(found[2], (2, lost(2)));
    for (_, found) in &found[..2] {
        // They miss the sum of worker 3.
        assert!(*found == lost(3) || matches!(found, Err(SyncError::Silent { rank: 3, .. })), "{found:?}");
    }
}

#[test]
fn a_slow_worker_is_waited_for_longer_than_a_lost_blob() {
    let store = Arc::new(Shelf::default());
    let setup = Setup { silence: SILENCE / 5, ..Setup::new(2, Exchange::AllToAll) };
    let (sums, _) = setup.run(&|| Own::open(&store), |mut peers, _| {
        if peers.rank() == 1 {
            thread::sleep(setup.silence * 15);
        }
        let sums = sum(&mut peers, 1.0);
        peers.leave().unwrap();
        sums
    });
    assert_eq!(sums, [Ok(vec![vec![2.0; 4]]), Ok(vec![vec![2.0; 4]])]);
}

#[test]
fn what_can_not_be_read_is_told() {
    for exchange in Exchange::ALL {
        let store = Arc::new(Shelf::default());
        let setup = Setup { silence: SILENCE, ..Setup::new(2, exchange) };
        let (found, aggregated) = setup.run(&|| Own::open(&store), |mut peers, _| {
            // The second has a row of another length.
            let length = 4 + peers.rank();
            peers.begin(Bucket { row: vec![1.0; length], exact: false });
            peers.finish()
        });
        let is_garbled = |found: &SyncError| matches!(found, SyncError::Garbled { .. });
        let errors: Vec<SyncError> =
            found.into_iter().filter_map(Result::err).chain(aggregated.and_then(Result::err)).collect();
        assert!(errors.iter().any(is_garbled), "{exchange:?}: {errors:?}");
    }
}

#[test]
fn workers_of_different_builds_do_not_begin() {
    let store = Arc::new(Shelf::default());
    let setup = Setup { silence: SILENCE, ..Setup::new(2, Exchange::ScatterReduce) };
    let build = |rank: usize| ["1.0.0", "1.0.1"][rank].to_owned();
    let joined = thread::scope(|scope| {
        let join = |rank| {
            let membership = Membership { build: build(rank), ..setup.membership(rank) };
            let store = Own::open(&store);
            scope.spawn(move || Peers::join(membership, store).err())
        };
        [0, 1].map(join).map(|thread| thread.join().unwrap())
    });
    for (rank, error) in joined.into_iter().enumerate() {
        let (theirs, ours) = (build(1 - rank), build(rank));
        assert_eq!(error, Some(SyncError::Build { rank: 2 - rank, of: 2, theirs, ours }));
    }
}

#[test]
fn one_that_never_comes_is_told() {
    let store = Arc::new(Shelf::default());
    let setup = Setup { silence: SILENCE / 20, ..Setup::new(2, Exchange::ScatterReduce) };
    let alone = setup.join(0, &Own::open(&store)).err().unwrap();
    assert_eq!(alone.to_string(), "worker 2 of 2 has not been heard of for 500ms");
}
