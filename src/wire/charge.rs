use std::fmt;

/// A line of a run's ledger: that a call of a worker has begun, or what it has cost. It travels as the key of an object, so
/// that one listing tells all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The path of the step, or of the region whose values were computed.
    pub path: String,
    /// The call, which no other is called like.
    pub call: String,
    /// When it ended, or began where it is not over, in milliseconds since 1970.
    pub at: i64,
    /// How long it took in milliseconds, or its memory in MiB where it is not over.
    pub amount: i64,
    /// What it has cost, in billionths of a dollar.
    pub nanos: i64,
    /// What was done: the kind of the step, or `part` of what only serves others.
    pub kind: String,
}

impl Charge {
    /// The kind of a call that ends no step.
    pub const PART: &str = "part";

    /// The folder of the lines at a path and below.
    pub fn folder(path: &str) -> String {
        // Brackets have no place in a key, and parentheses none in a path.
        path.replace('[', "(").replace(']', ")")
    }

    /// The line that a key tells, from where the paths begin.
    pub fn read(key: &str) -> Option<Self> {
        let (path, name) = key.rsplit_once('/')?;
        let mut parts = name.split('.');
        let call = parts.next()?.to_owned();
        let mut number = || parts.next()?.parse::<i64>().ok();
        let (at, amount, nanos) = (number()?, number()?, number()?);
        let kind = parts.next()?.to_owned();
        Some(Self { path: path.replace('(', "[").replace(')', "]"), call, at, amount, nanos, kind })
    }
}

/// As a key.
impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, call, at, amount, nanos, kind } = self;
        write!(f, "{}/{call}.{at}.{amount}.{nanos}.{kind}", Self::folder(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let charge = Charge {
            path: "main/best/trial[7]/rung[0]".into(),
            call: "5f0c-1".into(),
            at: 1_700_000_000_000,
            amount: 12,
            nanos: 345,
            kind: "trial".into(),
        };
        assert_eq!(charge.to_string(), "main/best/trial(7)/rung(0)/5f0c-1.1700000000000.12.345.trial");
        assert_eq!(Charge::read(&charge.to_string()), Some(charge));
        assert_eq!(Charge::read("main/else.json"), None);
    }
}
