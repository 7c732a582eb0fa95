//! Redis over TLS, with an authority of the test's own.

use crate::{
    conformance::{self, PATIENCE, terms},
    redis_server::Server,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use smlt::store::{OpenError, ParameterError, ParameterStore, open};
use std::{
    fs,
    net::TcpListener,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// An authority, in a folder.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut about = CertificateParams::default();
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(about, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A server that speaks TLS on another port besides, and that port.
    fn serve(&self, name: &str) -> (Server, u16) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path("server.pem"), certificate.pem()).unwrap();
        fs::write(self.path("server.key"), key.serialize_pem()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let [ca, certificate, key] = ["ca.pem", "server.pem", "server.key"].map(|name| self.path(name));
        let port_text = port.to_string();
        let server = Server::start(&[
            "--tls-port",
            &port_text,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
            "--tls-auth-clients",
            "no",
            "--requirepass",
            "s3same",
        ]);
        (server, port)
    }
}

fn open_at(port: u16, ca: &str) -> Result<Arc<dyn ParameterStore>, OpenError> {
    open(&format!("rediss://:s3same@127.0.0.1:{port}?ca={ca}"), terms("a"))
}

/// What is said at once.
fn refusal(address: &str) -> String {
    let began = Instant::now();
    let error = open(address, terms("a")).err().unwrap();
    assert!(matches!(error, OpenError::Store(ParameterError::Refused { .. })), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    error.to_string()
}

#[test]
fn conforms() {
    let authority = Authority::new();
    let (_server, port) = authority.serve("127.0.0.1");
    conformance::hold(&|| open_at(port, &authority.path("ca.pem")).unwrap());
}

#[test]
fn who_is_not_trusted_is_told_with_the_mend() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (server, port) = authority.serve("127.0.0.1");
    let mend = "name the certificate of who has with `?ca=/PATH`";
    let error = refusal(&format!("rediss://:s3same@127.0.0.1:{port}?ca={}", other.path("ca.pem")));
    assert!(error.contains(mend), "{error}");
    // The machine does not trust it either.
    let error = refusal(&format!("rediss://:s3same@127.0.0.1:{port}"));
    assert!(error.contains(mend), "{error}");
    let error = refusal(&format!("rediss://:s3same@localhost:{port}?ca={}", authority.path("ca.pem")));
    assert!(error.contains("its certificate does not hold") && error.contains("localhost"), "{error}");
    let error = refusal(&format!("rediss://:wrong@127.0.0.1:{port}?ca={}", authority.path("ca.pem")));
    assert!(error.contains("WRONGPASS") && !error.contains("wrong@"), "{error}");
    let address = format!("rediss://:s3same@{}?ca={}", server.address, authority.path("ca.pem"));
    let error = open(&address, terms("a")).err().unwrap().to_string();
    assert!(error.contains("it does not answer, as one that speaks no TLS"), "{error}");
}

#[test]
fn certificates_that_can_not_be_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    for path in [&*empty, Path::new("/nowhere/ca.pem")] {
        let error = open_at(1, path.to_str().unwrap()).err().unwrap().to_string();
        assert!(error.contains(&format!("the certificates in `{}` can't be read", path.display())), "{error}");
        assert!(!error.contains("s3same"), "{error}");
    }
}

#[test]
fn who_hangs_up_or_says_nothing_when_hands_are_shaken_is_told_in_time() {
    let authority = Authority::new();
    for hangs_up in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if hangs_up {
            thread::spawn(move || listener.incoming().for_each(drop));
        } else {
            thread::spawn(move || listener.incoming().collect::<Vec<_>>());
        }
        let began = Instant::now();
        let error = open_at(port, &authority.path("ca.pem")).err().unwrap();
        assert!(matches!(error, OpenError::Store(ParameterError::Unreachable { .. })), "{error}");
        assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    }
}
