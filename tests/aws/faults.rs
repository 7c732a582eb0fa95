//! What the cloud does wrong changes nothing.

use crate::cloud::{Cloud, Project};
use serde_json::{Map, json};

#[test]
fn a_worker_that_is_killed_and_one_that_can_not_begin_are_called_again() {
    let project = Project::new(
        r#"task add(a: Int, b: Int) -> { n: Int } { shell: "sleep 0.3; echo \{\\\"n\\\": $((a + b))\} > $SMLT_OUT" }
workflow main() -> Int {
  let all = for x in [1, 2, 3] { let s10 = run add(x, 1)
 s10.n }
  sum(all)
}"#,
    );
    let here = project.run(&Map::new());
    let mut cloud = Cloud::start();
    let there = cloud.run(&project, &Map::new(), &json!({ "faults": { "1": 0.05, "3": "busy" } }));
    assert_eq!(there.end(), here);
    // Three tasks, their sum, and two calls that came to nothing.
    assert_eq!(there.calls, 6);
}

#[test]
fn a_training_longer_than_a_call_may_last_goes_on_in_others() {
    let project = Project::new(include_str!("training.smlt"));
    let here = project.run(&Map::new());
    let mut cloud = Cloud::start();
    // A training stops 20 s before the end, which here is at once: after each checkpoint.
    let there = cloud.run(&project, &Map::new(), &json!({ "limit": 20 }));
    assert_eq!(there.end(), here);
    assert!(there.calls >= 5, "{}", there.calls);
}
