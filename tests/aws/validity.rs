//! Whether all state machines of the tests are written as the States Language has it.

use std::{fs, path::Path, process::Command};

#[test]
fn every_machine_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let validator = root.join("target/npm/node_modules/.bin/asl-validator");
    assert!(validator.exists(), "`tests/run` installs the validator");
    let folder = tempfile::tempdir().unwrap();
    let mut validate = Command::new(validator);
    let mut count = 0;
    for entry in fs::read_dir(root.join("tests/asl")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".asl.json") {
            let named = folder.path().join(name);
            fs::write(&named, crate::cloud::functions(&fs::read_to_string(&path).unwrap())).unwrap();
            validate.arg("--json-path").arg(named);
            count += 1;
        }
    }
    assert!(count >= 18, "{count}");
    let output = validate.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
