use crate::{
    conformance::{self, PATIENCE, key, put, terms},
    s3_server::Server,
};
use smlt::store::{Blobs, OpenError, ParameterError, ParameterStore, Terms, open};
use std::{
    fs,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// The store in a bucket.
pub fn in_bucket(server: &Server, bucket: &str, terms: Terms) -> Result<Blobs, ParameterError> {
    Blobs::new(server.remote(bucket, "some/where"), terms)
}

#[test]
fn a_folder_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("file://{}", folder.path().display());
    conformance::hold(&|| open(&address, terms("a")).unwrap());
    conformance::keeps_apart(&*open(&address, terms("a")).unwrap(), &*open(&address, terms("b")).unwrap());
}

#[test]
fn what_is_too_old_goes_when_any_run_clears_up() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("foreign"), "x").unwrap();
    let address = format!("file://{}", folder.path().display());
    put(&*open(&address, terms("abandoned")).unwrap(), "a", b"x");
    let clear = |terms| open(&address, terms).unwrap().clear(&key("a")).unwrap();
    let is_there =
        || open(&address, terms("abandoned")).unwrap().get(&[key("a")], Duration::ZERO).unwrap()[0].is_some();
    clear(terms("b"));
    assert!(is_there());
    thread::sleep(Duration::from_millis(20));
    clear(Terms { expiry: Duration::from_millis(10), ..terms("b") });
    assert!(!is_there());
    assert!(folder.path().join("foreign").exists(), "what is not its own is left alone");
}

#[test]
fn a_bucket_conforms() {
    let server = Server::start();
    conformance::hold(&|| Arc::new(in_bucket(&server, "bucket", terms("a")).unwrap()));
    conformance::keeps_apart(
        &in_bucket(&server, "bucket", terms("a")).unwrap(),
        &in_bucket(&server, "bucket", terms("b")).unwrap(),
    );
}

#[test]
fn a_bucket_that_is_not_there_or_dies_is_told() {
    let mut server = Server::start();
    let error = in_bucket(&server, "nowhere", terms("a")).err().unwrap();
    assert!(error.to_string().contains("bucket does not exist"), "{error}");
    let store = in_bucket(&server, "bucket", terms("a")).unwrap();
    server.end();
    let began = Instant::now();
    let found = store.get(&[key("a")], PATIENCE);
    assert!(matches!(&found, Err(ParameterError::Unreachable { .. })), "{found:?}");
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

#[test]
fn it_can_be_used_and_dropped_within_a_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { put(&Blobs::in_folder(folder.path().to_str().unwrap(), terms("a")).unwrap(), "a", b"x") });
}

#[test]
fn a_folder_that_can_not_be_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = open(&format!("file://{}/below", file.path().display()), terms("a")).err().unwrap();
    assert!(matches!(error, OpenError::Store(ParameterError::Refused { .. })), "{error}");
}
