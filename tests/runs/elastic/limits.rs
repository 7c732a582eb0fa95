//! Trainings whose workers are chosen on the way.

use super::*;
use std::time::Instant;

const EPOCHS: &str = "120";

/// A project whose training may have one worker or two, and is limited so.
fn limited(limit: &str) -> Project {
    let text = TEAM.replace("SETTINGS", "workers: 1..2");
    Project::with("team.smlt", &text.replace("workflow main", &format!("{limit}\nworkflow main")))
}

fn spent(project: &Project) -> f64 {
    let last = events(project, "spent").pop().expect("something was spent");
    last["total"].as_f64().unwrap()
}

/// The workers of each round, and why there are so many.
fn chosen(project: &Project) -> Vec<(u64, String)> {
    let told = events(project, "round_begun").into_iter();
    told.map(|event| (event["workers"].as_u64().unwrap(), event["why"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn with_time_enough_one_worker_does_and_comes_to_its_bits() {
    let project = limited("@deadline(600s)");
    let (result, weights) = project.result(&["team.smlt", "--epochs", "20"]);
    assert_eq!((result, weights), alone("20"));
    let chosen = chosen(&project);
    let (workers, why) = chosen.last().expect("it chose");
    assert!(*workers == 1 && why.contains("the cheapest within the limits"), "{chosen:?}");
}

#[test]
fn a_deadline_that_one_worker_would_miss_brings_a_second_and_is_kept() {
    let began = Instant::now();
    let (whole, weights) = alone(EPOCHS);
    let alone = began.elapsed().as_secs_f64();
    let deadline = 0.75 * alone;
    let project = limited(&format!("@deadline({deadline:.2}s)"));
    let began = Instant::now();
    let (result, own) = project.result(&["team.smlt", "--epochs", EPOCHS]);
    let took = began.elapsed().as_secs_f64();
    // The start of the program is no part of the run.
    assert!(took <= deadline + 2.0, "{took} of {deadline}, and {alone} alone");
    let chosen = chosen(&project);
    assert!(chosen.iter().any(|(workers, _)| *workers == 2), "{chosen:?}");
    // On a machine that is busy it keeps the deadline with fewer epochs.
    if result["epochs"] == whole["epochs"] {
        assert!(own == weights);
    }
}

#[test]
fn a_budget_lasts_as_long_as_those_who_train_let_it() {
    let project = team("workers: 1");
    let (whole, weights) = project.result(&["team.smlt", "--epochs", EPOCHS]);
    // Two workers throughout would have less than the time that one takes.
    let budget = 1.8 * spent(&project);
    let project = limited(&format!("@budget(${budget:.6})\n@goal(min_cost)"));
    assert_eq!(project.result(&["team.smlt", "--epochs", EPOCHS]), (whole, weights));
    assert!(spent(&project) <= budget, "{} of {budget}", spent(&project));
}
