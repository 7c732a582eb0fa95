//! Values that stand for those that only a real run can find.

use crate::{
    expr::Var,
    types::Type,
    units::{Duration, Money, Percent, Size},
    value::{Artifact, Fields, Hash, Value},
    wire::{Facts, Train},
};
use rust_decimal::Decimal;

/// A metric of a model that is good enough to go on with.
pub const GOOD: f64 = 0.9;

/// A usual value of a type.
pub fn value(ty: &Type) -> Value {
    match ty {
        Type::Bool => Value::Bool(true),
        Type::Int => Value::Int(100),
        Type::Float => Value::Float(GOOD),
        Type::String | Type::Uri => Value::String("unknown".into()),
        Type::Duration => Value::Duration(Duration::from_millis(1000)),
        Type::Money => Value::Money(Money::new(Decimal::ONE)),
        Type::Size => Value::Size(Size::from_mib(1)),
        Type::Percent => Value::Percent(Percent::new(Decimal::from(50))),
        Type::Artifact => Value::Artifact(Box::new(artifact("unknown"))),
        // Most commands that list things find several.
        Type::List(item) => Value::List(vec![value(item); 4]),
        Type::Map(_) => Value::Map(Fields::new()),
        Type::Record(fields) => Value::Record(fields.iter().map(|(name, ty)| (name.clone(), value(ty))).collect()),
        Type::Optional(inner) => value(inner),
        Type::Enum { members, .. } => members.first().map_or(Value::None, |first| Value::Member(first.clone())),
        Type::Dataset
        | Type::Model
        | Type::None
        | Type::Range(_)
        | Type::Function(_)
        | Type::Distribution(_)
        | Type::Std(_)
        | Type::Unknown => Value::None,
    }
}

/// A stored file that nobody has stored.
pub fn artifact(name: &str) -> Artifact {
    Artifact { name: name.to_owned(), hash: Hash::of(name.as_bytes()), bytes: 0 }
}

/// What stands for a trained model, with `objective` for all its metrics but the loss.
pub fn trained(train: &Train, epochs: u64, objective: f64) -> Value {
    let mut model = train.model.clone();
    model.weights = Some(artifact("weights"));
    let part = |var| {
        let named = train.asked(var).into_iter().map(|name| (name.as_str().into(), Value::Float(objective)));
        Value::Record(named.chain([("loss".into(), Value::Float(1.0 - objective))]).collect())
    };
    let parts = || Fields::from([("train".into(), part(Var::TRAIN)), ("valid".into(), part(Var::VALID))]);
    let mut epoch = parts();
    epoch.insert("epoch".into(), Value::Int(epochs as i64));
    Value::Record(Fields::from([
        ("model".into(), Value::Model(Box::new(model))),
        ("weights".into(), Value::Artifact(Box::new(artifact("weights")))),
        ("card".into(), Value::Artifact(Box::new(artifact("card")))),
        ("metrics".into(), Value::Record(parts())),
        ("history".into(), Value::List(vec![Value::Record(epoch)])),
        ("epochs".into(), Value::Int(epochs as i64)),
        ("best_epoch".into(), Value::Int(epochs as i64)),
    ]))
}

/// What is taken for the facts of data that can't be read yet.
pub fn facts() -> Facts {
    Facts { width: 32, classes: 2, rows: 10_000, columns: Vec::new(), shards: vec!["unknown".into()] }
}
