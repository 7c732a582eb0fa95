//! Whether all state machines of the tests are written as the States Language has it, and all templates as CloudFormation.

use std::{fs, path::Path, process::Command};

#[test]
fn every_machine_is_one() {
    let count = validate(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asl"));
    assert!(count >= 18, "{count}");
}

/// Validates all machines in a folder, and tells how many there are.
pub fn validate(machines: &Path) -> usize {
    let validator = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm/node_modules/.bin/asl-validator");
    assert!(validator.exists(), "`tests/run` installs the validator");
    let folder = tempfile::tempdir().unwrap();
    let mut validate = Command::new(validator);
    let mut count = 0;
    for entry in fs::read_dir(machines).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".asl.json") {
            let named = folder.path().join(name);
            fs::write(&named, crate::cloud::functions(&fs::read_to_string(&path).unwrap())).unwrap();
            validate.arg("--json-path").arg(named);
            count += 1;
        }
    }
    let output = validate.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    count
}

#[test]
fn every_template_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let linter = root.join("target/cfn/bin/cfn-lint");
    assert!(linter.exists(), "`tests/run` installs the linter");
    let folder = tempfile::tempdir().unwrap();
    // What it warns of is that `aws cloudformation package` is needed.
    let mut lint = Command::new(linter);
    lint.args(["--non-zero-exit-code", "error"]);
    let mut count = 0;
    for cases in ["tests/asl", "tests/stack", "examples"] {
        for entry in fs::read_dir(root.join(cases)).unwrap() {
            let path = entry.unwrap().path();
            let out = folder.path().join(count.to_string());
            if path.extension().is_some_and(|end| end == "smlt") {
                let build =
                    Command::new(env!("CARGO_BIN_EXE_smltc")).arg("build").arg(&path).arg("-o").arg(&out).output();
                // Some of the examples can't be built.
                if build.unwrap().status.success() {
                    lint.arg("--template").arg(out.join("template.yaml"));
                    count += 1;
                }
            }
        }
    }
    assert!(count >= 30, "{count}");
    let output = lint.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
