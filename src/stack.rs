//! What a workflow needs in the cloud beside the files that `asl` makes: functions, machines, a bucket, and the permissions
//! of all of them. A template for CloudFormation says it one way, and a deployment makes it itself.
//!
//! Texts here name what is known only where it is made as CloudFormation does: `${AWS::Region}`, `${AWS::Partition}`,
//! `${AWS::AccountId}`, `${AWS::StackName}` and `${Bucket}`.

mod container;
mod permissions;
mod template;
mod yaml;

pub use container::containerfile;
pub use permissions::{Role, Statement};
pub use template::template;

use crate::{
    asl::{Compiled, MAX_DEFINITION, machine::Machine},
    source::Name,
    step::{Entry, Work},
};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// The seconds that a call of a function may take, the most that there is.
pub const TIMEOUT: u32 = 900;
/// The MiB of a function's own disk.
pub const DISK: u32 = 2048;
/// The days for which logs, and what runs leave, are kept.
pub const DAYS: u32 = 30;
/// The days after which nobody comes back for what a worker has left for others.
pub const LEFT: u32 = 2;
/// The folder of a bucket that is the workers'.
pub const PREFIX: &str = "smlt";

/// All that a workflow needs.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The workflow.
    pub workflow: Name,
    /// The functions, by their memory.
    pub functions: Vec<Function>,
    /// The state machines, the one that is started first.
    pub machines: Vec<Definition>,
    /// The book of the workers.
    pub book: String,
    /// Whether a training is among the steps.
    pub trains: bool,
}

/// A function of workers.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its memory, in MiB.
    pub memory: u64,
    /// Whether it runs commands, and so needs the programs that these name.
    pub commands: bool,
}

/// A state machine as it is written.
#[derive(Clone, Debug)]
pub struct Definition {
    /// What the others call it by: `Machine`, `Machine2`, …
    pub name: String,
    /// The name of its file.
    pub file: String,
    /// The States Language, with the names of functions and other machines to be filled in.
    pub text: String,
    /// Whether it has a map that runs as executions of their own.
    pub distributed: bool,
    /// The machines that it starts.
    pub starts: Vec<String>,
}

impl Stack {
    /// What a compiled workflow needs.
    pub fn new(workflow: Name, compiled: &Compiled) -> Self {
        let mut seen = Seen::default();
        let machines = compiled.machines.iter().zip(1..).map(|(machine, number)| {
            let suffix = |gap: &str| if number == 1 { String::new() } else { format!("{gap}{number}") };
            let own = Seen::of(machine);
            seen.calls.extend(own.calls);
            Definition {
                name: format!("Machine{}", suffix("")),
                file: format!("{workflow}{}.asl.json", suffix("-")),
                // On many lines if it is not too large then.
                text: Some(machine.to_json(true))
                    .filter(|text| text.len() < MAX_DEFINITION)
                    .unwrap_or_else(|| machine.to_json(false))
                    + "\n",
                distributed: own.distributed,
                starts: own.starts.into_iter().collect(),
            }
        });
        let machines: Vec<Definition> = machines.collect();
        let is_run = |entry: &usize| matches!(compiled.book.entries.get(*entry), Some(Entry::Step(step)) if matches!(step.work, Work::Run(_)));
        let running: BTreeSet<&str> =
            seen.calls.iter().filter(|(_, entry)| is_run(entry)).map(|(function, _)| &**function).collect();
        let functions = compiled.memory.iter().map(|memory| {
            let mut function = Function { memory: *memory, commands: false };
            function.commands = running.contains(&*function.placeholder());
            function
        });
        let trains = compiled.book.entries.iter();
        let trains =
            trains.into_iter().any(|entry| matches!(entry, Entry::Step(step) if matches!(step.work, Work::Train(_))));
        let book = serde_json::to_string(&compiled.book).unwrap_or_default() + "\n";
        Self { functions: functions.collect(), machines, book, trains, workflow }
    }

    /// Whether any of its functions runs commands.
    pub fn has_commands(&self) -> bool {
        self.functions.iter().any(|function| function.commands)
    }

    /// What is known of a function's surroundings by its environment.
    pub fn environment() -> Json {
        json!({ "SMLT_SHARED": format!("s3://${{Bucket}}/{PREFIX}") })
    }
}

impl Function {
    /// What the machines call it by: `Worker1024`.
    pub fn logical(&self) -> String {
        format!("Worker{}", self.memory)
    }

    /// What stands for it in a definition.
    fn placeholder(&self) -> String {
        format!("${{{}}}", self.logical())
    }

    /// Its name.
    pub fn name(&self) -> String {
        format!("${{AWS::StackName}}-{}", self.memory)
    }

    /// The group of its logs.
    pub fn log_group(&self) -> String {
        format!("/aws/lambda/{}", self.name())
    }

    /// Its name in the whole world.
    pub fn arn(&self) -> String {
        format!("arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:{}", self.name())
    }
}

impl Definition {
    /// Its name.
    pub fn resource_name(&self) -> String {
        match self.name.trim_start_matches("Machine") {
            "" => "${AWS::StackName}".into(),
            number => format!("${{AWS::StackName}}-part-{number}"),
        }
    }

    /// Its name in the whole world.
    pub fn arn(&self) -> String {
        format!(
            "arn:${{AWS::Partition}}:states:${{AWS::Region}}:${{AWS::AccountId}}:stateMachine:{}",
            self.resource_name()
        )
    }

    /// The executions of it, and of the maps in it.
    fn executions(&self) -> [String; 2] {
        [":", "/"].map(|next| {
            let arn = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:";
            format!("{arn}{}{next}*", self.resource_name())
        })
    }
}

/// What a definition speaks of.
#[derive(Default)]
struct Seen {
    /// Functions, and the entries of the book that they are called for.
    calls: Vec<(String, usize)>,
    distributed: bool,
    starts: BTreeSet<String>,
}

impl Seen {
    fn of(machine: &Machine) -> Self {
        let mut seen = Self::default();
        // All keys are texts, and all numbers finite.
        seen.look(&serde_json::to_value(machine).unwrap_or_default());
        seen
    }

    fn look(&mut self, json: &Json) {
        match json {
            Json::Array(items) => items.iter().for_each(|item| self.look(item)),
            Json::Object(fields) => {
                if let (Some(function), Some(entry)) =
                    (fields.get("FunctionName").and_then(Json::as_str), json["Payload"]["entry"].as_u64())
                {
                    self.calls.push((function.to_owned(), entry as usize));
                }
                if let Some(machine) = fields.get("StateMachineArn").and_then(Json::as_str) {
                    self.starts.insert(machine.trim_start_matches("${").trim_end_matches('}').to_owned());
                }
                self.distributed |= fields.get("Mode").is_some_and(|mode| mode == "DISTRIBUTED");
                fields.values().for_each(|field| self.look(field));
            }
            _ => {}
        }
    }
}
