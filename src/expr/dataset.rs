use super::eval::{EvalError, unchecked};
use crate::{
    source::Name,
    units::Percent,
    value::{Call, Dataset, Fields, Location, Part, Split, Value},
};
use rust_decimal::Decimal;

/// A dataset from its evaluated settings; what is absent has its default.
pub(super) fn build(name: &Name, mut fields: Fields) -> Result<Value, EvalError> {
    let mut take = |field: &str| fields.remove(field).filter(|value| *value != Value::None);
    let files = locations(take("source"))?;
    let format = match take("format") {
        Some(Value::Std(format)) => format,
        _ => Call::new("csv", Fields::new()),
    };
    let label = take("label").and_then(|label| label.as_str().map(Name::from));
    let columns = names(take("columns"))?;
    let test_files = locations(take("test"))?;
    let shape = match take("shape") {
        Some(Value::List(sizes)) => sizes.iter().map(size).collect::<Result<_, _>>()?,
        _ => Vec::new(),
    };
    let standardize = take("standardize") == Some(Value::Bool(true));
    let scale = take("scale").and_then(|scale| scale.as_f64()).unwrap_or(1.0);
    let mut share = |part: &str, otherwise: i64| match take(part) {
        Some(Value::Percent(share)) => share,
        _ => Percent::new(Decimal::from(otherwise)),
    };
    let whole = test_files.is_empty();
    let split = Split {
        train: share("split.train", if whole { 80 } else { 90 }),
        valid: share("split.valid", 10),
        test: share("split.test", if whole { 10 } else { 0 }),
        seed: take("split.seed").and_then(|seed| seed.as_int()).unwrap_or(0) as u64,
    };
    let part = Part::Whole;
    let name = name.clone();
    Ok(Value::Dataset(Box::new(Dataset {
        name,
        files,
        format,
        label,
        columns,
        shape,
        test_files,
        split,
        standardize,
        scale,
        part,
    })))
}

fn locations(value: Option<Value>) -> Result<Vec<Location>, EvalError> {
    let all = value.map_or(Some(Vec::new()), |value| Location::all(&value));
    all.ok_or_else(|| unchecked("what data is read from is neither a path nor a stored file"))
}

fn names(value: Option<Value>) -> Result<Vec<Name>, EvalError> {
    let Some(Value::List(items)) = value else { return Ok(Vec::new()) };
    let name = |item: &Value| item.as_str().map(Name::from).ok_or_else(|| unchecked("a column's name is not a text"));
    items.iter().map(name).collect()
}

fn size(value: &Value) -> Result<usize, EvalError> {
    let size = value.as_int().and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
    size.ok_or_else(|| EvalError::OutOfRange(format!("a sample's shape can't have the size {value}")))
}
