//! `smlt-worker aggregate`, the process, beside a Redis.

use crate::{
    conformance::{PATIENCE, terms},
    exchange::{Setup, bits, row, sum, wanted},
    redis_server::Server,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};
use smlt::{
    store::{ParameterStore, open},
    sync::{Group, SyncError},
    wire::{Codec, Exchange},
};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const SILENCE: Duration = Duration::from_secs(1);

fn start() -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smlt-worker"));
    command.arg("aggregate").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// A round of three workers.
fn round(number: u64, server: &Server) -> (Setup, Json) {
    let setup = Setup { of: 3, round: number, exchange: Exchange::InStore, codec: Codec::F32, silence: SILENCE };
    let silence = SILENCE.as_millis() as u64;
    let store = format!("redis://{}", server.address);
    let told = json!({
        "store": store, "run": "a", "name": "training", "round": number, "of": 3, "codec": "f32", "silence": silence
    });
    (setup, told)
}

fn open_at(server: &Server) -> Arc<dyn ParameterStore> {
    open(&format!("redis://{}", server.address), terms("a")).unwrap()
}

fn tell(aggregator: &mut Child, round: &Json) {
    writeln!(aggregator.stdin.as_mut().unwrap(), "{round}").unwrap();
}

/// What it says, and its exit code, once it hears nothing more.
fn ended(mut aggregator: Child) -> (Vec<Json>, Option<i32>) {
    drop(aggregator.stdin.take());
    let said = BufReader::new(aggregator.stdout.take().unwrap()).lines();
    let said = said.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    (said, aggregator.wait().unwrap().code())
}

#[test]
fn it_comes_to_the_sum_of_the_tree_round_by_round() {
    let (server, mut aggregator) = (Server::start(&[]), start());
    for number in [1, 2] {
        let (setup, told) = round(number, &server);
        tell(&mut aggregator, &told);
        setup.run(&|| open_at(&server), |mut peers, _| {
            for length in [1, 1000] {
                let row = row(peers.rank(), length);
                let sum = sum(&mut peers, row).unwrap();
                assert_eq!(bits(&sum), wanted(3, length));
            }
            peers.leave().unwrap();
        });
    }
    let (said, code) = ended(aggregator);
    assert_eq!(said, [1, 2].map(|number| json!({ "round": number, "failure": null })));
    assert_eq!(code, Some(0));
    assert_eq!(server.ask(&["DBSIZE"]), "0");
}

#[test]
fn one_that_is_killed_is_found_in_less_than_twice_the_silence() {
    let (server, mut aggregator) = (Server::start(&[]), start());
    let (setup, told) = round(1, &server);
    tell(&mut aggregator, &told);
    let aggregator = std::sync::Mutex::new(aggregator);
    let found = setup.run(&|| open_at(&server), |mut peers, _| {
        sum(&mut peers, vec![1.0]).unwrap();
        if peers.rank() == 0 {
            aggregator.lock().unwrap().kill().unwrap();
        }
        let since = Instant::now();
        while let Ok(_sum) = sum(&mut peers, vec![1.0]) {}
        (sum(&mut peers, vec![1.0]), since.elapsed())
    });
    for (found, took) in found {
        assert_eq!(found, Err(SyncError::Silent { rank: 4, of: 3, silence: SILENCE }));
        assert!(took < SILENCE * 2, "{took:?}");
    }
    aggregator.into_inner().unwrap().wait().unwrap();
}

#[test]
fn it_ends_when_nobody_attends_any_more_and_when_the_store_is_gone() {
    let (mut server, mut aggregator) = (Server::start(&[]), start());
    let (setup, told) = round(1, &server);
    tell(&mut aggregator, &told);
    setup
        .run(&|| open_at(&server), |mut peers, _| sum(&mut peers, vec![1.0]).map(drop))
        .into_iter()
        .for_each(Result::unwrap);
    let began = Instant::now();
    let (said, code) = ended(aggregator);
    assert!(began.elapsed() < PATIENCE / 2);
    assert_eq!(code, Some(1), "{said:?}");
    assert!(said[0]["failure"]["message"].as_str().unwrap().contains("has not been heard of for 1s"), "{said:?}");
    let mut aggregator = start();
    server.kill();
    tell(&mut aggregator, &told);
    let (said, code) = ended(aggregator);
    assert_eq!(code, Some(3), "{said:?}");
    server.revive();
    let mut aggregator = start();
    tell(&mut aggregator, &json!({ "store": "redis://host" }));
    let (said, code) = ended(aggregator);
    assert_eq!(code, Some(2), "{said:?}");
}

#[test]
fn it_ends_when_it_is_asked_to() {
    let (server, mut aggregator) = (Server::start(&[]), start());
    let id = Pid::from_child(&aggregator);
    let (setup, told) = round(1, &server);
    tell(&mut aggregator, &told);
    setup.run(&|| open_at(&server), |mut peers, _| {
        sum(&mut peers, vec![1.0]).unwrap();
        if peers.rank() == 0 {
            kill_process(id, Signal::TERM).unwrap();
        }
        // The others find out, as when it is killed.
        while let Ok(_sum) = sum(&mut peers, vec![1.0]) {}
    });
    let (said, code) = ended(aggregator);
    assert_eq!(code, Some(0), "{said:?}");
    // Before its workers have come, and before it was told of a round.
    for rounds in [1, 0] {
        let mut aggregator = start();
        (0..rounds).for_each(|_| tell(&mut aggregator, &round(2, &server).1));
        thread::sleep(Duration::from_millis(300));
        kill_process(Pid::from_child(&aggregator), Signal::INT).unwrap();
        assert_eq!(aggregator.wait().unwrap().code(), Some(0));
    }
}
