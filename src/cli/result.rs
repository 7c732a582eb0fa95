use super::{
    Exit,
    history::{Project, failed},
    json,
};
use crate::store::Objects;

/// Print the result of a run, as JSON.
///
/// Stored files come with their paths.
#[derive(clap::Args)]
pub struct Args {
    /// The run: how its name starts, `last`, or `last~1` for the one before; the last if left out
    run: Option<String>,
    #[command(flatten)]
    project: Project,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    elsewhere: super::elsewhere::Elsewhere,
}

pub fn main(args: &Args) -> Exit {
    print(args).unwrap_or_else(|exit| exit)
}

fn print(args: &Args) -> Result<Exit, Exit> {
    #[cfg(feature = "aws")]
    if args.elsewhere.remote {
        return args.elsewhere.result(args.run.as_deref());
    }
    let history = args.project.history()?;
    let run = history.run(args.run.as_deref())?;
    let Some(value) = run.result() else {
        let (id, state) = (&run.id, run.state.word());
        return Err(failed(format_args!("{id} has no result: {state}\nhelp: `smltc show {id}` tells more")));
    };
    let objects = Objects::open(history.home.objects());
    super::say(format_args!("{:#}\n", json::result(value, &|artifact| objects.path(artifact))));
    Ok(Exit::Ok)
}
