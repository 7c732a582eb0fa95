//! What a command writes, line by line: into its log file, to those who watch, and into the failure it may end in.

use super::{lines::Lines, mask::Mask};
use crate::{value::float, wire::Progress};
use serde_json::Value as Json;
use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
    time::{Duration, Instant},
};

/// The lines of a log that a failure shows, and the characters of each.
const TAIL: usize = 20;
const TAIL_WIDTH: usize = 1000;

/// A log file grows no larger than this: what is in the middle then goes.
const MAX_FILE: u64 = 64 << 20;

/// How much of a log file's beginning, and of its end, is kept when the middle goes.
const KEPT: u64 = 16 << 20;

/// Those who watch get at most so many lines and bytes in a stretch of time: nobody can read more.
const STRETCH: Duration = Duration::from_millis(100);
const MAX_SEEN: usize = 200;
const MAX_SEEN_BYTES: usize = 64 << 10;

/// The log of a command. No secret gets into it.
pub(super) struct Log<'a> {
    report: &'a mut dyn FnMut(Progress),
    mask: &'a Mask,
    output: Lines,
    file: Option<LogFile>,
    seen: Seen,
    tail: VecDeque<String>,
}

impl<'a> Log<'a> {
    pub fn new(path: Option<PathBuf>, mask: &'a Mask, report: &'a mut dyn FnMut(Progress)) -> Self {
        let (file, tail) = (path.map(LogFile::new), VecDeque::new());
        Self { report, mask, output: Lines::default(), file, seen: Seen::new(), tail }
    }

    /// Takes in what the command's output was given.
    pub fn take(&mut self, bytes: &[u8]) {
        let mut output = std::mem::take(&mut self.output);
        output.take(bytes, |line| self.line(line));
        self.output = output;
    }

    /// Lets the log file hold all that was taken in.
    pub fn flush(&mut self) {
        self.keep(LogFile::flush);
    }

    /// Ends the log, and gives its last lines.
    pub fn close(mut self) -> Vec<String> {
        std::mem::take(&mut self.output).end(|line| self.line(line));
        self.flush();
        self.tell_left_out();
        self.tail.into()
    }

    /// Takes in a line, of the output or of a connection: an event, or a line of the log.
    pub fn line(&mut self, line: &str) {
        if let Some(event) = event(line) {
            (self.report)(self.mask.hide_in(event));
            return;
        }
        let line = &*self.mask.hide(line);
        let mut kept = if self.tail.len() == TAIL { self.tail.pop_front().unwrap_or_default() } else { String::new() };
        kept.clear();
        kept.push_str(&line[..line.floor_char_boundary(TAIL_WIDTH)]);
        self.tail.push_back(kept);
        self.keep(|file| file.line(line));
        if self.seen.has_room(line.len()) {
            self.tell_left_out();
            (self.report)(Progress::Log(line.to_owned()));
        }
    }

    fn tell_left_out(&mut self) {
        match std::mem::take(&mut self.seen.left_out) {
            0 => {}
            1 => (self.report)(Progress::Log("… and 1 line more, which its log holds".into())),
            lines => (self.report)(Progress::Log(format!("… and {lines} lines more, which its log holds"))),
        }
    }

    /// A log that can't be written must not stop the command: its last lines are kept with a failure anyway.
    fn keep(&mut self, write: impl FnOnce(&mut LogFile) -> io::Result<()>) {
        if self.file.as_mut().is_some_and(|file| write(file).is_err()) {
            self.file = None;
        }
    }
}

/// What a line such as `{"metric": "loss", "step": 3, "value": 0.2}` or `{"progress": 0.5}` tells.
fn event(line: &str) -> Option<Progress> {
    let json: Json = line.starts_with('{').then(|| serde_json::from_str(line).ok()).flatten()?;
    if let Some(share) = json.get("progress").and_then(Json::as_f64) {
        return Some(Progress::Share(share.clamp(0.0, 1.0)));
    }
    let name = json.get("metric")?.as_str()?.to_owned();
    let step = json.get("step").and_then(Json::as_u64);
    Some(Progress::Metric { name, step, value: float::deserialize(json.get("value")?).ok()? })
}

/// What those who watch were shown in this stretch of time.
struct Seen {
    since: Instant,
    lines: usize,
    bytes: usize,
    /// Lines that they were not shown, and not told of either.
    left_out: u64,
}

impl Seen {
    fn new() -> Self {
        Self { since: Instant::now(), lines: 0, bytes: 0, left_out: 0 }
    }

    /// Whether one more line can be shown; it counts as shown then.
    fn has_room(&mut self, bytes: usize) -> bool {
        if self.since.elapsed() >= STRETCH {
            *self = Self { left_out: self.left_out, ..Self::new() };
        }
        let has_room = self.lines < MAX_SEEN && self.bytes < MAX_SEEN_BYTES;
        match has_room {
            true => (self.lines, self.bytes) = (self.lines + 1, self.bytes + bytes),
            false => self.left_out += 1,
        }
        has_room
    }
}

/// A log file, which is there once there is something to write.
struct LogFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    bytes: u64,
    /// The whole lines at its beginning that stay.
    head: u64,
    /// What is no longer in it, and the line that tells so.
    left_out: u64,
    note: u64,
}

impl LogFile {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, bytes: 0, head: 0, left_out: 0, note: 0 }
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        let length = line.len() as u64 + 1;
        if self.bytes + length > MAX_FILE {
            self.cut()?;
        }
        let file = self.file()?;
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")?;
        self.bytes += length;
        if self.bytes <= KEPT {
            self.head = self.bytes;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }

    fn file(&mut self) -> io::Result<&mut BufWriter<File>> {
        if self.file.is_none() {
            let create = || File::options().read(true).write(true).create(true).truncate(true).open(&self.path);
            let file = create().or_else(|error| match (error.kind(), self.path.parent()) {
                (io::ErrorKind::NotFound, Some(folder)) => fs::create_dir_all(folder).and_then(|()| create()),
                _ => Err(error),
            })?;
            self.file = Some(BufWriter::new(file));
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Takes the middle out; the beginning and the latest lines stay.
    fn cut(&mut self) -> io::Result<()> {
        let (bytes, head, note) = (self.bytes, self.head, self.note);
        let file = self.file()?;
        file.flush()?;
        let mut latest = vec![0; KEPT as usize];
        file.get_ref().read_exact_at(&mut latest, bytes - KEPT)?;
        let start = latest.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let latest = &latest[start..];
        let left_out = self.left_out + bytes - head - note - latest.len() as u64;
        let text = format!("… {left_out} bytes are left out here …\n");
        let file = self.file()?;
        file.seek(SeekFrom::Start(head))?;
        file.write_all(text.as_bytes())?;
        file.write_all(latest)?;
        file.flush()?;
        (self.left_out, self.note) = (left_out, text.len() as u64);
        self.bytes = head + self.note + latest.len() as u64;
        let bytes = self.bytes;
        self.file()?.get_ref().set_len(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::lines::MAX_LINE, *};
    use crate::wire::{Secret, Secrets};

    /// The lines that those who watch are shown, and the log file, of a command that writes `bytes` in pieces.
    fn log(bytes: &[u8]) -> (Vec<Progress>, Vec<String>, String) {
        log_without(&Secrets::new(), bytes)
    }

    fn log_without(secrets: &Secrets, bytes: &[u8]) -> (Vec<Progress>, Vec<String>, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/step.log");
        let mut shown = Vec::new();
        let mut report = |progress| shown.push(progress);
        let mask = Mask::of(secrets);
        let mut log = Log::new(Some(path.clone()), &mask, &mut report);
        bytes.chunks(7919).for_each(|piece| log.take(piece));
        let tail = log.close();
        (shown, tail, fs::read_to_string(path).unwrap_or_default())
    }

    #[test]
    fn lines_are_kept_and_events_are_told() {
        let (shown, tail, file) = log(b"one\r\n{\"progress\": 0.5}\n{\"other\": 1}\n\xff\xfe\nlast");
        assert_eq!(shown[1], Progress::Share(0.5));
        assert_eq!(shown.len(), 5);
        assert_eq!(tail, ["one", "{\"other\": 1}", "\u{fffd}\u{fffd}", "last"]);
        assert_eq!(file, tail.join("\n") + "\n");
    }

    #[test]
    fn no_secret_gets_out() {
        let secrets = Secrets::from([("KEY".into(), Secret::new("hush".into()))]);
        let text = b"it is hush\n{\"metric\": \"hush\", \"value\": \"-inf\"}\n{\"hush\": 1}\nhush";
        let (shown, tail, file) = log_without(&secrets, text);
        let name = "***".to_owned();
        assert_eq!(shown[1], Progress::Metric { name, step: None, value: f64::NEG_INFINITY });
        assert_eq!(shown[3], Progress::Log("***".into()));
        assert_eq!(tail, ["it is ***", "{\"***\": 1}", "***"]);
        assert_eq!(file, tail.join("\n") + "\n");
    }

    #[test]
    fn a_flood_is_kept_in_the_file_and_told_of_in_a_line() {
        let text: String = (0..100_000).map(|number| format!("line {number}\n")).collect();
        let (shown, tail, file) = log(text.as_bytes());
        assert_eq!(file, text);
        assert_eq!(tail.last().unwrap(), "line 99999");
        assert!(shown.len() < 50_000, "{}", shown.len());
        let Some(Progress::Log(last)) = shown.last() else { panic!("{shown:?}") };
        assert!(last.ends_with("lines more, which its log holds"), "{last}");
    }

    #[test]
    fn a_file_that_grows_too_large_keeps_its_beginning_and_its_end() {
        let text: String = (0..10_000_000).map(|number| format!("line {number:07}\n")).collect();
        let (_, _, file) = log(text.as_bytes());
        assert!(file.len() as u64 <= MAX_FILE && file.len() as u64 >= 2 * KEPT);
        let (before, rest) = file.split_once("… ").unwrap();
        let (left_out, after) = rest.split_once(" bytes are left out here …\n").unwrap();
        assert!(text.starts_with(before) && before.len() as u64 > KEPT - 100);
        assert!(text.ends_with(after) && after.starts_with("line ") && after.len() as u64 > KEPT - 100);
        assert_eq!(before.len() + after.len() + left_out.parse::<usize>().unwrap(), text.len());
    }

    #[test]
    fn a_line_without_an_end_is_cut_into_pieces() {
        let (_, tail, file) = log(&vec![b'x'; 5 * MAX_LINE + 1]);
        assert_eq!(file.lines().map(str::len).collect::<Vec<_>>(), [&[MAX_LINE; 5][..], &[1]].concat());
        assert_eq!(tail[0].len(), TAIL_WIDTH);
    }
}
