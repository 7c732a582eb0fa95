//! What the commands about past runs do for those in the cloud.

use super::{
    Exit,
    account::{Account, failed},
    follow::{Followed, Manner},
    history,
    table::Table,
    words,
};
use crate::{
    cloud::{Cloud, Executions, Run, Standing},
    schedule::Verdict,
    types::Type,
    units::Duration,
};
use serde_json::{Value as Json, json};

/// Whether runs in the cloud are meant, and whose.
#[derive(clap::Args)]
pub struct Elsewhere {
    /// Speak of runs in the cloud, which `smltc start` has started
    #[arg(long)]
    pub remote: bool,
    #[command(flatten)]
    account: Account,
}

impl Elsewhere {
    /// Lists runs, the latest first.
    pub fn runs(&self, limit: Option<usize>, json: bool) -> Result<Exit, Exit> {
        let cloud = self.account.open()?;
        let mut runs = Executions(&cloud).list().map_err(failed)?;
        runs.truncate(limit.unwrap_or(usize::MAX));
        let mut table = Table::new(["RUN", "STARTED", "STATE", "ELAPSED"]);
        for run in &runs {
            if json {
                super::say(format_args!("{}\n", to_json(run)));
                continue;
            }
            let started = words::moment(run.started).unwrap_or_default();
            let elapsed = words::brief(Duration::from_millis(run.elapsed()));
            table.push([run.id.clone().into(), started.into(), run.status.into(), elapsed.into()]);
        }
        if !json {
            table.print();
        }
        Ok(Exit::Ok)
    }

    /// Prints the result of a run, as JSON.
    pub fn result(&self, run: Option<&str>) -> Result<Exit, Exit> {
        let cloud = self.account.open()?;
        let run = Executions(&cloud).find(run).map_err(failed)?;
        let (id, status) = (&run.id, run.status);
        let verdict = match &run.standing {
            Standing::Over(verdict) => verdict.as_deref(),
            Standing::Running => None,
        };
        let Some(Verdict::Succeeded { value, .. }) = verdict else {
            return Err(history::failed(format_args!(
                "{id} has no result: it is {status}\nhelp: `smltc status {id}` tells more"
            )));
        };
        let result = followed(&cloud).result(&run, value);
        super::say(format_args!("{result:#}\n"));
        Ok(Exit::Ok)
    }

    /// Prints what the workers of a run have written, as they tell it.
    pub fn logs(&self, run: Option<&str>, step: Option<&str>) -> Result<Exit, Exit> {
        let cloud = self.account.open()?;
        let executions = Executions(&cloud);
        let run = executions.find(run).map_err(failed)?;
        for line in executions.logs(&run).map_err(failed)? {
            let path = line["path"].as_str().unwrap_or_default();
            if step.is_none_or(|step| path.contains(step)) {
                let progress = serde_json::from_value(line["progress"].clone()).ok();
                let said =
                    progress.map_or_else(|| line["progress"].to_string(), |progress| super::progress::said(&progress));
                super::say(format_args!("{path}: {said}\n"));
            }
        }
        Ok(Exit::Ok)
    }
}

/// A run of which no file is at hand.
pub fn followed(cloud: &Cloud) -> Followed<'_> {
    Followed { cloud, manner: Manner { json: false, quiet: false }, here: None, output: Type::Uri }
}

fn to_json(run: &Run) -> Json {
    let elapsed = Duration::from_millis(run.elapsed()).secs_f64();
    json!({ "run": run.id, "started": run.started, "state": run.status, "elapsed": elapsed })
}
