//! Workers that die or fall asleep, and a store that fails: what comes of a training is the same bits.

use super::{
    resuming::{job, work},
    together::alone,
    *,
};
use crate::{
    ml::Part as TrainingPart,
    seed::Generator,
    store::{Key, Memory, ParameterError, ParameterStore, Traffic},
    sync::{Bucket, Group, Membership, Peers, SyncError},
    wire::{Codec, Done, Every, Exchange, Failure, Kind, Outcome, RoundId, Staged, Team, Train},
};
use bytes::Bytes;
use std::{
    env,
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicBool},
    thread::{self, Scope, ScopedJoinHandle},
    time::Duration,
};

/// A worker that is silent for so long is lost.
const SILENCE: Duration = Duration::from_millis(400);

/// A store that sometimes loses what it is given, or refuses, or takes its time.
struct Moody {
    store: Arc<Memory>,
    generator: Mutex<Generator>,
    /// In how many of a thousand calls something goes wrong.
    moods: u64,
}

impl Moody {
    /// Whether something goes wrong now, and what.
    fn mood(&self) -> Option<u64> {
        let mut generator = self.generator.lock().unwrap();
        (generator.below(1000) < self.moods).then(|| generator.below(3))
    }

    fn refusal() -> ParameterError {
        ParameterError::Unreachable { store: "moody".into(), reason: "it is in a mood".into() }
    }
}

impl ParameterStore for Moody {
    fn put(&self, blobs: &[(Key, Bytes)]) -> Result<(), ParameterError> {
        match self.mood() {
            // It says that it has what it has not.
            Some(0) => Ok(()),
            Some(1) => Err(Self::refusal()),
            Some(_) => {
                thread::sleep(Duration::from_millis(20));
                self.store.put(blobs)
            }
            None => self.store.put(blobs),
        }
    }

    fn get(&self, keys: &[Key], patience: Duration) -> Result<Vec<Option<Bytes>>, ParameterError> {
        match self.mood() {
            Some(1) => Err(Self::refusal()),
            Some(_) => {
                thread::sleep(Duration::from_millis(20));
                self.store.get(keys, patience)
            }
            None => self.store.get(keys, patience),
        }
    }

    fn remove(&self, keys: &[Key]) -> Result<(), ParameterError> {
        self.store.remove(keys)
    }

    fn clear(&self, prefix: &Key) -> Result<(), ParameterError> {
        self.store.clear(prefix)
    }

    fn traffic(&self) -> Traffic {
        self.store.traffic()
    }
}

/// What happens to a worker on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lives,
    /// It dies at a turn.
    Dies(u64),
    /// It sleeps at a turn until the others have given it up, and then goes on.
    Sleeps(u64),
}

struct Mortal {
    peers: Peers,
    turn: u64,
    fate: Fate,
}

impl Mortal {
    fn live(&mut self) -> Result<(), SyncError> {
        self.turn += 1;
        match self.fate {
            Fate::Dies(turn) if turn == self.turn => Err(SyncError::Abandoned),
            Fate::Sleeps(turn) if turn == self.turn => {
                thread::sleep(SILENCE * 3);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Group for Mortal {
    fn rank(&self) -> usize {
        self.peers.rank()
    }

    fn of(&self) -> usize {
        self.peers.of()
    }

    fn begin(&mut self, bucket: Bucket) {
        self.peers.begin(bucket);
    }

    fn finish(&mut self) -> Result<Vec<Vec<f32>>, SyncError> {
        self.live()?;
        self.peers.finish()
    }

    fn gather(&mut self, own: Bytes) -> Result<Vec<Bytes>, SyncError> {
        self.live()?;
        self.peers.gather(own)
    }

    fn waited(&mut self) -> Duration {
        self.peers.waited()
    }
}

/// A worker of a round: what it does goes on even if nobody waits for it.
fn worker<'s, 'e: 's>(
    scope: &'s Scope<'s, 'e>,
    job: &'e Train,
    folder: &'e Path,
    membership: Membership,
    store: Arc<dyn ParameterStore>,
    fate: Fate,
) -> ScopedJoinHandle<'s, Result<Outcome, Failure>> {
    scope.spawn(move || {
        let (number, decides) = (membership.round as u32, membership.rank == 0);
        let peers = Peers::join(membership, store).map_err(crate::ml::failure_of)?;
        let mut mortal = Mortal { peers, turn: 0, fate };
        let round = RoundId { attempt: 1, number };
        let replan = job.team.replan;
        let mut part = TrainingPart { group: &mut mortal, round, until: None, replan, decides };
        let outcome = work(job, folder, &mut part, &AtomicBool::new(false), &mut |_| {})?;
        let _ = mortal.peers.leave();
        Ok(outcome)
    })
}

/// A training in rounds with workers that die with a chance of so many in a hundred, over a store that has its moods. Gives
/// what comes of it, and how many rounds were lost.
fn disturbed(job: &Train, folder: &Path, deaths: u64, moods: u64, mut generator: Generator) -> (Done, u32) {
    let memory = Arc::new(Memory::default());
    thread::scope(|scope| {
        let mut lost = 0;
        for round in 1.. {
            assert!(round < 1000, "it gets no further");
            let of = 1_usize << generator.below(4);
            let exchange = Exchange::ALL[[0, 1, 3, 4][generator.below(4) as usize]];
            let store: Arc<dyn ParameterStore> = Arc::new(Moody {
                store: memory.clone(),
                generator: Mutex::new(Seed::new(generator.bits()).generator()),
                moods,
            });
            let mut members: Vec<_> = (0..of)
                .map(|rank| {
                    let fate = match generator.below(100) {
                        chance if chance >= deaths => Fate::Lives,
                        chance if chance % 2 == 0 => Fate::Dies(1 + generator.below(20)),
                        _ => Fate::Sleeps(1 + generator.below(20)),
                    };
                    let membership = Membership {
                        training: "disturbed".into(),
                        round,
                        rank,
                        of,
                        copy: 0,
                        exchange,
                        codec: Codec::F32,
                        silence: SILENCE,
                        build: "one".into(),
                    };
                    (worker(scope, job, folder, membership, store.clone(), fate), fate)
                })
                .collect();
            // Who sleeps is not waited for: it may wake up in the next round and still do what it was about to do.
            members.retain(|(_, fate)| !matches!(fate, Fate::Sleeps(_)));
            let mut whole = members.len() == of;
            let mut done = None;
            for (member, _) in members {
                match member.join().unwrap() {
                    Ok(Outcome::Done(one)) => done = Some(one),
                    Ok(Outcome::Left) => {}
                    Err(failure) => {
                        assert_eq!(failure.kind, Kind::WorkerLost, "{failure}");
                        Peers::abandon(&*memory, "disturbed", round).unwrap();
                        whole = false;
                    }
                }
            }
            if let Some(done) = done {
                return (done, lost);
            }
            lost += u32::from(!whole);
        }
        unreachable!("rounds end with the training");
    })
}

/// As often as `DISTURBED_ROUNDS` says.
#[test]
fn no_disturbance_changes_a_bit() {
    let cases = env::var("DISTURBED_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12);
    let team = Team { replan: Some(Every::Steps(9)), checkpoint: Some(Every::Steps(3)), ..Team::default() };
    let job = Train { batch: Staged { first: 16, later: vec![(3, 8)] }, shards: Some(8), team, ..job(None) };
    let undisturbed = tempfile::tempdir().unwrap();
    let one = alone(&job, undisturbed.path()).unwrap();
    let (mut lost, mut others) = (0, Vec::new());
    for case in 0..cases {
        let (deaths, moods) = ([1, 5, 20][case % 3], [0, 1, 3][case / 3 % 3]);
        let folder = tempfile::tempdir().unwrap();
        let generator = Seed::new(17).child(case).generator();
        let (done, rounds) = disturbed(&job, folder.path(), deaths, moods, generator);
        lost += rounds;
        if (&done.output, &done.trained) != (&one.output, &one.trained) {
            others.push((case, deaths, moods));
        }
    }
    println!("{cases} trainings, {lost} rounds lost: {} came to other bits", others.len());
    assert_eq!(others, []);
}
