//! What is said of a pipeline of which only a part is known holds whatever the rest turns out to be.

use super::{Draft, Form, Known, Shape, check, infer};
use crate::value::{Call, Model, Value};
use proptest::prelude::*;

fn call(name: &str, args: Vec<(&str, i64)>) -> Call {
    Call::new(name, args.into_iter().map(|(name, value)| (name.into(), Value::Int(value))).collect())
}

fn size() -> impl Strategy<Value = i64> {
    1..=2_i64
}

/// Layers with such small sizes that they often fit.
fn layer() -> impl Strategy<Value = Call> {
    let plain = prop_oneof![
        (size(), size()).prop_map(|(inputs, outputs)| call("dense", vec![("inputs", inputs), ("outputs", outputs)])),
        (size(), size(), size(), 0..=1_i64).prop_map(|(inputs, outputs, kernel, padding)| {
            let window = [("kernel", kernel), ("stride", 1), ("padding", padding)];
            call("conv2d", [&[("inputs", inputs), ("outputs", outputs)], &window[..]].concat())
        }),
        size().prop_map(|size| call("max_pool2d", vec![("size", size), ("stride", 1), ("padding", 0)])),
        size().prop_map(|features| call("batch_norm", vec![("features", features)])),
        size().prop_map(|features| call("layer_norm", vec![("features", features)])),
        (size(), size())
            .prop_map(|(length, features)| call("positions", vec![("length", length), ("features", features)])),
        size().prop_map(|features| call("attention", vec![("features", features), ("heads", 1)])),
        size().prop_map(|features| call("embedding", vec![("vocabulary", 9), ("features", features)])),
        prop::collection::vec(size(), 1..=3).prop_map(|shape| {
            let shape = Value::List(shape.into_iter().map(Value::Int).collect());
            Call::new("reshape", [("shape".into(), shape)].into())
        }),
        prop::sample::select(vec!["relu", "flatten", "global_avg_pool", "mean_pool"])
            .prop_map(|name| call(name, vec![])),
    ];
    plain.prop_recursive(2, 8, 2, |layer| {
        let way = prop::collection::vec(layer, 0..=2);
        (way.clone(), way).prop_map(|(body, shortcut)| {
            let shortcut = if shortcut.is_empty() { Value::None } else { model(shortcut) };
            Call::new("residual", [("body".into(), model(body)), ("shortcut".into(), shortcut)].into())
        })
    })
}

fn model(layers: Vec<Call>) -> Value {
    Value::Model(Box::new(Model::pipeline(layers)))
}

/// The layer without some of what is known of it.
fn forget(layer: &Call, hidden: &mut impl Iterator<Item = bool>) -> Option<Draft> {
    let mut draft = Draft::from(layer);
    for (name, arg) in &mut draft.args {
        match &layer.args[name] {
            _ if hidden.next() == Some(true) => *arg = Known::Unknown,
            Value::Model(inner) => {
                *arg = Known::Layers(inner.layers.iter().map(|layer| forget(layer, hidden)).collect())
            }
            _ => {}
        }
    }
    (hidden.next() != Some(true)).then_some(draft)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_fits_is_never_refused_for_what_is_not_known(
        layers in prop::collection::vec(layer(), 1..=4),
        input in prop::collection::vec(1..=2_usize, 1..=3),
        hidden in prop::collection::vec(prop::bool::weighted(0.2), 40),
        open in 0..=3_usize,
    ) {
        let shape = Shape(input);
        let whole = check(&layers, &shape);
        let mut hidden = hidden.into_iter();
        let form = match open {
            0 => Form::any(),
            1 => Form::whole(shape.0.iter().map(|size| (hidden.next() != Some(true)).then_some(*size))),
            2 => Form::any().with_last(shape.0.last().copied()),
            _ => Form::from(&shape),
        };
        prop_assert!(form.fits(&Form::from(&shape)));
        let drafts: Vec<Option<Draft>> = layers.iter().map(|layer| forget(layer, &mut hidden)).collect();
        let part = infer(&drafts, &form);
        if let Ok((_, output)) = &whole {
            let known = part.as_ref().map(|(_, form)| form.fits(&Form::from(output)));
            prop_assert!(matches!(known, Ok(true)), "{}: {whole:?}, but {part:?}", model(layers));
        }
    }
}

/// Many of the drawn pipelines must fit, or the property above says nothing.
#[test]
fn the_drawn_pipelines_often_fit() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let drawn = (0..1000).filter(|_| {
        let layers = prop::collection::vec(layer(), 1..=4).new_tree(&mut runner).unwrap().current();
        let input = prop::collection::vec(1..=2_usize, 1..=3).new_tree(&mut runner).unwrap().current();
        check(&layers, &Shape(input)).is_ok()
    });
    let fitting = drawn.count();
    assert!(fitting > 50, "{fitting}");
}

#[test]
fn what_both_know_of_a_shape_is_put_together() {
    let image = Form::whole([None, Some(8), None]);
    let rows = Form::any().with_last(Some(4));
    assert!(image.fits(&rows));
    assert_eq!(image.or(&rows), Form::whole([None, Some(8), Some(4)]));
    assert!(!image.fits(&Form::whole([Some(4)])));
    assert!(!Form::whole([Some(4)]).fits(&image));
    assert!(!rows.fits(&Form::whole([Some(3)])));
    assert_eq!(image.or(&rows).to_string(), "[_, 8, 4]");
    assert_eq!(rows.with_last(None).to_string(), "[…, _]");
}
