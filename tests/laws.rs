//! What must hold of the whole: the layers of the source, and that no input takes the compiler down.

use smlt::{
    asl, check,
    cli::world::Files,
    diagnostic::{Diagnostic, Outcome, Severity},
    doc, format, graph,
    source::FileId,
    stdlib,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every module may import those of lower levels only; two of one level know nothing of each other.
const LEVELS: [&[&str]; 12] = [
    &["units", "source", "seed", "normal", "disk", "database", "processes"],
    &["types"],
    &["value"],
    &["expr", "layers"],
    &["wire", "diagnostic", "store"],
    &["limits", "syntax"],
    &["stdlib", "data", "format", "search", "elastic", "prices", "sync"],
    &["forecast"],
    &["step", "ml"],
    &["check", "doc", "work"],
    &["graph"],
    &["plan"],
];

/// The same for what stands on a plan.
const UPPER: [&[&str]; 5] =
    [&["schedule", "asl"], &["cache", "stack", "simulate"], &["runs"], &["local", "cloud"], &["cli"]];

/// The parts of the compiler, which a worker must do without.
const COMPILER: [&str; 11] =
    ["diagnostic", "syntax", "stdlib", "doc", "check", "graph", "plan", "schedule", "asl", "stack", "cli"];

#[test]
fn imports_run_downward() {
    let levels: BTreeMap<&str, usize> = (0..)
        .zip(LEVELS.iter().chain(&UPPER))
        .flat_map(|(level, modules)| modules.iter().map(move |module| (*module, level)))
        .collect();
    for (module, imported, place) in imports() {
        let (own, other) = (levels[&*module], levels[&*imported]);
        assert!(other < own, "{place}: `{module}` may not import `{imported}`, which stands at its level or above");
        let works = ["wire", "store", "sync", "data", "ml", "work"].contains(&&*module);
        assert!(!works || !COMPILER.contains(&&*imported), "{place}: a worker carries no `{imported}`");
    }
}

/// Each `use crate::…` of each module: who, whom, where.
fn imports() -> Vec<(String, String, String)> {
    let mut imports = Vec::new();
    for path in files(&root().join("src"), "rs") {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let module = inside.iter().next().unwrap().to_string_lossy().replace(".rs", "");
        if ["main", "lib", "bin"].contains(&&*module) || path.ends_with("tests.rs") {
            continue;
        }
        let text = read(&path);
        let text = text.split("#[cfg(test)]").next().unwrap();
        for (index, _) in text.match_indices("crate::") {
            let rest = &text[index + "crate::".len()..];
            // `use crate::{a::…, b::…}` names several; what stands at the start of a line inside names a module.
            let names: Vec<String> = match rest.strip_prefix('{') {
                None => vec![word(rest)],
                Some(list) => {
                    let end = closing(list);
                    top_level(&list[..end]).into_iter().map(word).collect()
                }
            };
            let line = text[..index].matches('\n').count() + 1;
            for name in names {
                if name != module {
                    imports.push((module.clone(), name, format!("{}:{line}", inside.display())));
                }
            }
        }
    }
    assert!(imports.len() > 100, "the imports were not found");
    imports
}

fn word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn closing(list: &str) -> usize {
    let mut depth = 1;
    for (index, c) in list.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return index;
        }
    }
    list.len()
}

fn top_level(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (index, c) in list.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ',' && depth == 0 {
            parts.push(&list[start..index]);
            start = index + 1;
        }
    }
    parts.push(&list[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What takes longer than this on a busy machine runs on and on; how quick the compiler is, the benchmarks tell.
const PATIENCE: Duration = Duration::from_secs(20);

/// Checks a file as the program does, and fails if that goes down or does not end.
fn check_in_time(path: &Path) -> Outcome<usize> {
    let (sender, receiver) = channel();
    let file = path.to_owned();
    let checking = thread::Builder::new().stack_size(256 << 20).spawn(move || {
        let outcome = Files::open(&file).map(|files| {
            let outcome = check::check(&files);
            let graphs = outcome.value.workflows.iter();
            let nodes = graphs.map(|workflow| graph::build(workflow, &files).root.dag.node_count());
            Outcome { value: nodes.sum(), diagnostics: outcome.diagnostics }
        });
        let _ = sender.send(outcome);
    });
    let outcome = receiver
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| panic!("{} took down the compiler, or makes it run on and on", path.display()));
    checking.unwrap().join().unwrap();
    outcome.unwrap_or(Outcome { value: 0, diagnostics: Vec::new() })
}

#[test]
fn nothing_takes_the_compiler_down() {
    let broken = files(&root().join("tests/broken"), "smlt");
    assert!(broken.len() >= 40);
    for path in broken {
        check_in_time(&path);
    }
}

#[test]
fn no_part_of_an_example_takes_the_compiler_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.smlt");
    for example in files(&root().join("examples"), "smlt") {
        let text = read(&example);
        let cuts: Vec<usize> = text.char_indices().map(|(index, _)| index).step_by(7).collect();
        for cut in cuts {
            fs::write(&path, &text[..cut]).unwrap();
            check_in_time(&path);
            fs::write(&path, &text[cut..]).unwrap();
            check_in_time(&path);
        }
    }
}

/// Texts that make naive parsers overflow their stack, or take time that doubles with each level.
#[test]
fn depth_and_length_are_answered_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let many = |before: &str, middle: &str, after: &str, count: usize| {
        format!("{}{middle}{}", before.repeat(count), after.repeat(count))
    };
    let cases = [
        ("parentheses", format!("const a = {}\n", many("(", "1", ")", 10_000))),
        ("if", format!("workflow main() -> Int {{ {} }}\n", many("if true { ", "1", " }", 10_000))),
        ("if then else", format!("const a = {}\n", many("if true then ", "1", " else 2", 10_000))),
        ("operators", format!("const a = 1{}\n", " + 1".repeat(100_000))),
        ("mixed operators", format!("const a = 1{}\n", " + 1 * 2 - 3 / 4".repeat(25_000))),
        ("lists", format!("const a = {}\n", many("[", "1", "]", 10_000))),
        ("open parentheses", format!("const a = {}\n", "(".repeat(10_000))),
        ("calls", format!("const a = {}\n", many("f(", "1", ")", 10_000))),
        ("texts", format!("const a = {}\n", many("\"{", "1", "}\"", 10_000))),
    ];
    for (name, text) in cases {
        let path = folder.path().join(format!("{}.smlt", name.replace(' ', "-")));
        fs::write(&path, text).unwrap();
        let outcome = check_in_time(&path);
        let errors = outcome.diagnostics.iter().filter(|diagnostic| diagnostic.severity() == Severity::Error);
        assert!(errors.count() >= 1, "10,000 {name} are over the limit, and should be told of");
    }
}

/// A file of 50 MB, and lines of 10 MB.
#[test]
fn what_is_too_large_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("statements", format!("workflow main() {{\n{}}}\n", "  let s = run work(1)\n".repeat(2_500_000))),
        ("operators", format!("const a = 1{}\n", " + 1".repeat(2_500_000))),
        ("items", format!("const a = [{}]\n", "1, ".repeat(3_300_000))),
    ];
    for (name, text) in cases {
        let path = folder.path().join(format!("{name}.smlt"));
        fs::write(&path, text).unwrap();
        let outcome = check_in_time(&path);
        let codes: Vec<&str> = outcome.diagnostics.iter().map(|diagnostic| diagnostic.code.name()).collect();
        assert_eq!(codes, ["E0003"], "a file of too many {name}");
    }
}

/// No name of these is known, and each is near to all the others.
#[test]
fn a_mistake_in_every_line_is_told_of_within_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unknown.smlt");
    let lines: String = (0..10_000).map(|index| format!("  let s{index} = t{index} + 1\n")).collect();
    fs::write(&path, format!("workflow main() {{\n{lines}}}\n")).unwrap();
    let outcome = check_in_time(&path);
    assert!(outcome.diagnostics.iter().filter(|diagnostic| diagnostic.code.name() == "E0101").count() == 10_000);
}

#[test]
fn every_example_is_without_a_mistake() {
    for path in files(&root().join("examples"), "smlt") {
        let outcome = check_in_time(&path);
        assert!(outcome.diagnostics.is_empty(), "{}: {:#?}", path.display(), outcome.diagnostics);
        assert!(outcome.value > 0, "{} has no workflow with a step", path.display());
    }
}

/// The words that the grammar keeps for itself, and those that are keywords in some places only.
fn keywords() -> Vec<String> {
    let grammar = read(&root().join("grammar/smlt.pest"));
    let rules = grammar.lines().filter_map(|line| line.strip_prefix("KW_"));
    let words: Vec<String> = rules.map(|rule| rule.split(' ').next().unwrap().to_owned()).collect();
    assert!(words.len() > 30);
    words
}

#[test]
fn editors_and_the_fuzzer_know_the_keywords_of_the_grammar() {
    for file in ["editors/vim/syntax/smlt.vim", "editors/vscode/syntaxes/smlt.tmLanguage.json", "fuzz/smlt.dict"] {
        let text = read(&root().join(file));
        let known: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let missing: Vec<String> = keywords().into_iter().filter(|word| !known.contains(&&**word)).collect();
        assert!(missing.is_empty(), "{file} lacks {missing:?}");
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fenced blocks of a Markdown text in one language, each with what stands behind the language and its line.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<(&'t str, String, usize)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(info) = line.strip_prefix("```").and_then(|info| info.strip_prefix(language)) else { continue };
        if info.starts_with(|c: char| c.is_alphanumeric()) {
            continue;
        }
        let block: Vec<&str> =
            lines.by_ref().map(|(line, _)| line).take_while(|line| !line.starts_with("```")).collect();
        blocks.push((info.trim(), block.join("\n") + "\n", number));
    }
    blocks
}

/// What a state machine can't do of the workflows of a file.
fn of_target(path: &Path) -> Vec<Diagnostic> {
    let files = Files::open(path).unwrap();
    let program = check::check(&files).value;
    let graphs = program.workflows.iter().map(|workflow| graph::build(workflow, &files));
    graphs.flat_map(|graph| asl::compile(&graph).diagnostics).collect()
}

/// A block of a page is a file beside the examples; one that is marked with a code is an example of that mistake.
#[test]
fn what_the_pages_show_is_as_they_say() {
    let mut pages = files(&root().join("docs"), "md");
    pages.extend([root().join("README.md"), root().join("CONTRIBUTING.md")]);
    let project = tempfile::tempdir().unwrap();
    let path = project.path().join("block.smlt");
    let mut count = 0;
    for page in pages {
        for (mark, block, line) in blocks(&read(&page), "smlt") {
            fs::write(&path, block).unwrap();
            let mut outcome = check_in_time(&path);
            if mark.starts_with("E06") && outcome.is_ok() {
                outcome.diagnostics.extend(of_target(&path));
            }
            let codes: Vec<&str> = outcome.diagnostics.iter().map(|diagnostic| diagnostic.code.name()).collect();
            let wanted: Vec<&str> = mark.split_whitespace().collect();
            assert_eq!(codes, wanted, "{}:{line}: {:#?}", page.display(), outcome.diagnostics);
            count += 1;
        }
    }
    assert!(count >= 6, "the pages' blocks were not found");
}

/// Whoever looks up an item of the standard library can copy its example as it is, and trust the values in it.
/// The texts between backquotes of the first cell of each row of a page's tables.
fn rows(page: &str) -> Vec<Vec<String>> {
    let is_row = |line: &&str| line.starts_with("| `");
    let first_cell =
        |line: &str| line.replace("\\|", "\u{1}")[1..].split('|').next().unwrap_or_default().replace('\u{1}', "|");
    let quoted = |cell: String| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    page.lines().filter(is_row).map(first_cell).map(quoted).collect()
}

/// Words of the reference's tables in the place of others.
const PLACEHOLDERS: [&str; 17] = [
    "Kind",
    "Name",
    "Type",
    "args",
    "body",
    "clean_table",
    "common",
    "cond",
    "expression",
    "field",
    "fields",
    "holds",
    "key",
    "old",
    "scope",
    "separator",
    "statements",
];

/// The words and the runs of signs of a text.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let kind = |c: char| (c.is_alphanumeric() || c == '_', c.is_whitespace() || "(){}[],…\"".contains(c));
    text.split_inclusive(char::is_whitespace).flat_map(move |part| {
        let mut parts = vec![];
        let mut rest = part;
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|c| kind(c) != kind(first)).unwrap_or(rest.len());
            parts.push(&rest[..end]);
            rest = &rest[end..];
        }
        parts.into_iter().filter(move |part| part.chars().next().is_some_and(|c| !kind(c).1))
    })
}

#[test]
fn each_row_of_the_reference_is_used_by_a_test() {
    let reference = read(&root().join("docs/src/language.md"));
    let mut tested = BTreeSet::new();
    for folder in ["tests/ui", "tests/cli", "tests/graph", "examples"] {
        for path in files(&root().join(folder), "smlt") {
            tested.extend(tokens(&read(&path)).map(str::to_owned));
        }
    }
    for path in files(&root().join("docs"), "md").into_iter().chain(files(&root().join("src"), "rs")) {
        let text = read(&path);
        for (_, block, _) in blocks(&text, "smlt") {
            tested.extend(tokens(&block).map(str::to_owned));
        }
    }
    let rows = rows(&reference);
    assert!(rows.len() >= 100, "the tables were not found: {}", rows.len());
    let unknown: Vec<_> = rows
        .iter()
        .flat_map(|row| row.iter().flat_map(|text| tokens(text)).map(move |token| (token, row)))
        .filter(|(token, _)| token.len() > 1 && !PLACEHOLDERS.contains(token) && !tested.contains(*token))
        .collect();
    assert!(unknown.is_empty(), "no test has these words of the reference, each with its row: {unknown:#?}");
}

#[test]
fn every_item_of_the_standard_library_has_an_example() {
    let project = tempfile::tempdir().unwrap();
    let path = project.path().join("example.smlt");
    let told = |text: String| {
        fs::write(&path, text).unwrap();
        check_in_time(&path).diagnostics
    };
    let modules = doc::std();
    assert_eq!(modules.len(), stdlib::MODULES.len());
    let mut values = 0;
    for module in modules {
        assert!(!module.about.is_empty(), "{} does not say what it is about", module.name);
        for item in module.items {
            let name = format!("{}.{}", module.name, item.name);
            assert!(!item.text.is_empty(), "{name} has no comment");
            let example = item.example.unwrap_or_else(|| panic!("{name} has no example"));
            assert!(example.contains(&*item.name), "the example of {name} does not use it");
            assert_eq!(format::format(FileId(0), &example).as_ref(), Ok(&example), "the layout of {name}'s example");
            let claims = claims(&example);
            values += claims.lines().count();
            let diagnostics = told(example + &claims);
            assert!(diagnostics.is_empty(), "the example of {name}: {diagnostics:#?}");
        }
    }
    assert!(values >= 27, "the values of the pure functions were not found");
    let wrong = "const smaller = min(2, 3) // 3\n";
    assert_eq!(told(wrong.to_owned() + &claims(wrong))[0].code.name(), "E0302");
}

/// For each `const name = … // value`, a further constant that can be computed only if that is its value.
fn claims(example: &str) -> String {
    let constants = example.lines().filter_map(|line| line.strip_prefix("const ")?.split_once(" // "));
    let claim = |(constant, value)| {
        let name = word(constant);
        format!("const {name}_is = [0][if {name} == ({value}) then 0 else 1]\n")
    };
    constants.map(claim).collect()
}

/// A link from page to page leads somewhere.
#[test]
fn no_link_of_the_pages_is_broken() {
    let mut pages = files(&root().join("docs"), "md");
    pages.extend(
        ["README.md", "CONTRIBUTING.md", "editors/README.md", "examples/data/README.md"].map(|page| root().join(page)),
    );
    for page in pages {
        let text = read(&page);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for target in targets.filter(|target| !target.is_empty() && !target.contains("://")) {
            let place = page.parent().unwrap().join(target);
            assert!(place.exists(), "{} links to `{target}`, which is not there", page.display());
        }
    }
}

#[test]
fn every_file_that_people_read_is_in_the_one_style() {
    for folder in ["examples", "stdlib"] {
        for path in files(&root().join(folder), "smlt") {
            let text = read(&path);
            let formatted = format::format(FileId(0), &text);
            assert!(formatted.is_ok_and(|formatted| formatted == text), "`smltc fmt {}`", path.display());
        }
    }
}
