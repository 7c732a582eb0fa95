use super::{
    Exit,
    account::{Account, OPTIONS, failed},
    follow::{Followed, Manner},
    params,
    prepared::{Prepared, Switches},
};
use crate::{
    cloud::{Cloud, Executions, Gatherer, Record},
    graph::{Graph, Region},
    limits::Limits,
    runs::{Home, new_id},
    source::{FileId, Span},
    stack::PREFIX,
    store::Objects,
    value::{Fields, Value},
};
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use serde_json::{Map, json};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Start a run of a deployed workflow, and show it until it is over.
///
/// A parameter of the workflow is an option of its own name, as for `smltc run`, which also tells how it is shown and what
/// it ends with. Who interrupts it leaves the run to itself.
#[derive(clap::Args)]
#[command(override_usage = "smltc start [OPTIONS] FILE [WORKFLOW] [--PARAMETER VALUE]...\n       \
                            smltc start [OPTIONS] NAME [--PARAMETER VALUE]...")]
pub struct Args {
    /// The workflow file, or the name of a deployed workflow
    #[arg(value_name = "FILE|NAME")]
    file: PathBuf,
    /// The workflow in the file; may be left out when there is one only, or one called `main`
    workflow: Option<String>,
    #[command(flatten)]
    account: Account,
    /// Its name in the cloud [default: the workflow's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The seed of everything random: the same seed gives the same result
    #[arg(long, value_name = "N", default_value_t)]
    seed: u64,
    /// Start it, and don't wait for its end
    #[arg(long)]
    detach: bool,
    /// Write everything that happens to the output, one JSON object a line, the result last
    #[arg(long)]
    json: bool,
    /// Show nothing but the result and errors
    #[arg(long, short)]
    quiet: bool,
}

const SWITCHES: Switches = Switches {
    with_value: &[OPTIONS[0], OPTIONS[1], OPTIONS[2], "--name", "--seed"],
    without: &["--detach", "--json", "--quiet", "-q"],
};

/// What is to be started: a workflow of a file, or one that only the cloud has.
enum What {
    File(Box<Prepared>),
    Deployed(Box<Cloud>, Box<Graph>),
}

impl What {
    fn graph(&self) -> &Graph {
        match self {
            Self::File(prepared) => &prepared.graph,
            Self::Deployed(_, graph) => graph,
        }
    }
}

/// Runs `smltc start` with the whole command line: its options depend on the workflow that it names.
pub fn main(words: &[OsString]) -> Exit {
    start(words).unwrap_or_else(|exit| exit)
}

fn start(words: &[OsString]) -> Result<Exit, Exit> {
    let what = match SWITCHES.file(words) {
        None => None,
        Some((file, workflow)) if file.is_file() => Some(What::File(Box::new(Prepared::new(file, workflow, words)?))),
        Some((name, _)) => Some(deployed(&name, &Account::of(words))?),
    };
    let mut command = super::Args::command();
    if let Some(what) = &what {
        command = command.mut_subcommand("start", |start| params::add(start, what.graph()));
    }
    let matches = command.try_get_matches_from(words).map_err(|error| super::usage(&error))?;
    let (Some((_, matches)), Some(what)) = (matches.subcommand(), what) else { return Err(Exit::Usage) };
    let args = Args::from_arg_matches(matches).map_err(|error| super::usage(&error))?;
    match what {
        What::File(prepared) => {
            let cloud = args.account.open()?;
            begin(&args, matches, &cloud, Some(&prepared), &prepared.graph)
        }
        What::Deployed(cloud, graph) => begin(&args, matches, &cloud, None, &graph),
    }
}

/// A workflow as the cloud knows it.
fn deployed(name: &Path, account: &Account) -> Result<What, Exit> {
    let name = name.to_string_lossy();
    if name.ends_with(".smlt") {
        super::complain(format_args!("error: there is no file `{name}`"));
        return Err(Exit::Failed);
    }
    let cloud = account.open()?;
    let record = Record::read(&cloud, &cloud.names(&name)).map_err(failed)?;
    let record =
        record.ok_or_else(|| failed(crate::cloud::CloudError::NotDeployed(name.to_string(), cloud.place())))?;
    let graph = Graph {
        workflow: name.into(),
        file: record.file,
        doc: None,
        params: record.params,
        limits: Limits::default(),
        output: record.output,
        secrets: Default::default(),
        root: Region::default(),
        span: Span::new(FileId(0), 0, 0),
    };
    Ok(What::Deployed(Box::new(cloud), Box::new(graph)))
}

fn begin(
    args: &Args,
    matches: &ArgMatches,
    cloud: &Cloud,
    prepared: Option<&Prepared>,
    graph: &Graph,
) -> Result<Exit, Exit> {
    let project = prepared.map_or_else(|| PathBuf::from("."), |prepared| prepared.files.project().to_owned());
    let objects = Objects::open(Home::of(&project).objects());
    let own = super::Args::command();
    let own = own.find_subcommand("start").unwrap_or(&own);
    let values = params::read(matches, own, graph, &objects).map_err(|message| {
        super::complain(format_args!(
            "error: {message}\nhelp: `smltc start {} --help` tells of all parameters",
            args.file.display()
        ));
        Exit::Usage
    })?;
    let name = args.name.as_deref().unwrap_or(&graph.workflow);
    send(cloud, name, prepared.map(|_| &*project), &objects, &values)?;
    let given: Map<String, serde_json::Value> =
        values.iter().map(|(name, value)| (name.to_string(), value.to_json())).collect();
    let input = json!({ "args": given, "seed": args.seed.to_string() });
    let id = new_id(name, &jiff::ZonedDateTime::now());
    let run = Executions(cloud).start(name, &id, &input).map_err(failed)?;
    if args.detach {
        super::complain(format_args!("started; `smltc status {id}` shows how it stands"));
        super::say(format_args!("{id}\n"));
        return Ok(Exit::Ok);
    }
    let followed = Followed {
        cloud,
        manner: Manner { json: args.json, quiet: args.quiet },
        here: prepared.map(|prepared| (&prepared.files, &prepared.graph)),
        output: graph.output.clone(),
    };
    followed.follow(run, Some(&values))
}

/// Sends the files that arguments name.
fn send(cloud: &Cloud, name: &str, project: Option<&Path>, objects: &Objects, values: &Fields) -> Result<(), Exit> {
    let mut files = Vec::new();
    if let Some(project) = project {
        let mut gatherer = Gatherer::new(project, &[]);
        values.values().try_for_each(|value| gatherer.argument(value)).map_err(failed)?;
        let named = gatherer.end().map_err(failed)?;
        files.extend(named.into_iter().map(|(name, (path, _))| (format!("{PREFIX}/project/{name}"), path)));
    }
    let mut stored = |value: &Value| {
        if let Value::Artifact(artifact) = value {
            let hash = artifact.hash.to_string();
            files.push((format!("{PREFIX}/objects/{}/{}", &hash[..2], &hash[2..]), objects.path(artifact)));
        }
    };
    values.values().for_each(|value| each(value, &mut stored));
    if files.is_empty() {
        return Ok(());
    }
    let bucket = cloud.objects(&cloud.names(name).bucket).map_err(failed)?;
    for (key, path) in files {
        bucket.send(&key, &path).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

/// A value and all that are in it.
fn each(value: &Value, see: &mut dyn FnMut(&Value)) {
    see(value);
    match value {
        Value::List(items) => items.iter().for_each(|item| each(item, see)),
        Value::Map(fields) | Value::Record(fields) => fields.values().for_each(|field| each(field, see)),
        _ => {}
    }
}
