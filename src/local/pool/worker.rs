use super::lock;
use crate::{
    source::Name,
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
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
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
        Ok(Self { keeper, id, keepers, kills, input, output: BufReader::new(output).lines() })
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
