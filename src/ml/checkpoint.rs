//! What a training leaves in its folder on the way, so that the next attempt or round need not begin anew.
//!
//! A checkpoint is written in parts, one by each worker, and is whole once all of them are there. Its files tell the round
//! that wrote them: parts of two rounds are never mixed, even if a worker of a round that was given up still writes.

use crate::{
    disk::write_by_way_of,
    value::Hash,
    wire::{Every, RoundId},
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The least time of training between two checkpoints, where the training doesn't say.
const PAUSE: Duration = Duration::from_secs(2);

/// Writing checkpoints then takes no more than about this share of the time: one part in twenty.
const SHARE: u32 = 20;

/// How many checkpoints are kept: the latest, and the one before it, which serves when the latest is damaged.
const GENERATIONS: usize = 2;

/// A checkpoint's place among the others of its training, the latest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    round: RoundId,
    steps: u64,
    writers: usize,
}

impl Point {
    fn part(self, writer: usize) -> String {
        let Self { round, steps, writers } = self;
        format!("training.{}.{}.{steps}.{writer}of{writers}.checkpoint", round.attempt, round.number)
    }

    /// The point that a file is of, and its writer.
    fn of(name: &str) -> Option<(Self, usize)> {
        let name = name.strip_prefix("training.")?.strip_suffix(".checkpoint")?;
        let mut parts = name.split('.');
        let (attempt, number, steps) = (parts.next()?, parts.next()?, parts.next()?);
        let (writer, writers) = parts.next()?.split_once("of")?;
        let round = RoundId { attempt: attempt.parse().ok()?, number: number.parse().ok()? };
        let point = Self { round, steps: steps.parse().ok()?, writers: writers.parse().ok()? };
        parts.next().is_none().then_some((point, writer.parse().ok()?))
    }
}

/// A whole checkpoint that was found.
pub struct Found {
    /// Which.
    pub point: Point,
    /// What each writer wrote.
    pub parts: Vec<Vec<u8>>,
    /// How many later ones are damaged.
    pub damaged: usize,
}

/// The checkpoints of a training, as one of its workers writes them.
pub struct Checkpoints {
    folder: PathBuf,
    /// Where they lie while they are not whole.
    workshop: PathBuf,
    /// The hash of all that the training depends on: what another one left is of no use.
    job: Hash,
    round: RoundId,
    every: Option<Every>,
    written: Instant,
    took: Duration,
}

impl Checkpoints {
    /// The checkpoints in a training's own folder.
    pub fn new(folder: &Path, workshop: &Path, job: Hash, round: RoundId, every: Option<Every>) -> Self {
        let (folder, workshop) = (folder.to_owned(), workshop.to_owned());
        Self { folder, workshop, job, round, every, written: Instant::now(), took: Duration::ZERO }
    }

    /// The latest checkpoint that is whole.
    pub fn latest(&self) -> Option<Found> {
        let mut damaged = 0;
        for point in complete(&self.folder).into_iter().rev() {
            let part = |writer| open(fs::read(self.folder.join(point.part(writer))).ok()?, self.job);
            match (0..point.writers).map(part).collect() {
                Some(parts) => return Some(Found { point, parts, damaged }),
                None => damaged += 1,
            }
        }
        None
    }

    /// Whether the clock says that it is time for one.
    pub fn is_due(&self) -> bool {
        let pause = match self.every {
            None => PAUSE.max(self.took * SHARE),
            Some(Every::Time(time)) => time.into(),
            Some(Every::Epochs(_) | Every::Steps(_)) => return false,
        };
        self.written.elapsed() >= pause
    }

    /// Whether the training asks for one at this point, where an epoch ends or does not.
    pub fn is_due_at(&self, steps: u64, ended: Option<u64>) -> bool {
        match self.every {
            Some(Every::Steps(every)) => steps.is_multiple_of(every.max(1)),
            Some(Every::Epochs(every)) => ended.is_some_and(|epochs| epochs.is_multiple_of(every.max(1))),
            Some(Every::Time(_)) | None => false,
        }
    }

    /// Writes one worker's part of the checkpoint after some steps.
    ///
    /// # Errors
    /// When the folder can't be written.
    pub fn write(&mut self, steps: u64, writer: usize, writers: usize, part: Vec<u8>) -> io::Result<()> {
        let began = Instant::now();
        let point = Point { round: self.round, steps, writers };
        let written = write_by_way_of(&self.workshop, &self.folder.join(point.part(writer)), &seal(part, self.job));
        (self.written, self.took) = (Instant::now(), began.elapsed());
        written
    }

    /// Removes all but the latest ones, once all have written. What can't be removed is in nobody's way.
    pub fn prune(&self) {
        let mut kept = complete(&self.folder);
        kept.drain(..kept.len().saturating_sub(GENERATIONS));
        let Some(oldest) = kept.first() else { return };
        for (name, point) in files(&self.folder) {
            if point < *oldest {
                let _ = fs::remove_file(self.folder.join(name));
            }
        }
    }

    /// Removes what is there, once the training is over.
    pub fn remove(&self) {
        remove(&self.folder);
    }
}

/// Removes the checkpoints in a training's folder.
pub fn remove(folder: &Path) {
    for (name, _) in files(folder) {
        let _ = fs::remove_file(folder.join(name));
    }
    // The folder goes along if nothing else is in it.
    let _ = fs::remove_dir(folder);
}

/// The steps after which the latest checkpoint in a training's folder was written.
pub fn latest_steps(folder: &Path) -> u64 {
    complete(folder).last().map_or(0, |point| point.steps)
}

/// The files of checkpoints in a folder.
fn files(folder: &Path) -> Vec<(String, Point)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| Point::of(&name).map(|(point, _)| (name, point))).collect()
}

/// The checkpoints in a folder of which no part is missing, the latest last.
fn complete(folder: &Path) -> Vec<Point> {
    let mut parts: BTreeMap<Point, usize> = BTreeMap::new();
    for (_, point) in files(folder) {
        *parts.entry(point).or_default() += 1;
    }
    parts.into_iter().filter(|(point, parts)| point.writers == *parts).map(|(point, _)| point).collect()
}

/// A part's bytes: the state, whose it is, and the hash of all that.
fn seal(mut state: Vec<u8>, job: Hash) -> Vec<u8> {
    state.extend(job.to_string().into_bytes());
    let hash = Hash::of(&state);
    state.extend(hash.to_string().into_bytes());
    state
}

/// The state in a part of this training that is whole.
fn open(mut bytes: Vec<u8>, job: Hash) -> Option<Vec<u8>> {
    let (rest, hash) = bytes.split_at_checked(bytes.len().checked_sub(64)?)?;
    let (state, own) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    let length = state.len();
    if own != job.to_string().as_bytes() || hash != Hash::of(rest).to_string().as_bytes() {
        return None;
    }
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &[u8] = b"job";

    fn checkpoints(folder: &Path, number: u32) -> Checkpoints {
        Checkpoints::new(folder, folder, Hash::of(JOB), RoundId { attempt: 1, number }, None)
    }

    fn write(checkpoints: &mut Checkpoints, steps: u64, writers: usize) {
        for writer in 0..writers {
            checkpoints.write(steps, writer, writers, vec![steps as u8; 100]).unwrap();
        }
        checkpoints.prune();
    }

    fn latest(folder: &Path) -> Option<(u32, u64, usize)> {
        checkpoints(folder, 9).latest().map(|found| {
            let Point { round, steps, writers } = found.point;
            assert_eq!(found.parts, vec![vec![steps as u8; 100]; writers]);
            (round.number, steps, found.damaged)
        })
    }

    #[test]
    fn a_damaged_checkpoint_gives_way_to_the_one_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(latest(folder), None);
        for steps in 1..=5 {
            write(&mut checkpoints(folder, 0), steps, 2);
        }
        assert_eq!(fs::read_dir(folder).unwrap().count(), 4);
        assert_eq!(latest(folder), Some((0, 5, 0)));
        let others = Hash::of(b"another");
        assert!(Checkpoints::new(folder, folder, others, RoundId::default(), None).latest().is_none());

        let path = folder.join("training.1.0.5.1of2.checkpoint");
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        changed[7] ^= 1;
        for damaged in [&whole[..whole.len() - 1], &whole[..50], b"", &changed] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(latest(folder), Some((0, 4, 1)));
        }
        // One of which a part is missing is not there yet.
        fs::remove_file(&path).unwrap();
        assert_eq!(latest(folder), Some((0, 4, 0)));
        checkpoints(folder, 0).remove();
        assert_eq!(latest(folder), None);
    }

    #[test]
    fn a_round_that_was_given_up_can_not_write_into_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(&mut checkpoints(folder, 1), 10, 2);
        // One of two workers of the first round goes on, while the second round has begun.
        checkpoints(folder, 1).write(12, 0, 2, vec![99; 100]).unwrap();
        checkpoints(folder, 2).write(12, 1, 2, vec![12; 100]).unwrap();
        assert_eq!(latest(folder), Some((1, 10, 0)));
        checkpoints(folder, 2).write(12, 0, 2, vec![12; 100]).unwrap();
        assert_eq!(latest(folder), Some((2, 12, 0)));
    }
}
