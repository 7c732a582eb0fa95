//! Values as they travel through a state machine, which knows no numbers but those of JavaScript: what these can't hold
//! travels as text.

use crate::value::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::{Number, Value as Json, json};

/// The largest whole number up to which all are exact: 2^53.
const EXACT: u64 = 1 << 53;

/// How a whole number beyond that is marked, and a zero below zero.
const WHOLE: &str = "$whole";
const FLOAT: &str = "$float";

/// A value that a state machine carries, unseen, from one worker to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried(pub Value);

impl Serialize for Carried {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serde_json::to_value(&self.0).map_err(ser::Error::custom)?;
        walk(&mut json, &|json| match json {
            Json::Number(number) => pack(number),
            _ => None,
        });
        json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Carried {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut json = Json::deserialize(deserializer)?;
        walk(&mut json, &unpack);
        serde_json::from_value(json).map(Self).map_err(de::Error::custom)
    }
}

/// Puts others in the place of what `change` has something for, from the outside in.
fn walk(json: &mut Json, change: &dyn Fn(&Json) -> Option<Json>) {
    if let Some(changed) = change(json) {
        *json = changed;
        return;
    }
    match json {
        Json::Array(items) => items.iter_mut().for_each(|item| walk(item, change)),
        Json::Object(fields) => fields.values_mut().for_each(|field| walk(field, change)),
        _ => {}
    }
}

fn pack(number: &Number) -> Option<Json> {
    let is_large = number.as_i64().map(i64::unsigned_abs).or(number.as_u64()).is_some_and(|number| number > EXACT);
    if is_large {
        return Some(json!({ WHOLE: number.to_string() }));
    }
    let float = number.as_f64().filter(|_| number.is_f64())?;
    (float == 0.0 && float.is_sign_negative()).then(|| json!({ FLOAT: "-0.0" }))
}

fn unpack(json: &Json) -> Option<Json> {
    let fields = json.as_object().filter(|fields| fields.len() == 1)?;
    let (mark, text) = fields.iter().next()?;
    let text = text.as_str()?;
    match mark.as_str() {
        WHOLE => text.parse::<i64>().map(Json::from).or_else(|_| text.parse::<u64>().map(Json::from)).ok(),
        FLOAT => text.parse::<f64>().ok().and_then(Number::from_f64).map(Json::Number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As JavaScript reads and writes it: every number is a float, and a whole one has no point.
    fn through_javascript(json: &Json) -> Json {
        match json {
            Json::Number(number) => {
                let float = number.as_f64().unwrap();
                match float.abs() {
                    0.0 => json!(0),
                    size if size < 1e21 && float == float.trunc() => serde_json::from_str(&float.to_string()).unwrap(),
                    _ => json!(float),
                }
            }
            Json::Array(items) => items.iter().map(through_javascript).collect(),
            Json::Object(fields) => {
                Json::Object(fields.iter().map(|(name, field)| (name.clone(), through_javascript(field))).collect())
            }
            other => other.clone(),
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::None),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-9_i64..9).prop_map(Value::Int),
            any::<f64>().prop_filter("NaN is not equal to itself", |float| !float.is_nan()).prop_map(Value::Float),
            (-9_i32..9).prop_map(|whole| Value::Float(whole.into())),
            Just(Value::Float(-0.0)),
            ".*".prop_map(|text| Value::String(text.into())),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map("[a-z$]{0,6}", inner, 0..4).prop_map(|fields| {
                    Value::Map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_comes_back_to_the_bit(value in value()) {
            let sent = through_javascript(&serde_json::to_value(Carried(value.clone())).unwrap());
            let Carried(back) = serde_json::from_str(&sent.to_string()).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{value:?}"));
        }
    }
}
