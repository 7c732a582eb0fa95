//! The architectures of `std/models` against what is published of them.

use crate::{
    check::{check, program::StmtKind},
    cli::world::Files,
    expr::Expr,
    layers::{self, Block, Shape},
    value::Value,
};

/// The numbers that a model of `std/models` learns, and how many it gives for samples of shape `input`.
fn published(model: &str, input: &[usize]) -> (usize, usize) {
    let project = tempfile::tempdir().unwrap();
    let path = project.path().join("main.smlt");
    let (name, _) = model.split_once('(').unwrap();
    let data = "dataset data { source: \"data\", format: idx() }";
    let text = format!("import std/models.{{{name}}}\n{data}\nworkflow main() {{ train {model} {{ data: data }} }}");
    std::fs::write(&path, text).unwrap();
    let outcome = check(&Files::open(&path).unwrap());
    assert!(outcome.diagnostics.is_empty(), "{:?}", outcome.diagnostics);
    let StmtKind::Train(train) = &*outcome.value.workflows[0].body.stmts[0].kind else { panic!("not a training") };
    let Expr::Const(Value::Model(model)) = &train.model else { panic!("the model is not known") };
    let (blocks, output) = layers::check(&model.layers, &Shape(input.to_vec())).unwrap();
    (learned(&blocks), output.width())
}

fn learned(blocks: &[Block]) -> usize {
    let block = |block: &Block| match block {
        Block::Layer(layer) => layer.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum(),
        Block::Residual { body, shortcut } => learned(body) + learned(shortcut),
    };
    blocks.iter().map(block).sum()
}

/// `ResNet18_Weights` of torchvision.
#[test]
fn resnet18_is_as_large_as_published() {
    assert_eq!(published("resnet18()", &[3, 224, 224]), (11_689_512, 1000));
    assert_eq!(published("resnet18(classes: 10)", &[3, 32, 32]), (11_689_512 - 990 * 513, 10));
}

/// `DistilBertForSequenceClassification` of the transformers library, for two classes.
#[test]
fn the_text_classifier_is_as_large_as_distilbert() {
    let model = "text_classifier(30522, 512, features: 768, heads: 12, blocks: 6)";
    assert_eq!(published(model, &[512]), (66_955_010, 2));
}

/// LeCun et al. (1998), with every map of a layer connected with every map of the next.
#[test]
fn lenet_is_as_large_as_published() {
    assert_eq!(published("lenet()", &[1, 28, 28]), (61_706, 10));
}
