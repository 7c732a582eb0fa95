//! What an aggregator does, as a thread or as a process of its own.

use crate::{
    ml,
    store::{self, Key, OpenError, ParameterError, Terms},
    sync::{self, Membership, SyncError},
    units::Duration,
    wire::{Aggregated, Aggregation, BUILD, Exchange, Failure, Kind, MAX_SHARDS},
};
use std::{
    io::{self, Write},
    ops::RangeInclusive,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

/// How many workers it may sum for.
const WORKERS: RangeInclusive<usize> = 2..=MAX_SHARDS as usize;

/// How long a silence may be that makes a worker lost.
const SILENCE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_millis(3_600_000);

/// How an aggregator came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// There are no more rounds, and the workers of the last have left it in order; or it was told to stop.
    Over,
    /// The last round was given up, or one of its workers did not come or was lost.
    Lost,
    /// What it was told makes no sense.
    Unreadable,
    /// The store can't be used.
    NoStore,
}

impl End {
    /// The exit code of a process.
    pub const fn code(self) -> u8 {
        match self {
            Self::Over => 0,
            Self::Lost => 1,
            Self::Unreadable => 2,
            Self::NoStore => 3,
        }
    }
}

/// Sums for the workers of a round until they leave it or `stop` is set.
///
/// # Errors
/// When the round can't go on, with how that ends an aggregator that has no other.
pub fn round(terms: &Aggregation, stop: &AtomicBool) -> Result<(), (End, Failure)> {
    let unreadable = |message: String| (End::Unreadable, Failure::new(Kind::TaskFailed, message));
    let no_store = |error: ParameterError| (End::NoStore, ml::failure_of(error.into()));
    if !WORKERS.contains(&terms.of) {
        return Err(unreadable(format!("`of` must be {} to {} workers", WORKERS.start(), WORKERS.end())));
    }
    if !SILENCE.contains(&terms.silence) {
        return Err(unreadable(format!("`silence` must be {} to {}", SILENCE.start(), SILENCE.end())));
    }
    let store =
        store::open(terms.store.reveal(), Terms::new(Key::new(&[&terms.run]))).map_err(|error| match error {
            OpenError::Store(error) => no_store(error),
            error => unreadable(error.to_string()),
        })?;
    sync::aggregate(membership(terms), store, stop).map_err(|error| match error {
        SyncError::Store(error) => no_store(error),
        error => (End::Lost, ml::failure_of(error)),
    })
}

/// Sums for one round after the other, and tells what came of each, a line of JSON. A round that was lost may be followed by
/// another.
///
/// # Errors
/// When nobody hears it.
pub fn rounds(
    rounds: impl IntoIterator<Item = serde_json::Result<Aggregation>>,
    stop: &AtomicBool,
    mut output: impl Write,
) -> io::Result<End> {
    let mut end = End::Over;
    for terms in rounds {
        let number = terms.as_ref().ok().map(|terms| terms.round);
        let unreadable = |error: serde_json::Error| {
            let message = format!("the round can't be read: {error}");
            (End::Unreadable, Failure::new(Kind::TaskFailed, message))
        };
        let done = terms.map_err(unreadable).and_then(|terms| round(&terms, stop));
        let failure = done.as_ref().err().map(|(_, failure)| failure.clone());
        writeln!(output, "{}", serde_json::to_string(&Aggregated { round: number, failure })?)?;
        output.flush()?;
        end = done.map_or_else(|(end, _)| end, |()| End::Over);
        if stop.load(SeqCst) {
            return Ok(End::Over);
        }
        if matches!(end, End::Unreadable | End::NoStore) {
            break;
        }
    }
    Ok(end)
}

fn membership(terms: &Aggregation) -> Membership {
    Membership {
        training: terms.name.clone(),
        round: terms.round.into(),
        rank: terms.of,
        of: terms.of,
        copy: 0,
        exchange: Exchange::InStore,
        codec: terms.codec,
        silence: terms.silence.into(),
        build: BUILD.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sync::{Bucket, Group, Peers},
        wire::{Codec, Secret},
    };
    use std::{sync::Arc, thread};

    fn terms(number: u32, address: String) -> Aggregation {
        let (run, name) = ("run".to_owned(), "training".to_owned());
        let silence = Duration::from_millis(300);
        Aggregation { store: Secret::new(address), run, name, round: number, of: 2, codec: Codec::F32, silence }
    }

    fn train(terms: &Aggregation, rank: usize, leaves: bool) -> Vec<f32> {
        let store = store::open(terms.store.reveal(), Terms::new(Key::new(&[&terms.run]))).unwrap();
        let mut peers = Peers::join(Membership { rank, ..membership(terms) }, store).unwrap();
        peers.begin(Bucket { row: vec![1.5; 3], exact: false });
        let sums = peers.finish().unwrap().remove(0);
        if leaves {
            peers.leave().unwrap();
        }
        sums
    }

    #[test]
    fn a_round_that_is_lost_may_be_followed_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let server = store::serve(folder.path().join("store"), Arc::default()).unwrap();
        let both = [1, 2].map(|number| terms(number, server.address()));
        let mut said = Vec::new();
        let end = thread::scope(|scope| {
            for rank in [0, 1] {
                let both = &both;
                scope.spawn(move || {
                    for terms in both {
                        assert_eq!(train(terms, rank, terms.round == 2), [3.0; 3]);
                    }
                });
            }
            let all = both.iter().cloned().map(Ok);
            rounds(all, &AtomicBool::new(false), &mut said).unwrap()
        });
        assert_eq!(end, End::Over);
        let said: Vec<Aggregated> =
            serde_json::Deserializer::from_slice(&said).into_iter().map(Result::unwrap).collect();
        assert_eq!(said[0].failure.as_ref().map(|failure| failure.kind), Some(Kind::WorkerLost));
        assert_eq!(said[1], Aggregated { round: Some(2), failure: None });
    }

    #[test]
    fn what_makes_no_sense_and_a_store_that_is_none_end_it() {
        let ended = |round: serde_json::Result<Aggregation>| {
            let mut said = Vec::new();
            let end = rounds([round], &AtomicBool::new(false), &mut said).unwrap();
            (end, String::from_utf8(said).unwrap())
        };
        let (end, said) = ended(serde_json::from_str("{}"));
        assert_eq!(end, End::Unreadable);
        assert!(said.contains("missing field `store`"), "{said}");
        let many = Aggregation { of: usize::MAX, ..terms(1, "unix:///nowhere".to_owned()) };
        let (end, said) = ended(Ok(many));
        assert_eq!(end, End::Unreadable);
        assert!(said.contains("`of` must be 2 to 1024 workers"), "{said}");
        assert_eq!(ended(Ok(terms(1, "redis://user:s3same@".to_owned()))).0, End::Unreadable);
    }
}
