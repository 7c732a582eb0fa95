use crate::value::{Fields, Value};

/// The values in a record and in the records inside it, those by their whole names: `best.lr`.
pub fn leaves(fields: &Fields) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    gather("", fields, &mut found);
    found
}

fn gather<'v>(prefix: &str, fields: &'v Fields, found: &mut Vec<(String, &'v Value)>) {
    for (name, value) in fields {
        match value {
            Value::Record(inner) => gather(&format!("{prefix}{name}."), inner, found),
            value => found.push((format!("{prefix}{name}"), value)),
        }
    }
}
