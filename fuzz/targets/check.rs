//! Any project can be checked, and what has no mistake can be drawn.
//!
//! A line `---` ends a file. The first one is checked, and `import ./1`, `import ./2` and so on mean the further ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smlt::{
    check,
    diagnostic::{Style, render, sarif, to_json},
    graph::{self, draw},
    source::{FileId, ImportError, Source, World},
    stdlib,
};
use smltc_fuzz::on_a_large_stack;

fuzz_target!(|text: &str| on_a_large_stack(|| {
    let project = Project { files: text.split("\n---\n").collect() };
    let outcome = check::check(&project);
    let source = |file| project.source(file);
    for diagnostic in &outcome.diagnostics {
        to_json(diagnostic, &source);
    }
    render(&outcome.diagnostics, &source, Style::Colored);
    sarif(outcome.diagnostics.iter().map(|diagnostic| (diagnostic, &source as &dyn Fn(FileId) -> Source)));
    if outcome.is_ok() {
        for workflow in &outcome.value.workflows {
            draw::to_json(&graph::build(workflow, &project));
        }
    }
}));

struct Project<'t> {
    files: Vec<&'t str>,
}

impl World for Project<'_> {
    fn root(&self) -> FileId {
        FileId(0)
    }

    /// The modules of `std` come behind the project's own files.
    fn import(&self, _from: FileId, path: &str) -> Result<FileId, ImportError> {
        let number = match path.strip_prefix("std/") {
            Some(name) => {
                let module = stdlib::MODULES.iter().position(|(module, _)| *module == name);
                module.map(|module| self.files.len() + module)
            }
            None => path.strip_prefix("./").and_then(|name| name.parse().ok()).filter(|file| *file < self.files.len()),
        };
        number.map(|number| FileId(number as u32)).ok_or_else(|| ImportError::NotFound(path.to_owned()))
    }

    fn source(&self, file: FileId) -> Source {
        let number = file.0 as usize;
        let (name, text) = match number.checked_sub(self.files.len()) {
            Some(module) => (format!("std/{}", stdlib::MODULES[module].0), stdlib::MODULES[module].1),
            None => (format!("{number}.smlt"), self.files[number]),
        };
        Source { name, text: text.into() }
    }
}
