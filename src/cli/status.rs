use super::{
    Exit,
    account::{Account, failed},
    follow::{Followed, Manner},
};
use crate::{
    cloud::{Executions, Standing},
    types::Type,
    units::Duration,
};

/// Show how a run in the cloud stands.
///
/// Ends with 0 while it goes on and when there is a result, and otherwise as `smltc run` does.
#[derive(clap::Args)]
pub struct Args {
    /// The run: how its name starts, `last`, or `last~1` for the one before; the last if left out
    run: Option<String>,
    #[command(flatten)]
    account: Account,
    /// Show it until it is over, as `smltc start` does
    #[arg(long, short)]
    follow: bool,
    /// Write everything that happens to the output, one JSON object a line, the result last
    #[arg(long)]
    json: bool,
    /// As for `smltc result`; there are no other runs here
    #[arg(long, hide = true)]
    remote: bool,
}

pub fn main(args: &Args) -> Exit {
    status(args).unwrap_or_else(|exit| exit)
}

fn status(args: &Args) -> Result<Exit, Exit> {
    let cloud = args.account.open()?;
    let executions = Executions(&cloud);
    let run = executions.find(args.run.as_deref()).map_err(failed)?;
    let followed =
        Followed { cloud: &cloud, manner: Manner { json: args.json, quiet: false }, here: None, output: Type::Uri };
    if args.follow || run.standing != Standing::Running {
        return followed.follow(run, None);
    }
    followed.so_far(&run)?;
    let elapsed = super::words::brief(Duration::from_millis(run.elapsed()));
    super::complain(format_args!("running for {elapsed}; run {}", run.id));
    Ok(Exit::Ok)
}
