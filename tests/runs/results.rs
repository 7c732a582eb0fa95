//! What the examples come to, and that it is the same each time.

use crate::project::*;
use serde_json::Value as Json;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

#[test]
fn digits_are_told_apart() {
    let (result, _) = Project::new().result(&["digits.smlt"]);
    assert!(result["accuracy"].as_f64().unwrap() >= 0.97, "{result}");
}

#[test]
fn tumours_are_told_apart_after_a_python_program_has_prepared_the_table() {
    let (result, _) = Project::new().result(&["tumours.smlt"]);
    assert_eq!(result["rows"], 569);
    assert!(result["auc"].as_f64().unwrap() >= 0.98, "{result}");
}

#[test]
fn a_search_over_a_python_program_finds_the_same_one_and_two_at_a_time() {
    let project = Project::new();
    let found = |jobs: &str| -> Json {
        let args = ["run", "neighbours.smlt", "--trials", "12", "--jobs", jobs, "--quiet", "--out", "result.json"];
        let output = project.smltc(&args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&fs::read(project.path("result.json")).unwrap()).unwrap()
    };
    let result = found("1");
    assert!(result["accuracy"].as_f64().unwrap() >= 0.93, "{result}");
    assert_eq!(result, found("2"));
}

#[test]
fn rounds_go_on_until_the_goal_is_reached() {
    let (result, _) = Project::new().result(&["rounds.smlt"]);
    assert!(result["loss"].as_f64().unwrap() <= 0.12, "{result}");
    // Some rounds made it worse; they were undone, and the rate was halved.
    assert!(result["rate"].as_f64().unwrap() < 1.0, "{result}");
}

#[test]
fn garments_are_told_apart() {
    let folder = "/usr/share/datasets/fashion-mnist";
    assert!(Path::new(folder).exists(), "install Debian's package `dataset-fashion-mnist`, as `tests/install` does");
    let project = Project::new();
    // A short training: the whole one is in the README.
    let (result, _) = project.result(&["fashion.smlt", "--epochs", "1", "--batch", "256"]);
    assert!(result["accuracy"].as_f64().unwrap() >= 0.8, "{result}");
}

#[test]
fn characters_follow_each_other_whoever_trains() {
    let text = "the cat sat on the mat, and the dog on the cat. ".repeat(60);
    let of = |args: &[&str]| {
        let project = Project::with("short.txt", &text);
        let text = project.path("short.txt");
        let args = [&["characters.smlt", "--epochs", "3", "--text", text.to_str().unwrap()], args].concat();
        (project.result(&args), project)
    };
    let ((result, weights), project) = of(&[]);
    assert_eq!(result["epochs"], 3);
    // The commonest character, which is the blank, is a quarter of them.
    assert!(result["accuracy"].as_f64().unwrap() >= 0.9, "{result}");
    let rounds = project.events().into_iter().filter(|event| event["event"] == "round_done");
    assert_eq!(rounds.map(|event| event["round"]["workers"].clone()).collect::<Vec<_>>(), [1, 2]);
    assert!(of(&["--workers", "1"]).0 == (result, weights));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run =
        |args: &[&str]| Project::new().result(&[&["digits.smlt", "--trials", "4", "--epochs", "5"], args].concat());
    let one = run(&["--seed", "1", "--jobs", "1"]);
    let two = run(&["--seed", "1", "--jobs", "2"]);
    let other = run(&["--seed", "2"]);
    assert_eq!(one.1, two.1, "weights");
    assert_eq!(one.0["accuracy"], two.0["accuracy"]);
    assert_eq!(one.0["lr"], two.0["lr"]);
    assert_ne!(one.1, other.1);
    assert_ne!(one.0["lr"], other.0["lr"]);
}

#[test]
fn asynchronous_halving_gives_the_same_bytes_too() {
    let run = |jobs: &str| Project::new().result(&["tumours.smlt", "--trials", "12", "--jobs", jobs]);
    assert_eq!(run("1").1, run("2").1);
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let wide = LONG.replace("epochs: epochs }", "epochs: epochs, batch: 256 }");
    let blocks = wide
        .replace("std/models.{mlp}", "std/models.{encoder_block, residual_block}\nimport std/nn.{dense, mean_pool, reshape}")
        .replace("scale:", "shape: [1, 8, 8]\n  scale:")
        .replace("type Report", "model net = residual_block(1, 4, stride: 2) |> reshape([16, 4]) |> encoder_block(4) |> mean_pool |> dense(4, 10)\n\ntype Report")
        .replace("mlp(inputs: 64, hidden: 256, classes: 10)", "net()");
    for text in [wide, blocks] {
        let run = |processors: &str| threads(&text, processors);
        assert_eq!(run("0"), run("0,1"), "{text}");
    }
}

/// The weights of a short training with as many threads as processors may be used.
fn threads(text: &str, processors: &str) -> Vec<u8> {
    let project = Project::with("long.smlt", text);
    let status = Command::new("taskset")
        .args(["--cpu-list", processors, env!("CARGO_BIN_EXE_smltc"), "run", "long.smlt", "--epochs", "2"])
        .args(["--quiet", "--out", "result.json"])
        .current_dir(project.folder())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    project.read_result().1
}

/// A table of tokens in which only the order of two of them tells the label.
#[test]
fn texts_are_told_apart_by_the_order_of_their_tokens() {
    let project = Project::with(
        "texts.smlt",
        r#"
import std/models.{text_classifier}

dataset texts {
  source: "tokens.csv"
  label: "verdict"
  split { train: 80%, test: 20% }
}

type Report = { accuracy: Float, weights: Artifact }

workflow main() -> Report {
  let net = train text_classifier(16, length: texts.width, features: 16, drop: 0.0, classes: texts.classes) {
    data: texts
    optimizer: adamw(lr: 5e-3)
    batch: 32
    epochs: 25
  }
  let score = evaluate net.model() { data: texts.test, metrics: [accuracy] }
  Report(accuracy: score.accuracy, weights: net.weights)
}
"#,
    );
    let mut tokens = String::from("verdict,t0,t1,t2,t3,t4,t5,t6,t7\n");
    for row in 0..400_u32 {
        let mut text: Vec<u32> = (0..8).map(|place| 3 + (row * 7 + place * place * 5 + row * place) % 13).collect();
        let (first, second) = (row / 2 % 4, 4 + row / 8 % 4);
        (text[first as usize], text[second as usize]) = if row % 2 == 0 { (1, 2) } else { (2, 1) };
        let text: Vec<String> = text.iter().map(u32::to_string).collect();
        tokens += &format!("{},{}\n", if row % 2 == 0 { "good" } else { "bad" }, text.join(","));
    }
    fs::write(project.path("tokens.csv"), tokens).unwrap();
    let (result, _) = project.result(&["texts.smlt"]);
    assert!(result["accuracy"].as_f64().unwrap() >= 0.95, "{result}");
}

#[test]
fn weights_carry_their_model_card() {
    let (result, weights) = Project::with("long.smlt", LONG).result(&["long.smlt", "--epochs", "2", "--seed", "5"]);
    assert_eq!(result["weights"]["name"], "mlp.safetensors");
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&weights).unwrap();
    let card: Json = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["smltc"]).unwrap();
    assert_eq!(card["model"], "mlp");
    assert_eq!(card["parameters"], 64 * 256 + 256 + 256 * 10 + 10);
    assert_eq!(card["epochs"], 2);
    assert_eq!(card["lens"]["classes"].as_array().unwrap().len(), 10);
    assert!(card["metrics"]["valid"]["loss"].as_f64().unwrap() > 0.0);
    assert_eq!(card["data"]["hash"].as_str().unwrap().len(), 64);
    assert!(card["seed"].is_number());
    assert_eq!(card["layers"][1], "dense(bias: true, inputs: 64, outputs: 256)");
}
