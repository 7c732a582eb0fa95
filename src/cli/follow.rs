//! A run in the cloud, shown as one on this machine.

use super::{
    Exit,
    account::failed,
    complain, json,
    progress::{Live, Plain, View},
    run::{lines, tell_failure},
    say, words,
    world::Files,
};
use crate::{
    cloud::{Cloud, CloudError, Executions, Run, Standing, Story},
    graph::{Graph, Region},
    limits::Amount,
    local::Watch,
    schedule::{Notice, StepPath, Time, Verdict},
    source::{Name, Span},
    stack::PREFIX,
    types::Type,
    units::{Duration, Money},
    value::{Artifact, Fields, Value},
};
use serde_json::json;
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time,
};
use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

/// How long to wait before the first look at what has changed, and at most: there is a limit for how often one may ask.
const FIRST_PAUSE: time::Duration = time::Duration::from_millis(200);
const LONGEST_PAUSE: time::Duration = time::Duration::from_secs(2);

/// How a run is shown.
#[derive(Clone, Copy)]
pub struct Manner {
    /// An object a line.
    pub json: bool,
    /// Nothing but the end.
    pub quiet: bool,
}

/// A run, and what is known of its workflow here.
pub struct Followed<'a> {
    pub cloud: &'a Cloud,
    pub manner: Manner,
    /// The files and the graph, where they are at hand.
    pub here: Option<(&'a Files, &'a Graph)>,
    /// The type of the result.
    pub output: Type,
}

impl Followed<'_> {
    /// Shows a run until it is over. Who interrupts it leaves it to itself.
    pub fn follow(&self, run: Run, begun: Option<&Fields>) -> Result<Exit, Exit> {
        let executions = Executions(self.cloud);
        let mut view = match self.manner {
            Manner { json: true, .. } => View::Json,
            Manner { quiet: true, .. } => View::Quiet,
            _ if io::stderr().is_terminal() => View::Live(Box::new(Live::new())),
            _ => View::Plain(Plain::default()),
        };
        if let (Some(args), Some((_, graph))) = (begun, self.here) {
            let workflow: Name = graph.workflow.clone();
            let deadline = graph.limits.deadline.as_ref().map(|deadline| deadline.after);
            // The whole has nothing around it to take a share of.
            let budget = graph.limits.budget.as_ref().and_then(|budget| match budget.amount {
                Amount::Money(money) => Some(money),
                Amount::Share(_) => None,
            });
            let notice = Notice::RunStarted { workflow, args: args.clone(), deadline, budget };
            view.present(Time::default(), &notice);
        }
        let mut story = Story::new(run.started, &executions.definition(&run).map_err(failed)?);
        // It is asked for where there is a runtime.
        let mut interrupt = self.cloud.wait(async { signal(SignalKind::interrupt()) }).ok();
        let lost = |error: CloudError| {
            let exit = failed(error);
            goes_on(&run);
            exit
        };
        let mut pause = FIRST_PAUSE;
        let ended = loop {
            // What has happened before it was over is heard of after that.
            let now = executions.look(&run).map_err(lost)?;
            let events = executions.events(&run, story.last()).map_err(lost)?;
            pause = if events.is_empty() { (pause * 3 / 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
            let told = events.iter().flat_map(|event| story.read(event)).collect::<Vec<_>>();
            let charged = story.charged(executions.charges(&run).map_err(lost)?);
            told.iter().chain(&charged).for_each(|(at, notice)| view.present(*at, notice));
            if now.standing != Standing::Running {
                break now;
            }
            if self.interrupted(&mut interrupt, pause) {
                view.close();
                goes_on(&run);
                return Ok(Exit::Interrupted);
            }
        };
        view.close();
        Ok(self.end(&ended, story.spent()))
    }

    /// Shows what a run has done until now.
    pub fn so_far(&self, run: &Run) -> Result<(), Exit> {
        let executions = Executions(self.cloud);
        let mut view = if self.manner.json { View::Json } else { View::Plain(Plain::default()) };
        let mut story = Story::new(run.started, &executions.definition(run).map_err(failed)?);
        for event in executions.events(run, 0).map_err(failed)? {
            story.read(&event).iter().for_each(|(at, notice)| view.present(*at, notice));
        }
        let charged = story.charged(executions.charges(run).map_err(failed)?);
        charged.iter().for_each(|(at, notice)| view.present(*at, notice));
        Ok(())
    }

    /// Waits, unless the user has had enough.
    fn interrupted(&self, interrupt: &mut Option<Signal>, pause: time::Duration) -> bool {
        self.cloud.wait(async {
            match interrupt {
                None => {
                    sleep(pause).await;
                    false
                }
                Some(interrupt) => select! {
                    _ = interrupt.recv() => true,
                    () = sleep(pause) => false,
                },
            }
        })
    }

    /// Where a stored file lies.
    fn path(&self, run: &Run, artifact: &Artifact) -> PathBuf {
        let hash = artifact.hash.to_string();
        let bucket = self.cloud.bucket_of(&run.machine);
        format!("s3://{bucket}/{PREFIX}/objects/{}/{}", &hash[..2], &hash[2..]).into()
    }

    /// The result, with the place of each stored file.
    pub fn result(&self, run: &Run, value: &Value) -> serde_json::Value {
        json::result(value, &|artifact| self.path(run, artifact))
    }

    /// Tells how a run ended.
    pub fn end(&self, run: &Run, spent: Money) -> Exit {
        let Standing::Over(Some(verdict)) = &run.standing else { return Exit::Ok };
        let elapsed = Duration::from_millis(run.elapsed());
        if self.manner.json {
            let mut end = json::verdict(verdict);
            end["event"] = json!("run_ended");
            end["at"] = json!(elapsed.secs_f64());
            end["cost"] = json!(spent.to_f64());
            end["run"] = json!(run.id);
            if let Verdict::Succeeded { value, .. } = &**verdict {
                end["result"] = self.result(run, value);
            }
            say(format_args!("{end}\n"));
        }
        let sum = format!("in {}, {spent} estimated cloud cost; run {}", words::brief(elapsed), run.id);
        let note = |text: &str| {
            if !self.manner.quiet && !self.manner.json {
                complain(text);
            }
        };
        match &**verdict {
            Verdict::Succeeded { value, .. } => {
                note(&format!("succeeded {sum}"));
                if !self.manner.json {
                    say(lines(value, &self.output, &|artifact| self.path(run, artifact)));
                }
                Exit::Ok
            }
            Verdict::Failed { step, failure, .. } => {
                match self.here.and_then(|(files, graph)| Some((files, span(&graph.root, step).or(Some(graph.span))?)))
                {
                    Some((files, span)) => tell_failure(files, step, span, failure),
                    None => {
                        complain(format_args!("error: {}: {failure}", words::step(step)));
                        failure.log.iter().for_each(|line| complain(format_args!("    {line}")));
                    }
                }
                note(&format!("failed {sum}"));
                if failure.kind.is_limit() { Exit::LimitMissed } else { Exit::Failed }
            }
            Verdict::Cancelled => {
                complain(format_args!("cancelled {sum}"));
                Exit::Interrupted
            }
        }
    }
}

/// Tells who stops watching a run how to find it again.
fn goes_on(run: &Run) {
    complain(format_args!(
        "the run goes on in the cloud\nhelp: `smltc status {0}` shows how it stands, `smltc cancel {0}` stops it",
        run.id
    ));
}

/// Where a step stands in the file.
fn span(region: &Region, step: &StepPath) -> Option<Span> {
    let mut plain = String::new();
    let mut depth = 0;
    for letter in step.0.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth -= 1,
            letter if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    region.dag.node_weights().find_map(|node| {
        let own = (node.path == plain).then_some(node.span);
        own.or_else(|| node.kind.regions().find_map(|region| span(region, step)))
    })
}
