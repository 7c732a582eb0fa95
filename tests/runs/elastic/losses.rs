//! Workers, doubles and programs that are killed, stopped or interrupted.

use super::*;
use std::{
    thread,
    time::{Duration, Instant},
};

#[test]
fn a_double_takes_part_and_a_loss_of_its_rank_costs_nothing() {
    let wanted = alone(LONG);
    for signal in [Signal::KILL, Signal::STOP] {
        let project = team("workers: 2\n    sync: parameter_server(backups: 1)");
        let run = start(&project, &["run", "team.smlt", "--epochs", LONG]);
        wait_for_epoch(&project, 20);
        // The third process is the double; which rank has it, only the run knows.
        strike(workers(&run)[2], signal);
        assert!(finished(&project, run) == wanted);
        let rounds = events(&project, "round_done");
        let doubled: Vec<usize> =
            rounds.iter().map(|round| round["round"]["doubled"].as_array().unwrap().len()).collect();
        assert_eq!(doubled, [0, 1]);
        assert_eq!(events(&project, "round_lost"), [] as [Json; 0]);
        leaves_nothing(&project);
    }
}

#[test]
fn a_silent_worker_is_found_and_gone_in_the_end() {
    let wanted = alone(LONG);
    let project = team("workers: 4");
    let run = start(&project, &["run", "team.smlt", "--epochs", LONG]);
    wait_for_epoch(&project, 20);
    let stopped = workers(&run)[1];
    strike(stopped, Signal::STOP);
    let began = Instant::now();
    wait_until("the round is given up", || !events(&project, "round_lost").is_empty());
    // Twice the silence, and as long again for those who are left.
    assert!(began.elapsed() < Duration::from_secs(17), "{:?}", began.elapsed());
    assert!(finished(&project, run) == wanted);
    assert!(!is_alive(stopped));
    assert_eq!(events(&project, "round_lost").len(), 1);
    leaves_nothing(&project);
}

#[test]
fn a_program_that_is_killed_goes_on() {
    let wanted = alone(LONG);
    let project = team("workers: 4\n    checkpoint: every(epochs: 5)");
    kill_in_training(&project, &[]);
    // The socket of the store, which nobody was left to remove; the next run does.
    assert_eq!(fs::read_dir(temporary(&project)).unwrap().count(), 1);
    let again = start(&project, &["run", "--resume"]);
    let result = finished(&project, again);
    assert_eq!(result.0["told"], result.0["epochs"]);
    assert!(result == wanted);
    let begun = events(&project, "epoch").iter().filter(|event| event["epoch"] == 1).count();
    assert_eq!(begun, 1, "it went on from a checkpoint");
    leaves_nothing(&project);
}

#[test]
fn an_interrupt_stops_at_a_checkpoint() {
    let wanted = alone(LONG);
    // Rounds that end all the time: an interrupt between two of them counts as well.
    for replan in ["", "replan: every(steps: 5)"] {
        let project = team(&format!("workers: 4\n    {replan}"));
        let mut run = start(&project, &["run", "team.smlt", "--epochs", LONG]);
        wait_for_epoch(&project, 20);
        let began = Instant::now();
        strike(pid(&run), Signal::INT);
        assert_eq!(run.wait().unwrap().code(), Some(130));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(project.state(), "cancelled");
        let again = start(&project, &["run", "--resume"]);
        assert!(finished(&project, again) == wanted);
        assert_eq!(events(&project, "epoch").len().to_string(), LONG, "no epoch was trained twice");
        leaves_nothing(&project);
    }
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before_it() {
    let wanted = alone(LONG);
    let project = team("workers: 4\n    checkpoint: every(epochs: 5)");
    kill_in_training(&project, &[]);
    let steps = |path: &PathBuf| -> u64 { path.to_str().unwrap().rsplit('.').nth(2).unwrap().parse().unwrap() };
    let all = checkpoints(&project);
    let is_whole = |path: &&PathBuf| all.iter().filter(|other| steps(other) == steps(path)).count() == 4;
    let newest = all.iter().filter(is_whole).max_by_key(|path| steps(path)).unwrap();
    let bytes = fs::read(newest).unwrap();
    fs::write(newest, &bytes[..bytes.len() / 2]).unwrap();
    let again = command(&project, &["run", "--resume", "--out", "result.json"]).output().unwrap();
    assert!(project.read_result() == wanted);
    let said = "1 damaged checkpoint was left out; it goes on from the one before";
    assert!(told(&again).contains(said), "{}", told(&again));
    leaves_nothing(&project);
}

#[test]
fn a_team_whose_workers_are_always_killed_fails() {
    let project = team("workers: 2");
    let mut run = start(&project, &["run", "team.smlt", "--epochs", "100000"]);
    let began = Instant::now();
    while run.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60));
        workers(&run).into_iter().for_each(|worker| strike(worker, Signal::KILL));
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(run.wait().unwrap().code(), Some(1));
    assert_eq!(project.state(), "failed");
    wait_until("no process is left", || processes_in(project.folder()).is_empty());
}
