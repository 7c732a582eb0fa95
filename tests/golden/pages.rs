//! The pages of the book about the standard library: one for each module, one that lists them, and their places in the
//! table of contents. They are written from the modules' own comments.

use crate::compare;
use libtest_mimic::{Failed, Trial};
use smlt::doc::{self, Module};
use std::{fs, path::Path};

/// The line of the table of contents that those of the modules stand below.
const CHAPTER: &str = "- [The standard library](std.md)\n";

pub fn trials(book: &Path) -> Vec<Trial> {
    let modules = doc::std();
    let mut trials = Vec::new();
    let mut trial = |name: &str, test: Box<dyn FnOnce() -> Result<(), Failed> + Send>| {
        trials.push(Trial::test(format!("pages/{name}"), test));
    };
    for module in &modules {
        let (path, text) = (book.join(format!("{}.md", module.name)), page(module));
        trial(&module.name, Box::new(move || compare(&path, &text)));
    }
    let (path, text) = (book.join("std.md"), list(&modules));
    trial("std", Box::new(move || compare(&path, &text)));
    let path = book.join("SUMMARY.md");
    trial("contents", Box::new(move || compare(&path, &contents(&fs::read_to_string(&path)?, &modules)?)));
    trials
}

const NOTE: &str = "<!-- Written by `BLESS=1 cargo test --test golden pages` from the comments in `stdlib/`. -->\n";

fn page(module: &Module) -> String {
    let mut page = format!("{NOTE}\n# {}\n\n{}\n", module.name, module.about);
    if let Some(import) = module.items.first().and_then(|item| module.import(&item.name)) {
        page += &format!("\nIts names need an import: `{import}`.\n");
    }
    for item in &module.items {
        page += &format!("\n## {}\n\n```text\n{}\n```\n\n{}\n", item.name, item.signature, item.text);
        if let Some(example) = &item.example {
            page += &format!("\n```smlt\n{example}```\n");
        }
    }
    page
}

fn list(modules: &[Module]) -> String {
    let mut page = format!(
        "{NOTE}\n# The standard library\n\nAll items of all modules. `smltc doc NAME` tells the same of a module or an item.\n"
    );
    for module in modules {
        let names = module.items.iter().map(|item| format!("[`{}`]({}.md#{})", item.name, module.name, item.name));
        let names: Vec<String> = names.collect();
        page += &format!("\n## [{name}]({name}.md)\n\n{}\n\n{}\n", module.about, names.join(", "), name = module.name);
    }
    page
}

/// The table of contents with a line for each module.
fn contents(now: &str, modules: &[Module]) -> Result<String, Failed> {
    let (before, after) = now.split_once(CHAPTER).ok_or(format!("the table of contents lacks {CHAPTER}"))?;
    let rest = after.split_inclusive('\n').skip_while(|line| line.starts_with("  - "));
    let lines = modules.iter().map(|module| format!("  - [{name}]({name}.md)\n", name = module.name));
    Ok([before, CHAPTER].into_iter().map(str::to_owned).chain(lines).chain(rest.map(str::to_owned)).collect())
}
