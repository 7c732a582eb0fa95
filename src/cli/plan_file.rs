//! A plan as a file: made by `smltc plan -o`, read by people, and done by `smltc run`, `deploy` and `build`
//! with `--plan`.

use super::{
    Exit,
    foresee::{self, Known, On, spread},
    history::unusable,
    prepared::Prepared,
    world::Files,
};
use crate::{
    disk::replace,
    graph::{Graph, Param},
    plan::Plan,
    prices::Prices,
    schedule::Options,
    seed::Seed,
    simulate::Outlook,
    value::{Fields, Value},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, fs, path::Path};

/// What was planned, and what it was planned for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// The program that made it.
    smltc: String,
    /// Where it is to run.
    on: String,
    /// The workflow.
    workflow: String,
    /// Its arguments.
    args: Json,
    /// The seed of everything random.
    seed: u64,
    /// The workers of each training, where that does not go by the workflow.
    workers: Option<u32>,
    /// Whether deadlines and budgets are kept.
    limits: bool,
    /// The hash of what the workflow file and all that it imports say.
    files: String,
    /// The hash of what each dataset holds.
    data: BTreeMap<String, String>,
    /// What things cost.
    prices: Prices,
    /// What is to be expected: seconds and dollars in the middle and in 9 of 10 runs.
    expected: Json,
    /// What is thought of each step, and the workers that a training begins with.
    steps: Plan,
}

impl PlanFile {
    /// What a workflow is planned to do.
    pub fn new(known: &Known, args: &Fields, options: &Options, outlook: &Outlook) -> Self {
        Self {
            smltc: env!("CARGO_PKG_VERSION").into(),
            on: known.platform.name.clone(),
            workflow: known.prepared.graph.workflow.to_string(),
            args: Value::Record(args.clone()).to_json(),
            seed: options.seed.get(),
            workers: options.workers,
            limits: options.enforce,
            files: known.prepared.files.hash().to_string(),
            data: known.hashes(),
            prices: options.prices.clone(),
            expected: json!({ "seconds": spread(&outlook.seconds), "dollars": spread(&outlook.dollars) }),
            steps: outlook.plan(),
        }
    }

    /// Writes it.
    pub fn write(&self, path: &Path) -> Result<(), Exit> {
        // All of it is numbers and texts.
        let text = serde_json::to_string_pretty(self).map_err(unusable)? + "\n";
        replace(path, text.as_bytes())
            .map_err(|error| unusable(format_args!("the plan can't be written to `{}`: {error}", path.display())))
    }

    /// Reads one.
    fn read(path: &Path) -> Result<Self, Exit> {
        let text = fs::read_to_string(path)
            .map_err(|error| unusable(format_args!("the plan `{}` can't be read: {error}", path.display())))?;
        serde_json::from_str(&text).map_err(|error| {
            unusable(format_args!(
                "`{}` is not a plan: {error}\nhelp: `smltc plan FILE -o plan.json` makes one",
                path.display()
            ))
        })
    }

    /// The plan of a file, if it is for what is to be done now.
    pub fn accept(path: &Path, known: &Known, args: &Fields, options: &Options) -> Result<Plan, Exit> {
        let plan = Self::read(path)?;
        plan.check(path, known, args, options)?;
        Ok(plan.steps)
    }

    /// Lets a workflow that is to be deployed have what a plan chose for it, if the plan is for it as it is now.
    fn settle(path: &Path, prepared: &mut Prepared) -> Result<(), Exit> {
        let plan = Self::read(path)?;
        let options = foresee::options(foresee::functions(), Seed::new(plan.seed));
        let value =
            |param: &Param| Some((param.name.clone(), Value::from_json(plan.args.get(&*param.name)?, &param.ty).ok()?));
        let args: Fields = prepared.graph.params.iter().filter_map(value).collect();
        plan.check(path, &Known::of(prepared, On::Aws, &options)?, &args, &options)?;
        plan.steps.settle(&mut prepared.graph);
        Ok(())
    }

    /// Tells all that has changed since it was made.
    fn check(&self, path: &Path, known: &Known, args: &Fields, options: &Options) -> Result<(), Exit> {
        let mut changed = Vec::new();
        let mut compare = |is_same: bool, what: String| {
            if !is_same {
                changed.push(what);
            }
        };
        compare(self.smltc == env!("CARGO_PKG_VERSION"), format!("it was made by smltc {}", self.smltc));
        compare(self.on == known.platform.name, format!("it is for {}, not for {}", self.on, known.platform.name));
        let workflow = &known.prepared.graph.workflow;
        compare(*self.workflow == **workflow, format!("it is for the workflow `{}`, not `{workflow}`", self.workflow));
        compare(
            self.files == known.prepared.files.hash().to_string(),
            "the workflow file, or one it imports, has changed".into(),
        );
        compare(self.args == Value::Record(args.clone()).to_json(), format!("it is for the arguments {}", self.args));
        compare(self.seed == options.seed.get(), format!("it is for `--seed {}`", self.seed));
        let workers = self.workers.map_or_else(|| "no `--workers`".into(), |workers| format!("`--workers {workers}`"));
        compare(self.workers == options.workers, format!("it is for {workers}"));
        compare(
            self.limits == options.enforce,
            format!("it is for limits that are {}", if self.limits { "kept" } else { "not kept" }),
        );
        compare(self.prices == options.prices, format!("it is for the prices of {}", self.prices.as_of));
        // What the steps read is found on the way.
        known.ask(args, options, |question| question.tally(1, options.seed));
        let hashes = known.hashes();
        for (name, hash) in &self.data {
            compare(hashes.get(name) == Some(hash), format!("the data of `{name}` has changed"));
        }
        if changed.is_empty() {
            return Ok(());
        }
        let list: String = changed.iter().map(|what| format!("\n  {what}")).collect();
        Err(unusable(format_args!(
            "the plan `{}` is not for this run:{list}\nhelp: `smltc plan FILE -o {}` plans anew",
            path.display(),
            path.display()
        )))
    }
}

/// A workflow that is to be deployed: with what a plan chose for it, where one is given.
pub fn open(file: &Path, workflow: Option<&str>, plan: Option<&Path>) -> Result<(Files, Graph), Exit> {
    let mut prepared = Prepared::new(file.into(), workflow.map(str::to_owned), &[])?;
    plan.map_or(Ok(()), |plan| PlanFile::settle(plan, &mut prepared))?;
    Ok((prepared.files, prepared.graph))
}
