//! Values as they travel through a state machine, which knows no numbers but those of JavaScript: what these can't hold
//! travels as text. A state carries little, so what is large is stored, and a reference travels in its place.

use super::{Failure, Kind};
use crate::value::{Hash, Value};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value as Json, json};
use std::{cmp::Reverse, sync::Arc};

/// The largest whole number up to which all are exact: 2^53.
const EXACT: u64 = 1 << 53;

/// How a whole number beyond that is marked, and a zero below zero.
const WHOLE: &str = "$whole";
const FLOAT: &str = "$float";

/// About the bytes that a reference takes: what is smaller is not stored.
const REFERENCE: usize = 120;

/// A value that a state machine carries, unseen, from one worker to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Carried(Json);

/// What stands in the place of a value that is stored, as JSON, in the object store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The hash of that JSON.
    #[serde(rename = "$stored")]
    pub hash: Hash,
    /// Its length.
    pub bytes: u64,
    /// How many items it has, if it is a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The place of the item that is meant, if it is one of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<usize>,
}

impl Carried {
    /// All of a value, however large it is.
    pub fn whole(value: &Value) -> Self {
        // All keys are texts, and numbers that are none have a form of their own.
        let mut json = serde_json::to_value(value).unwrap_or_default();
        walk(&mut json, &|json| match json {
            Json::Number(number) => pack(number),
            _ => None,
        });
        Self(json)
    }

    /// A value in about `most` bytes: what is too large is given to `keep`, which stores it. A record stays one, since a
    /// machine reads its fields; of these the largest go first.
    ///
    /// # Errors
    /// When something can't be stored.
    pub fn within(
        value: &Value,
        most: usize,
        keep: &mut dyn FnMut(&[u8]) -> Result<Hash, Failure>,
    ) -> Result<Self, Failure> {
        let Self(mut json) = Self::whole(value);
        let mut size = length(&json);
        if size <= most {
            return Ok(Self(json));
        }
        let Some(fields) = json.get_mut("record").and_then(Json::as_object_mut) else {
            return Self(json).stored(keep);
        };
        let mut sizes: Vec<(usize, String)> =
            fields.iter().map(|(name, field)| (length(field), name.clone())).collect();
        sizes.sort_by_key(|(bytes, _)| Reverse(*bytes));
        for (bytes, name) in sizes {
            if size <= most || bytes <= REFERENCE {
                break;
            }
            if let Some(field) = fields.get_mut(&name) {
                let Self(reference) = Self(field.take()).stored(keep)?;
                size = size.saturating_sub(bytes) + length(&reference);
                *field = reference;
            }
        }
        Ok(Self(json))
    }

    /// A reference to the whole of it, which `keep` stores; what is no larger than that stays.
    ///
    /// # Errors
    /// When it can't be stored.
    pub fn stored(self, keep: &mut dyn FnMut(&[u8]) -> Result<Hash, Failure>) -> Result<Self, Failure> {
        let text = self.0.to_string();
        if text.len() <= REFERENCE {
            return Ok(self);
        }
        let count = self.0.get("list").and_then(Json::as_array).map(|items| items.len() as u64);
        let stored = Stored { hash: keep(text.as_bytes())?, bytes: text.len() as u64, count, at: None };
        Ok(Self(json!(stored)))
    }

    /// The value; `recall` reads the JSON that is stored.
    ///
    /// # Errors
    /// When something stored can't be read, or it is no value.
    pub fn value(&self, recall: &mut dyn FnMut(&Stored) -> Result<Arc<Json>, Failure>) -> Result<Value, Failure> {
        let mut json = self.0.clone();
        resolve(&mut json, recall)?;
        walk(&mut json, &unpack);
        serde_json::from_value(json).map_err(|error| unreadable(&error.to_string()))
    }

    /// As it is written.
    pub fn into_json(self) -> Json {
        self.0
    }
}

fn unreadable(reason: &str) -> Failure {
    Failure::new(Kind::TaskFailed, format!("what the state machine sends is no value: {reason}"))
        .help("deploy the state machine and its functions together")
}

fn length(json: &Json) -> usize {
    json.to_string().len()
}

/// Puts what is stored in the place of references to it, in which there may be others.
fn resolve(json: &mut Json, recall: &mut dyn FnMut(&Stored) -> Result<Arc<Json>, Failure>) -> Result<(), Failure> {
    if let Some(stored) = reference(json) {
        let whole = recall(&stored)?;
        *json = match stored.at {
            None => (*whole).clone(),
            Some(at) => match whole.get("list").and_then(|items| items.get(at)) {
                Some(item) => item.clone(),
                None => return Err(unreadable(&format!("a list has no item {at}"))),
            },
        };
        return resolve(json, recall);
    }
    match json {
        Json::Array(items) => items.iter_mut().try_for_each(|item| resolve(item, recall)),
        Json::Object(fields) => fields.values_mut().try_for_each(|field| resolve(field, recall)),
        _ => Ok(()),
    }
}

/// The reference that stands in the place of a value, if one does. No value is written like one.
fn reference(json: &Json) -> Option<Stored> {
    json.as_object().filter(|fields| fields.contains_key("$stored"))?;
    serde_json::from_value(json.clone()).ok()
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
    use std::collections::BTreeMap;

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
            let sent = through_javascript(&Carried::whole(&value).into_json());
            let back: Carried = serde_json::from_str(&sent.to_string()).unwrap();
            let back = back.value(&mut |_| panic!("nothing was stored")).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{value:?}"));
        }

        #[test]
        fn what_is_stored_comes_back_to_the_bit(value in value(), most in 0_usize..400) {
            let mut kept = BTreeMap::new();
            let carried = Carried::within(&value, most, &mut keep(&mut kept)).unwrap();
            if !matches!(value, Value::Record(_)) {
                prop_assert!(length(&carried.0) <= most.max(2 * REFERENCE));
            }
            let stored = carried.clone().stored(&mut keep(&mut kept)).unwrap();
            for carried in [carried, stored] {
                let back = carried.value(&mut recall(&kept)).unwrap();
                prop_assert_eq!(format!("{back:?}"), format!("{value:?}"));
            }
        }
    }

    fn keep(kept: &mut BTreeMap<Hash, Vec<u8>>) -> impl FnMut(&[u8]) -> Result<Hash, Failure> {
        |bytes| {
            kept.insert(Hash::of(bytes), bytes.to_vec());
            Ok(Hash::of(bytes))
        }
    }

    fn recall(kept: &BTreeMap<Hash, Vec<u8>>) -> impl FnMut(&Stored) -> Result<Arc<Json>, Failure> {
        |stored| {
            let bytes = &kept[&stored.hash];
            assert_eq!(bytes.len() as u64, stored.bytes);
            Ok(Arc::new(serde_json::from_slice(bytes).unwrap()))
        }
    }

    #[test]
    fn small_fields_of_a_record_stay_and_the_largest_go_first() {
        let text = |letters| Value::String("x".repeat(letters).into());
        let fields = [("few", Value::Int(3)), ("some", text(300)), ("many", text(900)), ("holds", Value::Bool(true))];
        let record = Value::Record(fields.into_iter().map(|(name, field)| (name.into(), field)).collect());
        let mut kept = BTreeMap::new();
        let json = Carried::within(&record, 600, &mut keep(&mut kept)).unwrap().into_json();
        let fields = &json["record"];
        assert_eq!((&fields["few"]["int"], &fields["holds"]["bool"]), (&json!(3), &json!(true)));
        assert_eq!(fields["some"]["string"].as_str().map(str::len), Some(300));
        assert!(fields["many"]["$stored"].is_string());
    }

    #[test]
    fn an_item_of_a_stored_list_is_found_by_its_place() {
        let list: Value = Value::List((0..200).map(Value::Int).collect());
        let mut kept = BTreeMap::new();
        let mut json = Carried::within(&list, 100, &mut keep(&mut kept)).unwrap().into_json();
        assert_eq!(json["count"], json!(200));
        json["at"] = json!(41);
        assert_eq!(Carried(json.clone()).value(&mut recall(&kept)), Ok(Value::Int(41)));
        json["at"] = json!(200);
        let failure = Carried(json).value(&mut recall(&kept)).unwrap_err();
        assert!(failure.message.contains("no item 200"), "{failure}");
    }
}
