//! Sessions with the program. A case is a folder with a project and a file `session`: each line that starts with `$` is
//! run by a shell in a copy of the folder; below it stands what it prints, lines of the error stream behind `!`, and
//! then its exit code behind `=`, unless that is 0. What differs from run to run stands in angle brackets.

use crate::{compare, entries, stem};
use libtest_mimic::{Failed, Trial};
use regex::Regex;
use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
};

pub fn trials(folder: &Path) -> Vec<Trial> {
    let trial = |path: std::path::PathBuf| Trial::test(format!("cli/{}", stem(&path)), move || session(&path));
    entries(folder).into_iter().map(trial).collect()
}

fn session(case: &Path) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    copy(case, folder.path())?;
    let file = case.join("session");
    let script = fs::read_to_string(&file)?;
    let mut said = String::new();
    for command in script.lines().filter_map(|line| line.strip_prefix("$ ")) {
        if !said.is_empty() {
            said.push('\n');
        }
        said.push_str(&format!("$ {command}\n{}", run(command, folder.path())?));
    }
    compare(&file, &said)
}

fn run(command: &str, folder: &Path) -> Result<String, Failed> {
    let program = Path::new(env!("CARGO_BIN_EXE_smltc")).parent().unwrap();
    let path = env::join_paths(
        std::iter::once(program.to_owned()).chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
    )?;
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .stdin(Stdio::null())
        .output()?;
    let mut said = String::from_utf8(output.stdout)?;
    for line in String::from_utf8(output.stderr)?.lines() {
        said.push_str(format!("! {line}").trim_end());
        said.push('\n');
    }
    match output.status.code() {
        Some(0) => {}
        Some(code) => said.push_str(&format!("= {code}\n")),
        None => said.push_str("= killed\n"),
    }
    let place = folder.canonicalize()?.display().to_string();
    Ok(settled(&said.replace(&place, "<folder>")))
}

/// Without what differs from run to run.
fn settled(said: &str) -> String {
    static CHANGING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"\d{8}-\d{6}-(\w+)-[0-9a-f]{4}", "<run-$1>"),
            (r"(?m)^! +\d+\.\ds  ", "! <at>  "),
            (r"\b\d+\.\ds\b", "<time>"),
            (r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}", "<moment>"),
            (r"\([0-9a-f]{12}\)", "(<hash>)"),
            (r"\$0\.\d{3,}", "<cost>"),
            (r#"("(?:at|cost|elapsed|total|after|started)":\s*)("[^"]*"|[\d.e-]+)"#, "$1<number>"),
            (r"[0-9a-f]{2}/[0-9a-f]{62}", "<hash>"),
            (r"[0-9a-f]{64}", "<hash>"),
        ]
        .map(|(pattern, stand_in)| (Regex::new(pattern).unwrap(), stand_in))
        .into()
    });
    CHANGING
        .iter()
        .fold(said.to_owned(), |said, (pattern, stand_in)| pattern.replace_all(&said, *stand_in).into_owned())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
