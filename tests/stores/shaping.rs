//! The links that stores are measured over are as wide and as long as they say.

use crate::shaper::{Link, Shaper};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// A server that reads all that a connection gives it, and gives a byte back.
fn sink() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut guest in listener.incoming().flatten() {
            thread::spawn(move || {
                guest.read_to_end(&mut Vec::new()).unwrap();
                guest.write_all(b"x").unwrap();
            });
        }
    });
    address
}

fn send(shaper: &Shaper, bytes: usize) {
    let mut stream = TcpStream::connect(shaper.address()).unwrap();
    stream.write_all(&vec![1; bytes]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 1);
}

/// How long it takes to send bytes over each of some shapers at once.
fn time(shapers: &[Shaper], bytes: usize) -> f64 {
    let began = Instant::now();
    thread::scope(|scope| {
        for shaper in shapers {
            scope.spawn(|| send(shaper, bytes));
        }
    });
    began.elapsed().as_secs_f64()
}

fn assert_near(found: f64, wanted: f64) {
    assert!((found / wanted - 1.0).abs() < 0.1, "{found} s instead of {wanted} s");
}

#[test]
fn a_link_is_as_wide_and_long_as_it_says() {
    let links = [Link::new(20e6)];
    let shaper = Shaper::start(sink(), &links, Duration::from_millis(50));
    assert_near(time(&[shaper], 10_000_000), 0.5 + 2.0 * 0.05);
}

#[test]
fn two_connections_share_a_link_and_the_narrowest_counts() {
    let (worker, node) = (|| Link::new(100e6), Link::new(20e6));
    let way = || Shaper::start(sink(), &[worker(), Arc::clone(&node)], Duration::ZERO);
    assert_near(time(&[way(), way()], 5_000_000), 0.5);
}
