use super::*;
use std::collections::BTreeSet;
use tempfile::TempDir;

fn project() -> (TempDir, Words) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["scripts/clean.py", "scripts/common.py", "scripts/notes.txt", "data/a.csv", "data/b.csv", "tool"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let words = Words::new(folder.path().to_owned(), Arc::default());
    (folder, words)
}

fn names<'n>(found: impl IntoIterator<Item = &'n Named>) -> BTreeSet<&'n str> {
    found.into_iter().map(|named| &*named.name).collect()
}

#[test]
fn a_script_names_files_in_any_of_its_words() {
    let (_folder, words) = project();
    for script in [
        "scripts/clean.py",
        "python3 scripts/clean.py data/x.csv",
        "python3 \"$SMLT_PROJECT/scripts/clean.py\" | head",
        "set -x; python3 ${SMLT_PROJECT}/scripts/clean.py>out",
        "--script=scripts/clean.py",
    ] {
        assert_eq!(names(&*words.script(script)), BTreeSet::from(["scripts/clean.py"]), "{script}");
    }
    assert_eq!(
        names(&*words.script("ls data ../")),
        BTreeSet::from(["data"]),
        "folders outside are not looked through"
    );
    assert_eq!(names(&*words.script("true\0 \n")), BTreeSet::new());
    assert!([".", "/", "..", "./"].iter().all(|text| words.given(text).is_none()), "separators are no paths");
}

#[test]
fn beside_a_script_stand_those_of_its_extension() {
    let (_folder, words) = project();
    let script = words.script("scripts/clean.py");
    assert_eq!(names(&*words.beside(&script[0])), BTreeSet::from(["scripts/clean.py", "scripts/common.py"]));
    let tool = words.script("tool");
    assert_eq!(names(&*words.beside(&tool[0])), BTreeSet::new(), "without an extension there is no kinship");
}

#[test]
fn a_file_that_comes_is_found_in_the_next_epoch() {
    let (folder, words) = project();
    assert!(words.script("late.py").is_empty() && words.given("late.py").is_none());
    fs::write(folder.path().join("late.py"), "").unwrap();
    words.new_epoch();
    assert_eq!(names(&*words.script("late.py")), BTreeSet::from(["late.py"]));
    assert!(words.given("late.py").is_some());
}
