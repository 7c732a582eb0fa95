//! Workers that share a bucket come to the same as those that share a folder.

use crate::{
    cloud::{Cloud, Execution, Project},
    s3_server::Server,
};
use serde_json::{Map, Value as Json, json};

/// Runs a project whose files lie in a bucket.
fn run(cloud: &mut Cloud, server: &Server, project: &Project, args: &Map<String, Json>, more: Json) -> Execution {
    project.upload(&server.remote("bucket", "some/flow/project"));
    let shared = format!("s3://bucket/some/flow?endpoint=http://{}", server.address);
    let Json::Object(mut more) = more else { panic!("{more} is no object") };
    more.insert("shared".into(), shared.into());
    cloud.run(project, args, &more.into())
}

#[test]
fn a_training_goes_on_in_another_worker() {
    let (server, mut cloud) = (Server::start(), Cloud::start());
    let project = Project::new(include_str!("training.smlt"));
    let here = project.run(&Map::new());
    // A training stops 20 s before the end, which here is at once: after each checkpoint.
    let there = run(&mut cloud, &server, &project, &Map::new(), json!({ "limit": 20, "new": true }));
    assert_eq!(there.end(), here);
    assert!(there.calls >= 5, "{}", there.calls);
    assert!(server.answered("GET", 200, ".checkpoint") >= 1, "nobody has read a checkpoint");
    assert_eq!(server.remote("bucket", "some/flow/runs/run/steps").list("").unwrap(), [], "one was left behind");
}

#[test]
fn a_training_whose_worker_is_killed_goes_on_from_what_it_left() {
    let (server, mut cloud) = (Server::start(), Cloud::start());
    let project = Project::new(include_str!("training.smlt"));
    let args = json!({ "epochs": 300 });
    let here = project.run(args.as_object().unwrap());
    let there =
        run(&mut cloud, &server, &project, args.as_object().unwrap(), json!({ "faults": { "3": 3.5 }, "new": true }));
    assert_eq!(there.end(), here);
    assert!(server.answered("GET", 200, ".checkpoint") >= 1, "nobody has read a checkpoint");
}

#[test]
fn files_go_into_commands_and_come_out_of_them() {
    let (server, mut cloud) = (Server::start(), Cloud::start());
    let project = Project::new(
        r#"type Lines = { lines: Artifact }
task sort(file: Artifact, of: String) -> Lines {
  shell: "sort $file > $of; python3 -c 'import smlt'; echo \{\\\"lines\\\": \\\"$of\\\"\} > $SMLT_OUT"
}
task first() -> Lines { shell: "head -3 $SMLT_PROJECT/data/README.md > a; echo \{\\\"lines\\\": \\\"a\\\"\} > $SMLT_OUT" }
task told(file: Artifact) -> { text: String } { command: ["python3", "tell.py", file] }
workflow main() -> { files: List[Artifact], text: String } {
  let of = run first()
  let files = for name in ["x", "y"] {
    let sorted = run sort(of.lines, name)
    sorted.lines
  }
  let text = run told(files[1])
  Both(files: files, text: text.text)
}
type Both = { files: List[Artifact], text: String }
"#,
    );
    let script = "import sys, smlt\nsmlt.result(text=open(sys.argv[1]).read())\n";
    std::fs::write(project.path("tell.py"), script).unwrap();
    let here = project.run(&Map::new());
    let there = run(&mut cloud, &server, &project, &Map::new(), json!({ "new": true }));
    assert_eq!(there.end(), here);
}

#[test]
fn rounds_of_trainings_hand_weights_on() {
    let (server, mut cloud) = (Server::start(), Cloud::start());
    let project = Project::new(include_str!("../../examples/rounds.smlt"));
    let here = project.run(&Map::new());
    assert_eq!(run(&mut cloud, &server, &project, &Map::new(), json!({ "new": true })).end(), here);
}

#[test]
fn what_can_not_be_had_is_told_with_its_place() {
    let (server, mut cloud) = (Server::start(), Cloud::start());
    let project = Project::new(include_str!("training.smlt"));
    let mut ends = Vec::new();
    for place in ["nowhere/flow", "bucket/nothing"] {
        let shared = format!("s3://{place}?endpoint=http://{}", server.address);
        ends.push(format!("{:?}", cloud.run(&project, &Map::new(), &json!({ "shared": shared })).end()));
    }
    assert!(ends[0].contains("`s3://nowhere/flow` can't be used") && ends[0].contains("NoSuchBucket"), "{}", ends[0]);
    assert!(ends[1].contains("`data/digits.csv.gz` is not in `s3://bucket/nothing/project`"), "{}", ends[1]);
}
