use super::{
    Exit,
    history::{Filter, Project, ago, failed, unusable},
    words,
};
use crate::{
    runs::{Removal, Run, RunState},
    units::Duration,
};

/// Remove runs: their logs, and what they are listed with.
///
/// A run that is under way stays. Stored files stay too, for other runs and results of the cache may refer to them; `smltc gc`
/// removes those that nothing refers to any more.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  smltc rm 20261124-0931                 one run
  smltc rm --state failed                all that failed
  smltc rm --older-than 30d --dry-run    tells which are older, and removes none
  smltc rm --workflow sweep --keep 10    all runs of a workflow but the latest ten")]
pub struct Args {
    /// The runs: how their names start, `last`, or `last~1` for the one before
    #[arg(value_name = "RUN", conflicts_with_all = ["older_than", "keep", "file", "workflow", "states", "params"])]
    runs: Vec<String>,
    #[command(flatten)]
    project: Project,
    #[command(flatten)]
    filter: Filter,
    /// Only runs that started so long ago at least, such as `12h` or `30d`
    #[arg(long, value_name = "TIME")]
    older_than: Option<Duration>,
    /// Keep the latest N of those that all else picks
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Only tell what would be removed
    #[arg(long)]
    dry_run: bool,
}

pub fn main(args: &Args) -> Exit {
    remove(args).unwrap_or_else(|exit| exit)
}

fn remove(args: &Args) -> Result<Exit, Exit> {
    let history = args.project.history()?;
    let picks = !args.filter.is_empty() || args.older_than.is_some() || args.keep.is_some();
    if args.runs.is_empty() && !picks {
        return Err(unusable("nothing says which runs to remove\nhelp: name them, or see `smltc rm --help`"));
    }
    let named = !args.runs.is_empty();
    let runs: Vec<Run> = match named {
        true => args.runs.iter().map(|name| history.run(Some(name))).collect::<Result<_, _>>()?,
        false => {
            let mut query = args.filter.query();
            query.until = args.older_than.map(ago);
            let runs = history.runs.select(&query, usize::MAX).map_err(failed)?;
            let over = runs.into_iter().filter(|run| run.state != RunState::Running);
            over.skip(args.keep.unwrap_or(0)).collect()
        }
    };
    let (mut removed, mut exit) = (0, Exit::Ok);
    for run in &runs {
        let removal = match (args.dry_run, &run.state) {
            (true, RunState::Running) => Removal::Running,
            (true, _) => Removal::Removed,
            (false, _) => history.runs.remove(&history.home, &run.id).map_err(failed)?,
        };
        match removal {
            Removal::Removed => {
                removed += 1;
                super::say(format_args!("{}\n", run.id));
            }
            // One that was named twice, or that someone else has removed meanwhile.
            Removal::Gone => {}
            Removal::Running if named => exit = failed(format_args!("{} is under way and stays", run.id)),
            Removal::Running => {}
        }
    }
    let would = if args.dry_run { "would be " } else { "" };
    super::complain(format_args!("{} {would}removed", words::count(removed, "run")));
    Ok(exit)
}
