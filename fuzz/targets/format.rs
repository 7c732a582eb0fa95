//! What can be read can be formatted: its tree and its comments stay the same, and a second time nothing changes. It
//! tells of all its declarations.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smlt::{
    doc,
    format::format,
    source::FileId,
    syntax::{self, Cst, Token, ast::ItemKind},
};
use smltc_fuzz::on_a_large_stack;

fuzz_target!(|text: &str| on_a_large_stack(|| {
    let Ok(once) = format(FileId(0), text) else { return };
    let told = doc::read(FileId(0), "main.smlt", text).expect("what has a layout tells of itself").items;
    let declared = syntax::parse(FileId(0), text).value.items;
    let tests = declared.iter().filter(|item| matches!(item.kind, ItemKind::Test(_)));
    assert_eq!(told.len() + tests.count(), declared.len(), "a declaration is not told of");
    let twice = format(FileId(0), &once).unwrap_or_else(|found| panic!("can't be read any more: {found:#?}\n{once}"));
    assert_eq!(once, twice, "a second time, something changes");
    assert_eq!(tree(text), tree(&once), "it is another program");
    assert_eq!(comments(text), comments(&once), "a comment is lost or moved");
}));

/// The syntax tree of a text, in words and without its places.
fn tree(text: &str) -> String {
    let words = format!("{:?}", syntax::parse(FileId(0), text).value);
    let mut parts = words.split("Span { ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |tree, part| tree + part.split_once('}').map_or(part, |(_, rest)| rest))
}

fn comments(text: &str) -> Vec<String> {
    let tree = Cst::parse(text);
    let comments = tree.leaves().iter().filter(|leaf| leaf.token == Token::Comment);
    comments.map(|leaf| text[leaf.range.clone()].trim_end().to_owned()).collect()
}
