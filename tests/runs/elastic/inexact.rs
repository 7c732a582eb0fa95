//! Fewer bytes and fewer exchanges: what comes of it depends on who trains, and is still learned.

use super::*;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeSet;

/// Every codec by itself, fewer exchanges, and some of both, by several ways.
const WAYS: [&str; 8] = [
    "scatter_reduce(codec: bf16())",
    "all_to_all(codec: f16())",
    "parameter_server(codec: top_k(10%))",
    "two_level(every: 4)",
    "in_store(codec: f16(), every: 4)",
    "in_store(codec: top_k(20%), backups: 1)",
    "scatter_reduce(codec: top_k(20%), every: 2)",
    "auto(codec: bf16(), every: 4)",
];

fn numbers(weights: &[u8]) -> Vec<f32> {
    let tensors = SafeTensors::deserialize(weights).unwrap().tensors();
    let numbers = tensors.iter().flat_map(|(_, tensor)| {
        assert_eq!(tensor.dtype(), Dtype::F32);
        tensor.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
    });
    numbers.collect()
}

#[test]
fn each_of_them_learns_and_comes_to_bits_of_its_own() {
    let mut all = BTreeSet::from([alone("10").1]);
    for sync in WAYS {
        let project = team(&format!("workers: 4\n    sync: {sync}"));
        let (result, weights) = project.result(&["team.smlt", "--epochs", "10"]);
        // By chance it would be a tenth.
        assert!(result["accuracy"].as_f64().unwrap() > 0.8, "{sync}: {result}");
        assert!(numbers(&weights).iter().all(|number| number.is_finite()), "{sync}");
        let losses: Vec<f64> =
            events(&project, "epoch").iter().map(|epoch| epoch["train"]["loss"].as_f64().unwrap()).collect();
        assert_eq!(losses.len(), 10, "{sync}");
        assert!(losses[9] < losses[0] / 2.0, "{sync}: {losses:?}");
        assert!(all.insert(weights), "{sync}: it comes to the bits of another");
        leaves_nothing(&project);
    }
}

#[test]
fn a_result_serves_only_as_many_workers_as_have_come_to_it() {
    for (sync, serves) in [("all_to_all()", true), ("all_to_all(codec: f16())", false), ("all_to_all(every: 2)", false)]
    {
        let project = team(&format!("workers: 4\n    sync: {sync}"));
        let run = |workers| {
            let (_, weights) = project.result(&["team.smlt", "--workers", workers]);
            (weights, !events(&project, "epoch").is_empty())
        };
        let (by_four, _) = run("4");
        let (by_two, trained) = run("2");
        assert_eq!((by_two == by_four, !trained), (serves, serves), "{sync}");
        let said = project.smltc(&["why", "net"]);
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert_eq!(said.contains("run, because `workers` changed from 4 to 2"), !serves, "{said}");
        let (again, trained) = run("4");
        assert!(again == by_four && !trained, "{sync}");
    }
}
