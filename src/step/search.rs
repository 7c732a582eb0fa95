//! A search: its settings, and what came of its trials so far. What it tries next is up to its strategy.

use super::{Horizon, Train, count, operation::call, value};
use crate::{
    expr::{Env, Expr, Scope, Var},
    search::{self, Distribution, SearchError, Space, Task, has_rungs},
    seed::Seed,
    source::Name,
    value::{Fields, Value},
    wire::{Carried, Done, Errand, Failure, Kind, Rung, key},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The trials that are under way at the same time when nothing is said.
const PARALLEL: u64 = 4;

/// A search's settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Search<B> {
    /// The dimensions.
    pub space: Vec<Dimension>,
    /// How to choose.
    pub strategy: Expr,
    /// The trials that may be under way at the same time; 4 when absent.
    pub parallel: Option<Expr>,
    /// The seed; derived from the run's and the node's path when absent.
    pub seed: Option<Expr>,
    /// What one trial does; it may read the dimensions' variables.
    pub trial: Trial<B>,
}

/// What one trial of a search does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial<B> {
    /// Trains a model; the training's objective is the search's.
    Train(Box<Train>),
    /// Goes through statements, whose value is the objective, or a record with it as `value`.
    Steps {
        /// The statements.
        body: B,
        /// Whether larger is better.
        larger: bool,
    },
}

/// A dimension of a search space.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dimension {
    /// Its name.
    pub name: Name,
    /// The variable that holds a trial's choice.
    pub var: Var,
    /// What it is drawn from.
    pub distribution: Expr,
    /// When it exists at all, over other dimensions.
    pub cond: Option<Expr>,
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Tries {
    /// What is tried next, and what came of it as a number.
    pub search: search::Search,
    /// The seed of all that it does.
    pub seed: Seed,
    /// Whether a trial is a training.
    trains: bool,
    /// What came of each trial's latest rung.
    results: BTreeMap<u64, Done>,
}

impl From<SearchError> for Failure {
    fn from(error: SearchError) -> Self {
        let failure = Self::new(Kind::TaskFailed, error.to_string());
        match error {
            SearchError::Bounds(..) => failure.help("the least value comes first: `uniform(0, 1)`"),
            SearchError::Boundless(_) => failure.help("use `uniform` or `choice` for it, or `strategy: random()`"),
            SearchError::LargeGrid(_) => failure.help("use fewer `points`, or `strategy: random(trials: 100)`"),
            SearchError::Condition(..) | SearchError::Setting(_) => failure,
        }
    }
}

impl<B> Search<B> {
    /// The same, with other statements in the place of a trial's.
    pub fn map<C>(&self, body: impl FnOnce(&B) -> C) -> Search<C> {
        let Self { space, strategy, parallel, seed, trial } = self;
        Search {
            space: space.clone(),
            strategy: strategy.clone(),
            parallel: parallel.clone(),
            seed: seed.clone(),
            trial: match trial {
                Trial::Train(train) => Trial::Train(train.clone()),
                Trial::Steps { body: of, larger } => Trial::Steps { body: body(of), larger: *larger },
            },
        }
    }

    /// Calls `visit` on each expression that it is begun with.
    pub fn each_expr(&self, visit: &mut dyn FnMut(&Expr)) {
        visit(&self.strategy);
        self.parallel.iter().chain(&self.seed).for_each(&mut *visit);
        for dimension in &self.space {
            visit(&dimension.distribution);
            dimension.cond.iter().for_each(&mut *visit);
        }
    }
}

impl Tries {
    /// Begins a search; `otherwise` is its seed where it names none.
    ///
    /// # Errors
    /// When a setting has no value, or they don't go together.
    pub fn begin<B>(spec: &Search<B>, env: &dyn Env, otherwise: Seed) -> Result<Self, Failure> {
        let mut space = Vec::new();
        for dimension in &spec.space {
            let distribution = value(&dimension.distribution, env)?;
            let known = |var| env.var(var).cloned();
            space.push(search::Dimension {
                name: dimension.name.clone(),
                var: dimension.var,
                distribution: Distribution::parse(&dimension.name, &distribution)?,
                cond: dimension.cond.as_ref().map(|cond| cond.close(&known)),
            });
        }
        let strategy = call(value(&spec.strategy, env)?)?;
        let parallel = spec.parallel.as_ref().map_or(Ok(PARALLEL), |parallel| count("parallel", parallel, env, 1))?;
        let larger = match &spec.trial {
            Trial::Train(train) if matches!(train.horizon, Horizon::Steps(_)) && has_rungs(&strategy.name) => {
                let message = format!("`{}` counts in epochs, not in `steps`", strategy.name);
                let help = format!("leave `steps` out, and set `max_epochs` of `{}`", strategy.name);
                return Err(Failure::new(Kind::TaskFailed, message).help(help));
            }
            Trial::Train(train) => train.objective.as_ref().is_some_and(|(_, larger)| *larger),
            Trial::Steps { .. } if has_rungs(&strategy.name) => {
                let message = format!("`{}` ends trainings early, but an `objective` has no epochs", strategy.name);
                return Err(
                    Failure::new(Kind::TaskFailed, message).help("use a strategy of whole trials, such as `random`")
                );
            }
            Trial::Steps { larger, .. } => *larger,
        };
        let seed = super::seed(&spec.seed, env, otherwise)?;
        let parallel = usize::try_from(parallel).unwrap_or(usize::MAX);
        let search = search::Search::new(Space(space), &strategy, parallel, seed, larger)?;
        Ok(Self { search, seed, trains: matches!(spec.trial, Trial::Train(_)), results: BTreeMap::new() })
    }

    /// What a trial chose.
    pub fn params(&self, trial: u64) -> &Fields {
        &self.search.trials()[trial as usize].params
    }

    /// The same as the dimensions' variables.
    pub fn choices<B>(&self, spec: &Search<B>, trial: u64) -> Scope {
        let mut choices = Scope::default();
        for dimension in &spec.space {
            choices.set(dimension.var, self.params(trial).get(&dimension.name).cloned().unwrap_or(Value::None));
        }
        choices
    }

    /// The seed of a trial that is a training.
    pub fn seed_of(&self, trial: u64) -> Seed {
        self.seed.child(format_args!("trial[{trial}]"))
    }

    /// Tells the search that a rung has nothing to add, if that is so: the training was over before its horizon.
    pub fn passes_over(&mut self, task: &Task) -> bool {
        let is_over = |done: &Done| done.trained.as_ref().is_none_or(|trained| trained.checkpoint.is_none());
        let over = task.rung.is_some() && self.results.get(&task.trial).is_some_and(is_over);
        if over {
            let value = self.search.trials()[task.trial as usize].value;
            self.search.tell(task, value);
        }
        over
    }

    /// The epochs of a whole training, and the rung of it that a task is, if there are rungs.
    pub fn rung(&self, task: &Task) -> Option<(u64, Rung)> {
        let (pause_at, horizon) = task.epochs?;
        let before = self.results.get(&task.trial).and_then(|done| done.trained.as_ref());
        Some((horizon, Rung { pause_at, resume: before.and_then(|trained| trained.checkpoint.clone()) }))
    }

    /// What a state machine is to see to.
    pub fn errand<B>(&self, spec: &Search<B>, task: &Task) -> Errand {
        let choices = self.choices(spec, task.trial);
        let chosen = |dimension: &Dimension| {
            let value = choices.var(dimension.var).cloned().unwrap_or(Value::None);
            (key(dimension.var), Carried::whole(&value))
        };
        let seed = if self.trains { self.seed_of(task.trial) } else { self.seed };
        Errand {
            name: task.name(),
            choices: spec.space.iter().map(chosen).collect(),
            seed: seed.get().to_string(),
            rung: self.rung(task),
        }
    }

    /// Takes note of what came of a task, and tells its number, if it has come to one. The search is not told yet.
    pub fn note(&mut self, task: &Task, done: Done) -> Option<f64> {
        let value = match &done.trained {
            Some(trained) => trained.objective,
            None => done.output.as_f64().or_else(|| done.output.field("value")?.as_f64()),
        };
        self.results.insert(task.trial, done);
        value.filter(|value| value.is_finite())
    }

    /// The epochs that a trial was trained so far.
    pub fn epochs(&self, trial: u64) -> u64 {
        self.results.get(&trial).and_then(|done| done.trained.as_ref()).map_or(0, |trained| trained.epochs)
    }

    /// The best trial with all that was tried; none while no trial has come to a number.
    pub fn outcome(&self) -> Option<Fields> {
        let (number, value) = self.search.best()?;
        let best = self.results.get(&number)?;
        let mut outcome = Fields::from([
            ("params".into(), Value::Record(self.params(number).clone())),
            ("value".into(), Value::Float(value)),
            ("trials".into(), self.records()),
        ]);
        match self.trains {
            false => drop(outcome.insert("best".into(), best.output.clone())),
            true => outcome.extend(["model", "weights", "metrics", "epochs"].map(|name| {
                let field = best.output.field(name).cloned();
                (name.into(), field.unwrap_or(Value::None))
            })),
        }
        Some(outcome)
    }

    /// What was tried.
    fn records(&self) -> Value {
        let record = |(trial, number): (&search::Trial, u64)| {
            let mut record = Fields::from([
                ("trial".into(), Value::Int(number as i64)),
                ("params".into(), Value::Record(trial.params.clone())),
                ("value".into(), trial.value.map_or(Value::None, Value::Float)),
            ]);
            if self.trains {
                record.insert("epochs".into(), Value::Int(self.epochs(number) as i64));
            }
            Value::Record(record)
        };
        Value::List(self.search.trials().iter().zip(0..).map(record).collect())
    }

    /// The failure of a search without a number; `first` is that of the first trial that failed.
    pub fn fruitless(first: Option<&Failure>) -> Failure {
        match first {
            Some(first) => {
                let message = format!("no trial came to an end; the first: {}", first.message);
                Failure { message, ..first.clone() }
            }
            None => Failure::new(Kind::Diverged, "no trial gave a number"),
        }
    }
}

/// Whether a failure of a training says that its choice can't be trained, which is a result: the worst.
pub fn blames_the_choice(failure: &Failure) -> bool {
    matches!(failure.kind, Kind::Diverged | Kind::OutOfMemory | Kind::Timeout)
}

impl Task {
    /// Its part of a path, below the search.
    pub fn name(&self) -> String {
        match self.rung {
            Some(rung) => format!("trial[{}]/rung[{rung}]", self.trial),
            None => format!("trial[{}]", self.trial),
        }
    }
}
