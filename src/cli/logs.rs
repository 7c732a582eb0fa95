use super::{
    Exit,
    history::{Project, failed},
    table::Table,
    words,
};
use crate::{
    runs::{
        Home, Place, Run, RunState, Runs,
        logs::{self, Logs},
        pick::{Unpicked, pick},
    },
    schedule::{Attempt, Notice, StepPath},
    source::Name,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::PathBuf,
    thread,
    time::Duration,
};

/// How often a log that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// The steps that are named where several are meant.
const SEVERAL: usize = 5;

/// Print what the command of a step wrote, or list the steps that have logs.
#[derive(clap::Args)]
#[command(
    override_usage = "smltc logs [OPTIONS] [RUN] [STEP]",
    after_help = "\
Examples:
  smltc logs                 the steps of the last run that have logs
  smltc logs fetch           what `fetch` wrote in the last run
  smltc logs last~1 fetch    what it wrote in the run before
  smltc logs fetch -f        the same as it is written, until the step is over"
)]
pub struct Args {
    /// The run: how its name starts, `last`, or `last~1` for the one before; the last if left out
    #[arg(value_name = "RUN")]
    first: Option<String>,
    /// The step, or one end of its path
    #[arg(value_name = "STEP")]
    second: Option<String>,
    #[command(flatten)]
    project: Project,
    /// Go on as the command writes, until the step is over
    #[arg(long, short)]
    follow: bool,
    /// Only the last N lines of each attempt
    #[arg(long, short = 'n', value_name = "N")]
    lines: Option<usize>,
    /// Only this attempt
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    attempt: Option<u32>,
    /// One JSON object a line for each attempt, with the path of its log
    #[arg(long, conflicts_with_all = ["follow", "lines"])]
    json: bool,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    elsewhere: super::elsewhere::Elsewhere,
}

pub fn main(args: &Args) -> Exit {
    tell(args).unwrap_or_else(|exit| exit)
}

fn tell(args: &Args) -> Result<Exit, Exit> {
    #[cfg(feature = "aws")]
    if args.elsewhere.remote {
        return args.elsewhere.logs(args.first.as_deref(), args.second.as_deref());
    }
    let history = args.project.history()?;
    let (run, step) = run_and_step(args.first.as_deref(), args.second.as_deref());
    let run = history.run(run)?;
    let logs = Logs::of(&history.home, &run.id).map_err(unreadable)?;
    let (mut steps, mut seen, mut served) = (Vec::new(), HashSet::new(), HashMap::new());
    let each = history.runs.each_notice(&run.id, &["step_started", "step_served"], |_, notice| {
        let step = match notice {
            Notice::StepStarted { step, .. } => step,
            Notice::StepServed { step, run, .. } => {
                served.insert(step.clone(), run);
                step
            }
            _ => return,
        };
        if seen.insert(step.clone()) {
            steps.push(step);
        }
    });
    each.map_err(failed)?;
    let Some(word) = step else {
        let listed: Vec<_> = steps.iter().filter_map(|step| Some((step, logs.of_step(step)?))).collect();
        if listed.is_empty() {
            super::complain(format_args!("no step of {} has a log; those of commands have", run.id));
        } else if args.json {
            listed.iter().for_each(|(step, attempts)| print_json(step, attempts));
        } else {
            list(&listed).map_err(unreadable)?;
        }
        return Ok(Exit::Ok);
    };
    let step = choose(word, &steps, &logs, &run)?;
    if args.follow {
        let tail = Tail { runs: &history.runs, home: &history.home, run: &run, step, lines: args.lines };
        tail.follow()?;
        return match Logs::of(&history.home, &run.id).map_err(unreadable)?.of_step(step) {
            Some(_) => Ok(Exit::Ok),
            None => Err(without_log(step, served.get(step))),
        };
    }
    let attempts = logs.of_step(step).ok_or_else(|| without_log(step, served.get(step)))?;
    let chosen: BTreeMap<u32, PathBuf> = match args.attempt {
        None => attempts.clone(),
        Some(number) => match attempts.get(&number) {
            Some(path) => BTreeMap::from([(number, path.clone())]),
            None => {
                let have: Vec<String> = attempts.keys().map(u32::to_string).collect();
                let step = words::step(step);
                return Err(failed(format_args!(
                    "`{step}` has no log of attempt {number}\nhelp: it has logs of: {}",
                    have.join(", ")
                )));
            }
        },
    };
    if args.json {
        print_json(step, &chosen);
        return Ok(Exit::Ok);
    }
    for (number, path) in &chosen {
        if attempts.len() > 1 && args.attempt.is_none() {
            super::say(heading(*number));
        }
        copy(path, args.lines).or_else(closed).map_err(unreadable)?;
    }
    Ok(Exit::Ok)
}

/// What two words mean: one alone is a run if it could be one's name, else a step of the last run.
pub fn run_and_step<'a>(first: Option<&'a str>, second: Option<&'a str>) -> (Option<&'a str>, Option<&'a str>) {
    match (first, second) {
        (Some(word), None) if !Runs::is_name(word) => (None, Some(word)),
        words => words,
    }
}

/// The step that is meant; of several, the one that has a log.
fn choose<'s>(word: &str, steps: &'s [StepPath], logs: &Logs, run: &Run) -> Result<&'s StepPath, Exit> {
    let with_log = steps.iter().filter(|step| logs.of_step(step).is_some());
    pick(word, with_log).or_else(|_| pick(word, steps)).map_err(|error| unpicked(word, error, run))
}

/// Tells why no step is meant by a word.
pub fn unpicked(word: &str, error: Unpicked, run: &Run) -> Exit {
    match error {
        Unpicked::Unknown(Some(near)) => failed(format_args!(
            "no step of {} is called `{word}`\nhelp: did you mean `{}`?",
            run.id,
            words::step(&near)
        )),
        Unpicked::Unknown(None) => failed(format_args!(
            "no step of {} is called `{word}`\nhelp: `smltc show {}` tells of all that were begun",
            run.id, run.id
        )),
        Unpicked::Several(steps) => {
            let named: Vec<String> =
                steps.iter().take(SEVERAL).map(|step| format!("`{}`", words::step(step))).collect();
            let more = steps.len().saturating_sub(SEVERAL);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            failed(format_args!("`{word}` may be any of {}{more}\nhelp: write more of the path", named.join(", ")))
        }
    }
}

fn without_log(step: &StepPath, served: Option<&Name>) -> Exit {
    let step = words::step(step);
    match served {
        None => failed(format_args!("`{step}` has no log: it is no command, or wrote nothing")),
        Some(run) => failed(format_args!(
            "`{step}` has no log: its result came from the cache\nhelp: `smltc logs {run}` tells of the run that made it"
        )),
    }
}

fn unreadable(error: io::Error) -> Exit {
    failed(format_args!("the log can't be read: {error}"))
}

/// A reader that has gone away, as `head` does, is no reason to fail.
fn closed(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

fn heading(attempt: u32) -> String {
    format!("==> attempt {attempt} <==\n")
}

fn list(listed: &[(&StepPath, &BTreeMap<u32, PathBuf>)]) -> io::Result<()> {
    let mut table = Table::new(["step", "attempts", "size"]);
    for (step, attempts) in listed {
        let sizes = attempts.values().map(|path| fs::metadata(path).map(|about| about.len()));
        let size = words::bytes(sizes.sum::<io::Result<u64>>()?);
        table.push([words::step(step).into(), attempts.len().to_string().into(), size.into()]);
    }
    table.print();
    Ok(())
}

fn print_json(step: &StepPath, attempts: &BTreeMap<u32, PathBuf>) {
    for (attempt, path) in attempts {
        let bytes = fs::metadata(path).map(|about| about.len()).ok();
        super::say(format_args!("{}\n", json!({ "step": step, "attempt": attempt, "path": path, "bytes": bytes })));
    }
}

/// Copies a log, or its last lines, to the output.
fn copy(path: &PathBuf, lines: Option<usize>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let start = lines.map_or(Ok(0), |lines| logs::last_lines(&mut file, lines))?;
    file.seek(SeekFrom::Start(start))?;
    let mut output = io::stdout();
    io::copy(&mut file, &mut output)?;
    output.flush()
}

/// A log that is read while it is written.
struct Tail<'a> {
    runs: &'a Runs,
    home: &'a Home,
    run: &'a Run,
    step: &'a StepPath,
    /// The lines that are shown of what was written before.
    lines: Option<usize>,
}

/// What has become of a step.
#[derive(Default)]
struct News {
    place: Place,
    attempt: u32,
    over: bool,
}

impl Tail<'_> {
    fn follow(&self) -> Result<(), Exit> {
        let mut news = News::default();
        let (mut attempt, mut file) = (1, None);
        loop {
            self.hear(&mut news)?;
            // What was over before this look has written all that it will.
            let over = news.over || self.is_over()?;
            loop {
                match self.print(attempt, &mut file) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    printed => printed.map_err(unreadable)?,
                }
                if attempt >= news.attempt {
                    break;
                }
                (attempt, file) = (attempt + 1, None);
            }
            if over {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
    }

    /// Reads on in the run's log.
    fn hear(&self, news: &mut News) -> Result<(), Exit> {
        let kinds = ["step_started", "step_done", "step_failed", "step_stopped"];
        let (mut attempt, mut over) = (news.attempt, news.over);
        let place = self.runs.notices_after(&self.run.id, news.place, &kinds, |_, notice| match notice {
            Notice::StepStarted { step, attempt: number, .. } if step == *self.step => {
                (attempt, over) = (number, false)
            }
            Notice::StepDone { step, .. } | Notice::StepFailed { step, .. } | Notice::StepStopped { step }
                if step == *self.step =>
            {
                over = true;
            }
            _ => {}
        });
        *news = News { place: place.map_err(failed)?, attempt, over };
        Ok(())
    }

    /// Whether the run is, which ends all steps.
    fn is_over(&self) -> Result<bool, Exit> {
        // A run that was removed meanwhile is over as well.
        let run = self.runs.find(Some(&self.run.id)).map_err(failed)?;
        Ok(!run.is_ok_and(|run| run.state == RunState::Running))
    }

    /// Prints what an attempt has written since the last look.
    fn print(&self, attempt: u32, file: &mut Option<File>) -> io::Result<()> {
        let file = match file {
            Some(file) => file,
            None => {
                let step = Attempt { step: self.step.clone(), number: attempt };
                let mut opened = match File::open(logs::path(&self.home.run(&self.run.id), &step)) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                    opened => opened?,
                };
                let start = self.lines.map_or(Ok(0), |lines| logs::last_lines(&mut opened, lines))?;
                opened.seek(SeekFrom::Start(start))?;
                if attempt > 1 {
                    io::stdout().write_all(heading(attempt).as_bytes())?;
                }
                file.insert(opened)
            }
        };
        let mut output = io::stdout();
        io::copy(file, &mut output)?;
        output.flush()
    }
}
