//! From a step's settings, once its inputs are known, to the job that a worker does.

use super::{Evaluate, Horizon, Run, Script, Train};
use crate::{
    elastic::{self, ElasticError, Syncing},
    expr::{Context, Env, EvalError, Expr, Scope, Var, eval},
    seed::Seed,
    source::Name,
    value::{Artifact, Call, Dataset, Fields, Model, Value},
    wire::{self, Averaging, Command, Failure, Kind, Op, Program, Staged, Word},
};
use std::collections::BTreeMap;

/// What an expression of a step comes to.
///
/// # Errors
/// When it has no value, as the failure that the step ends with.
pub fn value(expr: &Expr, env: &dyn Env) -> Result<Value, Failure> {
    eval(expr, env).map_err(|error| {
        let failure = Failure::new(Kind::TaskFailed, error.to_string());
        match error {
            EvalError::OutOfRange(_) => failure,
            EvalError::DivisionByZero(_) => failure.help("guard it: `if n == 0 then 0 else total / n`"),
            // Every variable is known by now, and so is all of the run but one thing.
            EvalError::Unknown => Failure {
                message: "`remaining()` has no deadline around it".into(),
                ..failure.help("set one: `@deadline(1h)` above the workflow or the step's scope")
            },
            EvalError::Unchecked(_) => failure.help("this is a fault of smltc; please report it"),
            EvalError::Overflow(_) | EvalError::TooLong(_) | EvalError::TooLarge => {
                failure.help("compute with smaller numbers or lists")
            }
        }
    })
}

/// The data that an expression names.
///
/// # Errors
/// When it has no value, or another.
pub fn dataset(expr: &Expr, env: &dyn Env) -> Result<Dataset, Failure> {
    match value(expr, env)? {
        Value::Dataset(dataset) => Ok(*dataset),
        _ => Err(unchecked("a dataset")),
    }
}

/// A number of a setting that must be at least `least`.
///
/// # Errors
/// When it is less, or has no value.
pub fn count(name: &'static str, expr: &Expr, env: &dyn Env, least: i64) -> Result<u64, Failure> {
    let given = value(expr, env)?.as_int().ok_or_else(|| unchecked("a whole number"))?;
    let count = u64::try_from(given).ok().filter(|_| given >= least);
    count.ok_or_else(|| ElasticError::Least { name, least, given }.into())
}

impl From<ElasticError> for Failure {
    fn from(error: ElasticError) -> Self {
        let failure = Self::new(Kind::TaskFailed, error.to_string());
        match (&error, error.help()) {
            (ElasticError::Least { .. }, _) => {
                failure.help("where the number is a parameter, `@range` refuses others before the run")
            }
            (_, Some(help)) => failure.help(help),
            (_, None) => failure,
        }
    }
}

/// The seed that is asked for, or else `otherwise`.
///
/// # Errors
/// When the expression has no value.
pub fn seed(expr: &Option<Expr>, env: &dyn Env, otherwise: Seed) -> Result<Seed, Failure> {
    match expr {
        None => Ok(otherwise),
        Some(expr) => {
            let seed = value(expr, env)?.as_int().ok_or_else(|| unchecked("a whole number"))?;
            Ok(Seed::new(seed as u64))
        }
    }
}

/// A training; `workers` is how many the user wants in the place of what the workflow says.
///
/// # Errors
/// When a setting has no value, or they don't go together.
pub fn train(train: &Train, env: &dyn Env, seed: Seed, workers: Option<u32>) -> Result<wire::Train, Failure> {
    let optional = |expr: &Option<Expr>| expr.as_ref().map(|expr| value(expr, env)).transpose();
    let std = |expr: &Option<Expr>| optional(expr)?.map(call).transpose();
    let known = |var: Var| env.var(var).cloned();
    let mut optimizer = std(&train.optimizer)?.unwrap_or_else(adam);
    if let Some(lr) = optional(&train.lr)? {
        optimizer.args.insert("lr".into(), lr);
    }
    let metrics = match optional(&train.metrics)? {
        Some(Value::List(metrics)) => metrics.into_iter().map(call).collect::<Result<_, _>>()?,
        _ => Vec::new(),
    };
    let batch = optional(&train.batch)?.map_or(Ok(Staged::fixed(elastic::BATCH)), |batch| elastic::batch(&batch))?;
    let (team, shards, averaging) = team(&train.team, &batch, env, workers)?;
    Ok(wire::Train {
        model: model(&train.model, env)?,
        data: dataset(&train.data, env)?,
        valid: train.valid.as_ref().map(|valid| dataset(valid, env)).transpose()?,
        optimizer,
        loss: std(&train.loss)?,
        schedule: std(&train.schedule)?,
        batch,
        shards,
        averaging,
        horizon: match &train.horizon {
            Horizon::Epochs(None) => wire::Horizon::Epochs(10),
            Horizon::Epochs(Some(epochs)) => wire::Horizon::Epochs(count("epochs", epochs, env, 1)?),
            Horizon::Steps(steps) => wire::Horizon::Steps(count("steps", steps, env, 1)?),
        },
        until: train.until.as_ref().map(|until| until.close(&known)),
        metrics,
        objective: train.objective.as_ref().map(|(objective, larger)| (objective.close(&known), *larger)),
        init: artifact(optional(&train.init)?)?,
        seed,
        rung: None,
        team,
    })
}

/// Who trains, the shards that were asked for, and what the workers give each other.
fn team(
    team: &super::Team,
    batch: &Staged<u64>,
    env: &dyn Env,
    workers: Option<u32>,
) -> Result<(wire::Team, Option<u64>, Averaging), Failure> {
    let super::Team { workers: own, shards, sync, checkpoint, replan, first: _ } = team;
    let own = read(own, env, elastic::workers)?.unwrap_or_else(|| wire::Team::default().workers);
    let asked = read(shards, env, elastic::shards)?;
    let Syncing { exchange, averaging, backups } = read(sync, env, elastic::sync)?.unwrap_or_default();
    let (checkpoint, replan) = (read(checkpoint, env, elastic::every)?, read(replan, env, elastic::every)?);
    let team = wire::Team { workers: own, exchange, backups, checkpoint, replan, adapt: None };
    let team = match workers {
        Some(workers) => team.with_workers(workers),
        None => team,
    };
    let shards = wire::shards(batch, asked);
    elastic::check_batch(batch, shards)?;
    elastic::check_workers(&team.workers, shards)?;
    elastic::check_backups(team.backups, &team.workers, shards)?;
    Ok((team, asked, averaging))
}

/// A setting of a team, if it is there.
fn read<T>(
    setting: &Option<Expr>,
    env: &dyn Env,
    read: impl Fn(&Value) -> Result<T, ElasticError>,
) -> Result<Option<T>, Failure> {
    setting.as_ref().map(|setting| Ok(read(&value(setting, env)?)?)).transpose()
}

/// A judgement.
///
/// # Errors
/// When a setting has no value.
pub fn evaluate(evaluate: &Evaluate, env: &dyn Env) -> Result<Op, Failure> {
    let Value::List(metrics) = value(&evaluate.metrics, env)? else { return Err(unchecked("a list of metrics")) };
    Ok(Op::Evaluate(Box::new(wire::Evaluate {
        model: model(&evaluate.model, env)?,
        data: dataset(&evaluate.data, env)?,
        metrics: metrics.into_iter().map(call).collect::<Result<_, _>>()?,
    })))
}

/// A command.
///
/// # Errors
/// When an argument has no value.
pub fn command(run: &Run, env: &dyn Env) -> Result<Op, Failure> {
    let (mut inputs, mut secrets) = (Fields::new(), BTreeMap::new());
    let mut params = Scope::default();
    for ((name, var), expr) in run.task.params.iter().zip(&run.args) {
        let value = value(expr, env)?;
        if run.task.secrets.contains(name) {
            secrets.insert(name.to_string(), text(&value));
            continue;
        }
        params.set(*var, value.clone());
        inputs.insert(name.clone(), value);
    }
    for name in &run.task.secrets {
        secrets.entry(name.to_string()).or_insert_with(|| name.to_string());
    }
    let env = Inside { own: params, around: env };
    let program = match &run.task.script {
        Script::Args(args) => match value(args, &env)? {
            Value::List(args) => Program::Args(args.iter().map(word).collect()),
            _ => return Err(unchecked("a list of texts")),
        },
        Script::Shell(script) => Program::Shell(text(&value(script, &env)?)),
    };
    let variable = |(name, expr): &(Name, Expr)| Ok((name.to_string(), text(&value(expr, &env)?)));
    Ok(Op::Command(Box::new(Command {
        program,
        inputs,
        output: run.task.output.clone(),
        secrets,
        env: run.task.env.iter().map(variable).collect::<Result<_, Failure>>()?,
    })))
}

/// Variables with what is around them: a task's parameters inside the workflow that runs it, or values computed together.
pub(super) struct Inside<'a> {
    pub own: Scope,
    pub around: &'a dyn Env,
}

impl Env for Inside<'_> {
    fn var(&self, var: Var) -> Option<&Value> {
        self.own.var(var).or_else(|| self.around.var(var))
    }

    fn context(&self, context: Context) -> Option<Value> {
        self.around.context(context)
    }
}

fn model(expr: &Expr, env: &dyn Env) -> Result<Model, Failure> {
    match value(expr, env)? {
        Value::Model(model) => Ok(*model),
        _ => Err(unchecked("a model")),
    }
}

pub(super) fn call(value: Value) -> Result<Call, Failure> {
    match value {
        Value::Std(call) => Ok(call),
        _ => Err(unchecked("something of `std`")),
    }
}

fn artifact(value: Option<Value>) -> Result<Option<Artifact>, Failure> {
    match value {
        None | Some(Value::None) => Ok(None),
        Some(Value::Artifact(artifact)) => Ok(Some(*artifact)),
        Some(_) => Err(unchecked("a stored file")),
    }
}

fn word(value: &Value) -> Word {
    match value {
        Value::Artifact(artifact) => Word::File((**artifact).clone()),
        value => Word::Text(text(value)),
    }
}

/// A text as it is, another value as it is written.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        value => value.to_string(),
    }
}

/// The optimizer of those who name none, with the defaults of `std/optim`.
fn adam() -> Call {
    let args = [("lr", 1e-3), ("beta1", 0.9), ("beta2", 0.999), ("eps", 1e-8), ("weight_decay", 0.0)];
    Call::new("adam", args.map(|(name, value)| (name.into(), Value::Float(value))).into())
}

fn unchecked(what: &str) -> Failure {
    Failure::new(Kind::TaskFailed, format!("what should be {what} is something else"))
        .help("this is a fault of smltc; please report it")
}
