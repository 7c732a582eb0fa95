//! What holds of every parameter store.

use bytes::Bytes;
use smlt::store::{Key, ParameterStore, Terms};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Long enough for whatever is sure to come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the store once more, as another worker would.
pub type Open<'a> = &'a dyn Fn() -> Arc<dyn ParameterStore>;

pub fn key(name: &str) -> Key {
    Key::new(&[&"round", &name])
}

fn get(store: &dyn ParameterStore, name: &str) -> Option<Bytes> {
    store.get(&[key(name)], Duration::ZERO).unwrap().remove(0)
}

pub fn put(store: &dyn ParameterStore, name: &str, bytes: &[u8]) {
    store.put(&[(key(name), Bytes::copy_from_slice(bytes))]).unwrap();
}

/// Bytes in which a part that is lost, doubled or moved shows.
pub fn pattern(length: usize) -> Bytes {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

/// The terms of a test, whose troubles are soon over.
pub fn terms(run: &str) -> Terms {
    Terms { retry: Duration::from_secs(3), ..Terms::new(Key::new(&[&run])) }
}

/// All checks that take no fault to see.
pub fn hold(open: Open) {
    keeps_blobs(open);
    keeps_odd_names(open);
    keeps_large_and_many(open);
    wakes_readers(open);
    serves_many_readers(open);
    ends_with_patience(open);
    clears_by_parts(open);
    counts(open);
}

fn keeps_blobs(open: Open) {
    let (here, there) = (open(), open());
    assert_eq!(get(&*here, "a"), None);
    put(&*here, "a", b"one");
    assert_eq!(get(&*there, "a").unwrap(), "one");
    assert_eq!(get(&*there, "a").unwrap(), "one", "reading takes nothing away");
    put(&*there, "a", b"two\r\n\0\xff");
    assert_eq!(get(&*here, "a").unwrap(), &b"two\r\n\0\xff"[..]);
    put(&*here, "empty", b"");
    assert_eq!(get(&*there, "empty").unwrap(), "");
    there.remove(&[key("a"), key("never")]).unwrap();
    assert_eq!(get(&*here, "a"), None);
    here.put(&[]).unwrap();
    here.remove(&[]).unwrap();
    assert_eq!(here.get(&[], PATIENCE).unwrap(), []);
}

fn keeps_odd_names(open: Open) {
    let names = ["*", "[ab]?", "a b\n\\", "%2F", "..", "größe", "\u{0}", "a#b?c=d&e", "{tag}"];
    let store = open();
    for name in names {
        put(&*store, name, name.as_bytes());
    }
    let keys = names.map(key);
    let found = store.get(&keys, Duration::ZERO).unwrap();
    assert_eq!(found, names.map(|name| Some(Bytes::from(name))));
    store.clear(&key("*")).unwrap();
    let left = store.get(&keys, Duration::ZERO).unwrap();
    assert_eq!(left[0], None);
    assert_eq!(left[1..], found[1..]);
    store.clear(&Key::new(&[&"round"])).unwrap();
    assert_eq!(store.get(&keys, Duration::ZERO).unwrap(), vec![None; names.len()]);
}

fn keeps_large_and_many(open: Open) {
    let (here, there) = (open(), open());
    let large = pattern(30_000_000);
    here.put(&[(key("large"), large.clone())]).unwrap();
    assert_eq!(there.get(&[key("large")], PATIENCE).unwrap(), [Some(large)]);
    let many: Vec<_> = (0..500_usize).map(|index| (key(&index.to_string()), pattern(index))).collect();
    here.put(&many).unwrap();
    let keys: Vec<_> = many.iter().rev().map(|(key, _)| key.clone()).collect();
    let wanted: Vec<_> = many.iter().rev().map(|(_, bytes)| Some(bytes.clone())).collect();
    assert_eq!(there.get(&keys, PATIENCE).unwrap(), wanted);
    here.remove(&keys[..499]).unwrap();
    assert_eq!(there.get(&keys, Duration::ZERO).unwrap().iter().flatten().count(), 1);
    here.clear(&Key::new(&[&"round"])).unwrap();
}

fn wakes_readers(open: Open) {
    let (here, there) = (open(), open());
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let began = Instant::now();
            let found = there.get(&[key("late"), key("early"), key("later")], PATIENCE).unwrap();
            (found, began.elapsed())
        });
        for name in ["early", "late", "later"] {
            thread::sleep(Duration::from_millis(100));
            put(&*here, name, name.as_bytes());
        }
        let (found, waited) = reader.join().unwrap();
        assert_eq!(found, ["late", "early", "later"].map(|name| Some(Bytes::from(name))));
        assert!(waited < PATIENCE / 2, "{waited:?}");
    });
}

fn serves_many_readers(open: Open) {
    let stores: Vec<_> = (0..16).map(|_| open()).collect();
    let (shared, blob) = (open(), pattern(100_000));
    thread::scope(|scope| {
        let readers: Vec<_> = stores
            .iter()
            .chain([&shared; 16])
            .map(|store| scope.spawn(|| store.get(&[key("shared")], PATIENCE)))
            .collect();
        thread::sleep(Duration::from_millis(100));
        shared.put(&[(key("shared"), blob.clone())]).unwrap();
        for reader in readers {
            assert_eq!(reader.join().unwrap().unwrap(), [Some(blob.clone())]);
        }
    });
}

fn ends_with_patience(open: Open) {
    let store = open();
    put(&*store, "there", b"x");
    let began = Instant::now();
    let found = store.get(&[key("nowhere"), key("there"), key("neither")], Duration::from_millis(300)).unwrap();
    assert_eq!(found, [None, Some(Bytes::from("x")), None]);
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

fn clears_by_parts(open: Open) {
    let store = open();
    let keys = [Key::new(&[&"run", &1]), Key::new(&[&"run", &1, &"a"]), Key::new(&[&"run", &10, &"a"])];
    for key in &keys {
        store.put(&[(key.clone(), Bytes::from("x"))]).unwrap();
    }
    store.clear(&keys[0]).unwrap();
    assert_eq!(store.get(&keys, Duration::ZERO).unwrap(), [None, None, Some(Bytes::from("x"))]);
    store.clear(&Key::new(&[&"run"])).unwrap();
}

fn counts(open: Open) {
    let store = open();
    let before = store.traffic();
    store.put(&[(key("a"), pattern(70)), (key("b"), pattern(30))]).unwrap();
    put(&*store, "a", &pattern(5));
    store.get(&[key("b"), key("a"), key("c")], Duration::ZERO).unwrap();
    store.get(&[key("b")], Duration::ZERO).unwrap();
    let after = store.traffic();
    let counted = [after.up - before.up, after.down - before.down, after.puts - before.puts, after.gets - before.gets];
    assert_eq!(counted, [105, 65, 3, 3]);
    store.clear(&Key::new(&[&"round"])).unwrap();
}

/// What is not used for `expiry` goes; what is put or got stays.
pub fn expires(store: &dyn ParameterStore, expiry: Duration) {
    put(store, "read", b"x");
    put(store, "unread", b"x");
    for _ in 0..4 {
        thread::sleep(expiry / 3);
        assert!(get(store, "read").is_some());
    }
    assert_eq!(get(store, "unread"), None);
    thread::sleep(expiry * 5 / 4);
    assert_eq!(get(store, "read"), None);
}

/// Two runs in one store don't see each other.
pub fn keeps_apart(one: &dyn ParameterStore, other: &dyn ParameterStore) {
    put(one, "a", b"one");
    assert_eq!(get(other, "a"), None);
    put(other, "a", b"other");
    one.clear(&Key::new(&[&"round"])).unwrap();
    assert_eq!(get(one, "a"), None);
    assert_eq!(get(other, "a").unwrap(), "other");
    other.clear(&Key::new(&[&"round"])).unwrap();
}
