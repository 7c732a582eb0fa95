use super::*;

#[test]
fn what_is_stored_is_whole_or_stored_again() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path().join("objects"));
    let source = folder.path().join("source");
    fs::write(&source, b"some bytes").unwrap();
    let stored = objects.put_bytes("name", b"some bytes").unwrap();
    assert!(objects.check(&stored).unwrap());
    // Cut short as by a loss of power, and changed at the same length.
    for damage in ["some", "none bytes"] {
        let put: [&dyn Fn() -> io::Result<Artifact>; 2] =
            [&|| objects.put_bytes("name", b"some bytes"), &|| objects.put_file("name", &source)];
        for put in put {
            fs::write(objects.path(&stored), damage).unwrap();
            assert!(objects.read(&stored).is_err());
            assert_eq!(put().unwrap(), stored);
            assert_eq!(objects.read(&stored).unwrap(), b"some bytes");
        }
        fs::write(objects.path(&stored), damage).unwrap();
        assert!(!objects.check(&stored).unwrap());
        assert!(!objects.path(&stored).exists());
    }
}

#[test]
fn a_file_of_another_length_is_not_held() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path());
    let artifact = objects.put_bytes("a", b"whole").unwrap();
    assert!(objects.holds(&artifact));
    fs::write(objects.path(&artifact), "part").unwrap();
    assert!(!objects.holds(&artifact));
    objects.put_bytes("a", b"whole").unwrap();
    assert_eq!(objects.read(&artifact).unwrap(), b"whole");
}

#[test]
fn what_is_held_counts_as_new() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path());
    let artifact = objects.put_bytes("a", b"a").unwrap();
    let path = objects.path(&artifact);
    let renewed: [&dyn Fn(); 2] =
        [&|| assert!(objects.holds(&artifact)), &|| drop(objects.put_bytes("a", b"a").unwrap())];
    for renew in renewed {
        File::options().append(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        renew();
        assert!(fs::metadata(&path).unwrap().modified().unwrap() > SystemTime::UNIX_EPOCH);
    }
}
