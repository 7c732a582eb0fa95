use super::{
    Exit,
    account::{Account, failed},
};
use crate::cloud::{Executions, Standing};

/// Stop a run in the cloud.
#[derive(clap::Args)]
pub struct Args {
    /// The run: how its name starts, or `last`
    run: String,
    #[command(flatten)]
    account: Account,
    /// As for `smltc result`; there are no other runs here
    #[arg(long, hide = true)]
    remote: bool,
}

pub fn main(args: &Args) -> Exit {
    cancel(args).unwrap_or_else(|exit| exit)
}

fn cancel(args: &Args) -> Result<Exit, Exit> {
    let cloud = args.account.open()?;
    let executions = Executions(&cloud);
    let run = executions.find(Some(&args.run)).map_err(failed)?;
    if run.standing != Standing::Running {
        super::complain(format_args!("note: {} is over already", run.id));
        return Ok(Exit::Ok);
    }
    executions.cancel(&run).map_err(failed)?;
    super::complain(format_args!("cancelled {}", run.id));
    Ok(Exit::Ok)
}
