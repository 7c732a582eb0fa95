//! What a training leaves in its folder on the way, so that the next attempt at it need not begin anew.

use crate::{disk::write_by_way_of, value::Hash};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The least time of training between two checkpoints.
const PAUSE: Duration = Duration::from_secs(2);

/// Writing checkpoints takes no more than about this share of the time: one part in twenty.
const SHARE: u32 = 20;

/// The latest checkpoint of a training and the one before it, which serves when the latest is damaged.
pub struct Checkpoints {
    folder: PathBuf,
    /// Where they lie while they are not whole.
    workshop: PathBuf,
    /// The hash of all that the training depends on: what another one left is of no use.
    job: Hash,
    /// The epochs that each file holds, as far as is known.
    epochs: [u64; 2],
    written: Instant,
    took: Duration,
}

impl Checkpoints {
    /// The checkpoints in a step's own folder.
    pub fn new(folder: &Path, workshop: &Path, job: Hash) -> Self {
        let (folder, workshop) = (folder.to_owned(), workshop.to_owned());
        Self { folder, workshop, job, epochs: [0; 2], written: Instant::now(), took: Duration::ZERO }
    }

    fn path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("training.{index}.checkpoint"))
    }

    /// The state in the latest checkpoint that is whole.
    pub fn latest(&mut self) -> Option<Vec<u8>> {
        let found = [0, 1].map(|index| open(fs::read(self.path(index)).ok()?, self.job));
        self.epochs = [0, 1].map(|index| found[index].as_ref().map_or(0, |(epochs, _)| *epochs));
        found.into_iter().flatten().max_by_key(|(epochs, _)| *epochs).map(|(_, state)| state)
    }

    /// Whether it is time for one.
    pub fn is_due(&self) -> bool {
        self.written.elapsed() >= PAUSE.max(self.took * SHARE)
    }

    /// Writes the state after some epochs in the place of the older checkpoint.
    ///
    /// # Errors
    /// When the folder can't be written.
    pub fn write(&mut self, epochs: u64, state: Vec<u8>) -> io::Result<()> {
        let began = Instant::now();
        let older = usize::from(self.epochs[1] < self.epochs[0]);
        write_by_way_of(&self.workshop, &self.path(older), &seal(state, self.job, epochs))?;
        self.epochs[older] = epochs;
        (self.written, self.took) = (Instant::now(), began.elapsed());
        Ok(())
    }

    /// Removes what is there, once the training is over. What can't be removed is in nobody's way.
    pub fn remove(&self) {
        for index in [0, 1] {
            let _ = fs::remove_file(self.path(index));
        }
        // The folder goes along if nothing else is in it.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// A checkpoint's bytes: the state, whose it is, the epochs, and the hash of all that.
fn seal(mut state: Vec<u8>, job: Hash, epochs: u64) -> Vec<u8> {
    state.extend(job.to_string().into_bytes());
    state.extend(epochs.to_le_bytes());
    let hash = Hash::of(&state);
    state.extend(hash.to_string().into_bytes());
    state
}

/// The epochs and the state in a checkpoint of this training that is whole.
fn open(mut bytes: Vec<u8>, job: Hash) -> Option<(u64, Vec<u8>)> {
    let (rest, hash) = bytes.split_at_checked(bytes.len().checked_sub(64)?)?;
    let (rest, epochs) = rest.split_last_chunk()?;
    let (state, own) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    let (epochs, length) = (u64::from_le_bytes(*epochs), state.len());
    if own != job.to_string().as_bytes() || hash != Hash::of(&bytes[..bytes.len() - 64]).to_string().as_bytes() {
        return None;
    }
    bytes.truncate(length);
    Some((epochs, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_checkpoint_gives_way_to_the_one_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let job = Hash::of(b"job");
        let mut checkpoints = Checkpoints::new(folder.path(), folder.path(), job);
        assert_eq!(checkpoints.latest(), None);
        for epochs in 1..=5_u8 {
            checkpoints.write(epochs.into(), vec![epochs; 100]).unwrap();
        }
        let latest = || Checkpoints::new(folder.path(), folder.path(), job).latest();
        assert_eq!(latest(), Some(vec![5; 100]));
        assert_eq!(Checkpoints::new(folder.path(), folder.path(), Hash::of(b"another")).latest(), None);

        // The fifth went in the place of the third.
        let whole = fs::read(checkpoints.path(0)).unwrap();
        for damaged in [&whole[..whole.len() - 1], &whole[..50], b""] {
            fs::write(checkpoints.path(0), damaged).unwrap();
            assert_eq!(latest(), Some(vec![4; 100]));
        }
        let mut changed = whole.clone();
        changed[7] ^= 1;
        fs::write(checkpoints.path(0), changed).unwrap();
        let mut again = Checkpoints::new(folder.path(), folder.path(), job);
        assert_eq!(again.latest(), Some(vec![4; 100]));
        // What is damaged is written over first.
        again.write(5, vec![5; 100]).unwrap();
        assert_eq!(fs::read(checkpoints.path(0)).unwrap(), whole);
        again.remove();
        assert_eq!(latest(), None);
    }
}
