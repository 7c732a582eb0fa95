//! How well searches and plans choose: `cargo bench --bench planning`, or with the name of a part behind `--`. Prints tables in
//! Markdown.

mod lynceus;

use std::{env, io};

/// A name and what prints its tables.
type Part = (&'static str, fn() -> io::Result<()>);

const PARTS: [Part; 1] = [("lynceus", lynceus::print)];

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().collect();
    // `cargo test --all-targets` runs benches too.
    if !args.iter().any(|arg| arg == "--bench") {
        println!("benches are run by `cargo bench`");
        return Ok(());
    }
    let named = |(part, _): &Part| args.iter().any(|arg| arg == part);
    let all = !PARTS.iter().any(named);
    PARTS.iter().filter(|part| all || named(part)).try_for_each(|(_, print)| print())
}
