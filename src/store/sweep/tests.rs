use super::*;
use std::fs::File;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn age(path: &Path, age: Duration) {
    File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn only_what_is_old_and_unheard_of_goes() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path());
    let [kept, lost, young] = ["kept", "lost", "young"].map(|text| objects.put_bytes(text, text.as_bytes()).unwrap());
    let half = folder.path().join(".tmp-half");
    fs::write(&half, "half").unwrap();
    for path in [objects.path(&kept), objects.path(&lost), half.clone()] {
        age(&path, DAY);
    }
    let keep = BTreeSet::from([kept.hash]);

    let both = Swept { files: 2, bytes: 8 };
    assert_eq!(objects.sweep(&keep, Duration::ZERO, true).unwrap(), both);
    assert!(half.exists() && objects.path(&lost).exists());
    assert_eq!(objects.sweep(&keep, 2 * DAY, false).unwrap(), Swept::default());
    assert_eq!(objects.sweep(&keep, Duration::ZERO, false).unwrap(), both);
    assert!(!half.exists() && !objects.path(&lost).exists());
    assert!(objects.path(&kept).exists() && objects.path(&young).exists());
}

#[test]
fn what_is_stored_again_counts_as_young() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path());
    let artifact = objects.put_bytes("a", b"a").unwrap();
    age(&objects.path(&artifact), DAY);
    objects.put_bytes("a", b"a").unwrap();
    assert_eq!(objects.sweep(&BTreeSet::new(), Duration::ZERO, false).unwrap(), Swept::default());
}

#[test]
fn a_file_of_another_length_is_stored_anew() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path());
    let artifact = objects.put_bytes("a", b"whole").unwrap();
    fs::write(objects.path(&artifact), "part").unwrap();
    assert!(!objects.holds(&artifact));
    objects.put_bytes("a", b"whole").unwrap();
    assert_eq!(objects.read(&artifact).unwrap(), b"whole");
}

#[test]
fn a_store_that_is_not_there_is_swept_already() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path().join("none"));
    assert_eq!(objects.sweep(&BTreeSet::new(), Duration::ZERO, false).unwrap(), Swept::default());
}
