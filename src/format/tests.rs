use super::format;
use crate::{
    source::FileId,
    stdlib,
    syntax::{Cst, Token},
};

fn formatted(text: &str) -> String {
    format(FileId(0), text).unwrap_or_else(|diagnostics| panic!("{diagnostics:#?}\n{text}"))
}

/// What must be the same before and after: every word in order, but for commas that end a list, and every comment.
fn essence(text: &str) -> (Vec<String>, Vec<String>) {
    let tree = Cst::parse(text);
    let (mut words, mut comments) = (Vec::new(), Vec::new());
    for leaf in tree.leaves() {
        let piece = &text[leaf.range.clone()];
        match leaf.token {
            Token::Space => {}
            Token::Comment => comments.push(piece.trim_end().to_owned()),
            Token::Punctuation => words.extend(piece.chars().filter(|c| *c != ',').map(String::from)),
            _ => words.push(piece.to_owned()),
        }
    }
    (words, comments)
}

fn holds(text: &str) -> String {
    let once = formatted(text);
    assert_eq!(essence(text), essence(&once), "{once}");
    assert_eq!(formatted(&once), once);
    once
}

#[test]
fn the_standard_library_is_kept() {
    for (name, text) in stdlib::MODULES {
        println!("== {name}\n{}", holds(text));
    }
}
