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

#[test]
fn a_worker_that_hangs_is_given_up_at_the_end_of_its_time() {
    let project = Project::new(
        r#"task add(a: Int, b: Int) -> { n: Int } { shell: "echo \{\\\"n\\\": $((a + b))\} > $SMLT_OUT" }
workflow main() -> Int { let a = run add(1, 2)
 let b = run add(a.n, 3)
 b.n }"#,
    );
    let here = project.run(&Map::new());
    let mut cloud = Cloud::start();
    let there = cloud.run(&project, &Map::new(), &json!({ "limit": 3, "faults": { "2": "hang" } }));
    assert_eq!(there.end(), here);
    assert_eq!(there.calls, 3);
}

/// A first call plans the round; the second and the third take part in it.
#[test]
fn a_round_that_loses_a_worker_is_done_again() {
    let project = Project::new(&include_str!("team.smlt").replace("epochs: Int = 6", "epochs: Int = 5"));
    let here = project.run(&Map::new());
    let mut cloud = Cloud::start();
    for (name, fault) in [("killed", json!(0.3)), ("hung", json!("hang"))] {
        let more = json!({ "faults": { "4": fault }, "limit": 25, "name": name });
        assert_eq!(cloud.run(&project, &Map::new(), &more).end(), here, "{name}");
    }
}

#[test]
fn objects_that_are_lost_change_no_result() {
    let project = Project::new(include_str!("searches.smlt"));
    let here = project.run(&Map::new());
    let mut cloud = Cloud::start();
    let there = cloud.run(&project, &Map::new(), &json!({ "faults": { "4": "lose", "9": "lose", "20": "lose" } }));
    assert_eq!(there.end(), here);
}
