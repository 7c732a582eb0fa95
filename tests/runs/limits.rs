//! Runs that meet their deadline or budget, and what is told of it.

use crate::project::*;
use serde_json::Value as Json;
use std::{
    fs,
    process::{Command, Stdio},
};

/// The last event of a search for digits with more trials than its limits allow.
fn end_of_a_long_search(project: &Project) -> Json {
    let output = project.smltc(&["run", "digits.smlt", "--trials", "500", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn a_search_that_meets_its_deadline_keeps_the_best_and_the_workflow_goes_on() {
    let project = Project::new();
    let text = fs::read_to_string(project.path("digits.smlt")).unwrap().replace("@deadline(5min)", "@deadline(4s)");
    fs::write(project.path("digits.smlt"), text).unwrap();
    let end = end_of_a_long_search(&project);
    assert_eq!(end["status"], "succeeded");
    assert!(end["result"]["accuracy"].as_f64().unwrap() > 0.9, "{end}");
    assert!(end["at"].as_f64().unwrap() <= 5.0, "{end}");
    let marks = end["marks"].as_array().unwrap();
    assert!(marks.iter().any(|mark| mark["scope"] == "main/best"), "{end}");
    assert_eq!(project.state(), "cut short");
}

#[test]
fn a_search_that_meets_its_budget_keeps_the_best_and_the_workflow_goes_on() {
    let project = Project::new();
    let text = fs::read_to_string(project.path("digits.smlt")).unwrap().replace("$0.10", "$0.0008");
    fs::write(project.path("digits.smlt"), text).unwrap();
    let end = end_of_a_long_search(&project);
    assert!(end["cost"].as_f64().unwrap() <= 0.0008, "{end}");
    assert!(!end["marks"].as_array().unwrap().is_empty(), "{end}");
}

#[test]
fn a_terminal_sees_the_steps_the_trials_and_the_limits() {
    let project = Project::new();
    // `script` gives the program a terminal of its own.
    let command = format!("stty columns 200; {} run digits.smlt --trials 12 --epochs 40", env!("CARGO_BIN_EXE_smltc"));
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(project.folder())
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
    let seen = String::from_utf8(output.stdout).unwrap();
    for wanted in ["/12 trials", "/40  train.loss", " of 5min · $", " of $0.10", "✓", "accuracy"] {
        assert!(seen.contains(wanted), "{wanted:?} is not in {seen}");
    }
}
