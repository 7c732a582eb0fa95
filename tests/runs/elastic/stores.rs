//! Workers that meet in Redis, and a Redis that fails them.

use super::*;
use crate::redis_server::Server;
use std::{
    thread,
    time::{Duration, Instant},
};

const PASSWORD: &str = "s3same-0pen";

/// What a run comes to whose workers meet at an address, and what it says when it fails.
fn failed(address: &str) -> (String, Duration) {
    let project = team("workers: 2");
    let began = Instant::now();
    let run = project.smltc(&["run", "team.smlt", "--store", address, "--quiet"]);
    assert_eq!(run.status.code(), Some(1), "{}", told(&run));
    wait_until("no process is left", || processes_in(project.folder()).is_empty());
    (told(&run), began.elapsed())
}

#[test]
fn redis_serves_and_its_password_is_kept_nowhere() {
    let server = Server::start(&["--requirepass", PASSWORD]);
    let address = format!("redis://:{PASSWORD}@{}", server.address);
    let wanted = alone("4");
    for is_option in [true, false] {
        let project = team("workers: 4\n    sync: in_store(backups: 1)");
        let mut command = project.command(&["run", "team.smlt", "--out", "result.json"]);
        if is_option {
            command.args(["--store", &address]);
        } else {
            command.env("SMLT_STORE", &address);
        }
        let run = command.output().unwrap();
        assert!(run.status.success(), "{}", told(&run));
        assert!(project.read_result() == wanted);
        assert_eq!(server.ask(&["-a", PASSWORD, "DBSIZE"]), "0");
        let holds = |bytes: &[u8]| bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        assert!(!holds(&run.stdout) && !holds(&run.stderr), "{}", told(&run));
        assert!(!holds(&project.smltc(&["show", "--json"]).stdout));
        for path in files(project.folder()) {
            assert!(!holds(&fs::read(&path).unwrap()), "{}", path.display());
        }
        leaves_nothing(&project);
    }
}

#[test]
fn a_store_that_can_not_be_used_is_told_with_the_mend() {
    let server = Server::start(&["--requirepass", PASSWORD]);
    let (said, _) = failed(&format!("redis://:sw0rdfish@{}", server.address));
    assert!(said.contains("refused") && said.contains("check the name, the password"), "{said}");
    assert!(said.contains(&server.address.to_string()) && !said.contains("sw0rdfish"), "{said}");
    let (said, took) = failed("redis://127.0.0.1:1");
    assert!(said.contains("redis://127.0.0.1:1 can't be reached") && said.contains("help: see that it runs"), "{said}");
    assert!(took < Duration::from_secs(40), "{took:?}");
    // Room for a greeting, and for no gradient.
    let full = Server::start(&["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"]);
    let (said, took) = failed(&format!("redis://{}", full.address));
    assert!(said.contains("is full") && said.contains("help: give it more memory"), "{said}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_redis_that_dies_fails_the_run_and_what_was_kept_goes_on() {
    let mut server = Server::start(&[]);
    let address = format!("redis://{}", server.address);
    let project = team("workers: 2\n    checkpoint: every(epochs: 5)");
    let run = start(&project, &["run", "team.smlt", "--epochs", LONG, "--store", &address]);
    wait_for_epoch(&project, 20);
    server.kill();
    let began = Instant::now();
    let run = run.wait_with_output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(told(&run).contains("can't be reached") && told(&run).contains("help: see that it runs"), "{}", told(&run));
    server.revive();
    let again = start(&project, &["run", "--resume", "--store", &address]);
    assert!(finished(&project, again) == alone(LONG));
    assert_eq!(server.ask(&["DBSIZE"]), "0");
    leaves_nothing(&project);
}

#[test]
fn a_run_that_was_killed_takes_nothing_old_out_of_redis() {
    let server = Server::start(&[]);
    let address = format!("redis://{}", server.address);
    let project = team("workers: 2\n    checkpoint: every(epochs: 5)");
    kill_in_training(&project, &["--store", &address]);
    assert_ne!(server.ask(&["DBSIZE"]), "0");
    let again = start(&project, &["run", "--resume", "--store", &address]);
    assert!(finished(&project, again) == alone(LONG));
    leaves_nothing(&project);
}

#[test]
fn a_redis_that_comes_back_empty_costs_a_round() {
    let mut server = Server::start(&[]);
    let address = format!("redis://{}", server.address);
    let project = team("workers: 2\n    checkpoint: every(epochs: 5)");
    let run = start(&project, &["run", "team.smlt", "--epochs", LONG, "--store", &address]);
    wait_for_epoch(&project, 20);
    server.kill();
    thread::sleep(Duration::from_secs(1));
    server.revive();
    assert!(finished(&project, run) == alone(LONG));
    leaves_nothing(&project);
}
