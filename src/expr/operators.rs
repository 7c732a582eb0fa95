//! What the built-in operations and functions compute, on values whose types were checked.

use super::{
    Native,
    eval::{EvalError, MAX_TEXT, unchecked},
};
use crate::{
    types::Type,
    units::{Duration, Money, Percent},
    value::{Fields, Location, Model, Part, Value},
};
use rust_decimal::{Decimal, prelude::FromPrimitive};
use std::cmp::Ordering;

type Result<T> = std::result::Result<T, EvalError>;

/// Applies an operation whose arguments are all evaluated first.
pub(super) fn apply(native: Native, args: Vec<Value>) -> Result<Value> {
    match <[Value; 1]>::try_from(args) {
        Ok([a]) => unary(native, a),
        Err(args) => match <[Value; 2]>::try_from(args) {
            Ok([a, b]) => binary(native, a, b),
            Err(args) => match <[Value; 3]>::try_from(args) {
                Ok([a, b, c]) => ternary(native, &a, &b, &c),
                Err(_) => Err(mistyped(native)),
            },
        },
    }
}

fn mistyped(native: Native) -> EvalError {
    unchecked(&format!("`{native:?}` got arguments of other types than it was checked with"))
}

fn unary(native: Native, a: Value) -> Result<Value> {
    use Value::{Bool, Dataset, Duration as Time, Float, Int, List, Map, Money as Cash, String as Text};
    let overflow = |a: &Value| EvalError::Overflow(format!("-({a})"));
    Ok(match (native, a) {
        (Native::Neg, Int(a)) => Int(a.checked_neg().ok_or_else(|| overflow(&Int(a)))?),
        (Native::Neg, Float(a)) => Float(-a),
        (Native::Neg, Time(a)) => Time(Duration::from_millis(-a.millis())),
        (Native::Neg, Cash(a)) => Cash(Money::new(-a.dollars())),
        (Native::Not, Bool(a)) => Bool(!a),
        (Native::Len, List(items)) => Int(items.len() as i64),
        (Native::Len, Map(entries)) => Int(entries.len() as i64),
        (Native::Len, Text(text)) => Int(text.chars().count() as i64),
        (Native::Abs, Int(a)) => Int(a.checked_abs().ok_or_else(|| EvalError::Overflow(format!("abs({a})")))?),
        (Native::Abs, Float(a)) => Float(a.abs()),
        (Native::Floor, a) => whole("floor", number(&a)?.floor())?,
        (Native::Ceil, a) => whole("ceil", number(&a)?.ceil())?,
        (Native::Round, a) => whole("round", number(&a)?.round())?,
        (Native::Sqrt, a) => Float(number(&a)?.sqrt()),
        (Native::Exp, a) => Float(number(&a)?.exp()),
        (Native::Log, a) => Float(number(&a)?.ln()),
        (Native::Float, a) => Float(number(&a)?),
        (Native::Mean, List(items)) => {
            let count = items.len();
            if count == 0 {
                return Err(EvalError::OutOfRange("the mean of an empty list is not defined".into()));
            }
            let sum = items.iter().map(number).sum::<Result<f64>>()?;
            Float(sum / count as f64)
        }
        (Native::Indices, Int(count)) => {
            if !(0..=1_000_000).contains(&count) {
                return Err(EvalError::OutOfRange(format!("`range({count})` has no list of at most 1,000,000 items")));
            }
            List((0..count).map(Int).collect())
        }
        (Native::Lower, Text(text)) => Text(text.to_lowercase().into()),
        (Native::Upper, Text(text)) => Text(text.to_uppercase().into()),
        (Native::Trim, Text(text)) => Text(text.trim().into()),
        (Native::ToText, a) => {
            let mut text = String::new();
            push_text(&mut text, &a)?;
            Text(text.into())
        }
        (Native::TrainPart, Dataset(data)) => part(*data, Part::Train),
        (Native::ValidPart, Dataset(data)) => part(*data, Part::Valid),
        (Native::TestPart, Dataset(data)) => part(*data, Part::Test),
        (native, _) => return Err(mistyped(native)),
    })
}

fn part(mut data: crate::value::Dataset, part: Part) -> Value {
    data.part = part;
    Value::Dataset(Box::new(data))
}

fn binary(native: Native, a: Value, b: Value) -> Result<Value> {
    use Native::{
        Add, Contains, Div, Eq, Ge, Gt, Join, Le, Lt, Max, Min, Mul, Ne, Pow, Range, Split, Sub, Sum, WithFiles,
    };
    use Value::{Bool, Float, Int, List, String as Text};
    Ok(match (native, a, b) {
        (Add | Sub | Mul | Div, a, b) => arithmetic(native, &a, &b)?,
        (Eq, a, b) => Bool(equal(&a, &b)),
        (Ne, a, b) => Bool(!equal(&a, &b)),
        (Lt, a, b) => Bool(compare(&a, &b) == Some(Ordering::Less)),
        (Le, a, b) => Bool(compare(&a, &b).is_some_and(Ordering::is_le)),
        (Gt, a, b) => Bool(compare(&a, &b) == Some(Ordering::Greater)),
        (Ge, a, b) => Bool(compare(&a, &b).is_some_and(Ordering::is_ge)),
        (Min, a, b) => pick(a, b, Ordering::is_le),
        (Max, a, b) => pick(a, b, Ordering::is_ge),
        (Range, a, b) => Value::Range(Box::new((a, b))),
        (Pow, Int(a), Int(b)) if b >= 0 => {
            let power = u32::try_from(b).ok().and_then(|b| a.checked_pow(b));
            Int(power.ok_or_else(|| EvalError::Overflow(format!("pow({a}, {b})")))?)
        }
        (Pow, Int(a), Int(b)) => {
            return Err(EvalError::OutOfRange(format!(
                "`pow({a}, {b})` is not a whole number; write `pow({a}.0, {b})`"
            )));
        }
        (Pow, a, b) => Float(number(&a)?.powf(number(&b)?)),
        (Sum, List(items), zero) => items.into_iter().try_fold(zero, |sum, item| binary(Add, sum, item))?,
        (Split, Text(text), Text(separator)) => List(text.split(&*separator).map(|piece| Text(piece.into())).collect()),
        (Join, List(items), Text(separator)) => {
            let mut text = String::new();
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push_str(&separator);
                }
                push_text(&mut text, item)?;
            }
            Text(text.into())
        }
        (Contains, Text(text), Text(wanted)) => Bool(text.contains(&*wanted)),
        (Contains, List(items), wanted) => Bool(items.iter().any(|item| equal(item, &wanted))),
        (WithFiles, Value::Dataset(mut data), List(files)) => {
            data.files = Location::all(&List(files)).ok_or_else(|| mistyped(WithFiles))?;
            Value::Dataset(data)
        }
        (native, ..) => return Err(mistyped(native)),
    })
}

fn ternary(native: Native, a: &Value, b: &Value, c: &Value) -> Result<Value> {
    match (native, a, b, c) {
        (Native::Replace, Value::String(text), Value::String(from), Value::String(to)) => {
            let count = if from.is_empty() { text.chars().count() + 1 } else { text.matches(&**from).count() };
            let length = count.checked_mul(to.len()).and_then(|added| added.checked_add(text.len()));
            match length.is_some_and(|length| length <= MAX_TEXT) {
                true => Ok(Value::String(text.replace(&**from, to).into())),
                false => Err(EvalError::TooLarge),
            }
        }
        _ => Err(mistyped(native)),
    }
}

fn arithmetic(native: Native, a: &Value, b: &Value) -> Result<Value> {
    use Native::{Add, Div, Mul, Sub};
    use Value::{Duration as Time, Float, Int, List, Money as Cash, Percent as Share, Size as Bytes, String as Text};
    let symbol = match native {
        Add => '+',
        Sub => '-',
        Mul => '*',
        _ => '/',
    };
    let overflow = || EvalError::Overflow(format!("{a} {symbol} {b}"));
    let by_zero = || EvalError::DivisionByZero(format!("{a} {symbol} {b}"));
    let exact = |factor: &Value| decimal(factor).ok_or_else(overflow);
    Ok(match (native, a, b) {
        (Add, Int(a), Int(b)) => Int(a.checked_add(*b).ok_or_else(overflow)?),
        (Sub, Int(a), Int(b)) => Int(a.checked_sub(*b).ok_or_else(overflow)?),
        (Mul, Int(a), Int(b)) => Int(a.checked_mul(*b).ok_or_else(overflow)?),
        (Div, Int(_), Int(0)) => return Err(by_zero()),
        (Div, Int(a), Int(b)) => Int(a.checked_div(*b).ok_or_else(overflow)?),
        (Add, Int(_) | Float(_), Int(_) | Float(_)) => Float(number(a)? + number(b)?),
        (Sub, Int(_) | Float(_), Int(_) | Float(_)) => Float(number(a)? - number(b)?),
        (Mul, Int(_) | Float(_), Int(_) | Float(_)) => Float(number(a)? * number(b)?),
        (Div, Int(_) | Float(_), Int(_) | Float(_)) => match number(b)? {
            0.0 => return Err(by_zero()),
            divisor => Float(number(a)? / divisor),
        },
        (Add, Text(a), Text(b)) if a.len() + b.len() > MAX_TEXT => return Err(EvalError::TooLarge),
        (Add, Text(a), Text(b)) => Text(format!("{a}{b}").into()),
        (Add, List(a), List(b)) => List(a.iter().chain(b).cloned().collect()),
        (Add, Time(a), Time(b)) => Time(a.checked_add(*b).ok_or_else(overflow)?),
        (Sub, Time(a), Time(b)) => Time(a.checked_sub(*b).ok_or_else(overflow)?),
        (Add, Cash(a), Cash(b)) => Cash(a.checked_add(*b).ok_or_else(overflow)?),
        (Sub, Cash(a), Cash(b)) => Cash(a.checked_sub(*b).ok_or_else(overflow)?),
        (Add, Bytes(a), Bytes(b)) => Bytes(a.checked_add(*b).ok_or_else(overflow)?),
        (Sub, Bytes(a), Bytes(b)) => Bytes(a.checked_sub(*b).ok_or_else(overflow)?),
        (Add, Share(a), Share(b)) => Share(Percent::new(a.points().checked_add(b.points()).ok_or_else(overflow)?)),
        (Sub, Share(a), Share(b)) => Share(Percent::new(a.points().checked_sub(b.points()).ok_or_else(overflow)?)),
        (Mul, Cash(a), factor) | (Mul, factor, Cash(a)) => Cash(a.checked_mul(exact(factor)?).ok_or_else(overflow)?),
        (Mul, Time(a), factor) | (Mul, factor, Time(a)) => {
            Time(a.checked_mul(factor_of(factor)?).ok_or_else(overflow)?)
        }
        (Mul, Bytes(a), factor) | (Mul, factor, Bytes(a)) => {
            Bytes(a.checked_mul(factor_of(factor)?).ok_or_else(overflow)?)
        }
        (Mul, Share(a), Share(b)) => Share(Percent::new(a.points().checked_mul(b.fraction()).ok_or_else(overflow)?)),
        (Mul, Share(a), factor) | (Mul, factor, Share(a)) => Float(a.to_f64() * number(factor)?),
        (Div, Time(_) | Cash(_) | Bytes(_) | Share(_), divisor) if ratio(divisor) == Some(0.0) => return Err(by_zero()),
        (Div, Time(a), Time(b)) => Float(a.millis() as f64 / b.millis() as f64),
        (Div, Cash(a), Cash(b)) => Float(a.to_f64() / b.to_f64()),
        (Div, Bytes(a), Bytes(b)) => Float(a.bytes() as f64 / b.bytes() as f64),
        (Div, Share(a), Share(b)) => Float(a.to_f64() / b.to_f64()),
        (Div, Time(a), divisor) => Time(a.checked_mul(1.0 / number(divisor)?).ok_or_else(overflow)?),
        (Div, Bytes(a), divisor) => Bytes(a.checked_mul(1.0 / number(divisor)?).ok_or_else(overflow)?),
        (Div, Cash(a), divisor) => Cash(a.checked_div(exact(divisor)?).ok_or_else(overflow)?),
        (native, ..) => return Err(mistyped(native)),
    })
}

/// A number or a share, as a factor.
fn factor_of(value: &Value) -> Result<f64> {
    match value {
        Value::Percent(share) => Ok(share.to_f64()),
        value => number(value),
    }
}

/// A number or a share, exactly where it has an exact form.
fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Int(int) => Some(Decimal::from(*int)),
        Value::Float(float) => Decimal::from_f64(*float),
        Value::Percent(share) => Some(share.fraction()),
        _ => None,
    }
}

/// The amount of a number or unit, to tell whether it is zero.
fn ratio(value: &Value) -> Option<f64> {
    match value {
        Value::Duration(time) => Some(time.millis() as f64),
        Value::Money(cash) => Some(cash.to_f64()),
        Value::Size(size) => Some(size.bytes() as f64),
        Value::Percent(share) => Some(share.to_f64()),
        value => value.as_f64(),
    }
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().ok_or_else(|| unchecked("a number was checked for and is not there"))
}

fn whole(function: &str, float: f64) -> Result<Value> {
    match float.abs() < i64::MAX as f64 {
        true => Ok(Value::Int(float as i64)),
        false => Err(EvalError::Overflow(format!("{function}({float})"))),
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

/// How two values of one ordered type compare; nothing compares with NaN.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::Money(a), Value::Money(b)) => Some(a.cmp(b)),
        (Value::Size(a), Value::Size(b)) => Some(a.cmp(b)),
        (Value::Percent(a), Value::Percent(b)) => Some(a.cmp(b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// An order for sorting, with NaN last.
pub(super) fn order(a: &Value, b: &Value) -> Ordering {
    compare(a, b).unwrap_or_else(|| {
        let nan = |value: &Value| value.as_f64().is_some_and(f64::is_nan);
        nan(a).cmp(&nan(b))
    })
}

fn pick(a: Value, b: Value, keep_first: fn(Ordering) -> bool) -> Value {
    let first = compare(&a, &b).is_none_or(keep_first);
    let (kept, other) = if first { (a, b) } else { (b, a) };
    match (kept, other) {
        (Value::Int(int), Value::Float(_)) => Value::Float(int as f64),
        (kept, _) => kept,
    }
}

pub(super) fn index(base: Value, index: &Value) -> Result<Value> {
    match (base, index) {
        (Value::List(mut items), Value::Int(at)) => {
            let len = items.len();
            match usize::try_from(*at).ok().filter(|at| *at < len) {
                Some(at) => Ok(items.swap_remove(at)),
                None => Err(EvalError::OutOfRange(format!("there is no item {at} in a list of {len}"))),
            }
        }
        (Value::Map(mut entries), Value::String(key)) => {
            entries.remove(key).ok_or_else(|| EvalError::OutOfRange(format!("there is no entry {key:?} in the map")))
        }
        _ => Err(unchecked("an index of what is neither list nor map")),
    }
}

/// Appends a value to a text: texts as they are, everything else as it is written in a file.
pub(super) fn push_text(text: &mut String, value: &Value) -> Result<()> {
    match value {
        Value::String(piece) => text.push_str(piece),
        value => text.push_str(&value.to_string()),
    }
    if text.len() > MAX_TEXT { Err(EvalError::TooLarge) } else { Ok(()) }
}

/// A value as one of type `ty`: whole numbers become numbers where the type has numbers, layers become models.
pub fn widen(value: Value, ty: &Type) -> Value {
    let all = |fields: Fields, ty: &Type| fields.into_iter().map(|(name, value)| (name, widen(value, ty))).collect();
    match (ty, value) {
        (Type::Float, Value::Int(int)) => Value::Float(int as f64),
        (Type::Model, Value::Std(layer)) => Value::Model(Box::new(Model::pipeline(vec![layer]))),
        (Type::Optional(inner), value) => widen(value, inner),
        (Type::List(inner), Value::List(items)) => {
            Value::List(items.into_iter().map(|item| widen(item, inner)).collect())
        }
        (Type::Map(inner), Value::Map(fields)) => Value::Map(all(fields, inner)),
        (Type::Range(inner), Value::Range(ends)) => {
            Value::Range(Box::new((widen(ends.0, inner), widen(ends.1, inner))))
        }
        (Type::Record(types), Value::Record(fields)) => Value::Record(
            fields
                .into_iter()
                .map(|(name, value)| {
                    let value = match types.get(&name) {
                        Some(ty) => widen(value, ty),
                        None => value,
                    };
                    (name, value)
                })
                .collect(),
        ),
        (_, value) => value,
    }
}
