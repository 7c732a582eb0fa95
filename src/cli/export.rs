use super::{
    Exit,
    history::{Project, failed},
    words,
};
use crate::runs::{
    Run,
    mlflow::{self, Export},
};
use std::{
    env,
    path::{Path, PathBuf},
};

/// Copy runs into the files of another tracking tool.
///
/// A run that was exported before is brought up to date.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  smltc export --mlflow mlruns              the last run
  smltc export last last~1 --mlflow mlruns  the last two
  mlflow ui --backend-store-uri ./mlruns    looks at them")]
pub struct Args {
    /// The runs: how their names start, `last`, or `last~1` for the one before; the last if left out
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    #[command(flatten)]
    project: Project,
    /// Write into this folder, as MLflow's file store
    #[arg(long, value_name = "FOLDER", required = true)]
    mlflow: PathBuf,
    /// The experiment that the runs are to belong to; if left out, one for each workflow
    #[arg(long, value_name = "NAME")]
    experiment: Option<String>,
}

pub fn main(args: &Args) -> Exit {
    export(args).unwrap_or_else(|exit| exit)
}

fn export(args: &Args) -> Result<Exit, Exit> {
    let history = args.project.history()?;
    let runs: Vec<Run> = match &*args.runs {
        [] => vec![history.run(None)?],
        names => names.iter().map(|name| history.run(Some(name))).collect::<Result<_, _>>()?,
    };
    let project =
        history.folder.canonicalize().map_err(|error| failed(format_args!("the project can't be read: {error}")))?;
    let user = env::var("USER").or_else(|_| env::var("LOGNAME")).unwrap_or_else(|_| "unknown".into());
    for run in &runs {
        let experiment = args.experiment.clone().unwrap_or_else(|| experiment(run));
        let what = Export {
            runs: &history.runs,
            home: &history.home,
            project: &project,
            experiment: &experiment,
            user: &user,
        };
        let nested = mlflow::export(&what, run, &args.mlflow).map_err(failed)?;
        let nested = words::count(nested, "nested run");
        super::say(format_args!("{}  experiment {experiment}, {nested}\n", run.id));
    }
    Ok(Exit::Ok)
}

/// A name for all runs of a workflow: `tune.main`.
fn experiment(run: &Run) -> String {
    let file = Path::new(&run.file).file_stem().unwrap_or_default();
    format!("{}.{}", file.display(), run.workflow)
}
