//! What `smltc plan` says of the examples, and what a run of them takes on this machine.

use crate::{error, verdict};
use serde_json::Value as Json;
use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

const SMLTC: &str = env!("CARGO_BIN_EXE_smltc");
/// Those that need nothing but what is in the repository; the others need a Python of their own, or data from elsewhere.
const EXAMPLES: [&str; 6] = ["digits", "tumours", "rounds", "characters", "neighbours", "elastic"];
/// How far a plan may be off.
const GOAL: f64 = 0.2;

/// Prints the table.
pub fn print() -> io::Result<()> {
    println!("| example | planned, never run | took | off by | planned after it | took | off by | goal |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for example in EXAMPLES {
        let project = Project::new(example)?;
        let first = (project.planned()?, project.took()?);
        let again = (project.planned()?, project.took()?);
        let off = [first, again].map(|(planned, took)| error(planned, took));
        println!(
            "| `{example}` | {:.2} s | {:.2} s | {:.0} % | {:.2} s | {:.2} s | {:.0} % | 20 %: {}, then {} |",
            first.0,
            first.1,
            100.0 * off[0],
            again.0,
            again.1,
            100.0 * off[1],
            verdict(off[0] <= GOAL),
            verdict(off[1] <= GOAL),
        );
    }
    Ok(())
}

/// An example in a project of its own, where it has never run.
struct Project {
    folder: tempfile::TempDir,
    file: String,
}

impl Project {
    fn new(example: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        copy(&examples, folder.path())?;
        Ok(Self { folder, file: format!("{example}.smlt") })
    }

    /// What the program says, as JSON.
    fn say(&self, args: &[&str]) -> io::Result<Json> {
        let mut command = Command::new(SMLTC);
        let output = command.args(args).current_dir(self.folder.path()).stderr(Stdio::inherit()).output()?;
        serde_json::from_slice(&output.stdout).map_err(io::Error::from)
    }

    /// The seconds that a plan says, in the middle.
    fn planned(&self) -> io::Result<f64> {
        let plan = self.say(&["plan", &self.file, "--json"])?;
        plan["seconds"]["median"].as_f64().ok_or_else(|| io::Error::other(format!("not a plan: {plan}")))
    }

    /// The seconds that a run takes.
    fn took(&self) -> io::Result<f64> {
        let mut run = Command::new(SMLTC);
        run.args(["run", &self.file, "--quiet", "--no-cache"]).current_dir(self.folder.path()).stdout(Stdio::null());
        if !run.status()?.success() {
            return Err(io::Error::other(format!("`{}` failed", self.file)));
        }
        let run = self.say(&["show", "--json"])?;
        run["elapsed"].as_f64().ok_or_else(|| io::Error::other(format!("not a run: {run}")))
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
