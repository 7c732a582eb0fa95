use super::{Args, Prepared};
use crate::{
    cache::Tally,
    cli::{Exit, check, complain, json, say, words, world::Files},
    diagnostic::RunError,
    disk::replace,
    schedule::{StepPath, Verdict},
    source::{Span, World},
    store::Objects,
    types::Type,
    units::{Duration, Money},
    value::{Artifact, Value},
    wire::Failure,
};
use serde_json::{Value as Json, json};
use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

/// What is said at the end of a run.
pub(super) struct Report<'a> {
    pub args: &'a Args,
    pub prepared: &'a Prepared,
    pub objects: &'a Objects,
    pub id: &'a str,
    pub tally: Tally,
}

impl Report<'_> {
    /// Tells how a run ended, and gives its result to whom it is for.
    pub fn end(&self, verdict: &Verdict, elapsed: Duration, spent: Money) -> Exit {
        if self.args.json {
            let mut end = json::verdict(verdict);
            end["event"] = json!("run_ended");
            end["at"] = json!(elapsed.secs_f64());
            end["cost"] = json!(spent.to_f64());
            end["run"] = json!(self.id);
            if let Verdict::Succeeded { value, .. } = verdict {
                end["result"] = self.result(value);
            }
            say(format_args!("{end}\n"));
        }
        let Tally { steps, served } = self.tally;
        let served = match served {
            0 => String::new(),
            served => format!(", {served} of {} from the cache", words::count(steps, "step")),
        };
        let sum = format!("in {}, {spent} estimated cloud cost{served}; run {}", words::brief(elapsed), self.id);
        match verdict {
            Verdict::Succeeded { value, marks } => {
                self.note(&format!("succeeded {sum}"));
                for mark in marks {
                    complain(format_args!("note: `{}` was cut short: {}", mark.scope, mark.message));
                }
                if let Some(out) = &self.args.out {
                    let text = format!("{:#}\n", self.result(value));
                    if let Err(error) = replace(out, text.as_bytes()) {
                        complain(format_args!("error: the result can't be written to `{}`: {error}", out.display()));
                        return Exit::Failed;
                    }
                }
                if !self.args.json {
                    say(lines(value, &self.prepared.graph.output, &|artifact| self.path(artifact)));
                }
                Exit::Ok
            }
            Verdict::Failed { step, span, failure } => {
                tell_failure(&self.prepared.files, step, *span, failure);
                self.note(&format!("failed {sum}"));
                if failure.kind.is_limit() { Exit::LimitMissed } else { Exit::Failed }
            }
            Verdict::Cancelled => {
                complain(format_args!("cancelled {sum}"));
                self.note(&format!("help: `smltc run --resume {}` goes on with it", self.id));
                Exit::Interrupted
            }
        }
    }

    fn note(&self, text: &str) {
        if !self.args.quiet && !self.args.json {
            complain(format_args!("{text}"));
        }
    }

    /// The result, with the path of each stored file.
    fn result(&self, value: &Value) -> Json {
        json::result(value, &|artifact| self.path(artifact))
    }

    /// A stored file's path from the folder in which the program was started.
    fn path(&self, artifact: &Artifact) -> PathBuf {
        let path = self.objects.path(artifact);
        let inside = path.strip_prefix(self.prepared.files.project()).unwrap_or(&path);
        self.prepared.file.parent().unwrap_or(Path::new("")).join(inside)
    }
}

/// A result in lines: for people, or for programs that read the output.
pub fn lines(value: &Value, ty: &Type, path: &dyn Fn(&Artifact) -> PathBuf) -> String {
    let for_people = io::stdout().is_terminal();
    let shown = |value: &Value| match value {
        Value::Artifact(artifact) => path(artifact).display().to_string(),
        value if for_people => words::value(value),
        Value::String(text) => text.to_string(),
        Value::List(_) | Value::Map(_) | Value::Record(_) => json::result(value, path).to_string(),
        value => value.to_string(),
    };
    match value {
        Value::Record(fields) => {
            let width = fields.keys().map(|name| name.chars().count()).max().unwrap_or(0);
            fields.iter().map(|(name, value)| format!("{name:width$}  {}\n", shown(value))).collect()
        }
        Value::None if *ty == Type::None => String::new(),
        value => format!("{}\n", shown(value)),
    }
}

/// Tells of the step that made a run fail.
pub fn tell_failure(files: &Files, step: &StepPath, span: Span, failure: &Failure) {
    let error = RunError {
        kind: failure.kind.name(),
        message: &failure.message,
        span,
        step: words::step(step),
        help: failure.help.as_deref(),
    };
    complain(format_args!("{}", error.render(&files.source(span.file), check::style())));
    if !failure.log.is_empty() {
        complain(format_args!("the last lines of its log:"));
        failure.log.iter().for_each(|line| complain(format_args!("    {line}")));
    }
}
