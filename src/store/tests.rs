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
