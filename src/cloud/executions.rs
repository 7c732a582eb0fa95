//! Runs in the cloud: executions of state machines.

use super::{Cloud, CloudError, machine};
use crate::{
    schedule::{StepPath, Verdict},
    source::{FileId, Span},
    stack::PREFIX,
    value::Value,
    wire::{Carried, Caught, Charge, Failure, Kind, Stored},
};
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent, StateMachineListItem};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// The runs of one workflow, or of all, that are listed at most.
const MOST: usize = 1000;
/// How much later than it was written a line may be stamped, in milliseconds.
const LATE: i64 = 60_000;
/// The events that are asked for at a time.
const PAGE: i32 = 200;

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name.
    pub id: String,
    /// The name of its state machine.
    pub machine: String,
    /// When it began, in milliseconds since 1970.
    pub started: i64,
    /// When it ended.
    pub stopped: Option<i64>,
    /// How it stands, in a word.
    pub status: &'static str,
    /// How it stands.
    pub standing: Standing,
    arn: String,
}

/// How a run stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It goes on.
    Running,
    /// It is over; when it is only listed, it is not told what it came to.
    Over(Option<Box<Verdict>>),
}

impl Run {
    /// The time that it took, or has taken until now, in milliseconds.
    pub fn elapsed(&self) -> i64 {
        self.stopped.unwrap_or_else(|| jiff::Timestamp::now().as_millisecond()).saturating_sub(self.started).max(0)
    }
}

/// The runs in an account.
pub struct Executions<'c>(pub &'c Cloud);

impl Executions<'_> {
    /// Starts a run of a deployed workflow.
    ///
    /// # Errors
    /// When it is not deployed, or can't be started.
    pub fn start(&self, workflow: &str, id: &str, input: &Json) -> Result<Run, CloudError> {
        let cloud = self.0;
        let name = cloud.names(workflow).stack;
        let alias = format!("{}:{}", machine::arn(cloud, &name), machine::LIVE);
        let start = cloud.states.start_execution().state_machine_arn(alias).name(id).input(input.to_string());
        let started = cloud.ask("states:StartExecution", start.send()).map_err(|error| {
            let missing = ["StateMachineDoesNotExist", "ResourceNotFound"].iter().any(|code| error.is(code));
            if missing { CloudError::NotDeployed(workflow.to_owned(), cloud.place()) } else { error }
        })?;
        self.describe(started.execution_arn())
    }

    /// A run as it is now.
    ///
    /// # Errors
    /// When the cloud does not tell.
    pub fn look(&self, run: &Run) -> Result<Run, CloudError> {
        self.describe(&run.arn)
    }

    fn describe(&self, arn: &str) -> Result<Run, CloudError> {
        let asked = self.0.states.describe_execution().execution_arn(arn).send();
        let said = self.0.ask("states:DescribeExecution", asked)?;
        let machine = last(said.state_machine_arn()).to_owned();
        let failed = |error: Option<&str>, cause: Option<&str>| {
            let caught =
                Caught { error: error.unwrap_or_default().to_owned(), cause: cause.unwrap_or_default().to_owned() };
            let (step, failure) = caught.read(machine.trim_start_matches("smlt-"));
            verdict(&step, failure)
        };
        let standing = match said.status() {
            ExecutionStatus::Succeeded => {
                let value = self.value(&machine, said.output().unwrap_or("null"))?;
                Standing::Over(Some(Box::new(Verdict::Succeeded { value, marks: Vec::new() })))
            }
            ExecutionStatus::Failed => Standing::Over(Some(Box::new(failed(said.error(), said.cause())))),
            // The only time limit that a machine has is the workflow's deadline.
            ExecutionStatus::TimedOut => {
                let failure = Failure::new(Kind::DeadlineExceeded, "the deadline of the workflow has passed");
                Standing::Over(Some(Box::new(verdict("", failure))))
            }
            ExecutionStatus::Aborted => Standing::Over(Some(Box::new(Verdict::Cancelled))),
            _ => Standing::Running,
        };
        Ok(Run {
            id: last(arn).to_owned(),
            machine,
            started: millis(Some(said.start_date())),
            stopped: said.stop_date().map(|stop| millis(Some(stop))),
            status: word(said.status()),
            standing,
            arn: arn.to_owned(),
        })
    }

    /// The result of a run as its machine carries it; what is large of it lies in the bucket.
    fn value(&self, machine: &str, output: &str) -> Result<Value, CloudError> {
        let unreadable = |message: String| CloudError::Refused {
            action: "states:DescribeExecution".into(),
            code: "the result".into(),
            message,
        };
        let carried: Carried = serde_json::from_str(output).map_err(|error| unreadable(error.to_string()))?;
        let bucket = self.0.bucket_of(machine);
        let mut recall = |stored: &Stored| {
            let failure = |reason: String| Failure::new(Kind::TaskFailed, format!("a stored value: {reason}"));
            let objects = self.0.objects(&bucket).map_err(|error| failure(error.to_string()))?;
            let hash = stored.hash.to_string();
            let key = format!("{PREFIX}/objects/{}/{}", &hash[..2], &hash[2..]);
            let bytes = objects.get(&key).map_err(|error| failure(error.to_string()))?;
            let bytes = bytes.ok_or_else(|| failure("it is gone".into()))?;
            serde_json::from_slice(&bytes).map(Arc::new).map_err(|error| failure(error.to_string()))
        };
        carried.value(&mut recall).map_err(|failure| unreadable(failure.message))
    }

    /// What the calls of a run have cost so far, as each has left it in the bucket.
    ///
    /// # Errors
    /// When the cloud does not tell.
    pub fn charges(&self, run: &Run) -> Result<Vec<Charge>, CloudError> {
        let folder = format!("{PREFIX}/runs/{}/ledger/", run.id);
        let listed = self.0.objects(&self.0.bucket_of(&run.machine))?.list(folder.trim_end_matches('/'))?;
        Ok(listed.iter().filter_map(|entry| Charge::read(entry.key.strip_prefix(&folder)?)).collect())
    }

    /// The state machines of deployed workflows.
    fn machines(&self) -> Result<Vec<StateMachineListItem>, CloudError> {
        let (mut machines, mut token) = (Vec::new(), None);
        loop {
            let asked = self.0.states.list_state_machines().set_next_token(token).send();
            let said = self.0.ask("states:ListStateMachines", asked)?;
            let own = said
                .state_machines
                .into_iter()
                .filter(|machine| machine.name().starts_with("smlt-") && !machine.name().contains("-part-"));
            machines.extend(own);
            token = said.next_token;
            if token.is_none() {
                return Ok(machines);
            }
        }
    }

    /// A run of a workflow that is under way.
    ///
    /// # Errors
    /// When the cloud does not tell.
    pub fn under_way(&self, machine: &str) -> Result<Option<String>, CloudError> {
        let arn = machine::arn(self.0, machine);
        let asked = self.0.states.list_executions().state_machine_arn(arn).status_filter(ExecutionStatus::Running);
        match self.0.ask("states:ListExecutions", asked.max_results(1).send()) {
            Err(error) if error.is("StateMachineDoesNotExist") => Ok(None),
            said => Ok(said?.executions().first().map(|execution| execution.name().to_owned())),
        }
    }

    /// All runs, the latest first.
    ///
    /// # Errors
    /// When the cloud does not tell.
    pub fn list(&self) -> Result<Vec<Run>, CloudError> {
        let mut runs = Vec::new();
        for machine in self.machines()? {
            let mut token = None;
            loop {
                let asked = self.0.states.list_executions().state_machine_arn(machine.state_machine_arn());
                let said = self.0.ask("states:ListExecutions", asked.set_next_token(token).send())?;
                runs.extend(said.executions().iter().map(|execution| Run {
                    id: execution.name().to_owned(),
                    machine: machine.name().to_owned(),
                    started: millis(Some(execution.start_date())),
                    stopped: execution.stop_date().map(|stop| millis(Some(stop))),
                    status: word(execution.status()),
                    standing: match execution.status() {
                        ExecutionStatus::Running | ExecutionStatus::PendingRedrive => Standing::Running,
                        _ => Standing::Over(None),
                    },
                    arn: execution.execution_arn().to_owned(),
                }));
                token = said.next_token;
                if token.is_none() || runs.len() >= MOST {
                    break;
                }
            }
        }
        runs.sort_by_key(|run| std::cmp::Reverse(run.started));
        Ok(runs)
    }

    /// The run that a word stands for: how its name starts, or `last`, or `last~1`; the last without one.
    ///
    /// # Errors
    /// When there is none, or several are meant.
    pub fn find(&self, word: Option<&str>) -> Result<Run, CloudError> {
        let runs = self.list()?;
        let word = word.unwrap_or("last");
        let nth = match word.strip_prefix("last") {
            Some("") => Some(0),
            Some(back) => back.strip_prefix('~').and_then(|back| back.parse::<usize>().ok()),
            None => None,
        };
        let missing = || CloudError::NoRun(word.to_owned(), self.0.place());
        let found = match nth {
            Some(nth) => runs.get(nth).ok_or_else(missing)?,
            None => match &*runs.iter().filter(|run| run.id.starts_with(word)).collect::<Vec<_>>() {
                [] => return Err(missing()),
                [only] => *only,
                several => match several.iter().find(|run| run.id == word) {
                    Some(exact) => exact,
                    None => {
                        let names = several.iter().take(5).map(|run| format!("`{}`", run.id)).collect::<Vec<_>>();
                        return Err(CloudError::SeveralRuns(word.to_owned(), names.join(", ")));
                    }
                },
            },
        };
        self.describe(&found.arn)
    }

    /// Stops a run.
    ///
    /// # Errors
    /// When the cloud does not.
    pub fn cancel(&self, run: &Run) -> Result<(), CloudError> {
        let stop = self.0.states.stop_execution().execution_arn(&run.arn).error("Cancelled").cause("it was cancelled");
        self.0.ask("states:StopExecution", stop.send()).map(drop)
    }

    /// The definition that a run goes by.
    ///
    /// # Errors
    /// When the cloud does not tell.
    pub fn definition(&self, run: &Run) -> Result<Json, CloudError> {
        let asked = self.0.states.describe_state_machine_for_execution().execution_arn(&run.arn).send();
        let said = self.0.ask("states:DescribeStateMachineForExecution", asked)?;
        Ok(serde_json::from_str(said.definition()).unwrap_or_default())
    }

    /// What has happened in a run after event `last`, in order.
    ///
    /// # Errors
    /// When the cloud does not tell.
    pub fn events(&self, run: &Run, last: i64) -> Result<Vec<HistoryEvent>, CloudError> {
        let (mut events, mut token) = (Vec::new(), None);
        loop {
            let asked =
                self.0.states.get_execution_history().execution_arn(&run.arn).reverse_order(true).max_results(PAGE);
            let said = self.0.ask("states:GetExecutionHistory", asked.set_next_token(token).send())?;
            let before = events.len();
            let page = said.events;
            let all = page.len();
            events.extend(page.into_iter().filter(|event| event.id() > last));
            token = said.next_token;
            if token.is_none() || events.len() - before < all {
                events.sort_by_key(HistoryEvent::id);
                return Ok(events);
            }
        }
    }

    /// What the workers of a run have written, in order.
    ///
    /// # Errors
    /// When the cloud does not tell.
    pub fn logs(&self, run: &Run) -> Result<Vec<Json>, CloudError> {
        let cloud = self.0;
        let prefix = format!("/aws/lambda/{}-", run.machine);
        let groups = cloud.logs("DescribeLogGroups", &json!({ "logGroupNamePrefix": prefix }))?;
        let mut lines = Vec::new();
        for group in groups["logGroups"].as_array().into_iter().flatten() {
            let mut ask = json!({
                "logGroupName": group["logGroupName"],
                "startTime": run.started,
                "endTime": run.stopped.unwrap_or(i64::MAX).saturating_add(LATE),
                "filterPattern": format!("\"{}\"", run.id),
            });
            loop {
                let said = cloud.logs("FilterLogEvents", &ask)?;
                for event in said["events"].as_array().into_iter().flatten() {
                    let line: Option<Json> = serde_json::from_str(event["message"].as_str().unwrap_or_default()).ok();
                    lines.extend(
                        line.filter(|line| line["run"] == *run.id).map(|line| (event["timestamp"].as_i64(), line)),
                    );
                }
                if said["nextToken"].is_null() {
                    break;
                }
                ask["nextToken"] = said["nextToken"].clone();
            }
        }
        lines.sort_by_key(|(time, _)| *time);
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }
}

fn word(status: &ExecutionStatus) -> &'static str {
    match status {
        ExecutionStatus::Succeeded => "succeeded",
        ExecutionStatus::Failed => "failed",
        ExecutionStatus::TimedOut => "timed out",
        ExecutionStatus::Aborted => "cancelled",
        _ => "running",
    }
}

fn verdict(step: &str, failure: Failure) -> Verdict {
    Verdict::Failed { step: StepPath(step.into()), span: Span::new(FileId(0), 0, 0), failure }
}

/// The last part of a name in the whole world, without the alias or version of a state machine.
fn last(arn: &str) -> &str {
    arn.split(':').nth(if arn.contains(":execution:") { 7 } else { 6 }).unwrap_or(arn)
}

/// A moment in milliseconds since 1970.
pub(super) fn millis(time: Option<&aws_sdk_sfn::primitives::DateTime>) -> i64 {
    time.and_then(|time| time.to_millis().ok()).unwrap_or(0)
}
