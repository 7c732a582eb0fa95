use super::*;
use std::{fs::File, time::Duration};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Gives a file a time on it that is long ago; the system's own time on it is that of this call.
fn set_time(path: &Path) {
    File::options().append(true).open(path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(1)).unwrap();
}

#[test]
fn a_file_is_known_by_its_content() {
    let folder = folder();
    let [one, two, other] = ["one", "two", "other"].map(|name| folder.path().join(name));
    fs::write(&one, "same").unwrap();
    fs::write(&two, "same").unwrap();
    fs::write(&other, "else").unwrap();
    let memo = Memo::default();
    assert_eq!(memo.content(&one).unwrap(), Hash::of(b"same"));
    assert_eq!(memo.content(&one).unwrap(), memo.content(&two).unwrap());
    assert_ne!(memo.content(&one).unwrap(), memo.content(&other).unwrap());
}

#[test]
fn a_change_shows_in_the_next_epoch_even_with_the_same_length_and_time() {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, "before").unwrap();
    set_time(&path);
    let memo = Memo::default();
    let before = memo.content(&path).unwrap();
    fs::write(&path, "after!").unwrap();
    set_time(&path);
    assert_eq!(memo.content(&path).unwrap(), before, "nothing is looked at twice in an epoch");
    memo.new_epoch();
    assert_eq!(memo.content(&path).unwrap(), Hash::of(b"after!"));
    assert!(!memo.still_has(&path, before));
}

#[test]
fn what_is_known_need_not_be_read() {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, "12345").unwrap();
    let memo = Memo::default();
    assert_eq!(memo.unread(&path), Some(5));
    memo.content(&path).unwrap();
    assert_eq!(memo.unread(&path), Some(0));
    assert_eq!(memo.unread(folder.path()), None, "a folder is not quick");
    assert_eq!(memo.unread(&folder.path().join("missing")), Some(0));
}

#[test]
fn what_is_no_plain_file_is_nothing() {
    let memo = Memo::default();
    assert_eq!(memo.place(Path::new("/dev/null")), Place::Nothing);
    assert_eq!(memo.place(Path::new("/missing")), Place::Nothing);
    assert_eq!(memo.place(Path::new("/")), Place::Folder);
}

#[test]
fn a_folder_changes_with_what_is_in_it() {
    let folder = folder();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("file"), "1").unwrap();
    let memo = Memo::default();
    let mut before = memo.content(folder.path()).unwrap();
    let mut changes = |what: &str, change: &dyn Fn()| {
        change();
        memo.new_epoch();
        let now = memo.content(folder.path()).unwrap();
        let changed = now != before;
        before = now;
        assert!(changed, "{what}");
    };
    changes("a file grows", &|| fs::write(inner.join("file"), "12").unwrap());
    changes("a file comes", &|| fs::write(inner.join("other"), "").unwrap());
    changes("a file goes", &|| fs::remove_file(inner.join("other")).unwrap());
    fs::write(folder.path().join(".hidden"), "").unwrap();
    memo.new_epoch();
    assert!(memo.still_has(folder.path(), before), "hidden files don't count");
}
