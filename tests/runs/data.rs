//! What becomes of a run whose data changes.

use crate::project::*;
use std::fs;

const TEXT: &str = r#"
import std/models.{logistic_regression}

dataset points {
  source: "points.csv"
  label: "kind"
  split { train: 100% }
}

task spoil() { shell: "echo 9,b >> \"$SMLT_PROJECT/points.csv\"" }

workflow main() {
  let first = train logistic_regression(inputs: 1) { data: points, epochs: 1 }
  let spoilt = run spoil() after first
  train logistic_regression(inputs: 1) after spoilt { data: points, epochs: 1 }
}

workflow twice() {
  let first = train logistic_regression(inputs: 1) { data: points, epochs: 1 }
  train logistic_regression(inputs: points.width) after first { data: points, epochs: 2 }
}
"#;

#[test]
fn a_run_does_not_mix_two_versions_of_a_file() {
    let project = Project::with("points.smlt", TEXT);
    fs::write(project.path("points.csv"), "x,kind\n1,a\n2,b\n3,a\n4,b\n").unwrap();
    let output = project.smltc(&["run", "points.smlt", "--quiet"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("`points.csv` changed while the run was under way"), "{said}");
    assert!(said.contains("run again once it is still"), "{said}");
    let failed = project.events().into_iter().find(|event| event["event"] == "step_failed");
    assert_eq!(failed.unwrap()["failure"]["kind"], "TaskFailed");

    // Another run begins with what the file holds now.
    let output = project.smltc(&["run", "points.smlt", "twice", "--quiet"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_file_that_is_written_anew_with_the_same_content_is_the_same() {
    let text = TEXT.replace("echo 9,b >>", "sleep 0.01; f=$SMLT_PROJECT/points.csv; cat $f > copy; cat copy >");
    let project = Project::with("points.smlt", &text);
    fs::write(project.path("points.csv"), "x,kind\n1,a\n2,b\n3,a\n4,b\n").unwrap();
    let output = project.smltc(&["run", "points.smlt", "--quiet"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
