//! Any text can be read, if not without mistakes; the places of its mistakes lie in it, and their mends apply.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smlt::{
    diagnostic::{Style, render},
    source::{FileId, Source},
    syntax::{self, Cst},
};
use smltc_fuzz::on_a_large_stack;

fuzz_target!(|text: &str| on_a_large_stack(|| {
    let outcome = syntax::parse(FileId(0), text);
    for diagnostic in &outcome.diagnostics {
        let fix = diagnostic.fix.as_ref().map(|fix| fix.span);
        let related = diagnostic.related.iter().map(|label| label.span);
        for span in related.chain([diagnostic.primary.span]).chain(fix) {
            assert!(text.get(span.range()).is_some(), "{span:?} is no place of the text");
        }
    }
    render(&outcome.diagnostics, &|_| Source { name: "main.smlt".into(), text: text.into() }, Style::Plain);
    let leaves: String = Cst::parse(text).leaves().iter().map(|leaf| &text[leaf.range.clone()]).collect();
    assert_eq!(leaves, text, "the lossless tree has lost something");
}));
