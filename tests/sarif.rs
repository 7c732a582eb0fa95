//! The logs of `smltc check --format sarif`: they obey the schema of SARIF 2.1.0, and the places in them are right.

use jsonschema::Validator;
use serde_json::Value;
use smlt::{
    check,
    cli::world::Files,
    diagnostic::{Diagnostic, sarif},
    source::{FileId, Source, World},
};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

fn schema() -> Validator {
    let text = include_str!("sarif/sarif-schema-2.1.0.json");
    let mut schema: Value = serde_json::from_str(text).expect("the schema is JSON");
    // A pattern with a bracket too many, which is no regular expression of ECMA 262; no log has such a field.
    for place in ["/definitions/run", "/definitions/toolComponent"] {
        let language = schema.pointer_mut(&format!("{place}/properties/language")).and_then(Value::as_object_mut);
        language.expect("the field is there").remove("pattern").expect("and its pattern");
    }
    jsonschema::options().should_validate_formats(true).build(&schema).expect("the schema is one")
}

/// The log of a file, and how many messages are in it.
fn log(path: &Path) -> (Value, usize) {
    let files = Files::open(path).unwrap();
    let diagnostics: Vec<Diagnostic> = check::check(&files).diagnostics;
    let source = |file| files.source(file);
    let found = diagnostics.iter().map(|diagnostic| (diagnostic, &source as &dyn Fn(FileId) -> Source));
    (sarif(found), diagnostics.len())
}

/// What the log of a file holds, once it is known to be right.
#[derive(Default)]
struct Seen {
    errors: usize,
    warnings: usize,
    related: usize,
    fixes: usize,
    other_files: usize,
    wide_lines: usize,
}

fn holds(path: &Path, schema: &Validator, seen: &mut Seen) {
    let (log, messages) = log(path);
    let wrong: Vec<String> =
        schema.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{}: {wrong:#?}", path.display());
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), messages);
    for result in results {
        match result["level"].as_str() {
            Some("error") => seen.errors += 1,
            Some("warning") => seen.warnings += 1,
            level => panic!("{level:?} is no level of a message"),
        }
        let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
        assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]), "a rule is missing");
        for place in result["locations"].as_array().unwrap() {
            let place = &place["physicalLocation"];
            seen.other_files += usize::from(!is_at(&place["artifactLocation"], path));
            seen.wide_lines += usize::from(stands(&place["artifactLocation"], &place["region"]));
        }
        for place in result["relatedLocations"].as_array().into_iter().flatten() {
            seen.related += 1;
            stands(&place["physicalLocation"]["artifactLocation"], &place["physicalLocation"]["region"]);
        }
        for change in result["fixes"].as_array().into_iter().flatten().flat_map(|fix| fix["artifactChanges"].as_array())
        {
            seen.fixes += 1;
            for change in change {
                stands(&change["artifactLocation"], &change["replacements"][0]["deletedRegion"]);
            }
        }
    }
}

fn is_at(artifact: &Value, path: &Path) -> bool {
    decoded(artifact) == path
}

/// The file that a URI means.
fn decoded(artifact: &Value) -> PathBuf {
    let mut pieces = artifact["uri"].as_str().unwrap().split('%');
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap().into()
}

/// A region says the same in lines and columns, which count code points, as in bytes. Returns whether a character before
/// its end, in the line, takes several bytes.
fn stands(artifact: &Value, region: &Value) -> bool {
    let path = decoded(artifact);
    let Ok(text) = fs::read_to_string(&path) else {
        assert!(path.starts_with("std"), "{} is neither a file nor a module", path.display());
        return false;
    };
    let number = |name: &str| region[name].as_u64().unwrap() as usize;
    let offset = |line: usize, column: usize| {
        let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let within: usize = text[start..].chars().take(column - 1).map(char::len_utf8).sum();
        (start + within, within + 1 > column)
    };
    let (start, _) = offset(number("startLine"), number("startColumn"));
    let (end, wide) = offset(number("endLine"), number("endColumn"));
    assert_eq!((start, end - start), (number("byteOffset"), number("byteLength")), "{}: {region}", path.display());
    wide
}

#[test]
fn logs_obey_the_schema() {
    // As much as the program has.
    let checking = thread::Builder::new().stack_size(256 << 20).spawn(|| {
        let (schema, mut seen) = (schema(), Seen::default());
        let mut cases: Vec<PathBuf> = fs::read_dir("tests/ui").unwrap().map(|entry| entry.unwrap().path()).collect();
        cases.retain(|path| path.extension().is_some_and(|end| end == "smlt"));
        cases.sort();
        cases.iter().for_each(|case| holds(case, &schema, &mut seen));
        let Seen { errors, warnings, related, fixes, other_files, wide_lines } = seen;
        let least = [(errors, 600), (warnings, 10), (related, 20), (fixes, 50), (other_files, 2), (wide_lines, 5)];
        assert!(least.iter().all(|(count, least)| count >= least), "too few of a kind were seen: {least:?}");
    });
    checking.unwrap().join().unwrap();
}

#[test]
fn a_file_may_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("größte Äpfel 100%.smlt");
    fs::write(&path, "const zoll = \"ä\" + 1\n").unwrap();
    let mut seen = Seen::default();
    holds(&path, &schema(), &mut seen);
    assert_eq!((seen.errors, seen.other_files, seen.wide_lines), (1, 0, 1));
}

#[test]
fn the_schema_refuses_what_is_no_log() {
    let (log, messages) = log(Path::new("tests/ui/E0004-mistake-in-an-imported-file.smlt"));
    assert!(messages > 0 && schema().is_valid(&log));
    for (place, wrong) in [
        ("/version", Value::from("2.0.0")),
        ("/runs/0/tool/driver/name", Value::Null),
        ("/runs/0/results/0/level", Value::from("hint")),
        ("/runs/0/results/0/message", Value::from("a text alone")),
        ("/runs/0/results/0/locations/0/physicalLocation/region/startLine", Value::from(0)),
        ("/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri", Value::from("a file.smlt")),
    ] {
        let mut log = log.clone();
        *log.pointer_mut(place).unwrap() = wrong;
        assert!(!schema().is_valid(&log), "{place} may be anything");
    }
}
