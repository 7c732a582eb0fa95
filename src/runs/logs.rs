//! The logs of a run's commands: a file for each attempt, in the run's own folder.

use super::Home;
use crate::{
    schedule::{Attempt, StepPath},
    seed::Seed,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// The logs of one run.
#[derive(Debug, Default)]
pub struct Logs(BTreeMap<String, BTreeMap<u32, PathBuf>>);

impl Logs {
    /// The logs that a run has so far.
    ///
    /// # Errors
    /// When their folder can't be read.
    pub fn of(home: &Home, run: &str) -> io::Result<Self> {
        let mut logs = Self::default();
        let entries = match fs::read_dir(folder(&home.run(run))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(logs),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if let Some((step, number)) = entry.file_name().to_str().and_then(parse) {
                logs.0.entry(step.to_owned()).or_default().insert(number, entry.path());
            }
        }
        Ok(logs)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.values().flat_map(BTreeMap::values)
    }

    /// The logs of a step, by attempt.
    pub fn of_step(&self, step: &StepPath) -> Option<&BTreeMap<u32, PathBuf>> {
        self.0.get(&step_name(step))
    }
}

/// Where the log of an attempt is kept in a run's own folder.
pub fn path(run: &Path, attempt: &Attempt) -> PathBuf {
    folder(run).join(format!("{}.{}.log", step_name(&attempt.step), attempt.number))
}

fn folder(run: &Path) -> PathBuf {
    run.join("logs")
}

/// The name of a step's files and the attempt in the name of a log.
fn parse(name: &str) -> Option<(&str, u32)> {
    let (step, number) = name.strip_suffix(".log")?.rsplit_once('.')?;
    Some((step, number.parse().ok()?))
}

/// A step's path as the name of a file, which a system lets be 255 bytes long.
pub fn step_name(step: &StepPath) -> String {
    let name = step.0.replace('/', ".");
    if name.len() <= 200 {
        return name;
    }
    let hash = Seed::new(0).child(&name).get();
    format!("{}~{hash:016x}", &name[..name.floor_char_boundary(180)])
}

/// The bytes of a file that are looked at together for ends of lines.
const BLOCK: u64 = 64 << 10;

/// Where the last `lines` lines of a file begin.
///
/// # Errors
/// When it can't be read.
pub fn last_lines(file: &mut File, lines: usize) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    let (mut start, mut found) = (end, 0);
    let mut block = Vec::new();
    while start > 0 {
        let from = start.saturating_sub(BLOCK);
        block.resize((start - from) as usize, 0);
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut block)?;
        for (index, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = from + index as u64 + 1;
            // The end of the last line begins no further one.
            if after != end {
                found += 1;
            }
            if found == lines.max(1) {
                return Ok(if lines == 0 { end } else { after });
            }
        }
        start = from;
    }
    Ok(if lines == 0 { end } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(text: &str, lines: usize) -> String {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        let start = last_lines(&mut file, lines).unwrap();
        text[start as usize..].to_owned()
    }

    #[test]
    fn the_last_lines_are_whole() {
        assert_eq!(tail("one\ntwo\nthree\n", 2), "two\nthree\n");
        assert_eq!(tail("one\ntwo\nthree", 2), "two\nthree");
        assert_eq!(tail("one\ntwo\n", 5), "one\ntwo\n");
        assert_eq!(tail("one\ntwo\n", 0), "");
        assert_eq!(tail("", 3), "");
    }

    #[test]
    fn lines_may_be_longer_than_a_block() {
        let long = "x".repeat(3 * BLOCK as usize);
        assert_eq!(tail(&format!("one\n{long}\ntwo\n"), 2), format!("{long}\ntwo\n"));
    }

    #[test]
    fn a_log_is_found_by_its_step_however_long_its_name_is() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::of(folder.path());
        let steps = ["main/fetch".to_owned(), format!("main/{}[3]/fetch", "long".repeat(90))];
        for step in &steps {
            let attempt = Attempt { step: StepPath(step.as_str().into()), number: 2 };
            let path = path(&home.run("one"), &attempt);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, step).unwrap();
        }
        let logs = Logs::of(&home, "one").unwrap();
        for step in &steps {
            let found = logs.of_step(&StepPath(step.as_str().into())).unwrap();
            assert_eq!(fs::read_to_string(&found[&2]).unwrap(), *step);
        }
        assert!(logs.of_step(&StepPath("main/other".into())).is_none());
        assert!(Logs::of(&home, "two").unwrap().is_empty());
    }
}
