//! Workflows are deployed to the emulated cloud and run there, by the program as someone at a command line uses it.

use crate::account::{Account, Said};
use serde_json::{Value as Json, json};
use std::{fs, thread, time::Duration};

const SUMS: &str = "workflow main(n: Int = 3) -> Int { let a = 4 * n
  a + 1 }
";

/// A training, something to compute, and a distributed map of commands: all that asks for a permission.
const ALL: &str = r#"import std/models.{mlp}

dataset digits { source: "data/digits.csv.gz", format: csv(header: false), label: "column64", scale: 0.0625 }

type Report = { all: List[Int], weights: Artifact }

task twice(n: Int) -> { n: Int } { shell: "echo \{\\\"n\\\": $((n * 2))\} > $SMLT_OUT" }

workflow main(n: Int = 3) -> Report {
  let net = train mlp(inputs: digits.width, classes: digits.classes) {
    data: digits
    epochs: 2
    checkpoint: every(epochs: 1)
  }
  let all = for x in range(n) {
    let a = run twice(x)
    a.n
  }
  Report(all: all, weights: net.weights)
}
"#;

fn json_lines(said: &Said) -> Vec<Json> {
    said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_deployed_comes_to_what_it_comes_to_here() {
    let account = Account::new(SUMS);
    let here = account.smltc(&["run", "main.smlt", "--n", "5"]).well();
    let said = account.deploy(&["--yes"]).well();
    assert!(said.err.contains("+ create  bucket smlt-main-123456789012-eu-central-1"), "{}", said.err);
    assert!(said.err.contains("+ create  function smlt-main-1024"), "{}", said.err);
    assert_eq!(said.out, "arn:aws:states:eu-central-1:123456789012:stateMachine:smlt-main:live\n");
    let there = account.smltc(&["start", "main.smlt", "--n", "5"]).well();
    assert_eq!(there.out, here.out);
    assert!(there.err.contains("main started with n 5"), "{}", there.err);

    // By its name alone, and as JSON.
    let there = account.smltc(&["start", "main", "--n", "6", "--json"]).well();
    assert_eq!(json_lines(&there).last().unwrap()["result"], 25);
    account.smltc(&["start", "main", "--n", "six"]).ended(2, "expected a whole number");

    let id = json_lines(&there).last().unwrap()["run"].as_str().unwrap().to_owned();
    assert_eq!(account.smltc(&["result", &id, "--remote"]).well().out, "25\n");
    assert_eq!(account.smltc(&["status", &id]).well().out, "25\n");
    assert!(account.smltc(&["runs", "--remote"]).well().out.contains(&id));
    account.smltc(&["result", "nothing", "--remote"]).ended(1, "there is no run `nothing`");
}

#[test]
fn only_what_has_changed_is_done_again() {
    let mut account = Account::new(SUMS);
    account.deploy(&["--yes"]).well();
    account.deploy(&["--yes"]).well().ended(0, "nothing to do");

    // The code and the definition are new, the rest is not.
    account.write(&SUMS.replace("a + 1", "a + 2"));
    let said = account.deploy(&["--dry-run"]).well();
    assert_eq!(said.err.matches("~ update").count(), 1, "{}", said.err);
    assert!(said.err.contains("~ update  function smlt-main-1024"), "{}", said.err);
    assert_eq!(account.smltc(&["start", "main.smlt"]).well().out, "13\n", "nothing was done yet");
    account.deploy(&["--yes"]).well();
    assert_eq!(account.smltc(&["start", "main.smlt"]).well().out, "14\n");
    account.deploy(&["--yes"]).well().ended(0, "nothing to do");

    // What somebody else has changed is told, and is overwritten only when that is wanted.
    let change = json!({ "FunctionName": "smlt-main-1024", "Timeout": 30 });
    account.aws("lambda", "update_function_configuration", &change);
    account.deploy(&["--yes"]).ended(1, "the function `smlt-main-1024` was changed since it was deployed");
    account.deploy(&["--yes", "--force"]).well();
    account.deploy(&["--yes"]).well().ended(0, "nothing to do");
    let about = account.aws("lambda", "get_function_configuration", &json!({ "FunctionName": "smlt-main-1024" }));
    assert_eq!(about["Timeout"], 900);
}

#[test]
fn files_go_along_and_are_sent_once() {
    let account = Account::new(include_str!("training.smlt"));
    let here = account.smltc(&["run", "main.smlt", "--no-cache", "--json"]).well();
    let said = account.deploy(&["--yes"]).well();
    assert!(said.err.contains("+ create  file data/digits.csv.gz"), "{}", said.err);
    let there = account.smltc(&["start", "main.smlt", "--json"]).well();
    let result = |said: &Said| without_paths(&json_lines(said).last().unwrap()["result"]);
    assert_eq!(result(&there), result(&here));
    let logs = account.smltc(&["logs", "last", "net", "--remote"]).well().out;
    assert_eq!(logs.matches("main/net: train.loss").count(), 3, "{logs}");
    let said = account.deploy(&["--yes", "--include", "scripts"]).well();
    assert!(!said.err.contains("digits.csv.gz"), "{}", said.err);
    assert!(said.err.contains("+ create  file scripts/"), "{}", said.err);
}

/// Stored files lie elsewhere in the cloud.
fn without_paths(json: &Json) -> Json {
    match json {
        Json::Array(items) => items.iter().map(without_paths).collect(),
        Json::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| *name != "path");
            Json::Object(kept.map(|(name, field)| (name.clone(), without_paths(field))).collect())
        }
        other => other.clone(),
    }
}

#[test]
fn a_deployment_that_was_cut_off_goes_on() {
    let mut account = Account::new(SUMS);
    for what in ["s3 PUT", "iam PutRolePolicy", "lambda POST", "states CreateStateMachineAlias", "states TagResource"] {
        account.fail(Some(what));
        account.deploy(&["--yes"]).ended(1, "`smltc deploy` goes on from there");
        account.fail(None);
    }
    account.deploy(&["--yes"]).well();
    assert_eq!(account.smltc(&["start", "main.smlt"]).well().out, "13\n");
    account.deploy(&["--yes"]).well().ended(0, "nothing to do");

    // What is gone is made again.
    account.aws("lambda", "delete_function", &json!({ "FunctionName": "smlt-main-1024" }));
    let said = account.deploy(&["--yes"]).well();
    assert_eq!(said.err.matches("done: ").count(), 1, "{}", said.err);
    assert_eq!(account.smltc(&["start", "main.smlt"]).well().out, "13\n");
}

#[test]
fn nothing_is_done_that_was_not_wanted() {
    let mut account = Account::new(SUMS);
    account.deploy(&["--dry-run"]).well().ended(0, "this was a dry run");
    account.deploy(&[]).ended(2, "nobody is there to be asked");
    assert_eq!(account.aws("s3", "list_buckets", &json!({}))["Buckets"], json!([]));
    assert_eq!(account.aws("iam", "list_roles", &json!({}))["Roles"], json!([]));
    account.smltc(&["start", "main.smlt"]).ended(1, "`main` is not deployed");
}

#[test]
fn all_that_was_deployed_is_removed() {
    let mut account = Account::new(SUMS);
    account.deploy(&["--yes"]).well();
    account.smltc(&["start", "main.smlt"]).well();
    account.smltc(&["destroy", "main"]).ended(2, "nobody is there to be asked");
    account.smltc(&["destroy", "main.smlt", "--dry-run"]).well().ended(0, "- remove  bucket");
    account.smltc(&["destroy", "main.smlt", "--yes"]).well();
    assert_eq!(account.aws("s3", "list_buckets", &json!({}))["Buckets"], json!([]));
    assert_eq!(account.aws("iam", "list_roles", &json!({}))["Roles"], json!([]));
    assert_eq!(account.aws("lambda", "list_functions", &json!({}))["Functions"], json!([]));
    assert_eq!(account.aws("logs", "describe_log_groups", &json!({}))["logGroups"], json!([]));
    assert_eq!(account.aws("stepfunctions", "list_state_machines", &json!({}))["stateMachines"], json!([]));
    account.smltc(&["destroy", "main", "--yes"]).well().ended(0, "nothing to do");
}

#[test]
fn what_others_have_is_left_alone() {
    let mut account = Account::new(SUMS);
    let place = json!({ "LocationConstraint": "eu-central-1" });
    let bucket = json!({ "Bucket": "smlt-main-123456789012-eu-central-1", "CreateBucketConfiguration": place });
    account.aws("s3", "create_bucket", &bucket);
    account.deploy(&["--yes", "--force"]).ended(1, "the name `smlt-main-123456789012-eu-central-1` is taken");
    account.smltc(&["destroy", "main", "--yes"]).ended(1, "is taken");
    assert_eq!(account.aws("iam", "list_roles", &json!({}))["Roles"], json!([]));

    // Neither is a workflow of another file.
    account.deploy(&["--yes", "--name", "sums"]).well();
    fs::rename(account.path("main.smlt"), account.path("other.smlt")).unwrap();
    account.write("workflow main() -> Int { 7 }");
    fs::rename(account.path("main.smlt"), account.path("second.smlt")).unwrap();
    fs::rename(account.path("other.smlt"), account.path("main.smlt")).unwrap();
    let worker = account.path("../worker").display().to_string();
    let said = account.smltc(&["deploy", "second.smlt", "--name", "sums", "--worker", &worker, "--yes"]);
    said.ended(1, "a workflow `sums` of another file, `main.smlt`, is deployed");
    assert_eq!(account.smltc(&["start", "main.smlt", "--name", "sums"]).well().out, "13\n");
}

#[test]
fn what_can_not_be_done_is_said_before_anything_is() {
    let mut account = Account::new(SUMS);
    let worker = account.path("../worker").display().to_string();
    let deploy = ["deploy", "main.smlt", "--yes", "--worker", &worker];
    let said = |mut command: std::process::Command| {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    };
    let mut nobody = account.command(&deploy);
    nobody.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    said(nobody).ended(1, "no credentials for AWS were found");
    let mut nowhere = account.command(&deploy);
    nowhere.env_remove("AWS_REGION");
    said(nowhere).ended(1, "no region of AWS is set");
    let mut silent = account.command(&deploy);
    silent.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    said(silent).ended(1, "can't be reached");
    account.smltc(&["deploy", "main.smlt", "--worker", "none"]).ended(1, "the worker `none` can't be read");
    account.smltc(&["deploy", "main.smlt", "--worker", "main.smlt"]).ended(1, "is no program for Linux");
    account.fail(Some("iam GetRole"));
    account.deploy(&["--yes"]).ended(1, "the credentials may not do `iam:GetRole`");
    account.fail(None);
    account.write(&ALL.replace("data/digits.csv.gz", "/tmp/digits.csv.gz"));
    account.deploy(&["--yes"]).ended(1, "the data `digits` lies at `/tmp/digits.csv.gz` on this machine");
    account.write(&ALL.replace("digits.csv.gz", "nothing.csv"));
    account.deploy(&["--yes"]).ended(1, "nothing.csv");
    account.write(ALL);
    account.deploy(&["--yes"]).ended(1, "no image is given");
    assert_eq!(account.aws("s3", "list_buckets", &json!({}))["Buckets"], json!([]));
    assert_eq!(account.aws("iam", "list_roles", &json!({}))["Roles"], json!([]));
}

#[test]
fn a_run_that_fails_ends_as_it_does_here() {
    let account = Account::new("workflow main(n: Int) -> Int {\n  assert n > 3, \"too few: {n}\"\n  n\n}\n");
    account.deploy(&["--yes"]).well();
    let here = account.smltc(&["run", "main.smlt", "--n", "2", "--quiet"]);
    let there = account.smltc(&["start", "main.smlt", "--n", "2", "--quiet"]);
    assert_eq!((there.code, there.err), (here.code, here.err));
    assert_eq!(here.code, 1);
    assert_eq!(account.smltc(&["start", "main.smlt", "--n", "4"]).well().out, "4\n");
}

#[test]
fn a_run_is_left_alone_and_cancelled() {
    let account = Account::new(
        r#"task slow() -> { n: Int } { shell: "sleep 8; echo \{\\\"n\\\": 1\} > $SMLT_OUT" }
workflow main() -> Int { let a = run slow()
  a.n }
"#,
    );
    account.fill_image();
    account.deploy(&["--yes", "--image", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/flow:1"]).well();
    let id = account.smltc(&["start", "main.smlt", "--detach"]).well().out.trim().to_owned();
    let said = account.smltc(&["status", "last"]).well();
    assert!(said.err.contains("running for"), "{}", said.err);
    account.smltc(&["result", &id, "--remote"]).ended(1, "it is running");

    // Its functions are not changed below it, nor removed.
    let image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/flow:2";
    account.deploy(&["--yes", "--image", image]).ended(1, &format!("the run {id} is under way"));
    account.smltc(&["destroy", "main", "--yes"]).ended(1, &format!("the run {id} is under way"));

    // Who interrupts it does not stop it.
    let watching = account.command(&["status", &id, "--follow"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_secs(2));
    // SAFETY: the process is ours, and was not waited for.
    unsafe { libc::kill(watching.id() as i32, libc::SIGINT) };
    let output = watching.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(&format!("`smltc cancel {id}` stops it")), "{told}");

    account.smltc(&["cancel", &id]).well();
    account.smltc(&["status", &id, "--follow"]).ended(130, "cancelled");
    account.smltc(&["cancel", &id]).well().ended(0, "is over already");
}

#[test]
fn roles_are_allowed_what_is_done_and_nothing_else() {
    let mut account = Account::new(ALL);
    account.fill_image();
    account.deploy(&["--yes", "--image", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/flow:1"]).well();
    let said = account.smltc(&["start", "main.smlt", "--json"]).well();
    let told = json_lines(&said);
    assert_eq!(told.last().unwrap()["result"]["all"], json!([0, 2, 4]));
    // Steps in executions of their own are told of, each once, and what all has cost.
    for step in ["main/net", "main/all[0]/a", "main/all[2]/a"] {
        let done = told.iter().filter(|line| line["event"] == "step_done" && line["step"] == step);
        assert_eq!(done.count(), 1, "{step}: {}", said.out);
    }
    let mut spent = told.iter().filter(|line| line["event"] == "spent").map(|line| line["total"].as_f64().unwrap());
    assert_eq!(told.last().unwrap()["cost"].as_f64(), spent.next_back());
    let (used, statements) = permissions(&mut account);
    for one in statements {
        assert!(used.contains(&one), "{one:?} is allowed for nothing");
    }
}

#[test]
fn trainings_by_several_workers_meet_in_the_bucket() {
    let mut account = Account::new(include_str!("team.smlt"));
    let here = account.smltc(&["run", "main.smlt", "--epochs", "2", "--no-cache", "--json"]).well();
    account.deploy(&["--yes"]).well();
    let there = account.smltc(&["start", "main.smlt", "--epochs", "2", "--json"]).well();
    let result = |said: &Said| without_paths(&json_lines(said).last().unwrap()["result"]);
    assert_eq!(result(&there), result(&here));
    permissions(&mut account);
}

/// An action that a role is allowed by a statement.
type Allowed = (&'static str, String, String);

/// Holds that roles are allowed what was done, and tells by what they were, and all that they are allowed.
fn permissions(account: &mut Account) -> (Vec<Allowed>, Vec<Allowed>) {
    let (mut used, mut all) = (Vec::new(), Vec::new());
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    for role in ["worker", "machine"] {
        let about = json!({ "RoleName": format!("smlt-main-eu-central-1-{role}"), "PolicyName": "smlt" });
        let policy = account.aws("iam", "get_role_policy", &about)["PolicyDocument"].clone();
        let statements = policy["Statement"].as_array().unwrap();
        let calls = account.calls();
        for call in calls.iter().filter(|call| call["role"] == role) {
            let before = used.len();
            let allowed = statements.iter().filter(|statement| allows(statement, call));
            used.extend(allowed.map(|statement| (role, text(&statement["Sid"]), text(&call["action"]))));
            assert!(used.len() > before, "{call} is not allowed by {policy:#}");
        }
        for statement in statements {
            let actions = statement["Action"].as_array().unwrap().iter();
            all.extend(actions.map(|action| (role, text(&statement["Sid"]), text(action))));
        }
    }
    (used, all)
}

/// Whether a statement of a policy allows a call.
fn allows(statement: &Json, call: &Json) -> bool {
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let any = |list: &Json, fits: &dyn Fn(&str) -> bool| list.as_array().unwrap().iter().any(|item| fits(&text(item)));
    let prefix = match &statement["Condition"] {
        Json::Null => true,
        condition => fits(&text(&condition["StringLike"]["s3:prefix"]), call["prefix"].as_str().unwrap_or_default()),
    };
    prefix
        && any(&statement["Action"], &|action| action == text(&call["action"]))
        && any(&statement["Resource"], &|resource| fits(resource, &text(&call["resource"])))
}

/// Whether a pattern with stars fits a text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).any(|end| rest.is_char_boundary(end) && fits(after, &rest[end..]))),
    }
}

#[test]
fn machines_that_start_others_are_allowed_to() {
    let mut account =
        Account::new("workflow main(rounds: Int) -> Int {\n  repeat rounds with n = 1 while n < 9 { n * 2 }\n}\n");
    let said = account.deploy(&["--yes"]).well();
    assert!(said.err.contains("+ create  state machine smlt-main-part-2"), "{}", said.err);
    assert_eq!(account.smltc(&["start", "main.smlt", "--rounds", "5000"]).well().out, "16\n");
    account.deploy(&["--yes"]).well().ended(0, "nothing to do");
    let (used, all) = permissions(&mut account);
    for one in all.iter().filter(|(role, ..)| *role == "machine") {
        assert!(used.contains(one), "{one:?} is allowed for nothing");
    }
    account.smltc(&["destroy", "main", "--yes"]).well();
    assert_eq!(account.aws("stepfunctions", "list_state_machines", &json!({}))["stateMachines"], json!([]));
}
