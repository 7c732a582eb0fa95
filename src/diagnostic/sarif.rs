//! The Static Analysis Results Interchange Format, version 2.1.0 (OASIS standard, 2020), which code hosts and editors read.

use super::{Code, Diagnostic, Severity};
use crate::source::{FileId, Source, Span};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The log of one run of the checker over all its files.
pub fn sarif<'d>(found: impl IntoIterator<Item = (&'d Diagnostic, &'d dyn Fn(FileId) -> Source)>) -> Value {
    let (mut results, mut codes) = (Vec::new(), BTreeSet::new());
    for (diagnostic, source) in found {
        codes.insert(diagnostic.code);
        results.push(result(diagnostic, source));
    }
    let rules: Vec<Value> = codes.into_iter().map(rule).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "smltc", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.name(),
        "shortDescription": { "text": code.title() },
        "help": { "text": code.page(), "markdown": code.page() },
        "defaultConfiguration": { "level": level(code.severity()) },
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn result(diagnostic: &Diagnostic, source: &dyn Fn(FileId) -> Source) -> Value {
    let message = match &diagnostic.help {
        Some(help) => format!("{}; {help}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    let location = |span: Span, text: &str| {
        let mut location = json!({ "physicalLocation": physical(span, source) });
        if !text.is_empty() {
            location["message"] = json!({ "text": text });
        }
        location
    };
    let related: Vec<Value> = diagnostic.related.iter().map(|label| location(label.span, &label.text)).collect();
    let mut result = json!({
        "ruleId": diagnostic.code.name(),
        "level": level(diagnostic.severity()),
        "message": { "text": message },
        "locations": [location(diagnostic.primary.span, &diagnostic.primary.text)],
    });
    if !related.is_empty() {
        result["relatedLocations"] = json!(related);
    }
    if let Some(fix) = &diagnostic.fix {
        let place = physical(fix.span, source);
        result["fixes"] = json!([{
            "description": { "text": diagnostic.help.as_deref().unwrap_or("change it like this") },
            "artifactChanges": [{
                "artifactLocation": place["artifactLocation"],
                "replacements": [{ "deletedRegion": place["region"], "insertedContent": { "text": fix.text } }],
            }],
        }]);
    }
    result
}

fn physical(span: Span, source: &dyn Fn(FileId) -> Source) -> Value {
    let source = source(span.file);
    let ((line, column), (end_line, end_column)) = (source.position(span.start), source.position(span.end));
    json!({
        "artifactLocation": { "uri": uri(&source.name) },
        "region": {
            "startLine": line,
            "startColumn": column,
            "endLine": end_line,
            "endColumn": end_column,
            "byteOffset": span.start,
            "byteLength": span.end.saturating_sub(span.start),
        },
    })
}

/// A path as a relative reference of a URI.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let piece = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(piece).collect()
}
