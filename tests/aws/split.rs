//! Workflows that are too large for one state machine.

use crate::{
    cloud::{Cloud, End, Project},
    generator, validity,
};
use serde_json::{Value as Json, json};
use smlt::{
    asl::{self, Compiled, MAX_DEFINITION, MAX_EVENTS, Options},
    check,
    cli::world::Files,
    graph,
};
use std::{fs, path::Path, time::Instant};

/// So small that most machines are cut up.
const SMALL: Options = Options { bytes: 7_000, events: 60 };

const TASKS: &str = r#"
task add(a: Int, b: Int) -> { n: Int } { shell: "echo \{\\\"n\\\": $((a + b))\} > $SMLT_OUT" }
task fails(n: Int) -> { n: Int } { shell: "echo no $n >&2; exit 1" }
"#;

fn compile(path: &Path, options: Options) -> Compiled {
    let files = Files::open(path).unwrap();
    let program = check::check(&files).value;
    let workflow = program.workflows.iter().find(|workflow| &*workflow.name == "main").unwrap();
    let graph = graph::build(workflow, &files);
    let began = Instant::now();
    let compiled = asl::compile_with(&graph, options).value.unwrap();
    println!("{} machines of {} events in {:?}", compiled.machines.len(), compiled.events, began.elapsed());
    compiled
}

/// How many machines a workflow becomes, once it has come to the same here and there.
fn same(cloud: &mut Cloud, workflow: &str, args: &Json) -> (usize, End) {
    let project = Project::new(workflow);
    let args = args.as_object().unwrap();
    let here = project.run(args);
    let compiled = compile(&project.path("main.smlt"), SMALL);
    let built = tempfile::tempdir().unwrap();
    for (index, machine) in compiled.machines.iter().enumerate() {
        let name = if index == 0 { "main.asl.json".to_owned() } else { format!("main-{}.asl.json", index + 1) };
        fs::write(built.path().join(name), machine.to_json(true)).unwrap();
    }
    fs::write(built.path().join("book.json"), serde_json::to_string(&compiled.book).unwrap()).unwrap();
    let there = cloud.run_built(&project, built.path(), args, &json!({})).end();
    match (&here, &there) {
        // Of two steps that fail side by side either may be the first.
        (End::Failure { kind: here, .. }, End::Failure { kind: there, .. }) => assert_eq!(there, here, "{workflow}"),
        _ => assert_eq!(there, here, "{workflow}"),
    }
    (compiled.machines.len(), here)
}

#[test]
fn parts_of_a_series_and_branches_run_as_machines_of_their_own() {
    let mut cloud = Cloud::start();
    let series: String = (1..30).map(|n| format!("let a{n} = run add(a{}.n, {n})\n", n - 1)).collect();
    let (count, _) = same(
        &mut cloud,
        &format!("{TASKS}\nworkflow main() -> Int {{ let a0 = run add(1, 2)\n{series}a29.n + a3.n }}"),
        &json!({}),
    );
    assert!(count > 4, "{count}");
    let branches: String =
        (0..12).map(|n| format!("let a{n} = run add({n}, 1)\nlet b{n} = run add(a{n}.n, 2)\n")).collect();
    let sum: Vec<String> = (0..12).map(|n| format!("b{n}.n")).collect();
    let workflow = format!("{TASKS}\nworkflow main() -> Int {{ {branches}{} }}", sum.join(" + "));
    let (count, _) = same(&mut cloud, &workflow, &json!({}));
    assert!(count > 4, "{count}");
}

#[test]
fn rounds_of_which_there_are_many_run_some_by_some() {
    let mut cloud = Cloud::start();
    for (workflow, n) in [
        ("repeat n with x = 1 { let a = run add(x, n)\n a.n }", 13),
        ("repeat n with x = 1 while x < 40 { let a = run add(x, n)\n a.n }", 13),
        ("repeat n with x = 1 while x < 40 { let a = run add(x, n)\n a.n }", 2),
        ("repeat 30 with x = 1 while x < 3 { let a = run add(x, n)\n a.n }", 1),
    ] {
        let (count, _) =
            same(&mut cloud, &format!("{TASKS}\nworkflow main(n: Int) -> Int {{ {workflow} }}"), &json!({ "n": n }));
        assert!(count > 1, "{count}");
    }
}

#[test]
fn failures_come_out_of_machines_as_if_there_were_none() {
    let mut cloud = Cloud::start();
    let long: String = (1..9).map(|n| format!("let a{n} = run add(a{}.n, {n})\n", n - 1)).collect();
    let caught = format!(
        "{TASKS}\nworkflow main() -> String {{
  let a0 = run add(1, 2)
  let told = try {{ {long}let b = run fails(a8.n)\n let c = run add(b.n, 1)\n \"{{c.n}}\" }} catch TaskFailed as e {{
    let d = run add(len(e.log), a0.n)
    \"{{e.step}}: {{e.message}} {{d.n}}\" }}
  let e = run add(1, 1)
  \"{{told}} {{e.n}}\"
}}"
    );
    let (count, end) = same(&mut cloud, &caught, &json!({}));
    assert!(count > 2 && matches!(end, End::Value(_)), "{count} {end:?}");
    let lost =
        format!("{TASKS}\nworkflow main() -> Int {{ let a0 = run add(1, 2)\n{long}let b = run fails(a8.n)\n b.n }}");
    let (_, End::Failure { step, .. }) = same(&mut cloud, &lost, &json!({})) else { panic!("it does not fail") };
    assert_eq!(step, "main/b");
}

#[test]
fn workflows_made_up_at_random_are_cut_up() {
    let mut cloud = Cloud::start();
    let counts: Vec<usize> = (100..107)
        .map(|number| same(&mut cloud, &generator::workflow(number), &json!({ "n": number % 7 })).0)
        .collect();
    assert!(counts.iter().filter(|count| **count > 1).count() > 4, "{counts:?}");
}

#[test]
fn machines_are_about_as_small_as_was_asked_and_call_those_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("main.smlt");
    let options = Options { bytes: 12_000, events: 200 };
    for number in 0..60 {
        fs::write(&path, generator::workflow(number)).unwrap();
        let compiled = compile(&path, options);
        assert!(compiled.events <= 2 * options.events, "{number}: {}", compiled.events);
        for (index, machine) in compiled.machines.iter().enumerate() {
            let text = machine.to_json(false);
            assert!(text.len() <= 2 * options.bytes, "{number}: {}", text.len());
            let called = text.split("${Machine").skip(1).map(|rest| rest.split('}').next().unwrap());
            let called: Vec<usize> = called.map(|number| number.parse().unwrap()).collect();
            assert!(called.iter().all(|called| index == 0 || *called <= index), "{number}: {index} calls {called:?}");
        }
    }
}

#[test]
fn five_thousand_steps_become_machines_within_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("main.smlt");
    let chain: String = (1..5000).map(|n| format!("  let a{n} = run add(a{}.n, {n})\n", n - 1)).collect();
    let parallel: String = (1..5000).map(|n| format!("  let a{n} = run add({n}, {n})\n")).collect();
    for steps in [chain, parallel] {
        fs::write(
            &path,
            format!("{TASKS}\nworkflow main() -> Int {{\n  let a0 = run add(1, 2)\n{steps}  a4999.n\n}}\n"),
        )
        .unwrap();
        let compiled = compile(&path, Options::default());
        assert!((8..40).contains(&compiled.machines.len()), "{}", compiled.machines.len());
        assert!(compiled.events <= MAX_EVENTS, "{}", compiled.events);
        let built = tempfile::tempdir().unwrap();
        for (index, machine) in compiled.machines.iter().enumerate() {
            let text = machine.to_json(false);
            assert!(text.len() < MAX_DEFINITION, "{}", text.len());
            fs::write(built.path().join(format!("{index}.asl.json")), text).unwrap();
        }
        validity::validate(built.path());
    }
}
