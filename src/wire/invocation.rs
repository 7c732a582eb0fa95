//! What a state machine sends to a worker, and what it hears.

use super::{Carried, Errand, Failure, Fence, Kind, Placement, Relay, Returned, Round, Standing, Trained};
use crate::expr::Var;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// The call of a worker for an entry of the workflow's book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// The entry's place in the book.
    pub entry: usize,
    /// The path of the step, or of the region whose values are computed, such as `main/best[7]/net`.
    pub path: String,
    /// What the entry reads, by the variables' keys.
    #[serde(default)]
    pub vars: BTreeMap<String, Carried>,
    /// The run.
    pub run: RunFacts,
    /// The scopes around it that have limits, the outermost first.
    #[serde(default)]
    pub fences: Vec<Fence>,
    /// When the step that it is a part of began, as RFC 3339 has it.
    #[serde(default)]
    pub began: Option<String>,
    /// How many attempts there were before.
    #[serde(default)]
    pub tries: u32,
    /// The workflow's arguments as the user gave them, for the entry that reads them.
    #[serde(default)]
    pub args: BTreeMap<String, Json>,
    /// What a `catch` caught, for the entry that tells of it.
    #[serde(default)]
    pub caught: Option<Caught>,
    /// The trial of a search that a training is.
    #[serde(default)]
    pub errand: Option<Errand>,
    /// What came of a search's last trials, for the entry that looks for the next.
    #[serde(default)]
    pub returned: Vec<Returned>,
    /// What came of the last round of a training, for the call that plans the next.
    #[serde(default)]
    pub relay: Option<Relay>,
    /// The place in a round that a worker is to take.
    #[serde(default)]
    pub place: Option<Placement>,
}

/// What all steps of a run know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Its name.
    pub id: String,
    /// When it began, as RFC 3339 has it.
    pub started: String,
    /// Its seed, as text: it may be larger than what a state machine can count.
    pub seed: String,
    /// The bytes that a value may have in an answer: what is larger is stored.
    #[serde(default = "RunFacts::inline")]
    pub inline: usize,
}

impl RunFacts {
    /// The bytes that a value may have, where a state carries a few of them.
    pub const fn inline() -> usize {
        8 << 10
    }
}

/// A failure as a state machine hands it on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Caught {
    /// Its name: that of the language's kind, or one of the cloud's own.
    pub error: String,
    /// What the worker, or the cloud, says of it.
    #[serde(default)]
    pub cause: String,
}

/// What a worker says of a failure, as the text of its error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The path of the step that failed.
    pub step: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The last lines of the step's log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// The mark of the scope whose limit was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

/// The letters that the cloud takes of what is said of a failure; what is more breaks off.
const LONGEST: usize = 32_000;

impl Cause {
    /// As much of it as the cloud takes: of the log and of the message the ends tell more.
    #[must_use]
    pub fn fitted(mut self) -> Self {
        // It is a text in Lambda's own words, and these are one for the state machine.
        let length = |cause: &Self| json!(json!(cause).to_string()).to_string().len();
        while length(&self) > LONGEST && !self.log.is_empty() {
            self.log.drain(..self.log.len().div_ceil(2));
        }
        while length(&self) > LONGEST {
            let letters = self.message.chars().count();
            if letters < 100 {
                self.help = None;
                break;
            }
            self.message = format!("… {}", self.message.chars().skip(letters / 4 + 2).collect::<String>());
        }
        self
    }
}

/// Lambda's own words around it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LambdaError {
    error_message: String,
}

/// The cloud's names of failures that are no worker's words, each with the language's kind.
pub const CLOUD_ERRORS: [(&str, Kind); 10] = [
    ("States.Timeout", Kind::Timeout),
    ("Runtime.OutOfMemory", Kind::OutOfMemory),
    ("Lambda.TooManyRequestsException", Kind::Throttled),
    ("Sandbox.Timedout", Kind::WorkerLost),
    ("Runtime.ExitError", Kind::WorkerLost),
    ("Lambda.Unknown", Kind::WorkerLost),
    ("Lambda.ServiceException", Kind::WorkerLost),
    ("Lambda.AWSLambdaException", Kind::WorkerLost),
    ("Lambda.SdkClientException", Kind::WorkerLost),
    ("States.HeartbeatTimeout", Kind::WorkerLost),
];

impl Caught {
    /// The step that failed, and why; what is not a worker's words failed in the region or step at `path`.
    pub fn read(&self, path: &str) -> (String, Failure) {
        let known = |(name, kind): &(&str, Kind)| (*name == self.error).then_some(*kind);
        let kind = self.error.parse().ok().or_else(|| CLOUD_ERRORS.iter().find_map(known)).unwrap_or(Kind::TaskFailed);
        match self.cause() {
            Ok(Cause { step, message, help, log, limit: _ }) => (step, Failure { kind, message, help, log }),
            Err(said) => (path.to_owned(), Failure::new(kind, format!("{}: {said}", self.error))),
        }
    }

    /// The mark of the scope whose limit was reached.
    pub fn limit(&self) -> Option<String> {
        self.cause().ok()?.limit
    }

    /// A worker's words, or else the cloud's.
    fn cause(&self) -> Result<Cause, String> {
        let lambda: Option<LambdaError> = serde_json::from_str(&self.cause).ok();
        let said = lambda.map_or_else(|| self.cause.clone(), |lambda| lambda.error_message);
        serde_json::from_str(&said).map_err(|_| said)
    }
}

/// What an entry came to: the values of its variables, by their keys. One that only continues has none yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it is to be called again: it has left a checkpoint and had no more time, or others have to do their part.
    pub more: bool,
    /// The values.
    pub vars: BTreeMap<String, Option<Carried>>,
    /// What a training leaves for the search that drives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained: Option<Trained>,
    /// What a round of a training came to, as one of its workers tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<Round>,
    /// The trials that a search wants done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errands: Vec<Errand>,
    /// Where a training stands, and who is to train in its next round.
    #[serde(default)]
    pub standing: Option<Standing>,
    /// The places in that round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Placement>,
}

/// The name that a variable has in what is sent.
pub fn key(var: Var) -> String {
    format!("v{}", var.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_failure_keeps_its_end_where_it_is_too_long() {
        let line = |number: usize| format!("{number}: \"{}\"", "x".repeat(90));
        let cause = Cause {
            step: "main/step".into(),
            message: format!("{}at the end", "é\n".repeat(20_000)),
            help: Some("mend it".into()),
            limit: None,
            log: (0..900).map(line).collect(),
        };
        let fitted = cause.fitted();
        assert!(json!(json!(fitted).to_string()).to_string().len() <= LONGEST);
        assert!(fitted.message.starts_with("… ") && fitted.message.ends_with("at the end"), "{}", fitted.message);
        assert_eq!((fitted.log.len(), fitted.help.as_deref()), (0, Some("mend it")));
        let short = Cause { message: "so".into(), log: (0..900).map(line).collect(), ..fitted };
        let log = short.fitted().log;
        assert!(log.len() > 100 && log.last() == Some(&line(899)), "{}", log.len());
    }
}
