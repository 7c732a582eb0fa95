//! Memory: how much of it a run may use, and what the processes of a step use.
//!
//! A step that declares memory is held to it by looking, not by a limit of the system: `RLIMIT_AS` counts addresses, of
//! which Python and CUDA reserve far more than they use, and control groups may be made only where a login or a container
//! delegates them. What the system can take back, such as mapped files, does not count.

use crate::{
    units::Size,
    wire::{Failure, Kind},
};
use rustix::{param::page_size, process::Pid};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};
use tokio::sync::oneshot;

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(50);

/// The memory that processes started here can have: what the machine has, or less where a control group says so. In whole
/// MiB.
pub fn of_machine() -> Size {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| in_kib(&text, "MemTotal:"));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().flat_map(group_limits);
    let bytes = limits.chain(machine).min().unwrap_or(u64::MAX);
    Size::from_bytes(bytes >> 20 << 20)
}

/// The limits of a control group and of those around it, from a line of `/proc/self/cgroup`.
fn group_limits(line: &str) -> Vec<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return Vec::new() };
    let (root, file) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return Vec::new(),
    };
    let whole = PathBuf::from(format!("{root}{path}"));
    let around = whole.ancestors().take_while(|folder| folder.starts_with(root));
    // A group without a limit says `max`, or a number that no machine has.
    around.filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()).collect()
}

/// The number behind a word, in bytes: `MemTotal:  24683520 kB`.
fn in_kib(text: &str, word: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(word))?;
    rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Looks again and again at what the processes of attempts use.
pub(super) struct Watch(Sender<Watched>);

/// The processes of an attempt, and what they may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub memory: Size,
    /// Whether the worker's own memory counts, since it does the work itself.
    pub with_worker: bool,
}

struct Watched {
    /// The process above the worker.
    keeper: Pid,
    allowance: Allowance,
    /// What the worker held before, in bytes.
    before: u64,
    over: oneshot::Sender<()>,
}

impl Watch {
    pub fn new() -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || watch(&receiver));
        Self(sender)
    }

    /// Waits until a worker and what it started, all below its keeper, use more than they may, and says so. It waits for
    /// ever where they don't, or where nothing is declared. What the worker holds when this is called is from jobs before,
    /// and does not count.
    pub fn over(&self, keeper: Pid, allowance: Option<Allowance>) -> impl Future<Output = Failure> + use<> {
        let watched = allowance.map(|allowance| {
            let before = if allowance.with_worker { held_below(keeper) } else { 0 };
            let (over, is_over) = oneshot::channel();
            // The thread lives as long as this.
            let _ = self.0.send(Watched { keeper, allowance, before, over });
            (allowance.memory, is_over)
        });
        async move {
            if let Some((memory, is_over)) = watched
                && is_over.await.is_ok()
            {
                return exceeded(memory);
            }
            std::future::pending().await
        }
    }
}

/// What the worker below a keeper has for itself, in bytes.
fn held_below(keeper: Pid) -> u64 {
    let keeper = keeper.as_raw_nonzero().get();
    processes().iter().filter(|process| process.parent == keeper).filter_map(|worker| own_share(worker.id)).sum()
}

fn exceeded(memory: Size) -> Failure {
    Failure::new(Kind::OutOfMemory, format!("it used more than the {memory} of memory that it declares"))
        .help("declare more, or add `memory: 2.0` to its `@retry` to try again with twice as much")
}

fn watch(incoming: &Receiver<Watched>) {
    let mut watched: Vec<Watched> = Vec::new();
    loop {
        if watched.is_empty() {
            match incoming.recv() {
                Ok(first) => watched.push(first),
                Err(_) => return,
            }
        }
        watched.extend(incoming.try_iter());
        watched.retain(|watched| !watched.over.is_closed());
        let processes = processes();
        let over = |watched: &mut Watched| used(&processes, watched) > watched.allowance.memory;
        // The attempt may have ended meanwhile.
        for Watched { over, .. } in watched.extract_if(.., over) {
            let _ = over.send(());
        }
        thread::sleep(INTERVAL);
    }
}

/// A process of this machine.
struct Process {
    id: i32,
    parent: i32,
    /// What it has in memory, in bytes.
    resident: u64,
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id: i32| parse(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?)).collect()
}

/// A line of `/proc/ID/stat`: proc_pid_stat(5). The name, in parentheses, may hold anything.
fn parse(id: i32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
    let resident = u64::try_from(number(21)?).ok()?.checked_mul(page_size() as u64)?;
    Some(Process { id, parent: number(1)? as i32, resident })
}

/// What an attempt's processes use together: all that descend from the keeper, whatever groups they moved into.
fn used(processes: &[Process], watched: &Watched) -> Size {
    let keeper = watched.keeper.as_raw_nonzero().get();
    let mut members = HashSet::from([keeper]);
    loop {
        let known = members.len();
        members.extend(
            processes
                .iter()
                .filter(|process| members.contains(&process.parent))
                .map(|process| process.id)
                .collect::<Vec<_>>(),
        );
        if members.len() == known {
            break;
        }
    }
    // The worker is what its keeper has started.
    let works = |process: &Process| watched.allowance.with_worker || process.parent != keeper;
    let counts = |process: &&Process| process.id != keeper && members.contains(&process.id) && works(process);
    let resident = Size::from_bytes(processes.iter().filter(counts).map(|process| process.resident).sum());
    if resident <= watched.allowance.memory {
        return resident;
    }
    // What they share is in each of these numbers; only now is it worth the time to know better.
    let own = |process: &Process| own_share(process.id).unwrap_or(process.resident);
    let together: u64 = processes.iter().filter(counts).map(own).sum();
    Size::from_bytes(together.saturating_sub(watched.before))
}

/// A process's share of the memory that the system can't take back, in bytes; memory of several is shared out.
fn own_share(id: i32) -> Option<u64> {
    let text = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("smaps_rollup")).ok()?;
    match in_kib(&text, "Pss_Anon:").zip(in_kib(&text, "Pss_Shmem:")) {
        Some((own, shared)) => own.checked_add(shared),
        None => in_kib(&text, "Pss:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat_is_read_whatever_the_program_is_called() {
        let stat = "42 (a ) b (c) S 7 40 40 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 100 4096000 250 18446744073709551615";
        let process = parse(42, stat).unwrap();
        assert_eq!((process.parent, process.resident), (7, 250 * page_size() as u64));
    }

    #[test]
    fn the_machine_has_some_memory_in_whole_mib() {
        let memory = of_machine();
        assert!(memory > Size::from_mib(64));
        assert_eq!(memory, Size::from_mib(memory.mib()));
    }

    #[test]
    fn descendants_count_even_in_groups_of_their_own() {
        let process = |id, parent, resident| Process { id, parent, resident };
        let processes =
            [process(9, 1, 50), process(10, 9, 100), process(13, 12, 7), process(12, 10, 5), process(20, 1, 1000)];
        let used_by = |with_worker| {
            let allowance = Allowance { memory: Size::from_bytes(u64::MAX), with_worker };
            let watched =
                Watched { keeper: Pid::from_raw(9).unwrap(), allowance, before: 0, over: oneshot::channel().0 };
            used(&processes, &watched).bytes()
        };
        assert_eq!((used_by(true), used_by(false)), (112, 12));
    }
}
