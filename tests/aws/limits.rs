//! Deadlines and budgets that are kept, and those that strike.

use crate::cloud::{Cloud, End, Project, both, same};
use serde_json::{Map, Value as Json, json};

const TASKS: &str = r#"
task add(a: Int, b: Int) -> { n: Int } { shell: "echo \{\\\"n\\\": $((a + b))\} > $SMLT_OUT" }
task slow(s: Float) -> { n: Int } { shell: "sleep $s; echo \{\\\"n\\\": 1\} > $SMLT_OUT" }
"#;

const DIGITS: &str = r#"
import std/models.{mlp}
import std/search.{random}
import std/space.{log_uniform}

dataset digits {
  source: "data/digits.csv.gz"
  format: csv(header: false)
  label: "column64"
  split { train: 70%, valid: 15%, test: 15%, seed: 7 }
  scale: 0.0625
}
"#;

fn all(cases: &[&str]) {
    let mut cloud = Cloud::start();
    for workflow in cases {
        same(&mut cloud, &format!("{TASKS}\n{workflow}"), &json!({}));
    }
}

/// Runs a workflow here and there, where a limit strikes: the kind of failure, and the step, are the same.
fn strikes(cloud: &mut Cloud, workflow: &str, kind: &str) {
    let ends = both(cloud, &format!("{TASKS}\n{workflow}"), &json!({}));
    let (End::Failure { kind: here, step: own, .. }, End::Failure { kind: there, step, .. }) = &ends else {
        panic!("{ends:?}: {workflow}");
    };
    assert_eq!([&**here, there], [kind, kind], "{ends:?}: {workflow}");
    assert_eq!(step, own, "{workflow}");
}

#[test]
fn limits_that_are_kept_change_nothing() {
    all(&[
        "@deadline(5min)\n@budget($1)\nworkflow main() -> Int { let a = run add(1, 2)\n a.n }",
        "workflow main() -> List[Int] {
  @deadline(1min)
  let all = for x in range(3) {
    @budget($0.5)
    let a = run add(x, 1)
    a.n
  }
  all
}",
        "@budget($1)\nworkflow main() -> Int {
  @budget(50%)
  group { let b = run add(3, 4) }
  @deadline(1min)
  let c = try { let d = run add(5, 6)\n d.n } catch DeadlineExceeded { 0 }
  c
}",
        "workflow main() -> Bool { let a = run add(1, 2)\n let cost = spent()\n cost > $0 and a.n == 3 }",
        "@deadline(1min)\nworkflow main() -> Bool { remaining() > 10s }",
    ]);
}

#[test]
fn a_limit_that_is_missed_fails_its_scope_is_skipped_or_is_caught() {
    let mut cloud = Cloud::start();
    strikes(&mut cloud, "@deadline(800ms)\nworkflow main() { run slow(20.0) }", "DeadlineExceeded");
    strikes(&mut cloud, "@budget($0.00004)\nworkflow main() { run slow(20.0) }", "BudgetExceeded");
    strikes(
        &mut cloud,
        "@deadline(900ms)\nworkflow main() { try { run slow(20.0) } catch DeadlineExceeded { run add(1, 1) } }",
        "DeadlineExceeded",
    );
    all(&[
        "workflow main() -> Int? {
  @deadline(500ms, on_miss: skip)
  let a = run slow(20.0)
  if a == none then 7 else 8
}"
        .replace("Int? ", "Int ")
        .as_str(),
        "@deadline(700ms, on_miss: skip)\nworkflow main() -> Int? { let a = run slow(20.0)\n a.n }",
        "workflow main() -> Int {
  @deadline(500ms)
  let a = try { let b = run slow(20.0)\n b.n } catch DeadlineExceeded { let c = run add(20, 2)\n c.n }
  a
}",
        "workflow main() -> Int {
  let a = try {
    @budget($0.00004)
    let b = run slow(20.0)
    b.n
  } catch BudgetExceeded { 5 }
  a
}",
        "workflow main() -> List[Int] {
  for x in range(2) {
    @deadline(500ms, on_miss: skip)
    let a = run slow(float(x) * 20.0)
    if a == none then 0 else 1
  }
}",
    ]);
}

/// What a limit leaves is less than what was asked for, and within the limit.
#[test]
fn trainings_and_searches_keep_their_best() {
    let mut cloud = Cloud::start();
    let training = format!(
        "{DIGITS}
type Report = {{ few: Bool, some: Bool }}
workflow main() -> Report {{
  let size = digits.width
  @deadline(6s)
  let net = train mlp(inputs: size, classes: digits.classes) {{ data: digits, epochs: 100000 }}
  Report(few: net.epochs < 100000, some: net.epochs > 0)
}}"
    );
    let kept = json!({ "few": true, "some": true });
    assert_eq!(same(&mut cloud, &training, &json!({})), End::Value(kept));
    let fails = training.replace("@deadline(6s)", "@deadline(6s, on_miss: fail)");
    let (here, there) = both(&mut cloud, &fails, &json!({}));
    for end in [here, there] {
        assert!(matches!(&end, End::Failure { kind, .. } if kind == "DeadlineExceeded"), "{end:?}");
    }
    let search = format!(
        "{DIGITS}
type Report = {{ few: Bool, some: Bool, cheap: Bool }}
workflow main() -> Report {{
  let size = digits.width
  @budget($0.0006)
  let best = search mlp(inputs: size, classes: digits.classes) {{
    data: digits
    maximize: valid.accuracy
    strategy: random(trials: 1000)
    parallel: 2
    epochs: 2
    space {{ lr: log_uniform(1e-3, 3e-2) }}
  }}
  Report(few: len(best.trials) < 1000, some: len(best.trials) > 0, cheap: best.cost < $0.0008)
}}"
    );
    let project = Project::new(&search);
    let there = cloud.run(&project, &Map::new(), &json!({})).end();
    assert_eq!(there, End::Value(json!({ "few": true, "some": true, "cheap": true }) as Json));
}
