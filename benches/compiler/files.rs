//! The files that are measured: the same workflow of many steps in each language.

use std::fmt::Write;

/// A workflow of `steps` steps as people write them: two tasks, steps that read the results of earlier ones, and among
/// every ten a loop, a branch, an order without data, a retry, and comments.
pub fn workflow(steps: usize) -> String {
    let mut text = String::from(
        r#"/// Draws a part of a table.
task draw(table: Uri, part: Int, seed: Int = 7) -> { rows: Int, share: Float } {
  command: ["draw", "--table", table, "--part", "{part}", "--seed", "{seed}"]
}

/// Joins two parts into one.
task join(left: Int, right: Int, weight: Float = 0.5) -> { rows: Int, share: Float } {
  command: ["join", "{left}", "{right}", "--weight", "{weight}"]
}

fn enough(rows: Int) -> Bool = rows >= 1_000

@deadline(2h)
workflow main(table: Uri = "data/all.csv") {
"#,
    );
    for step in 0..steps {
        let s = |back: usize| format!("s{}", step - back);
        let line = match step % 10 {
            0 => {
                let round = step / 10;
                format!("  // Round {round}: ten steps.\n  let s{step} = run draw(table, part: {step})")
            }
            1 => format!("  let s{step} = run draw(table, part: {step}, seed: {}.rows)", s(1)),
            2 => format!("  let s{step} = run join({}.rows, {}.rows)", s(2), s(1)),
            3 => format!("  let s{step} = run join({}.rows + 1, {}.rows * 2, weight: 0.25)", s(1), s(2)),
            4 => format!("  let s{step} = run draw(\"{{table}}.{step}\", part: max({}.rows, {}.rows))", s(1), s(2)),
            5 => format!("  let s{step} = for part in [1, 2, 3] {{ run draw(table, part: part + {}.rows) }}", s(1)),
            6 => format!(
                "  let s{step} = if enough({a}.rows) {{\n    run join({a}.rows, {}.rows)\n  }} else {{\n    run draw(table, part: {step})\n  }}",
                s(4),
                a = s(2),
            ),
            7 => format!(
                "  @retry(max: 2, backoff: 5s)\n  let s{step} = run join({}.rows, {}.rows) after {}",
                s(1),
                s(3),
                s(2)
            ),
            8 => format!("  let s{step} = run draw(table, part: {step}) after {} // waits for its neighbour", s(1)),
            _ => format!("  let s{step} = run join({a}.rows, {}.rows, weight: {a}.share)", s(2), a = s(1)),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str("}\n");
    text
}

/// A file of `lines` lines: the workflow above, cut to that length.
pub fn lines(lines: usize) -> String {
    // Ten steps take 16 lines, and what stands around them another 16.
    workflow(lines.saturating_sub(16) / 16 * 10)
}

/// A file as it is opened from day to day: of a hundred lines, with data, a model, a search and some tasks.
pub fn everyday() -> String {
    let digits = include_str!("../../examples/digits.smlt");
    let (imports, rest) = digits.split_at(digits.find("/// 1,797").unwrap_or(0));
    let tasks = workflow(20).replace("workflow main", "workflow join_all");
    format!("{imports}{rest}\n{tasks}")
}

/// The two steps whose results a step reads: those before it among its ten, so that no chain is longer than Snakemake's
/// recursion bears.
fn sources(step: usize) -> Option<(usize, usize)> {
    (step % 10 >= 2).then(|| (step - 1, step - 2))
}

/// `steps` steps, most of which join the results of the two before.
pub fn smlt(steps: usize) -> String {
    let mut text = String::from(
        "task join(left: Int, right: Int) -> { rows: Int } {\n  command: [\"join\", \"{left}\", \"{right}\"]\n}\n\n\
         workflow main() -> List[Int] {\n",
    );
    for step in 0..steps {
        let _ = match sources(step) {
            Some((left, right)) => writeln!(text, "  let s{step} = run join(s{left}.rows, s{right}.rows)"),
            None => writeln!(text, "  let s{step} = run join({step}, {step})"),
        };
    }
    text + &format!("  [{}]\n}}\n", results(steps, "s", ".rows"))
}

/// The same for Snakemake: a step is a rule, and what it gives a file.
pub fn snakemake(steps: usize) -> String {
    let mut text = format!("rule all:\n    input: {}\n", results(steps, "\"s", ".txt\""));
    for step in 0..steps {
        let _ = writeln!(text, "rule s{step}:");
        if let Some((left, right)) = sources(step) {
            let _ = writeln!(text, "    input: \"s{left}.txt\", \"s{right}.txt\"");
        }
        let _ = writeln!(text, "    output: \"s{step}.txt\"\n    shell: \"join {{input}} > {{output}}\"");
    }
    text
}

/// The same in WDL.
pub fn wdl(steps: usize) -> String {
    let mut text = String::from(
        "version 1.1\n\ntask join {\n  input {\n    Int a\n    Int b\n  }\n  command <<<\n    join ~{a} ~{b}\n  >>>\n  \
         output {\n    Int rows = read_int(stdout())\n  }\n  runtime {\n    container: \"debian\"\n  }\n}\n\nworkflow main {\n",
    );
    for step in 0..steps {
        let _ = match sources(step) {
            Some((a, b)) => writeln!(text, "  call join as s{step} {{ input: a = s{a}.rows, b = s{b}.rows }}"),
            None => writeln!(text, "  call join as s{step} {{ input: a = {step}, b = {step} }}"),
        };
    }
    text + &format!("  output {{\n    Array[Int] rows = [{}]\n  }}\n}}\n", results(steps, "s", ".rows"))
}

/// The last of every ten steps, as a list.
fn results(steps: usize, before: &str, after: &str) -> String {
    let last: Vec<String> = (9..steps).step_by(10).map(|step| format!("{before}{step}{after}")).collect();
    last.join(", ")
}
