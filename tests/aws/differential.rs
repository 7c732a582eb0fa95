//! What each part of the language comes to, here and there.

use crate::{
    cloud::{Cloud, End, Project, both, same},
    generator,
};
use serde_json::json;
use std::{fs, path::Path};

/// Tasks of many kinds.
const TASKS: &str = r#"
task add(a: Int, b: Int) -> { n: Int } { shell: "echo \{\\\"n\\\": $((a + b))\} > $SMLT_OUT" }
task fails(n: Int) -> { n: Int } { shell: "echo no $n >&2; exit 1" }
task text(of: String) -> { text: String } { shell: "cat $SMLT_IN | sed s/of/text/ > $SMLT_OUT" }
"#;

fn all(cases: &[(&str, serde_json::Value)]) {
    let mut cloud = Cloud::start();
    for (workflow, args) in cases {
        same(&mut cloud, &format!("{TASKS}\n{workflow}"), args);
    }
}

#[test]
fn steps_and_what_lies_between_them() {
    all(&[
        ("workflow main() { run add(1, 2) }", json!({})),
        ("workflow main() -> Int { let a = run add(1, 2)\n a.n * 2 }", json!({})),
        ("workflow main(a: Int, b: Int = 4) -> Int { let s1 = run add(a, b)\n s1.n }", json!({ "a": 3 })),
        ("workflow main(a: Int) -> Int { let x = run add(a, 9007199254740000)\n x.n + 993 }", json!({ "a": 9 })),
        ("workflow main(a: Float) -> List[Float] { [a * 0.1, 0.0 - a, a / 3.0] }", json!({ "a": 0.0 })),
        (
            r#"workflow main() -> String { let s2 = run text("\"\{\"%\} $x 'é' \\ \n")
 s2.text }"#,
            json!({}),
        ),
        (r#"workflow main() -> String { "\{% $run %\}" }"#, json!({})),
        ("workflow main(a: Int) -> Int { let x = 7 / a\n x }", json!({ "a": 0 })),
        ("workflow main(a: Int) { assert a > 3, \"too few: {a}\" }", json!({ "a": 2 })),
        ("workflow main() -> Int { let s3 = run fails(4)\n s3.n }", json!({})),
        (
            "workflow main(states: Int, string: Int = 2) -> List[Int] {
          let append = run add(states, string)
          let exists = for string in range(states) { string + append.n }
          exists }",
            json!({ "states": 2 }),
        ),
        ("workflow main() -> Duration { let d = 90s\n d * 2 }", json!({})),
        (
            "workflow main(a: Int) -> Both { Both(m: $0.1 * a, z: 3MiB * a) }\n type Both = { m: Money, z: Size }",
            json!({ "a": 3 }),
        ),
    ]);
}

#[test]
fn branches_items_and_rounds() {
    let nested = "workflow main(n: Int) -> List[List[Int]] {
  for i in range(n) {
    for j in range(i) { let s4 = run add(i, j)
      s4.n }
  }
}";
    let branch = "workflow main(n: Int) -> Int {
  let a = run add(n, 1)
  let b = if a.n > 3 { let c = run add(a.n, 10)
    c.n } else { 0 }
  let c = if n == 1 { run add(n, n) } else { run add(n, 100) }
  b + c.n
}";
    let rounds = "workflow main(n: Int) -> Int {
  repeat n with x = 1 while x < 20 { let s5 = run add(x, x)
      s5.n }
}";
    all(&[
        (nested, json!({ "n": 0 })),
        (nested, json!({ "n": 1 })),
        (nested, json!({ "n": 3 })),
        (branch, json!({ "n": 1 })),
        (branch, json!({ "n": 5 })),
        (rounds, json!({ "n": 0 })),
        (rounds, json!({ "n": 3 })),
        (rounds, json!({ "n": 9 })),
        ("workflow main() -> List[Int] { for x in [5] { x + 1 } }", json!({})),
        ("workflow main() -> List[String] { for x in [\"a\", \"b\"] { let s6 = run text(x)\n s6.text } }", json!({})),
        ("workflow main(n: Int) -> List[Int] { for x in range(n) { 10 / (x - 1) } }", json!({ "n": 3 })),
        ("workflow main(n: Int) -> Int { repeat n - 4 with x = 1 { x } }", json!({ "n": 3 })),
        (
            "workflow half(n: Int) -> Int { let s7 = run add(n / 2, 0)\n s7.n }
          workflow main(n: Int) -> Int { let a = run half(n)\n let b = run half(a)\n a + b }",
            json!({ "n": 12 }),
        ),
        (
            "workflow all(n: Int) -> List[Int] {
               for x in range(n) {
                 if x > 0 { let a = run add(x, n)
                   let of = for y in range(x) { let b = run add(a.n, y)
                     b.n }
                   sum(of) } else { n }
               }
             }
             workflow main(n: Int) -> List[List[Int]] { let a = run all(n)
               let b = run all(n + 1)
               [a, b] }",
            json!({ "n": 2 }),
        ),
        (
            "workflow some(@range(1..3) n: Int) -> Int { n }
          workflow main(n: Int) -> Int { run some(n) }",
            json!({ "n": 4 }),
        ),
    ]);
}

#[test]
fn failures_that_are_caught_and_those_that_are_not() {
    let caught = "workflow main(n: Int) -> String {
  try { let a = run fails(n)\n \"{a.n}\" } catch TaskFailed as e { \"{e.kind} {e.step} {e.message}\" }
}";
    let among = "workflow main(n: Int) -> List[Int] {
  for x in range(n) {
    try { let a = if x == 1 { run fails(x) } else { run add(x, 5) }
      a.n } catch TaskFailed { 0 - x }
  }
}";
    all(&[
        (caught, json!({ "n": 7 })),
        (among, json!({ "n": 3 })),
        ("workflow main() -> Int { try { let s8 = run fails(1)\n s8.n } catch Timeout { 3 } }", json!({})),
        ("workflow main() -> Int { try { let z = run add(0, 0)\n 1 / z.n } catch TaskFailed as e { len(e.log) } }", json!({})),
        ("workflow main(n: Int) -> String {
          try { assert n > 3, \"so {n}\"\n \"large\" } catch AssertionFailed as e { let t = run text(e.message)\n t.text } }", json!({ "n": 3 })),
    ]);
}

#[test]
fn trainings_and_their_data() {
    let mut cloud = Cloud::start();
    let workflow = include_str!("training.smlt");
    let End::Value(value) = same(&mut cloud, workflow, &json!({})) else { panic!("it fails") };
    assert_eq!((&value["timed"], &value["paid"]), (&json!(true), &json!(true)), "{value}");
}

/// Each with little to do. One needs PyTorch, which the tests don't install: it is only compiled.
#[test]
fn examples() {
    let mut cloud = Cloud::start();
    for (name, args) in [
        ("characters", json!({ "epochs": 1 })),
        ("digits", json!({ "trials": 3, "epochs": 2 })),
        ("elastic", json!({ "mishap": false, "epochs": 11 })),
        ("fashion", json!({ "epochs": 1, "batch": 512 })),
        ("forest", json!({ "trials": 4 })),
        ("neighbours", json!({ "trials": 10 })),
        ("rounds", json!({})),
        ("tumours", json!({ "trials": 4 })),
    ] {
        let (End::Value(mut here), End::Value(mut there)) = both(&mut cloud, &example(name), &args) else {
            panic!("`{name}` fails")
        };
        // What lies between steps costs something there.
        for value in [&mut here, &mut there] {
            value.as_object_mut().unwrap().remove("cost");
        }
        assert_eq!(there, here, "{name}");
    }
    Project::new(&example("torch")).build();
    let all = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap();
    let all = all.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "smlt"));
    assert_eq!(all.count(), 9, "an example is not among those that are run here");
}

fn example(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.smlt"))).unwrap()
}

#[test]
fn searches() {
    let mut cloud = Cloud::start();
    let End::Value(_) = same(&mut cloud, include_str!("searches.smlt"), &json!({})) else { panic!("it fails") };
}

#[test]
fn trainings_by_several_workers() {
    let mut cloud = Cloud::start();
    let End::Value(_) = same(&mut cloud, include_str!("team.smlt"), &json!({})) else { panic!("it fails") };
}

#[test]
fn trainings_made_up_at_random() {
    let mut cloud = Cloud::start();
    for number in 0..8 {
        let End::Value(_) = same(&mut cloud, &generator::training(number), &json!({})) else { panic!("it fails") };
    }
}

#[test]
fn workflows_made_up_at_random() {
    let mut cloud = Cloud::start();
    let mut values = 0;
    for number in 0..60 {
        let workflow = generator::workflow(number);
        match both(&mut cloud, &workflow, &json!({ "n": number % 7 })) {
            (End::Value(here), End::Value(there)) => {
                assert_eq!(there, here, "{workflow}");
                values += 1;
            }
            // Of two steps that fail side by side either may be the first.
            (End::Failure { kind: here, .. }, End::Failure { kind: there, .. }) => {
                assert_eq!(there, here, "{workflow}");
            }
            ends => panic!("{ends:?}: {workflow}"),
        }
    }
    assert!((20..60).contains(&values), "{values} of 60 come to a value");
}
