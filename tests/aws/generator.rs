//! Workflows made up at random: whole numbers go through tasks, branches, items, rounds, failures, searches, limits that
//! are kept and that strike, and other workflows; and trainings by any number of workers.

use smlt::seed::{Generator, Seed};
use std::fmt::Write;

/// The workflow with a number, always the same.
pub fn workflow(number: u64) -> String {
    let mut maker = Maker { random: Seed::new(number).child("workflow").generator(), names: 0, calls: false };
    let (mut half, mut main) = (String::new(), String::new());
    let of_half = maker.block(&["x".into(), "y".into()], 1, 2, &mut half);
    maker.calls = true;
    let of_main = maker.block(&["n".into()], 2, 5, &mut main);
    format!(
        r#"import std/search.{{random, tpe}}
import std/space.{{int}}
task add(a: Int, b: Int) -> {{ n: Int }} {{ shell: "echo \{{\\\"n\\\": $(((a + b) % 1000))\}} > $SMLT_OUT" }}
task slow(a: Int) -> {{ n: Int }} {{ shell: "sleep 30; echo $a" }}
task odd(a: Int) -> {{ n: Int }} {{ shell: "[ $((a % 2)) = 1 ]; echo \{{\\\"n\\\": $a\}} > $SMLT_OUT" }}
fn rest(x: Int, y: Int) -> Int = x - y * floor(x / y)
workflow half(x: Int, y: Int) -> Int {{
{half}{of_half}
}}
workflow main(n: Int) -> Int {{
{main}{of_main}
}}
"#
    )
}

/// A training, or a search over trainings, by one to four workers.
pub fn training(number: u64) -> String {
    let mut random = Seed::new(number).child("training").generator();
    let mut one = |of: &[&str]| of[random.below(of.len() as u64) as usize].to_owned();
    let workers = match number % 4 {
        0 => "2".to_owned(),
        1 => "4".to_owned(),
        2 => one(&["schedule([1, 2], at: [1])", "schedule([4, 1], at: [1])", "schedule([2, 4], at: [1])"]),
        _ => one(&["1..4", "2..3"]),
    };
    let sync =
        one(&["scatter_reduce()", "scatter_reduce(backups: 1)", "parameter_server()", "two_level()", "in_store()"]);
    let settings = format!(
        "data: digits\nbatch: 128\nshards: 4\nworkers: {workers}\nsync: {sync}\ncheckpoint: every(epochs: 1)\nepochs: {}",
        1 + number % 3
    );
    let step = match number % 3 {
        0 => format!(
            "search mlp(inputs: digits.width, classes: digits.classes, hidden: 16) {{\n{settings}\nmaximize: valid.accuracy\n\
             strategy: random(trials: 2)\nspace {{ lr: log_uniform(1e-3, 1e-2) }}\n}}"
        ),
        _ => format!("train mlp(inputs: digits.width, classes: digits.classes, hidden: 16) {{\n{settings}\n}}"),
    };
    format!(
        r#"import std/models.{{mlp}}
import std/search.{{random}}
import std/space.{{log_uniform}}
import std/sync.{{in_store, parameter_server, scatter_reduce, two_level}}
dataset digits {{
  source: "data/digits.csv.gz"
  format: csv(header: false)
  label: "column64"
  split {{ train: 70%, valid: 15%, test: 15%, seed: 7 }}
  scale: 0.0625
}}
workflow main() -> Artifact {{
let net = {step}
net.weights
}}
"#
    )
}

struct Maker {
    random: Generator,
    names: usize,
    /// Whether `half` is known.
    calls: bool,
}

impl Maker {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    fn one<'a>(&mut self, of: &'a [String]) -> &'a str {
        &of[self.random.below(of.len() as u64) as usize]
    }

    /// A number from what is known.
    fn number(&mut self, known: &[String]) -> String {
        let (a, b) = (self.one(known).to_owned(), self.one(known).to_owned());
        match self.random.below(4) {
            0 => a,
            1 => format!("rest({a} + {b}, 1000)"),
            2 => format!("max({a}, {b} - 3)"),
            _ => format!("{a} + {}", self.random.below(9)),
        }
    }

    /// Statements, each of which gives a number a name; what the last expression is.
    fn block(&mut self, known: &[String], depth: u32, most: u64, text: &mut String) -> String {
        let mut known = known.to_vec();
        for _ in 0..=self.random.below(most) {
            let name = self.name();
            let stmt = self.stmt(&name, &known, depth);
            let _ = writeln!(text, "{stmt}");
            known.push(name);
        }
        self.number(&known)
    }

    fn inner(&mut self, known: &[String], depth: u32) -> String {
        let mut text = String::new();
        let result = self.block(known, depth - 1, 2, &mut text);
        format!("{{\n{text}{result}\n}}")
    }

    fn stmt(&mut self, name: &str, known: &[String], depth: u32) -> String {
        let kinds = if depth == 0 { 4 } else { 13 };
        let (a, b) = (self.number(known), self.number(known));
        match self.random.below(kinds) {
            0 => format!("let {name} = {a}"),
            1 | 2 => format!("let r{name} = run add({a}, {b})\nlet {name} = r{name}.n"),
            3 => format!("assert {a} < 100000\nlet {name} = {b}"),
            4 => {
                let (then, otherwise) = (self.inner(known, depth), self.inner(known, depth));
                format!("let {name} = if rest({a}, 2) == 0 {then} else {otherwise}")
            }
            5 => {
                let item = self.name();
                let mut inside = known.to_vec();
                inside.push(item.clone());
                let body = self.inner(&inside, depth);
                let few = self.random.below(2) == 0;
                let list = if few { format!("[{a}, {b}]") } else { format!("range(rest({a}, 4))") };
                format!("let r{name} = for {item} in {list} {body}\nlet {name} = sum(r{name})")
            }
            6 => {
                let (body, caught) = (self.inner(known, depth), self.inner(known, depth));
                let body = body.replacen('{', &format!("{{\n@retry(max: 1, backoff: 100ms)\nrun odd({a})\n"), 1);
                format!("let {name} = try {body} catch TaskFailed {caught}")
            }
            7 => {
                let carried = self.name();
                let mut inside = known.to_vec();
                inside.push(carried.clone());
                let body = self.inner(&inside, depth);
                format!("let {name} = repeat 3 with {carried} = {a} while {carried} < 500 {body}")
            }
            10 => {
                let strategy = ["random(trials: 3)", "tpe(trials: 4, startup: 2)"][self.random.below(2) as usize];
                format!(
                    "let s{name} = search {{\nspace {{ x: int(1, 9) }}\nobjective {{ let o{name} = run add(space.x, {a})\no{name}.n }}\n\
                     direction: minimize\nstrategy: {strategy}\nparallel: 2\n}}\nlet {name} = s{name}.best + {b}"
                )
            }
            11 => format!("@deadline(5min)\n@budget($9)\nlet r{name} = run add({a}, {b})\nlet {name} = r{name}.n"),
            12 => {
                let (limit, kind) = match self.random.below(2) {
                    0 => ("@deadline(400ms)", "DeadlineExceeded"),
                    _ => ("@budget($0.00004)", "BudgetExceeded"),
                };
                format!(
                    "let {name} = try {{\n{limit}\nlet r{name} = run slow({a})\nr{name}.n\n}} catch {kind} {{ {b} }}"
                )
            }
            8 if self.calls => format!("let {name} = run half({a}, {b})"),
            _ => format!("let r{name} = run odd({a})\nlet {name} = r{name}.n"),
        }
    }
}
