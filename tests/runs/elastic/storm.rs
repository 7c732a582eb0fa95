//! Trainings whose workers are killed and whose connections are cut at random moments.
//!
//! A few rounds by default; `STORM_ROUNDS=100 cargo test --release --test runs storm -- --nocapture` is the long form.

use super::*;
use crate::redis_server::Server;
use smlt::seed::{Generator, Seed};
use std::{thread, time::Duration};

/// Rounds that are done when nothing is said.
const ROUNDS: u64 = 3;

/// After so many blows a training may come to its end.
const BLOWS: u32 = 5;

#[test]
fn a_storm_changes_no_bit() {
    let rounds = env::var("STORM_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let wanted = alone(LONG);
    let server = Server::start(&[]);
    let address = format!("redis://{}", server.address);
    let (mut kills, mut cuts, mut lost) = (0, 0, 0);
    for round in 0..rounds {
        let mut generator = Seed::new(round).generator();
        let ways = ["scatter_reduce", "all_to_all", "parameter_server", "in_store", "two_level"];
        let way = ways[generator.below(ways.len() as u64) as usize];
        let settings = format!(
            "workers: schedule([2, 4], at: [60])\n    checkpoint: every(epochs: 5)\n    sync: {way}(backups: {})",
            generator.below(2)
        );
        let project = team(&settings);
        let run = start(&project, &["run", "team.smlt", "--epochs", LONG, "--store", &address]);
        let (killed, cut) = weather(&run, &server, &mut generator);
        assert!(finished(&project, run) == wanted, "round {round}: {settings}");
        assert_eq!(server.ask(&["DBSIZE"]), "0", "round {round}");
        leaves_nothing(&project);
        (kills, cuts, lost) = (kills + killed, cuts + cut, lost + events(&project, "round_lost").len());
    }
    println!(
        "{rounds} of {rounds} trainings, {kills} workers killed, connections cut {cuts} times, {lost} rounds lost: the same bits"
    );
}

/// Kills workers and cuts connections; gives how often.
fn weather(run: &Child, server: &Server, generator: &mut Generator) -> (u32, u32) {
    let (mut kills, mut cuts) = (0, 0);
    for _ in 0..BLOWS {
        thread::sleep(Duration::from_millis(100 + generator.below(1200)));
        let workers = workers(run);
        if workers.is_empty() {
            break;
        }
        if generator.below(3) == 0 {
            server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
            cuts += 1;
        } else {
            strike(workers[generator.below(workers.len() as u64) as usize], Signal::KILL);
            kills += 1;
        }
    }
    (kills, cuts)
}
