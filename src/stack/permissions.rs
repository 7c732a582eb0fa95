//! The least that the machines and the functions of a workflow must be allowed.

use super::{Definition, PREFIX, Stack};
use serde_json::{Value as Json, json};

/// Something that is allowed.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Its name.
    pub sid: &'static str,
    /// What may be done.
    pub actions: Vec<&'static str>,
    /// To what.
    pub resources: Vec<String>,
    /// Under what condition.
    pub condition: Option<Json>,
}

impl Statement {
    fn new(sid: &'static str, actions: impl Into<Vec<&'static str>>, resources: impl Into<Vec<String>>) -> Self {
        Self { sid, actions: actions.into(), resources: resources.into(), condition: None }
    }

    /// As IAM reads it.
    pub fn to_json(&self) -> Json {
        let mut json =
            json!({ "Sid": self.sid, "Effect": "Allow", "Action": self.actions, "Resource": self.resources });
        if let Some(condition) = &self.condition {
            json["Condition"] = condition.clone();
        }
        json
    }
}

/// Who is allowed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The state machines.
    Machine,
    /// The functions.
    Worker,
}

impl Role {
    /// Both, in the order in which they are made.
    pub const ALL: [Self; 2] = [Self::Worker, Self::Machine];

    /// What a template calls it by.
    pub fn logical(self) -> &'static str {
        match self {
            Self::Machine => "MachineRole",
            Self::Worker => "WorkerRole",
        }
    }

    /// The service that takes the role.
    pub fn service(self) -> &'static str {
        match self {
            Self::Machine => "states.amazonaws.com",
            Self::Worker => "lambda.amazonaws.com",
        }
    }

    /// Who may take it.
    pub fn trust(self) -> Json {
        json!({
            "Version": "2012-10-17",
            "Statement": [{ "Effect": "Allow", "Principal": { "Service": self.service() }, "Action": "sts:AssumeRole" }],
        })
    }

    /// What it is allowed.
    pub fn policy(self, stack: &Stack) -> Json {
        let statements: Vec<Json> = self.statements(stack).iter().map(Statement::to_json).collect();
        json!({ "Version": "2012-10-17", "Statement": statements })
    }

    /// What it is allowed, one by one.
    pub fn statements(self, stack: &Stack) -> Vec<Statement> {
        match self {
            Self::Machine => machine(stack),
            Self::Worker => worker(stack),
        }
    }
}

fn machine(stack: &Stack) -> Vec<Statement> {
    let functions: Vec<String> = stack.functions.iter().map(super::Function::arn).collect();
    let mut statements = Vec::new();
    if !functions.is_empty() {
        statements.push(Statement::new("CallWorkers", ["lambda:InvokeFunction"], functions));
    }
    let is_started = |definition: &&Definition| {
        definition.distributed || stack.machines.iter().any(|other| other.starts.contains(&definition.name))
    };
    let started: Vec<&Definition> = stack.machines.iter().filter(is_started).collect();
    if !started.is_empty() {
        // The items of a distributed map are executions of the map's own machine.
        let machines: Vec<String> = started.iter().map(|definition| definition.arn()).collect();
        let executions: Vec<String> = started.iter().flat_map(|definition| definition.executions()).collect();
        statements.push(Statement::new("StartParts", ["states:StartExecution"], machines));
        statements.push(Statement::new("WatchParts", ["states:DescribeExecution", "states:StopExecution"], executions));
    }
    if stack.machines.iter().any(|definition| !definition.starts.is_empty()) {
        let rule = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/\
                    StepFunctionsGetEventsForStepFunctionsExecutionRule";
        let actions = ["events:DescribeRule", "events:PutRule", "events:PutTargets"];
        statements.push(Statement::new("HearOfParts", actions, [rule.to_owned()]));
    }
    statements
}

fn worker(stack: &Stack) -> Vec<Statement> {
    let bucket = "arn:${AWS::Partition}:s3:::${Bucket}";
    let groups = stack.functions.iter().map(|function| {
        format!(
            "arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:{}:*",
            function.log_group()
        )
    });
    let objects =
        Statement::new("Share", ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], [format!("{bucket}/{PREFIX}/*")]);
    let mut list = Statement::new("List", ["s3:ListBucket"], [bucket.to_owned()]);
    list.condition = Some(json!({ "StringLike": { "s3:prefix": format!("{PREFIX}/*") } }));
    let groups: Vec<String> = groups.collect();
    let log = Statement::new("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], groups);
    let mut statements = vec![objects, list];
    if !stack.functions.is_empty() {
        statements.push(log);
    }
    statements
}
