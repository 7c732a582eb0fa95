//! Trainings whose workers are chosen on the way.

use super::*;
use std::time::Instant;

const EPOCHS: &str = "120";

/// A project whose training may have one worker or two, and has so many seconds.
fn limited(seconds: f64) -> Project {
    let text = TEAM.replace("SETTINGS", "workers: 1..2");
    Project::with("team.smlt", &text.replace("workflow main", &format!("@deadline({seconds:.2}s)\nworkflow main")))
}

/// The workers of each round, and why there are so many.
fn chosen(project: &Project) -> Vec<(u64, String)> {
    let told = events(project, "round_begun").into_iter();
    told.map(|event| (event["workers"].as_u64().unwrap(), event["why"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn with_time_enough_one_worker_does_and_comes_to_its_bits() {
    let project = limited(600.0);
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
    let project = limited(deadline);
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
