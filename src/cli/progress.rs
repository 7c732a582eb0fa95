//! What a run looks like while it goes on: alive in a terminal, calm in a pipe, an object a line for programs.

use super::{json, words};
use crate::{
    local::Watch,
    schedule::{Notice, StepPath, Time},
    source::Name,
    units::{Duration, Money},
    wire::{Begun, Progress},
};
use console::StyledObject;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{self, Write},
    time::Instant,
};

/// How a run is shown.
pub enum View {
    /// In a terminal.
    Live(Box<Live>),
    /// As lines on the error stream.
    Plain(Plain),
    /// As JSON on the output.
    Json,
    /// Not at all.
    Quiet,
}

impl Watch for View {
    /// What is under way still is shown; the rest was shown then.
    fn past(&mut self, at: Time, notice: &Notice) {
        match self {
            Self::Quiet | Self::Json => {}
            Self::Plain(plain) => drop(plain.line(notice)),
            Self::Live(live) => {
                live.silent = true;
                live.show(at, notice);
                live.silent = false;
            }
        }
    }

    fn present(&mut self, at: Time, notice: &Notice) {
        match self {
            Self::Quiet => {}
            Self::Json => {
                if let Some(json) = json::notice(at, notice) {
                    super::say(format_args!("{json}\n"));
                }
            }
            Self::Plain(plain) => {
                if let Some(line) = plain.line(notice) {
                    let _ = writeln!(io::stderr(), "{:>8}  {line}", words::brief(at.0));
                }
            }
            Self::Live(live) => live.show(at, notice),
        }
    }
}

impl View {
    /// Takes away what moves, so that the end can be written.
    pub fn close(self) {
        if let Self::Live(live) = self {
            let _ = live.bars.clear();
        }
    }
}

/// Lines for a pipe or a file.
#[derive(Default)]
pub struct Plain {
    kinds: HashMap<StepPath, String>,
    /// Steps whose results are those of earlier runs, with these.
    served: HashMap<StepPath, Name>,
    /// The tenths of its work that a command was last said to have done.
    tenths: HashMap<StepPath, u8>,
}

impl Plain {
    /// What a line says of a notice, if it says anything.
    pub fn line(&mut self, notice: &Notice) -> Option<String> {
        Some(match notice {
            Notice::RunStarted { workflow, args, deadline, budget } => {
                let mut line = format!("{workflow} started");
                if !args.is_empty() {
                    line += &format!(" with {}", words::fields(args));
                }
                line += &deadline.map(|deadline| format!("; deadline {deadline}")).unwrap_or_default();
                line + &budget.map(|budget| format!("; budget {budget}")).unwrap_or_default()
            }
            Notice::RunResumed { steps, trials } => {
                let counted = [(*steps, "step"), (*trials, "trial")].into_iter().filter(|(count, _)| *count > 0);
                let done: Vec<String> = counted.map(|(count, what)| words::count(count as usize, what)).collect();
                match done.is_empty() {
                    true => "resumed".into(),
                    false => format!("resumed after {}", done.join(" and ")),
                }
            }
            Notice::StepStarted { step, kind, attempt } => {
                self.kinds.insert(step.clone(), kind.to_string());
                if &**kind == "trial" || *attempt > 1 {
                    return None;
                }
                format!("{}: {kind} started", words::step(step))
            }
            Notice::StepServed { step, kind, run } => {
                self.kinds.insert(step.clone(), kind.to_string());
                self.served.insert(step.clone(), run.clone());
                return None;
            }
            // Ten lines tell a training's course.
            Notice::Epoch { step, metrics } => {
                let tenth = |epoch: u64| epoch * 10 / metrics.of.max(1);
                if self.kinds.get(step).is_some_and(|kind| kind == "trial")
                    || tenth(metrics.epoch) == tenth(metrics.epoch - 1)
                {
                    return None;
                }
                format!("{}: epoch {}/{}, {}", words::step(step), metrics.epoch, metrics.of, words::metrics(metrics))
            }
            Notice::Progress { step, progress: Progress::Share(share) } => {
                let tenth = (share * 10.0) as u8;
                if self.tenths.insert(step.clone(), tenth) == Some(tenth) {
                    return None;
                }
                format!("{}: {}", words::step(step), said(&Progress::Share(*share)))
            }
            Notice::Progress { step, progress } => format!("{}: {}", words::step(step), said(progress)),
            Notice::Trial { search, trial, params, epochs, value, best, failure, .. } => {
                let came = match (value, failure) {
                    (Some(value), _) => words::number(*value),
                    (None, Some(failure)) => failure.to_string(),
                    (None, None) => "no value".into(),
                };
                let best = best.map(|(trial, value)| format!("; best {} (trial[{trial}])", words::number(value)));
                let after = epochs.map(|epochs| format!(" after {}", words::count(epochs as usize, "epoch")));
                format!(
                    "{}/trial[{trial}]: {came}{}{} with {}{}",
                    words::step(search),
                    after.unwrap_or_default(),
                    if self.take_served_trial(search, *trial) { " from the cache" } else { "" },
                    words::fields(params),
                    best.unwrap_or_default()
                )
            }
            Notice::StepDone { step, elapsed, cost, value } => {
                let value = words::value(value);
                let value = if value.is_empty() { value } else { format!(": {value}") };
                if let Some(run) = self.served.remove(step) {
                    return Some(format!("{}: from the cache (run {run}){value}", words::step(step)));
                }
                format!("{}: done in {}, {cost}{value}", words::step(step), words::brief(*elapsed))
            }
            Notice::StepFailed { step, failure } => format!("{}: failed: {failure}", words::step(step)),
            Notice::StepCaught { step, failed, kind } => {
                format!("{}: caught {kind} of {}", words::step(step), words::step(failed))
            }
            Notice::StepStopped { step } => format!("{}: stopped", words::step(step)),
            Notice::StepRetried { step, failure, attempt, after, memory } => {
                let memory = memory.map_or_else(String::new, |memory| format!(" with {memory} of memory"));
                let (step, wait) = (words::step(step), words::brief(*after));
                format!("{step}: {failure}; attempt {attempt} follows in {wait}{memory}")
            }
            Notice::Stopping { steps } => format!(
                "stopping: {} first; press Ctrl-C again to stop at once",
                if *steps == 1 { "a step ends".into() } else { format!("{steps} steps end") }
            ),
            Notice::Limit { scope, message } => format!("{}: {message}", words::step(scope)),
            Notice::Spent { .. } => return None,
        })
    }

    /// Whether the latest training of a trial was served.
    fn take_served_trial(&mut self, search: &StepPath, trial: u64) -> bool {
        let path = format!("{search}/trial[{trial}]");
        let rung = format!("{path}/rung[");
        let found = self.served.keys().find(|step| *step.0 == *path || step.0.starts_with(&rung)).cloned();
        found.is_some_and(|step| self.served.remove(&step).is_some())
    }
}

/// What an attempt tells, in a line.
pub fn said(progress: &Progress) -> String {
    match progress {
        Progress::Epoch(metrics) => words::metrics(metrics),
        Progress::Begun(Begun { number, workers, why }) => {
            format!("round {number} begins with {}: {why}", words::count(*workers as usize, "worker"))
        }
        Progress::Round(round) => words::round(round),
        Progress::Dealt { shards, bytes } => {
            format!("{} dealt out, {}", words::count(*shards, "shard"), words::bytes(*bytes))
        }
        Progress::RoundLost { number, reason } => {
            format!("round {number} was given up: {reason}; the next goes on from the last checkpoint")
        }
        Progress::Metric { name, step, value } => {
            let step = step.map(|step| format!(" at step {step}")).unwrap_or_default();
            format!("{name} {}{step}", words::number(*value))
        }
        Progress::Share(share) => format!("{:.0}% done", share * 100.0),
        Progress::Log(line) => line.clone(),
    }
}

/// A view that moves: a line for each step under way, above them what is over, below them time and money.
pub struct Live {
    bars: MultiProgress,
    steps: BTreeMap<StepPath, Step>,
    total: ProgressBar,
    /// A moment, and the run's own time then.
    clock: (Instant, Duration),
    spent: Money,
    deadline: Option<Duration>,
    budget: Option<Money>,
    plain: Plain,
    /// Whether lines about what is over are left out.
    silent: bool,
}

struct Step {
    bar: ProgressBar,
    /// What stands before the step's latest news.
    title: String,
    /// The trials of a search that have come to a value.
    trials: BTreeSet<u64>,
}

impl Live {
    /// A view on the terminal of the error stream.
    pub fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let total = bars.add(ProgressBar::new_spinner().with_style(style("  {msg:.dim}")));
        total.enable_steady_tick(std::time::Duration::from_millis(200));
        Self {
            bars,
            steps: BTreeMap::new(),
            total,
            clock: (Instant::now(), Duration::ZERO),
            spent: Money::ZERO,
            deadline: None,
            budget: None,
            plain: Plain::default(),
            silent: false,
        }
    }

    fn show(&mut self, at: Time, notice: &Notice) {
        let line = self.plain.line(notice);
        match notice {
            Notice::RunStarted { deadline, budget, .. } => {
                (self.deadline, self.budget) = (*deadline, *budget);
                self.print(at, console::style("•").dim(), line);
            }
            Notice::RunResumed { .. } => {
                self.clock = (Instant::now(), at.0);
                self.print(at, console::style("•").dim(), line);
            }
            Notice::StepStarted { step, kind, .. } => self.begin(step, kind),
            Notice::StepServed { .. } => {}
            Notice::Epoch { step, metrics } => {
                self.news(step, &format!("epoch {}/{}  {}", metrics.epoch, metrics.of, words::metrics(metrics)));
            }
            Notice::Progress { step, progress } => self.news(step, &said(progress)),
            Notice::Trial { search, trial, of, best, .. } => {
                self.end_trial(search, *trial);
                let best = best.map(|(trial, value)| format!("  best {} (trial[{trial}])", words::number(value)));
                let of = of.map(|of| format!("/{of}")).unwrap_or_default();
                let over = self.steps.get_mut(search).map_or(0, |step| {
                    step.trials.insert(*trial);
                    step.trials.len()
                });
                self.news(search, &format!("{over}{of} trials{}", best.unwrap_or_default()));
            }
            Notice::StepDone { step, .. } => {
                self.end(step);
                self.print(at, console::style("✓").green(), line);
            }
            Notice::StepFailed { step, .. } => {
                self.end(step);
                self.print(at, console::style("✗").red(), line);
            }
            Notice::StepStopped { step } => self.end(step),
            Notice::StepRetried { step, .. } => {
                self.end(step);
                self.print(at, console::style("↻").yellow(), line);
            }
            Notice::StepCaught { step, .. } => {
                self.end_below(&format!("{step}/"));
                self.print(at, console::style("!").yellow(), line);
            }
            Notice::Stopping { .. } | Notice::Limit { .. } => self.print(at, console::style("!").yellow(), line),
            Notice::Spent { total } => self.spent = *total,
        }
        self.totals();
    }

    fn print(&self, at: Time, sign: StyledObject<&str>, line: Option<String>) {
        if let Some(line) = line.filter(|_| !self.silent) {
            let at = console::style(format!("{:>8}", words::brief(at.0))).for_stderr().dim();
            let _ = self.bars.println(format!("{} {at}  {line}", sign.for_stderr()));
        }
    }

    fn begin(&mut self, step: &StepPath, kind: &str) {
        self.end(step);
        let depth = words::step(step).matches('/').count();
        let name = words::step(step).rsplit('/').next().unwrap_or_default();
        let name = console::style(name).for_stderr().bold();
        let title = format!("{}{name} {kind}", "  ".repeat(depth));
        let bar = ProgressBar::new_spinner().with_style(style("{spinner:.cyan} {msg}"));
        // Paths sort as the tree does: what is inside a step comes after it.
        let before = self.steps.range::<StepPath, _>(..step).next_back().map(|(_, before)| before.bar.clone());
        let bar = match before {
            Some(before) => self.bars.insert_after(&before, bar),
            None => self.bars.insert(0, bar),
        };
        bar.set_message(title.clone());
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        self.steps.insert(step.clone(), Step { bar, title, trials: BTreeSet::new() });
    }

    fn news(&self, step: &StepPath, news: &str) {
        if let Some(step) = self.steps.get(step) {
            step.bar.set_message(format!("{}  {news}", step.title));
        }
    }

    fn end(&mut self, step: &StepPath) {
        if let Some(step) = self.steps.remove(step) {
            step.bar.finish_and_clear();
            self.bars.remove(&step.bar);
        }
    }

    fn end_trial(&mut self, search: &StepPath, trial: u64) {
        let path = format!("{search}/trial[{trial}]");
        self.end_below(&format!("{path}/"));
        self.end(&StepPath(path.into()));
    }

    fn end_below(&mut self, prefix: &str) {
        let steps: Vec<StepPath> = self.steps.keys().filter(|step| step.0.starts_with(prefix)).cloned().collect();
        steps.iter().for_each(|step| self.end(step));
    }

    fn totals(&self) {
        let of = |limit: Option<String>| limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
        let (then, before) = self.clock;
        let elapsed = before.checked_add(then.elapsed().into()).unwrap_or(before);
        let time = words::brief(elapsed) + &of(self.deadline.map(|deadline| deadline.to_string()));
        let money = self.spent.to_string() + &of(self.budget.map(|budget| budget.to_string()));
        self.total.set_message(format!("{time} · {money} estimated cloud cost"));
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are the two above, which are well-formed.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
