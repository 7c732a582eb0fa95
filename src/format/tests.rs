//! The formatter changes white space alone, and has nothing to add to what it has formatted.

use super::format;
use crate::{
    source::FileId,
    stdlib,
    syntax::{Cst, Token},
};
use proptest::prelude::*;
use std::{fs, path::Path};

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

fn holds(text: &str) {
    let once = formatted(text);
    assert_eq!(essence(text), essence(&once), "{once}");
    assert_eq!(formatted(&once), once);
    for line in once.lines() {
        assert_eq!(line, line.trim_end(), "a line ends with a space");
    }
}

#[test]
fn the_standard_library_is_kept() {
    for (_, text) in stdlib::MODULES {
        holds(text);
    }
}

#[test]
fn every_file_of_the_repository_is_kept() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for folder in ["examples", "tests/ui", "tests/graph", "tests/broken"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let Some(text) =
                fs::read_to_string(&path).ok().filter(|_| path.extension().is_some_and(|end| end == "smlt"))
            else {
                continue;
            };
            if format(FileId(0), &text).is_ok() {
                holds(&text);
                count += 1;
            }
        }
    }
    assert!(count > 30);
}

/// White space, with or without comments, that may stand between two words.
fn space() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => Just(" ".to_owned()),
        2 => Just("\n".to_owned()),
        1 => Just("\n\n\n".to_owned()),
        1 => Just("  \t ".to_owned()),
        1 => "[a-z ]{0,8}".prop_map(|text| format!(" // {text}\n")),
        1 => "[a-z ]{0,8}".prop_map(|text| format!("\n// {text}\n  // more\n")),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "data", "rows", "lr", "hidden_units", "a_rather_long_name_of_a_thing", "map", "mlp"])
        .prop_map(str::to_owned)
}

fn ty() -> impl Strategy<Value = String> {
    let simple = prop::sample::select(vec!["Int", "Float", "String", "Uri", "Artifact?"]).prop_map(str::to_owned);
    simple.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| format!("List[{inner}]")),
            (name(), inner.clone(), name(), inner)
                .prop_map(|(a, first, b, second)| format!("{{ {a}: {first},{b}:{second} }}")),
        ]
    })
}

fn expr() -> impl Strategy<Value = String> {
    let literals = [
        "1",
        "2.5e-3",
        "1h30min",
        "$12.50",
        "80%",
        "512MiB",
        "true",
        "none",
        "\"text {a} \\{\"",
        "train.loss",
        "a.b.c",
    ];
    let leaf = prop_oneof![prop::sample::select(literals.to_vec()).prop_map(str::to_owned), name()];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let operator = prop::sample::select(vec!["+", "-", "*", "/", "==", "<", "and", "or", "??", "..", "|>"]);
        prop_oneof![
            (inner.clone(), space(), operator, space(), inner.clone())
                .prop_map(|(a, before, op, after, b)| format!("({a}{before}{op}{after}{b})")),
            (name(), prop::collection::vec((space(), inner.clone()), 0..4)).prop_map(|(name, args)| {
                let args: Vec<String> = args.into_iter().map(|(space, arg)| format!("{space}{arg}")).collect();
                format!("{name}({})", args.join(","))
            }),
            (name(), name(), inner.clone(), space())
                .prop_map(|(f, arg, value, space)| format!("{f}({arg}:{space}{value},)")),
            prop::collection::vec((inner.clone(), space()), 0..5).prop_map(|items| {
                let items: Vec<String> = items.into_iter().map(|(item, space)| format!("{item}{space}")).collect();
                format!("[{}]", items.join(", "))
            }),
            (inner.clone(), inner.clone()).prop_map(|(key, value)| format!("[{key}: {value}]")),
            (inner.clone(), space(), inner.clone(), space(), inner.clone())
                .prop_map(|(c, s, a, t, b)| format!("(if {c}{s}then {a}{t}else {b})")),
            (inner.clone(), space(), inner.clone(), inner.clone())
                .prop_map(|(value, space, a, b)| format!("(match {value} {{{space}1 => {a}, -2.5 =>{b},_=> none }})")),
            (name(), inner.clone()).prop_map(|(x, body)| format!("map(rows, |{x}| {body})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("not {a} == -{b}")),
            (name(), inner).prop_map(|(list, index)| format!("{list}[{index}]")),
        ]
    })
}

fn stmts() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        (name(), space(), expr()).prop_map(|(name, space, value)| format!("let {name} ={space}{value}")),
        (name(), ty(), expr()).prop_map(|(name, ty, value)| format!("let {name} : {ty} = {value}")),
        (expr(), expr()).prop_map(|(cond, message)| format!("assert {cond} , {message}")),
        (name(), expr(), space()).prop_map(|(task, arg, space)| format!("run {task}({arg}){space}after a , data")),
        (name(), expr(), expr(), space(), space()).prop_map(|(model, data, batch, before, after)| format!(
            "@deadline(5min,on_miss:skip)\n@seed(7) let net = train {model}() {{{before}data: {data}{after}batch:{batch}, epochs: 3 }}"
        )),
        (name(), expr(), space()).prop_map(|(model, value, space)| format!(
            "let best = search {model}(a: 1) {{ data: a {space} space {{ lr: {value} if a == b, hidden: choice([1,2]) }} maximize: valid.auc }}"
        )),
    ];
    let many = |inner: BoxedStrategy<String>| {
        prop::collection::vec((inner, space()), 0..4)
            .prop_map(|stmts| stmts.into_iter().map(|(stmt, space)| format!("{stmt}\n{space}")).collect::<String>())
    };
    let leaf = plain.boxed();
    leaf.prop_recursive(3, 16, 4, move |inner| {
        let block = || many(inner.clone()).prop_map(|stmts| format!("{{ {stmts} }}"));
        prop_oneof![
            (name(), expr(), block()).prop_map(|(x, list, body)| format!("for {x} in {list} {body}")),
            (expr(), block(), block(), block())
                .prop_map(|(cond, a, b, c)| format!("if {cond} {a} else if {cond} {b} else {c}")),
            block().prop_map(|body| format!("let g = group {body}")),
            (block(), block()).prop_map(|(a, b)| format!("try {a} catch Timeout, WorkerLost as e {b}")),
            (expr(), block()).prop_map(|(n, body)| format!("repeat {n} with a = 1 while a < 3 {body}")),
            inner.clone(),
        ]
    })
}

fn item() -> impl Strategy<Value = String> {
    let params = || {
        prop::collection::vec((name(), ty(), prop::option::of(expr()), space()), 0..4).prop_map(|params| {
            let params = params.into_iter().map(|(name, ty, default, space)| {
                format!("{name}:{ty}{}{space}", default.map(|value| format!("={value}")).unwrap_or_default())
            });
            format!("({})", params.collect::<Vec<_>>().join(","))
        })
    };
    prop_oneof![
        Just("import std/nn.{dense,relu as r}".to_owned()),
        Just("import ./part as part".to_owned()),
        (name(), space(), expr()).prop_map(|(name, space, value)| format!("const {name}{space}={space}{value}")),
        (name(), ty()).prop_map(|(name, ty)| format!("type {name} = {ty}")),
        space().prop_map(|space| format!("enum Kind {{{space}A,B }}")),
        (name(), params(), ty(), expr()).prop_map(|(name, params, ty, body)| format!("fn {name}{params} -> {ty} = {body}")),
        (name(), params(), space()).prop_map(|(name, params, space)| format!(
            "model {name}{params} ={space}dense(1, 2) |>relu{space}|> dense(2,3)"
        )),
        (name(), params(), expr(), space()).prop_map(|(name, params, value, space)| format!(
            "/// A task.\n@retry( max:2 )\ntask {name}{params} -> {{ rows: Int }} {{ command: {value}{space}env {{ A: \"b\" }} }}"
        )),
        (name(), expr(), space()).prop_map(|(name, value, space)| format!(
            "dataset {name} {{ source: {value}{space}split {{ train: 80%, test: 20% }}{space}}}"
        )),
        (name(), params(), stmts(), stmts(), expr(), space()).prop_map(|(name, params, a, b, value, space)| format!(
            "workflow {name}{params} -> Int {{{space}{a}\n{b}{space}{value}\n}}"
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, max_global_rejects: 2000, max_shrink_iters: 2000, ..ProptestConfig::default() })]
    #[test]
    fn whatever_can_be_read_is_kept(items in prop::collection::vec((space(), item()), 1..4)) {
        let text: String = items.into_iter().map(|(space, item)| format!("{space}\n{item}\n")).collect();
        prop_assume!(format(FileId(0), &text).is_ok());
        holds(&text);
    }
}
