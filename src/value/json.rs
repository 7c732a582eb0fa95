use super::Value;
use crate::{
    source::Name,
    types::Type,
    units::{Duration, Money, Percent, Size},
};
use serde_json::{Number, Value as Json, json};

/// A JSON value that is not of the type that was declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}expected {wanted}, found {found}", if path.is_empty() { String::new() } else { format!("`{path}`: ") })]
pub struct JsonError {
    /// The field, such as `rows` or `items[3].auc`; empty for the whole.
    pub path: String,
    /// The type that was declared.
    pub wanted: Type,
    /// What was found instead.
    pub found: String,
}

impl Value {
    /// The value in the form that scripts read: durations in seconds, money in dollars, sizes in bytes, shares as fractions.
    pub fn to_json(&self) -> Json {
        match self {
            Self::None => Json::Null,
            Self::Bool(bool) => json!(bool),
            Self::Int(int) => json!(int),
            Self::Float(float) => Number::from_f64(*float).map_or_else(|| json!(float.to_string()), Json::Number),
            Self::String(text) | Self::Member(text) => json!(text),
            Self::Duration(duration) => json!(duration.secs_f64()),
            Self::Money(money) => json!(money.to_f64()),
            Self::Size(size) => json!(size.bytes()),
            Self::Percent(percent) => json!(percent.to_f64()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(fields) | Self::Record(fields) => {
                fields.iter().map(|(name, value)| (name.to_string(), value.to_json())).collect()
            }
            Self::Range(ends) => json!([ends.0.to_json(), ends.1.to_json()]),
            Self::Artifact(artifact) => {
                json!({ "name": artifact.name, "hash": artifact.hash, "bytes": artifact.bytes })
            }
            Self::Std(_) | Self::Model(_) | Self::Dataset(_) => json!(self.to_string()),
        }
    }

    /// Reads a value of type `wanted`. Units may be numbers, as [`to_json`](Self::to_json) writes them, or text such as `"2h"`.
    ///
    /// # Errors
    /// When the JSON does not fit the type; the error names the field.
    pub fn from_json(json: &Json, wanted: &Type) -> Result<Self, JsonError> {
        let mismatch = || JsonError { path: String::new(), wanted: wanted.clone(), found: describe(json) };
        Ok(match (wanted, json) {
            (Type::Optional(_) | Type::None, Json::Null) => Self::None,
            (Type::Optional(inner), json) => Self::from_json(json, inner)?,
            (Type::Bool, Json::Bool(bool)) => Self::Bool(*bool),
            (Type::Int, Json::Number(number)) => Self::Int(whole(number).ok_or_else(mismatch)?),
            (Type::Float, Json::Number(number)) => Self::Float(number.as_f64().ok_or_else(mismatch)?),
            (Type::Float, Json::String(text)) if ["NaN", "inf", "-inf"].contains(&text.as_str()) => {
                Self::Float(text.parse().map_err(|_| mismatch())?)
            }
            (Type::String | Type::Uri, Json::String(text)) => Self::String(text.as_str().into()),
            (Type::Enum { members, .. }, Json::String(text)) => {
                let member = members.iter().find(|member| ***member == **text).ok_or_else(mismatch)?;
                Self::Member(member.clone())
            }
            (Type::Duration, Json::Number(seconds)) => {
                Self::Duration(Duration::from_secs_f64(seconds.as_f64().ok_or_else(mismatch)?))
            }
            (Type::Duration, Json::String(text)) => Self::Duration(text.parse().map_err(|_| mismatch())?),
            (Type::Money, Json::Number(dollars)) => {
                let dollars = dollars.to_string();
                let dollars = rust_decimal::Decimal::from_str_exact(&dollars)
                    .or_else(|_| rust_decimal::Decimal::from_scientific(&dollars));
                Self::Money(Money::new(dollars.map_err(|_| mismatch())?))
            }
            (Type::Money, Json::String(text)) => Self::Money(text.parse().map_err(|_| mismatch())?),
            (Type::Size, Json::Number(bytes)) => Self::Size(Size::from_bytes(bytes.as_u64().ok_or_else(mismatch)?)),
            (Type::Size, Json::String(text)) => Self::Size(text.parse().map_err(|_| mismatch())?),
            (Type::Percent, Json::Number(fraction)) => {
                let fraction = fraction.as_f64().and_then(|f| rust_decimal::Decimal::try_from(f).ok());
                Self::Percent(Percent::new(fraction.ok_or_else(mismatch)? * rust_decimal::Decimal::ONE_HUNDRED))
            }
            (Type::Percent, Json::String(text)) => Self::Percent(text.parse().map_err(|_| mismatch())?),
            (Type::List(inner), Json::Array(items)) => Self::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        Self::from_json(item, inner).map_err(|error| error.inside(&format!("[{index}]")))
                    })
                    .collect::<Result<_, _>>()?,
            ),
            (Type::Map(inner), Json::Object(entries)) => Self::Map(
                entries
                    .iter()
                    .map(|(key, value)| {
                        Ok((
                            Name::from(key.as_str()),
                            Self::from_json(value, inner).map_err(|error| error.inside(key))?,
                        ))
                    })
                    .collect::<Result<_, JsonError>>()?,
            ),
            (Type::Record(fields), Json::Object(entries))
                if let Some(name) = entries.keys().find(|name| !fields.contains_key(name.as_str())) =>
            {
                let found = format!("the field `{name}`, which it does not have");
                return Err(JsonError { path: String::new(), wanted: wanted.clone(), found });
            }
            (Type::Record(fields), Json::Object(entries)) => Self::Record(
                fields
                    .iter()
                    .map(|(name, ty)| {
                        let json = entries.get(&**name).unwrap_or(&Json::Null);
                        let value = Self::from_json(json, ty).map_err(|error| match entries.contains_key(&**name) {
                            true => error.inside(name),
                            false => JsonError { found: "no such field".into(), ..error }.inside(name),
                        })?;
                        Ok((name.clone(), value))
                    })
                    .collect::<Result<_, JsonError>>()?,
            ),
            (Type::Artifact, Json::Object(_)) => {
                Self::Artifact(serde_json::from_value(json.clone()).map_err(|_| mismatch())?)
            }
            _ => return Err(mismatch()),
        })
    }
}

impl JsonError {
    fn inside(mut self, outer: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{outer}{dot}{}", self.path);
        self
    }
}

/// A whole number also when it is written `3.0`, as some languages do.
fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64)
    })
}

fn describe(json: &Json) -> String {
    match json {
        Json::Null => "nothing".into(),
        Json::Array(items) => format!("a list of {}", items.len()),
        Json::Object(_) => "an object".into(),
        Json::String(text) if text.chars().count() > 40 => {
            format!("the text \"{}…\"", text.chars().take(40).collect::<String>())
        }
        other => format!("`{other}`"),
    }
}
