use super::{Exit, table::Table, words};
use crate::{
    cache::{Cache, Entry},
    runs::{
        Home, Runs,
        gc::{GcError, collect_stored, referred},
    },
    store::Objects,
    units::{Duration, Size},
    value::{Artifact, Hash},
};
use clap::Subcommand;
use serde_json::json;
use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
    path::{Path, PathBuf},
};

/// What has not served for this long goes when nothing else is said.
const STALE: &str = "30d";

const NONE: &str = "no results yet";

/// Look after the results of steps that later runs may take over.
///
/// A step whose settings, inputs and scripts are those of an earlier run is not run again: its result comes from the
/// cache. `smltc why STEP` tells of one step.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// The project's folder, or a workflow file in it
    #[arg(long, short, default_value = ".", value_name = "PATH", global = true)]
    project: PathBuf,
}

#[derive(Subcommand)]
enum Action {
    /// List the results, the newest first
    Ls {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Drop results, then the stored files that neither a result nor a run refers to
    Gc {
        /// Drop what has not served for so long [default: 30d, unless --keep is given]
        #[arg(long, value_name = "DURATION")]
        older_than: Option<Duration>,
        /// Drop what has not served for longest, until the files of the others are no larger
        #[arg(long, value_name = "SIZE")]
        keep: Option<Size>,
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Read all files of the results, and drop what is damaged; ends with 1 if anything was
    Verify,
}

pub fn main(args: &Args) -> Exit {
    let done = folder(&args.project).map_err(Into::into).and_then(|folder| {
        let home = Home::of(folder);
        match Cache::existing(&home.cache()) {
            Ok(Some(cache)) => act(&args.action, &home, cache),
            Ok(None) => {
                if !matches!(args.action, Action::Ls { json: true }) {
                    super::complain(NONE);
                }
                Ok(Exit::Ok)
            }
            Err(error) => Err(format!("{error}\nhelp: {}", error.help()).into()),
        }
    });
    done.unwrap_or_else(|error| {
        super::complain(format_args!("error: {error}"));
        Exit::Failed
    })
}

/// The folder of the project at a path.
pub fn folder(path: &Path) -> Result<&Path, String> {
    let folder = match path.is_file() {
        true => path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")),
        false => path,
    };
    match folder.is_dir() {
        true => Ok(folder),
        false => Err(format!("there is no folder `{}`", folder.display())),
    }
}

fn act(action: &Action, home: &Home, cache: Cache) -> Result<Exit, Box<dyn Error>> {
    match action {
        Action::Ls { json } => list(&cache.entries()?, *json),
        Action::Gc { older_than, keep, dry_run } => {
            let older_than = match (older_than, keep) {
                (None, None) => Some(STALE.parse()?),
                _ => *older_than,
            };
            collect(home, cache, older_than, *keep, *dry_run)?;
        }
        Action::Verify => return verify(&Objects::open(home.objects()), cache),
    }
    Ok(Exit::Ok)
}

fn list(entries: &[Entry], json: bool) {
    if json {
        for entry in entries {
            let time = |ms| jiff::Timestamp::from_millisecond(ms).map(|time| time.to_string()).ok();
            let object = json!({
                "key": entry.key,
                "step": entry.step,
                "kind": entry.kind,
                "run": entry.run,
                "made": time(entry.made),
                "used": time(entry.used),
                "bytes": entry.bytes,
                "files": entry.files,
            });
            super::say(format_args!("{object}\n"));
        }
        return;
    }
    if entries.is_empty() {
        return super::complain(NONE);
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let row = |entry: &Entry| {
        [
            entry.step.clone(),
            entry.kind.clone(),
            entry.run.clone(),
            words::age(Duration::from_millis(now.saturating_sub(entry.made))),
            words::bytes(entry.bytes),
        ]
    };
    let mut table = Table::new(["step", "kind", "made by run", "age", "files"]);
    entries.iter().for_each(|entry| table.push(row(entry).map(Into::into)));
    table.print();
}

/// Drops results, and what nobody refers to any more.
fn collect(
    home: &Home,
    mut cache: Cache,
    older_than: Option<Duration>,
    keep: Option<Size>,
    dry_run: bool,
) -> Result<(), Box<dyn Error>> {
    let mut entries = cache.entries()?;
    let now = jiff::Timestamp::now().as_millisecond();
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.used, entry.made)));
    let mut held: HashMap<Hash, u64> = HashMap::new();
    let (mut bytes, mut full) = (0, false);
    let stays = |entry: &Entry| {
        let own: Vec<&Artifact> = entry.files.iter().filter(|file| !held.contains_key(&file.hash)).collect();
        bytes += own.iter().map(|file| file.bytes).sum::<u64>();
        full |= keep.is_some_and(|keep| bytes > keep.bytes());
        let old = older_than.is_some_and(|most| now.saturating_sub(entry.used) > most.millis());
        if !full && !old {
            held.extend(own.iter().map(|file| (file.hash, file.bytes)));
        }
        !full && !old
    };
    let (kept, dropped): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(stays);
    let runs = Runs::existing(home)?;
    if !dry_run {
        cache.drop_entries(dropped.iter().map(|entry| entry.key))?;
        let known = runs.as_ref().map(Runs::list).transpose()?.unwrap_or_default();
        cache.forget_runs_but(&known.into_iter().map(|run| run.id).collect())?;
    }
    let still_referred = || match dry_run {
        false => referred(home, runs.as_ref()),
        true => {
            let mut still: BTreeSet<Hash> = kept.iter().flat_map(|entry| &entry.files).map(|file| file.hash).collect();
            still.extend(runs.as_ref().map(Runs::references).transpose()?.unwrap_or_default());
            Ok::<_, GcError>(still)
        }
    };
    let freed = collect_stored(home, still_referred, dry_run)?;
    let would = if dry_run { "would be " } else { "" };
    super::say(format_args!(
        "{} of {} {would}dropped, {} with {} {would}freed\n",
        dropped.len(),
        words::count(dropped.len() + kept.len(), "result"),
        words::count(freed.objects.count + freed.unfinished.count, "stored file"),
        words::bytes(freed.bytes()),
    ));
    Ok(())
}

/// Reads all files of the results, and drops the results whose files are not as they were made.
fn verify(objects: &Objects, mut cache: Cache) -> Result<Exit, Box<dyn Error>> {
    let entries = cache.entries()?;
    let mut wrong: HashMap<Hash, Option<String>> = HashMap::new();
    let (mut damaged, mut bytes) = (Vec::new(), 0);
    for entry in &entries {
        let found = entry.files.iter().filter_map(|file| {
            let state = wrong.entry(file.hash).or_insert_with(|| {
                bytes += file.bytes;
                match objects.check(file) {
                    Ok(true) => None,
                    Ok(false) => Some(format!("the stored file `{}` was gone or damaged", file.name)),
                    Err(error) => Some(format!("the stored file `{}` can't be read or removed: {error}", file.name)),
                }
            });
            state.clone()
        });
        let found: Vec<String> = found.collect();
        if !found.is_empty() {
            super::say(format_args!("{} (run {}): {}\n", entry.step, entry.run, found.join("; ")));
            damaged.push(entry.key);
        }
    }
    super::say(format_args!(
        "{} with {} of files verified, {} dropped\n",
        words::count(entries.len(), "result"),
        words::bytes(bytes),
        damaged.len()
    ));
    let exit = if damaged.is_empty() { Exit::Ok } else { Exit::Failed };
    cache.drop_entries(damaged)?;
    Ok(exit)
}
