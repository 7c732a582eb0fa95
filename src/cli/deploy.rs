use super::{
    Exit,
    account::{Account, failed},
    check, plan_file, words,
};
use crate::{
    asl,
    cloud::{Change, Cloud, Deployment, Gatherer, Order, Planned, Worker},
    stack::Stack,
};
use std::{
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
};

/// Deploy a workflow to AWS, as `smltc build` compiles it.
///
/// It makes a bucket, roles, functions and a state machine, or changes those of an earlier deployment to what the file now
/// says, and sends the files that the workflow names. What there is to do is shown and asked for first. A deployment that
/// was cut off goes on when it is started again.
#[derive(clap::Args)]
pub struct Args {
    /// The workflow file
    file: PathBuf,
    /// The workflow in it; may be left out when there is one only, or one called `main`
    workflow: Option<String>,
    /// Give trainings the memory, and the workers to begin with, that a file of `smltc plan --on aws -o` says, or refuse where
    /// the workflow, its data or prices have changed since
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    account: Account,
    /// Its name in the cloud [default: the workflow's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The program of the functions [default: `smlt-worker` beside smltc]
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
    /// The image of the functions that run commands, in a repository of ECR
    #[arg(long, value_name = "URI")]
    image: Option<String>,
    /// Send this file or folder of the project as well; may be given several times
    #[arg(long, value_name = "PATH")]
    include: Vec<String>,
    /// Show what there is to do, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
    /// Overwrite what others have changed since
    #[arg(long)]
    force: bool,
}

pub fn main(args: &Args) -> Exit {
    deploy(args).unwrap_or_else(|exit| exit)
}

fn deploy(args: &Args) -> Result<Exit, Exit> {
    let (files, graph) = plan_file::open(&args.file, args.workflow.as_deref(), args.plan.as_deref())?;
    let outcome = asl::compile(&graph);
    check::report(&outcome.diagnostics, &files);
    let compiled = outcome.value.ok_or(Exit::Failed)?;
    let stack = Stack::new(graph.workflow.clone(), &compiled);
    let mut gatherer = Gatherer::new(files.project(), &graph.params);
    gatherer.book(&stack.book).map_err(failed)?;
    args.include.iter().try_for_each(|path| gatherer.path(path)).map_err(failed)?;
    let project = gatherer.end().map_err(failed)?;
    let worker = Worker::find(args.worker.as_deref()).map_err(failed)?;
    let cloud = args.account.open()?;
    let order = Order {
        name: args.name.as_deref().unwrap_or(&graph.workflow),
        file: &args.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        params: &graph.params,
        output: &graph.output,
        stack: &stack,
        project,
        worker: &worker,
        image: args.image.as_deref(),
        force: args.force,
    };
    let deployment = Deployment::plan(&cloud, order).map_err(failed)?;
    super::complain(format_args!("`{}` in {}:", graph.workflow, cloud.place()));
    show(&deployment.changes());
    if deployment.is_done() {
        super::complain("nothing to do");
    } else if args.dry_run {
        super::complain("nothing was done: this was a dry run");
        return Ok(Exit::Ok);
    } else {
        ask(args.yes, "deploy")?;
        carry_out(&cloud, deployment)?;
        let name = args.file.display();
        super::complain(format_args!("deployed; `smltc start {name}` starts a run"));
    }
    Ok(Exit::Ok)
}

fn carry_out(cloud: &Cloud, deployment: Deployment) -> Result<(), Exit> {
    let alias = deployment.alias(cloud);
    let mut tell = |planned: &Planned| {
        if planned.change != Some(Change::Keep) {
            super::complain(format_args!("done: {} {}", planned.kind, planned.name));
        }
    };
    deployment.carry_out(cloud, &mut tell).map_err(|error| {
        let exit = failed(error);
        super::complain("note: what was done stays; `smltc deploy` goes on from there");
        exit
    })?;
    super::say(format_args!("{alias}\n"));
    Ok(())
}

/// Shows what there is to do.
pub fn show(changes: &[Planned]) {
    let mut kept = 0;
    for Planned { kind, name, change } in changes {
        let sign = match change {
            Some(Change::Create) => "+ create",
            Some(Change::Update) => "~ update",
            None => "- remove",
            Some(Change::Keep) => {
                kept += 1;
                continue;
            }
        };
        super::complain(format_args!("  {sign}  {kind} {name}"));
    }
    if kept > 0 {
        super::complain(format_args!("  = {} unchanged", words::count(kept, "thing")));
    }
}

/// Asks whether to go on, unless that was said before.
pub fn ask(yes: bool, what: &str) -> Result<(), Exit> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        super::complain(format_args!(
            "error: nobody is there to be asked\nhelp: `smltc {what} --yes` does it without asking; `--dry-run` only shows it"
        ));
        return Err(Exit::Usage);
    }
    super::complain("Go on? [y/N]");
    let mut answer = String::new();
    let heard = io::stdin().lock().read_line(&mut answer);
    if heard.is_ok() && ["y", "yes"].contains(&&*answer.trim().to_lowercase()) {
        return Ok(());
    }
    super::complain("nothing was done");
    Err(Exit::Failed)
}
