use super::{
    Exit,
    history::{Project, failed},
    table::Table,
    words,
};
use crate::runs::gc::{Tally, collect};
use serde_json::json;

/// Remove what no run needs: stored files that none refers to, folders of none, what killed programs left behind.
///
/// Runs may be under way meanwhile. What is younger than an hour stays.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: Project,
    /// Only tell what would be removed
    #[arg(long)]
    dry_run: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> Exit {
    sweep(args).unwrap_or_else(|exit| exit)
}

fn sweep(args: &Args) -> Result<Exit, Exit> {
    let history = args.project.history()?;
    let referred = || Ok(history.runs.references()?);
    let freed = collect(&history.home, &history.runs, referred, args.dry_run).map_err(failed)?;
    let parts =
        [("stored files", freed.objects), ("folders of no run", freed.folders), ("unfinished files", freed.unfinished)];
    if args.json {
        let part = |tally: Tally| json!({ "count": tally.count, "bytes": tally.bytes });
        let object = json!({
            "objects": part(freed.objects),
            "folders": part(freed.folders),
            "unfinished": part(freed.unfinished),
            "database": { "bytes": freed.database },
            "bytes": freed.bytes(),
            "dry_run": args.dry_run,
        });
        super::say(format_args!("{object}\n"));
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["", "count", "size"]);
    for (name, tally) in parts {
        table.push([name.into(), tally.count.to_string().into(), words::bytes(tally.bytes).into()]);
    }
    table.push(["database".into(), "".into(), words::bytes(freed.database).into()]);
    table.print();
    let would = if args.dry_run { "would be " } else { "" };
    super::say(format_args!("{} {would}freed\n", words::bytes(freed.bytes())));
    Ok(Exit::Ok)
}
