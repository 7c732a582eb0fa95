//! Numbers in JSON, which has no infinity and no NaN; a training that diverges meets both. They cross as text.
//!
//! For `#[serde(with = "float")]`; [`map`] and [`option`] do the same for maps and options of numbers.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Number(f64),
    Text(String),
}

impl From<f64> for Form {
    fn from(float: f64) -> Self {
        if float.is_finite() { Self::Number(float) } else { Self::Text(float.to_string()) }
    }
}

impl Form {
    fn read<E: Error>(self) -> Result<f64, E> {
        match self {
            Self::Number(float) => Ok(float),
            Self::Text(text) => text.parse().map_err(E::custom),
        }
    }
}

/// Writes a number.
///
/// # Errors
/// When the serializer fails.
pub fn serialize<S: Serializer>(float: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Form::from(*float).serialize(serializer)
}

/// Reads a number.
///
/// # Errors
/// When it is neither a number nor a text that stands for one.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Form::deserialize(deserializer)?.read()
}

/// Numbers by name.
pub mod map {
    use super::Form;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::collections::BTreeMap;

    /// Writes the numbers.
    ///
    /// # Errors
    /// When the serializer fails.
    pub fn serialize<S: Serializer>(map: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(name, float)| (name, Form::from(*float))))
    }

    /// Reads the numbers.
    ///
    /// # Errors
    /// When one of them is neither a number nor a text that stands for one.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
        let forms = BTreeMap::<String, Form>::deserialize(deserializer)?;
        forms.into_iter().map(|(name, form)| Ok((name, form.read()?))).collect()
    }
}

/// A number that may be absent.
pub mod option {
    use super::Form;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes the number, or null.
    ///
    /// # Errors
    /// When the serializer fails.
    pub fn serialize<S: Serializer>(float: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        float.map(Form::from).serialize(serializer)
    }

    /// Reads the number, or null.
    ///
    /// # Errors
    /// When it is neither null, nor a number, nor a text that stands for one.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Option::<Form>::deserialize(deserializer)?.map(Form::read).transpose()
    }
}
