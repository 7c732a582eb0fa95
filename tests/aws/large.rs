//! Values that no state has room for: 256 KiB is the most that the emulated cloud takes.

use crate::cloud::{Cloud, End, same};
use serde_json::json;

const TASKS: &str = r#"
task long(n: Int) -> { text: String, n: Int, few: Bool } {
  shell: "python3 -c \"import smlt; smlt.result(text='x' * $n, n=$n, few=$n < 10)\""
}
task add(a: Int, b: Int) -> { n: Int } { shell: "echo \{\\\"n\\\": $((a + b))\} > $SMLT_OUT" }
task count(text: String) -> { n: Int } { shell: "python3 -c \"import json, os, smlt; smlt.result(n=len(json.load(open(os.environ['SMLT_IN']))['text']))\"" }
"#;

fn run(workflow: &str) -> End {
    let end = same(&mut Cloud::start(), &format!("{TASKS}\n{workflow}"), &json!({}));
    assert!(matches!(end, End::Value(_)), "{end:?}");
    end
}

#[test]
fn a_text_of_a_mebibyte_goes_from_one_task_to_another_and_to_the_end() {
    run("workflow main() -> { texts: List[String], n: Int } {
  let a = run long(1048576)
  let b = run long(300000)
  let of = if a.few { 0 } else { let c = run count(a.text)
    c.n }
  let d = run count(b.text)
  Both(texts: [a.text, b.text], n: of + d.n + a.n)
}
type Both = { texts: List[String], n: Int }");
}

#[test]
fn many_values_side_by_side_have_room_in_one_state() {
    let lets = (0..30).map(|n| format!("  let a{n} = run long({})\n", 9000 + n)).collect::<String>();
    let texts = (0..30).map(|n| format!("a{n}.text")).collect::<Vec<_>>().join(", ");
    run(&format!("workflow main() -> String {{\n{lets}  join([{texts}], \"-\")\n}}"));
}

#[test]
fn a_list_of_many_numbers_is_summed() {
    run("workflow main(n: Int = 5000) -> Int {
  let all = range(n) |> map(|x| x * 3)
  let first = run add(sum(all), len(all))
  let more = repeat 2 with list = all { list |> map(|x| x + first.n) }
  sum(more)
}");
}

#[test]
fn a_list_that_is_stored_is_worked_on_item_by_item() {
    run("workflow main(n: Int = 300) -> List[String] {
  let texts = range(n) |> map(|x| \"{x} is a number that is followed by many letters, so that all are too large together\")
  let all = for text in texts { join([text, \"an item of them\"], \": \") }
  all
}");
}

#[test]
fn items_that_hand_on_what_is_large_hand_on_references() {
    run("workflow main() -> List[String] {
  let a = run long(7000)
  let all = for x in range(60) { if x == 3 { \"three\" } else { a.text } }
  all
}");
}
