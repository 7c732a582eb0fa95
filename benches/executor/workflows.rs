//! The workflows that are run.

use std::fmt::Write;

/// Commands that do nothing and depend on nothing. They have no result, so they are run every time.
pub fn commands(steps: usize) -> String {
    format!(
        "task nothing(i: Int) -> {{}} {{ command: [\"true\"] }}\n\
         workflow main() {{\n  for i in range({steps}) {{ run nothing(i) }}\n}}\n"
    )
}

/// Commands whose results are kept.
pub fn cached(steps: usize) -> String {
    format!(
        "task number(i: Int) -> {{ n: Int }} {{ shell: \"echo '\\{{\\\"n\\\": '$i'\\}}' > $SMLT_OUT\" }}\n\
         workflow main() -> Int {{\n  let all = for i in range({steps}) {{ run number(i) }}\n  \
         all |> map(|one| one.n) |> fold(0, |sum, n| sum + n)\n}}\n"
    )
}

/// Steps that need no worker.
pub fn pure(steps: usize) -> String {
    format!("workflow main() {{\n  for i in range({steps}) {{ assert i >= 0, \"{{i}} is negative\" }}\n}}\n")
}

/// The same, each written out.
pub fn apart(steps: usize) -> String {
    let mut text = String::from("workflow main(n: Int = 1) {\n");
    for step in 0..steps {
        // Writing to a string can't fail.
        let _ = writeln!(text, "  assert n + {step} > 0, \"{step} is too much\"");
    }
    text + "}\n"
}

/// Commands each of which waits for the one before.
pub fn chain(steps: usize) -> String {
    let mut text = String::from(
        "task nothing(i: Int) -> {} { command: [\"true\"] }\nworkflow main() {\n  let s0 = run nothing(0)\n",
    );
    for step in 1..steps {
        // Writing to a string can't fail.
        let _ = writeln!(text, "  let s{step} = run nothing({step}) after s{}", step - 1);
    }
    text + "}\n"
}
