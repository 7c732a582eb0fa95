use crate::conformance::{self, PATIENCE, key, put, terms};
use smlt::store::{Memory, ParameterError, ParameterStore, Served, Server, serve};
use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

struct House {
    path: PathBuf,
    server: Option<Server>,
    _folder: TempDir,
}

impl House {
    fn build(store: Memory) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        Self { server: Some(serve(&path, Arc::new(store)).unwrap()), path, _folder: folder }
    }

    fn visit(&self, run: &str) -> Served {
        Served::connect(&self.path, terms(run)).unwrap()
    }
}

#[test]
fn conforms() {
    let house = House::build(Memory::default());
    conformance::hold(&|| Arc::new(house.visit("a")));
}

#[test]
fn runs_are_apart() {
    let house = House::build(Memory::default());
    conformance::keeps_apart(&house.visit("a"), &house.visit("b"));
}

#[test]
fn what_is_not_used_goes() {
    let expiry = Duration::from_millis(600);
    conformance::expires(&House::build(Memory::new(expiry)).visit("a"), expiry);
}

#[test]
fn a_server_ends_with_its_socket_and_may_come_back() {
    let mut house = House::build(Memory::default());
    let store = house.visit("a");
    assert_eq!(fs::metadata(&house.path).unwrap().permissions().mode() & 0o777, 0o600);
    let began = Instant::now();
    thread::scope(|scope| {
        let reader = scope.spawn(|| store.get(&[key("never")], PATIENCE));
        thread::sleep(Duration::from_millis(100));
        house.server = None;
        assert!(matches!(reader.join().unwrap(), Err(ParameterError::Unreachable { .. })));
    });
    assert!(began.elapsed() < PATIENCE / 2);
    assert!(!house.path.exists());
    // As one leaves it that was killed.
    drop(std::os::unix::net::UnixListener::bind(&house.path).unwrap());
    house.server = Some(serve(&house.path, Arc::default()).unwrap());
    put(&store, "a", b"again");
    assert!(serve(&house.path, Arc::default()).is_err(), "one that lives is not taken over");
}

#[test]
fn nonsense_closes_a_connection_and_nothing_else() {
    let house = House::build(Memory::default());
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 100], b"p\xff\xff\xff\xff", &[b'g'; 1000]] {
        let mut guest = UnixStream::connect(&house.path).unwrap();
        // It may close before it has read all.
        let _ = guest.write_all(nonsense);
        let mut answer = Vec::new();
        let _ = guest.read_to_end(&mut answer);
        assert_eq!(answer, b"");
    }
    conformance::keeps_apart(&house.visit("a"), &house.visit("b"));
}

#[test]
fn nobody_there_is_told() {
    let error = Served::connect("/nowhere/store", terms("a")).unwrap_err();
    assert!(matches!(&error, ParameterError::Unreachable { store, .. } if store == "unix:///nowhere/store"), "{error}");
}
