use super::lock;
use crate::{
    source::Name,
    value::Hash,
    wire::{Failure, Kind, Order, Reply},
    work::memory,
};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal, setsid};
use std::{
    collections::BTreeSet,
    env,
    fs::File,
    io,
    os::unix::process::ExitStatusExt,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// How long a worker may take to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The keepers that are there.
pub(super) type Keepers = Arc<Mutex<Vec<Pid>>>;

/// A worker process under its keeper. When this goes, its input ends, and with it the two and all that they started.
pub(super) struct Worker {
    keeper: Child,
    id: Pid,
    keepers: Keepers,
    /// The processes that the system had killed for memory before this one began.
    kills: u64,
    /// The seat that it had last, whose samples it still holds.
    pub seat: Option<Sat>,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// A seat that a worker had, or is to have: the samples that it takes, and its place among those who share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sat {
    pub samples: Hash,
    pub rank: usize,
    pub of: usize,
}

impl Sat {
    /// Which part of the samples of this seat another one has, too.
    fn common(self, other: Self) -> f64 {
        let edge = |sat: Self, rank: usize| rank as f64 / sat.of.max(1) as f64;
        let from = edge(self, self.rank).max(edge(other, other.rank));
        let to = edge(self, self.rank + 1).min(edge(other, other.rank + 1));
        if self.samples == other.samples { (to - from).max(0.0) * self.of as f64 } else { 0.0 }
    }
}

/// Which of those that had some seats is best for another: who holds most of its samples, or else one whose samples nobody
/// misses.
pub(super) fn best(seats: &[Option<Sat>], wanted: Option<Sat>) -> Option<usize> {
    let worth = |seat: &Option<Sat>| match (seat, wanted) {
        (None, _) => Some(0.0),
        (Some(seat), Some(wanted)) if seat.samples == wanted.samples => {
            // Who holds another part of them will be wanted for that.
            Some(wanted.common(*seat)).filter(|common| *common > 1e-9)
        }
        (Some(_), _) => Some(-1.0),
    };
    let worths = seats.iter().enumerate().filter_map(|(index, seat)| Some((index, worth(seat)?)));
    worths.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(index, _)| index)
}

/// What is heard of a worker.
pub(super) enum Said {
    Reply(Reply),
    /// Nothing any more.
    Lost(Failure),
}

impl Worker {
    /// Starts one that does not get the variables that are `hidden`.
    pub fn start(log: &File, hidden: &BTreeSet<Name>, keepers: &Keepers) -> io::Result<Self> {
        let mut keeper = Command::new(env::current_exe()?);
        for name in hidden {
            keeper.env_remove(&**name);
        }
        keeper
            .arg0("smlt-keeper")
            .arg("keeper")
            .env("RAYON_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone()?);
        // SAFETY: between fork and exec only these two system calls are made, which allocate nothing and take no lock.
        unsafe {
            keeper.pre_exec(|| {
                // A session without a terminal: an interrupt is for the run alone, and a command can't wait for an answer.
                setsid()?;
                // One that somebody has stopped goes on when the run is gone, to clean up.
                Ok(set_parent_process_death_signal(Some(Signal::CONT))?)
            });
        }
        let mut keeper = keeper.spawn()?;
        let gone = || io::Error::other("it ended as soon as it started");
        let id = keeper.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or_else(gone)?;
        lock(keepers).push(id);
        let (input, output) = keeper.stdin.take().zip(keeper.stdout.take()).ok_or_else(gone)?;
        let (keepers, kills) = (keepers.clone(), memory::kills());
        Ok(Self { keeper, id, keepers, kills, seat: None, input, output: BufReader::new(output).lines() })
    }

    /// The process above the worker and all that it starts.
    pub const fn keeper(&self) -> Pid {
        self.id
    }

    /// Tells the worker something. When it is gone, that is heard soon.
    pub async fn tell(&mut self, order: &Order) {
        if let Ok(mut line) = serde_json::to_vec(order) {
            line.push(b'\n');
            let _ = self.input.write_all(&line).await;
        }
    }

    /// What the worker says next. Nothing is lost when this is given up for something else.
    pub async fn hear(&mut self) -> Said {
        let lost = |how: String| Said::Lost(lost(how));
        let line = tokio::select! {
            biased;
            line = self.output.next_line() => line,
            // Without its keeper a worker is not to go on.
            _ = self.keeper.wait() => Ok(None),
        };
        match line {
            Ok(Some(line)) => match serde_json::from_str(&line) {
                Ok(reply) => Said::Reply(reply),
                Err(error) => lost(format!("its worker wrote what can't be read: {error}")),
            },
            Ok(None) => Said::Lost(self.how_it_ended().await),
            Err(error) => lost(format!("its worker can't be heard any more: {error}")),
        }
    }

    async fn how_it_ended(&mut self) -> Failure {
        let how = match self.keeper.wait().await {
            Ok(status) if memory::was_killed(status, self.kills) => {
                return Failure::new(Kind::OutOfMemory, "the system had no memory left and killed its worker")
                    .help("declare what it needs with `memory`, so that less runs beside it");
            }
            Ok(status) => match (status.signal(), status.code()) {
                (Some(signal), _) => format!("its worker was killed by signal {signal}"),
                (_, Some(code)) => format!("its worker ended with exit code {code}"),
                _ => "its worker is gone".into(),
            },
            Err(error) => format!("its worker is gone: {error}"),
        };
        lost(how)
    }

    /// Ends the worker and all that it started, and waits until they are gone, or hang in the system.
    pub async fn end(mut self) {
        drop(self.input);
        if self.keeper.id().is_some() {
            // One that somebody has stopped could not clean up.
            let _ = kill_process(self.id, Signal::CONT);
        }
        let gone = async {
            // Both write to it, so it ends with the last of them.
            while let Ok(Some(_)) = self.output.next_line().await {}
            let _ = self.keeper.wait().await;
        };
        let _ = timeout(PATIENCE, gone).await;
        lock(&self.keepers).retain(|keeper| *keeper != self.id);
    }
}

fn lost(how: String) -> Failure {
    Failure::new(Kind::WorkerLost, how).help("`workers.log` in the run's folder may tell more")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(samples: u8, rank: usize, of: usize) -> Option<Sat> {
        Some(Sat { samples: Hash::of(&[samples]), rank, of })
    }

    #[test]
    fn a_seat_goes_to_who_holds_its_samples() {
        let idle = [seat(1, 1, 2), None, seat(1, 0, 2), seat(2, 0, 2)];
        assert_eq!(best(&idle, seat(1, 0, 2)), Some(2));
        assert_eq!(best(&idle, seat(1, 1, 2)), Some(0));
        // Of four workers, the first two take what one of two had.
        assert_eq!([0, 1, 2, 3].map(|rank| best(&idle, seat(1, rank, 4))), [2, 2, 0, 0].map(Some));
        // Those that are not there take whom nobody misses.
        assert_eq!(best(&idle, seat(3, 0, 2)), Some(1));
        assert_eq!(best(&idle, None), Some(1));
        assert_eq!(best(&[seat(1, 1, 2), seat(2, 0, 2)], seat(1, 0, 2)), Some(1));
        assert_eq!(best(&[seat(1, 1, 2)], seat(1, 0, 2)), None);
        assert_eq!(best(&[seat(1, 1, 2), seat(1, 1, 4)], seat(1, 3, 4)), Some(0));
    }
}
