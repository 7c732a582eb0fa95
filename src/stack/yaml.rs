//! JSON as YAML for people to read.

use serde_json::Value as Json;
use std::fmt::Write;

/// A value in lines, each `depth` levels in.
pub fn write(json: &Json, depth: usize, out: &mut String) {
    let margin = "  ".repeat(depth);
    match json {
        Json::Object(fields) if !fields.is_empty() => {
            // What a thing is stands before what is said of it.
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name != "Type");
            for (name, field) in fields {
                // Writing to a text can't fail.
                let _ = write!(out, "{margin}{}:", word(name));
                below(field, depth + 1, out);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for item in items {
                let mut inner = String::new();
                match item {
                    Json::Object(_) | Json::Array(_) if !is_empty(item) => write(item, depth + 1, &mut inner),
                    _ => inner = format!("{margin}  {}\n", scalar(item)),
                }
                // The dash stands where the first line's margin ends.
                inner.replace_range(margin.len()..=margin.len(), "-");
                out.push_str(&inner);
            }
        }
        _ => {
            let _ = writeln!(out, "{margin}{}", scalar(json));
        }
    }
}

fn below(json: &Json, depth: usize, out: &mut String) {
    match json {
        Json::Object(_) | Json::Array(_) if !is_empty(json) => {
            out.push('\n');
            write(json, depth, out);
        }
        _ => {
            let _ = writeln!(out, " {}", scalar(json));
        }
    }
}

fn is_empty(json: &Json) -> bool {
    json.as_object().is_some_and(serde_json::Map::is_empty) || json.as_array().is_some_and(Vec::is_empty)
}

fn scalar(json: &Json) -> String {
    match json {
        Json::String(text) => word(text),
        other => other.to_string(),
    }
}

/// A text without quotes where YAML takes it for a text all the same.
fn word(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:".contains(letter);
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.chars().all(plain)
        && !text.ends_with(':')
        && !["yes", "no", "on", "off", "true", "false", "null", "y", "n"].contains(&&*text.to_ascii_lowercase());
    // YAML reads every text of JSON.
    if is_plain { text.to_owned() } else { Json::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_in_lines() {
        let value = json!({
            "Type": "AWS::S3::Bucket",
            "A": [{ "x": 1, "y": ["yes", "a b"] }, "${B}", [], {}],
            "2012": { "deep": null, "empty": {} },
        });
        let mut out = String::new();
        write(&value, 0, &mut out);
        let expected = "\
Type: AWS::S3::Bucket
\"2012\":
  deep: null
  empty: {}
A:
  - x: 1
    \"y\":
      - \"yes\"
      - \"a b\"
  - \"${B}\"
  - []
  - {}
";
        assert_eq!(out, expected);
    }
}
