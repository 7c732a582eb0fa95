use super::Severity;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! codes {
    ($($(#[doc = $title:literal])+ $code:ident,)+) => {
        /// The stable code of a message. A code is never reused and never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $($(#[doc = $title])+ $code,)+
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// The code as written in messages, such as `E0103`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($code),)+
                }
            }

            /// What the code stands for, in one sentence.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$code => concat!($($title,)+).trim(),)+
                }
            }
        }
    };
}

// E00xx syntax, E01xx names and imports, E02xx types and shapes, E03xx units and constants, E04xx graph,
// E05xx plan: deadline and budget, E06xx what a target can't do, W1xxx lints.
codes! {
    /// The text is not what the grammar expects here.
    E0001,
    /// Something is nested too deeply.
    E0002,
    /// A file or an expression is too large.
    E0003,
    /// A string, bracket or block is not closed.
    E0004,
    /// A number or unit literal is malformed or too large.
    E0005,
    /// Comparisons do not chain.
    E0006,
    /// This part of the language can't be compiled yet.
    E0007,
    /// A name is not defined.
    E0101,
    /// A name is defined twice.
    E0102,
    /// An import can't be found or read.
    E0103,
    /// Imports form a cycle.
    E0104,
    /// A module has no such public item.
    E0105,
    /// A name is kept for what smltc tells a command.
    E0106,
    /// A value's type is not the one that is needed.
    E0201,
    /// An argument is missing, unknown, or given twice.
    E0202,
    /// A type has no such field.
    E0203,
    /// A setting or dimension is missing, unknown, or given twice.
    E0204,
    /// An annotation is unknown or does not belong here.
    E0205,
    /// A layer does not take the shape that comes in.
    E0206,
    /// A match does not cover every case.
    E0207,
    /// A secret would be seen, or what is none is taken for one.
    E0208,
    /// Two units can't be combined.
    E0301,
    /// A constant can't be computed.
    E0302,
    /// A value is not known at compile time.
    E0303,
    /// A value is out of its range.
    E0304,
    /// A definition depends on itself.
    E0401,
    /// A deadline is below what the steps take at least.
    E0501,
    /// A budget is below what the steps cost at least.
    E0502,
    /// A state machine can't do this yet.
    E0601,
    /// A state machine would be too large.
    E0602,
    /// A nested limit is wider than the one around it.
    W1001,
    /// An import or a name is never used.
    W1002,
    /// An arm of a match is never reached.
    W1003,
    /// A share of a budget has no budget around it.
    W1004,
}

impl Code {
    /// Whether the code is an error's or a warning's, told by its first letter.
    pub fn severity(self) -> Severity {
        if self.name().starts_with('E') { Severity::Error } else { Severity::Warning }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
