//! Names in a state machine: of its states and of its variables, each only once.

use std::collections::HashSet;

/// The letters that a state's name may have, and a variable's.
const LONGEST: usize = 80;

/// What expressions of a machine call, and the machine's own variable.
const TAKEN: [&str; 11] =
    ["append", "contains", "count", "exists", "floor", "length", "merge", "min", "not", "states", "string"];

/// Names that are taken.
#[derive(Debug, Default)]
pub(super) struct Names {
    states: HashSet<String>,
    variables: HashSet<String>,
}

impl Names {
    /// A state's name, as near to `wanted` as may be: what is too long keeps its end, which tells more.
    pub fn state(&mut self, wanted: &str) -> String {
        unique(&mut self.states, wanted, ' ')
    }

    /// A variable's name, as near to `wanted` as may be.
    pub fn variable(&mut self, wanted: &str) -> String {
        let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let mut name: String = wanted.chars().map(letter).collect();
        // What begins with a digit is no name.
        if TAKEN.contains(&&*name) || !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            name.insert_str(0, "x_");
        }
        unique(&mut self.variables, &name, '_')
    }
}

fn unique(taken: &mut HashSet<String>, wanted: &str, gap: char) -> String {
    let mut name = shortened(wanted, LONGEST);
    let mut count = 1;
    while !taken.insert(name.clone()) {
        count += 1;
        let end = format!("{gap}{count}");
        name = shortened(wanted, LONGEST - end.len()) + &end;
    }
    name
}

fn shortened(text: &str, most: usize) -> String {
    let letters = text.chars().count();
    if letters <= most { text.to_owned() } else { text.chars().skip(letters - most).collect() }
}
