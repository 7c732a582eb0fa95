use super::ElasticError;
use crate::{
    value::{Call, Value},
    wire::{Averaging, Codec, Every, Exchange, MAX_SHARDS, Staged, Workers},
};
use rust_decimal::Decimal;

/// The setting `sync`: how workers give each other gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Syncing {
    /// The way; chosen by the size and the number of workers when absent.
    pub exchange: Option<Exchange>,
    /// What, and when.
    pub averaging: Averaging,
    /// How many of the slowest workers have a double.
    pub backups: u32,
}

impl Default for Syncing {
    fn default() -> Self {
        Self { exchange: None, averaging: Averaging::EXACT, backups: 0 }
    }
}

/// The samples in a batch: a whole number, or a `schedule` of them.
///
/// # Errors
/// When a batch would be empty, or the schedule makes no sense.
pub fn batch(value: &Value) -> Result<Staged<u64>, ElasticError> {
    staged(value, |value| at_least("batch", 1, int(value)?))
}

/// How many workers: a whole number, a range, or a `schedule`.
///
/// # Errors
/// When there would be none or too many, a range is the wrong way round, or the schedule makes no sense.
pub fn workers(value: &Value) -> Result<Workers, ElasticError> {
    let workers = |value: &Value| {
        let workers = at_least("workers", 1, int(value)?)?;
        u32::try_from(workers)
            .ok()
            .filter(|workers| u64::from(*workers) <= MAX_SHARDS)
            .ok_or(ElasticError::Crowd(i64::try_from(workers).unwrap_or(i64::MAX)))
    };
    let Value::Range(ends) = value else { return staged(value, workers).map(Workers::Staged) };
    let (first, last) = (&ends.0, &ends.1);
    if int(first)? > int(last)? {
        return Err(ElasticError::Backward { name: "workers", first: first.to_string(), last: last.to_string() });
    }
    Ok(Workers::Within(workers(first)?, workers(last)?))
}

/// How many shards.
///
/// # Errors
/// When that is no power of two, or too many.
pub fn shards(value: &Value) -> Result<u64, ElasticError> {
    let shards = int(value)?;
    let fitting = u64::try_from(shards).ok().filter(|shards| shards.is_power_of_two() && *shards <= MAX_SHARDS);
    fitting.ok_or(ElasticError::Shards(shards))
}

/// One of the ways of `std/sync`.
///
/// # Errors
/// When one of its arguments makes no sense.
pub fn sync(value: &Value) -> Result<Syncing, ElasticError> {
    let call = call(value, "a way of `std/sync`")?;
    let exchange = Exchange::ALL.into_iter().find(|exchange| exchange.name() == &*call.name);
    if exchange.is_none() && &*call.name != "auto" {
        return Err(ElasticError::Unchecked("a way of `std/sync`"));
    }
    let codec = codec(argument(call, "codec")?)?;
    let every = at_least("every", 1, int(argument(call, "every")?)?)?;
    let backups = at_least("backups", 0, int(argument(call, "backups")?)?)?;
    let backups = u32::try_from(backups).unwrap_or(u32::MAX);
    Ok(Syncing { exchange, averaging: Averaging { codec, every }, backups })
}

fn codec(value: &Value) -> Result<Codec, ElasticError> {
    let call = call(value, "a codec of `std/sync`")?;
    Ok(match &*call.name {
        "f32" => Codec::F32,
        "bf16" => Codec::Bf16,
        "f16" => Codec::F16,
        "top_k" => match argument(call, "share")? {
            Value::Percent(share) if share.points() > Decimal::ZERO && share.points() <= Decimal::ONE_HUNDRED => {
                Codec::TopK(*share)
            }
            Value::Percent(share) => return Err(ElasticError::Share(*share)),
            _ => return Err(ElasticError::Unchecked("a share")),
        },
        _ => return Err(ElasticError::Unchecked("a codec of `std/sync`")),
    })
}

/// When something comes again.
///
/// # Errors
/// When not exactly one of time, epochs and steps is given, or it is nothing.
pub fn every(value: &Value) -> Result<Every, ElasticError> {
    let call = call(value, "an `every`")?;
    let given = ["time", "epochs", "steps"].map(|name| (name, argument(call, name)));
    let mut present = Vec::new();
    for (name, value) in given {
        present.extend(Some((name, value?)).filter(|(_, value)| **value != Value::None));
    }
    match present.as_slice() {
        [(_, Value::Duration(time))] if time.millis() > 0 => Ok(Every::Time(*time)),
        [(_, Value::Duration(time))] => Err(ElasticError::Time(*time)),
        [("epochs", epochs)] => at_least("epochs", 1, int(epochs)?).map(Every::Epochs),
        [(_, steps)] => at_least("steps", 1, int(steps)?).map(Every::Steps),
        several => Err(ElasticError::Every(several.len())),
    }
}

/// A value, or a `schedule` of values.
fn staged<T>(value: &Value, one: impl Fn(&Value) -> Result<T, ElasticError>) -> Result<Staged<T>, ElasticError> {
    let Value::Std(call) = value else { return Ok(Staged { first: one(value)?, later: Vec::new() }) };
    let list = |name| match argument(call, name)? {
        Value::List(items) => Ok(items),
        _ => Err(ElasticError::Unchecked("a list")),
    };
    let (values, at) = (list("values")?, list("at")?);
    let Some((first, later)) = values.split_first() else { return Err(ElasticError::Empty) };
    if later.len() != at.len() {
        return Err(ElasticError::Lengths { values: values.len(), at: at.len() });
    }
    let mut staged = Staged { first: one(first)?, later: Vec::with_capacity(later.len()) };
    let mut before = 0;
    for (value, at) in later.iter().zip(at) {
        let at = int(at)?;
        let epochs = at_least("at", 1, at)?;
        if at <= before {
            return Err(ElasticError::Order(before, at));
        }
        before = at;
        staged.later.push((epochs, one(value)?));
    }
    Ok(staged)
}

fn int(value: &Value) -> Result<i64, ElasticError> {
    value.as_int().ok_or(ElasticError::Unchecked("a whole number"))
}

fn at_least(name: &'static str, least: i64, given: i64) -> Result<u64, ElasticError> {
    u64::try_from(given).ok().filter(|_| given >= least).ok_or(ElasticError::Least { name, least, given })
}

fn call<'v>(value: &'v Value, what: &'static str) -> Result<&'v Call, ElasticError> {
    match value {
        Value::Std(call) => Ok(call),
        _ => Err(ElasticError::Unchecked(what)),
    }
}

fn argument<'c>(call: &'c Call, name: &'static str) -> Result<&'c Value, ElasticError> {
    call.args.get(name).ok_or(ElasticError::Unchecked(name))
}
