use super::{
    Exit,
    account::{Account, failed},
    deploy::{ask, show},
    graph,
};
use crate::cloud::Removal;
use std::path::Path;

/// Remove from AWS what was deployed of a workflow, with all that its runs have left there.
#[derive(clap::Args)]
pub struct Args {
    /// The workflow's name in the cloud, or its file
    #[arg(value_name = "FILE|NAME")]
    name: String,
    #[command(flatten)]
    account: Account,
    /// Show what there is to remove, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
}

pub fn main(args: &Args) -> Exit {
    destroy(args).unwrap_or_else(|exit| exit)
}

fn destroy(args: &Args) -> Result<Exit, Exit> {
    let file = Path::new(&args.name);
    let name = if file.is_file() { graph::open(file, None)?.1.workflow.to_string() } else { args.name.clone() };
    let cloud = args.account.open()?;
    let removal = Removal::plan(&cloud, &name).map_err(failed)?;
    let changes = removal.changes();
    super::complain(format_args!("`{name}` in {}:", cloud.place()));
    show(&changes);
    if changes.is_empty() {
        super::complain("nothing to do");
    } else if args.dry_run {
        super::complain("nothing was done: this was a dry run");
    } else {
        ask(args.yes, "destroy")?;
        let mut tell = |planned: &crate::cloud::Planned| {
            super::complain(format_args!("removed: {} {}", planned.kind, planned.name));
        };
        removal.carry_out(&cloud, &mut tell).map_err(failed)?;
    }
    Ok(Exit::Ok)
}
