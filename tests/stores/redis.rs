use crate::{
    conformance::{self, PATIENCE, key, pattern, put, terms},
    redis_server::Server,
    shaper::Shaper,
};
use bytes::Bytes;
use smlt::store::{OpenError, ParameterError, ParameterStore, open};
use std::{
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

fn open_at(server: &Server) -> Arc<dyn ParameterStore> {
    open(&format!("redis://{}", server.address), terms("a")).unwrap()
}

#[test]
fn conforms() {
    let server = Server::start(&[]);
    conformance::hold(&|| open_at(&server));
}

#[test]
fn several_nodes_conform_and_share_the_keys() {
    let servers: Vec<_> = (0..3).map(|_| Server::start(&[])).collect();
    let hosts: Vec<_> = servers.iter().map(|server| server.address.to_string()).collect();
    let address = format!("redis://{}", hosts.join(","));
    conformance::hold(&|| open(&address, terms("a")).unwrap());
    let store = open(&address, terms("a")).unwrap();
    for index in 0..300 {
        put(&*store, &index.to_string(), b"x");
    }
    for server in &servers {
        let keys: u32 = server.ask(&["DBSIZE"]).parse().unwrap();
        // A blob has two.
        assert!((120..280).contains(&keys), "{keys}");
    }
}

#[test]
fn runs_are_apart() {
    let server = Server::start(&[]);
    let address = format!("redis://{}", server.address);
    conformance::keeps_apart(&*open(&address, terms("a")).unwrap(), &*open(&address, terms("a*")).unwrap());
}

#[test]
fn what_is_not_used_goes() {
    let server = Server::start(&[]);
    let mut terms = terms("a");
    terms.expiry = Duration::from_millis(900);
    conformance::expires(&*open(&format!("redis://{}", server.address), terms).unwrap(), Duration::from_millis(900));
    assert_eq!(server.ask(&["DBSIZE"]), "0");
}

#[test]
fn a_connection_that_is_cut_is_made_again() {
    let server = Server::start(&[]);
    let shaper = Shaper::start(server.address, &[], Duration::ZERO);
    let store = open(&format!("redis://{}", shaper.address()), terms("a")).unwrap();
    let blob = pattern(3_000_000);
    thread::scope(|scope| {
        let reader = scope.spawn(|| store.get(&[key("late"), key("later")], PATIENCE));
        for name in ["late", "later"] {
            thread::sleep(Duration::from_millis(100));
            shaper.cut();
            store.put(&[(key(name), blob.clone())]).unwrap();
        }
        assert_eq!(reader.join().unwrap().unwrap(), vec![Some(blob.clone()); 2]);
    });
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    let mut server = Server::start(&[]);
    let store = open_at(&server);
    put(&*store, "a", b"x");
    server.kill();
    thread::scope(|scope| {
        let writer = scope.spawn(|| put(&*store, "a", b"y"));
        thread::sleep(Duration::from_millis(300));
        server.revive();
        writer.join().unwrap();
    });
    assert_eq!(store.get(&[key("a")], Duration::ZERO).unwrap(), [Some(Bytes::from("y"))]);
}

#[test]
fn a_server_that_dies_is_told_in_time() {
    let mut server = Server::start(&[]);
    let store = open_at(&server);
    let began = Instant::now();
    thread::scope(|scope| {
        let reader = scope.spawn(|| store.get(&[key("never")], PATIENCE));
        thread::sleep(Duration::from_millis(100));
        server.kill();
        assert!(matches!(reader.join().unwrap(), Err(ParameterError::Unreachable { .. })));
    });
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

#[test]
fn a_server_that_says_nothing_is_told_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let began = Instant::now();
    let error = open(&format!("redis://{}", silent.local_addr().unwrap()), terms("a")).err().unwrap();
    assert!(matches!(error, OpenError::Store(ParameterError::Unreachable { .. })), "{error}");
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

#[test]
fn a_password_is_needed_and_never_shown() {
    let server = Server::start(&["--requirepass", "s3same"]);
    let at = |login: &str| open(&format!("redis://{login}{}", server.address), terms("a"));
    conformance::hold(&|| at(":s3same@").unwrap());
    for login in ["", ":sw0rdfish@", "nobody:sw0rdfish@", ":sw0rdfish@nowhere.invalid,"] {
        let error = at(login).err().unwrap();
        assert!(!format!("{error} {error:?}").contains("sw0rdfish"), "{error}");
        let is_refused = matches!(error, OpenError::Store(ParameterError::Refused { .. }));
        assert!(is_refused || login.contains("nowhere"), "{error}");
    }
}

#[test]
fn a_full_server_says_so() {
    let server = Server::start(&["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"]);
    let store = open_at(&server);
    let fill = || (0..20).try_for_each(|index| store.put(&[(key(&index.to_string()), pattern(1_000_000))]));
    assert!(matches!(fill(), Err(ParameterError::Full { .. })), "{:?}", fill());
}

#[test]
fn a_key_that_holds_something_else_is_refused() {
    let server = Server::start(&[]);
    server.ask(&["LPUSH", "a/round/taken", "x"]);
    let found = open_at(&server).get(&[key("taken")], Duration::ZERO);
    assert!(matches!(&found, Err(ParameterError::Refused { .. })), "{found:?}");
}
