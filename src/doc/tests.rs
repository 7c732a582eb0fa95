use super::{Doc, read, std};
use crate::source::FileId;

const FILE: &str = "// Tables and what\n// they hold.\n\nimport std/nn.{dense}\n
/// Counts rows.\n///\n/// ```smlt\n/// const a = 1\n///\n/// const b = 2\n/// ```\n@retry(max:2)\ntask count( table:Uri )->{rows:Int}{command:[\"./count\"]}\n
const plain = [1,\n 2]\n
/// A network.\nmodel net(inputs: Int, deep: Bool=false)= // of one layer\n dense(inputs, 2)\n
/// Lines.\n/// ```\n/// not an example\n/// ```\ntype Rows = {a:Int}\n
workflow main() { }\n
test \"a test\" { assert true }\n";

#[test]
fn a_file_tells_what_it_declares() {
    let module = read(FileId(0), "main.smlt", FILE).unwrap();
    assert_eq!(module.about, "Tables and what\nthey hold.");
    let doc = |name: &str, signature: &str, text: &str, example: Option<&str>| Doc {
        name: name.into(),
        signature: signature.into(),
        text: text.into(),
        example: example.map(str::to_owned),
    };
    let wanted = [
        doc(
            "count",
            "@retry(max: 2)\ntask count(table: Uri) -> { rows: Int }",
            "Counts rows.",
            Some("const a = 1\n\nconst b = 2\n"),
        ),
        doc("plain", "const plain = [1, 2]", "", None),
        doc("net", "model net(inputs: Int, deep: Bool = false)", "A network.", None),
        doc("Rows", "type Rows = { a: Int }", "Lines.\n```\nnot an example\n```", None),
        doc("main", "workflow main()", "", None),
    ];
    assert_eq!(module.items, wanted);
}

#[test]
fn a_file_with_mistakes_is_not_told_of() {
    assert!(read(FileId(0), "main.smlt", "const a = \n").is_err());
}

#[test]
fn an_import_is_told_where_one_is_needed() {
    let modules = std();
    let import = |name: &str, item: &str| modules.iter().find(|module| module.name == name).unwrap().import(item);
    assert_eq!(import("std/nn", "dense").as_deref(), Some("import std/nn.{dense}"));
    assert_eq!(import("std/math", "min"), None);
    assert_eq!(read(FileId(0), "main.smlt", "const a = 1").unwrap().import("a"), None);
}
